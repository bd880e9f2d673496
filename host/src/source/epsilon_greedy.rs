//! Epsilon-greedy pulls (Sutton and Barto 2018, section 2.4).

use super::arms::{arms_of, Arms};
use super::{check_fraction, pair, random_argmax, threshold, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`EpsilonGreedySource`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EpsilonGreedy {
    /// Probability of a random arm; 0 is the greedy baseline.
    pub epsilon: f32,
}

impl Default for EpsilonGreedy {
    fn default() -> Self {
        Self { epsilon: 0.1 }
    }
}

impl Algorithm for EpsilonGreedy {
    const NAME: &'static str = "epsilon-greedy";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_fraction(self.epsilon, "epsilon")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        arms_of(environment).is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        let arms = arms_of(environment).unwrap_or(0);
        pair(environment, task, EpsilonGreedySource::new(arms, self.epsilon))
    }
}

/// Pulls every arm once, then with probability epsilon any arm, else the one with the largest mean.
#[derive(Clone, Debug)]
pub struct EpsilonGreedySource {
    explore: u64,
    arms: Arms,
}

impl EpsilonGreedySource {
    /// A source that has pulled nothing yet; `epsilon` 0 is the greedy baseline.
    pub fn new(arms: usize, epsilon: f32) -> Self {
        Self { explore: threshold(epsilon), arms: Arms::new(arms) }
    }
}

impl Source for EpsilonGreedySource {
    fn begin_history(&mut self) {
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        if u64::from(rng.next_u32()) < self.explore {
            return rng.below(self.arms.pulls.len() as u32) as usize;
        }
        let means = self.arms.iter().map(|(pulls, sum)| match pulls {
            0.0 => f64::INFINITY,
            _ => sum / pulls,
        });
        random_argmax(means, rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.arms.learn(outcome);
    }
}
