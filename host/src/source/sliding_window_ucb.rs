//! Sliding-window upper confidence bounds (Garivier and Moulines 2011, "On upper-confidence bound
//! policies for switching bandit problems").

use super::arms::{arms_of, check_alpha, Arms};
use super::{pair, random_argmax, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Parameters of [`SlidingWindowUcbSource`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlidingWindowUcb {
    /// Width of the confidence bound.
    pub alpha: f64,
    /// Pulls that count, the latest of all arms.
    pub window: u32,
}

impl Default for SlidingWindowUcb {
    fn default() -> Self {
        Self { alpha: 0.3, window: 80 }
    }
}

impl Algorithm for SlidingWindowUcb {
    const NAME: &'static str = "sliding-window-ucb";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_alpha(self.alpha)?;
        ParameterError::unless((1..=1_000_000).contains(&self.window), "window", "1 to 1,000,000")
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
        pair(environment, task, SlidingWindowUcbSource::new(arms, *self))
    }
}

/// Pulls the arm with the largest `mean + sqrt(alpha ln t / n)` of the last `window` pulls: t of
/// them, n of the arm. Arms that were not pulled in them come first.
#[derive(Clone, Debug)]
pub struct SlidingWindowUcbSource {
    parameters: SlidingWindowUcb,
    /// The pulls that count, oldest first: arm and reward.
    recent: VecDeque<(usize, f32)>,
    arms: Arms,
}

impl SlidingWindowUcbSource {
    /// A source that has pulled nothing yet.
    pub fn new(arms: usize, parameters: SlidingWindowUcb) -> Self {
        Self { parameters, recent: VecDeque::new(), arms: Arms::new(arms) }
    }
}

impl Source for SlidingWindowUcbSource {
    fn begin_history(&mut self) {
        self.recent.clear();
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        random_argmax(self.arms.upper_bounds(self.parameters.alpha), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.arms.learn(outcome);
        self.recent.push_back((outcome.action, outcome.reward));
        if self.recent.len() > self.parameters.window as usize {
            if let Some((arm, reward)) = self.recent.pop_front() {
                self.arms.pulls[arm] -= 1.0;
                self.arms.sums[arm] -= f64::from(reward);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;
    use algodistill_core::env::restless_bandit::RestlessBandit;

    #[test]
    fn what_lies_before_the_window_is_forgotten() {
        let mut source = SlidingWindowUcbSource::new(3, SlidingWindowUcb { alpha: 0.0, window: 3 });
        source.begin_history();
        let mut rng = PortableRng::new(0, 0);
        let mut pull = |action, reward| {
            source.learn(&Outcome { action, reward, next_observation: &[], done: false });
            source.act(&[], &mut rng)
        };
        pull(0, 1.0);
        pull(1, 0.0);
        assert_eq!(pull(2, 0.0), 0);
        // The pull of arm 0 was four pulls ago: it is as if it had never been tried.
        assert_eq!(pull(1, 1.0), 0);
        pull(0, 0.0);
        assert_eq!(pull(2, 0.0), 1);
    }

    #[test]
    fn it_earns_what_the_specification_says_in_a_restless_bandit() {
        let returns = mean_returns(RestlessBandit::STANDARD, SlidingWindowUcb::default(), 0..1000, 2);
        // Every 3 is four standard errors.
        assert!((returns[0] - 193.8).abs() < 3.0 && (returns[1] - returns[0]).abs() < 6.0, "{returns:?}");
    }
}
