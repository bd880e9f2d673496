//! Upper confidence bounds (Auer, Cesa-Bianchi and Fischer 2002) with the width of the bound as a
//! parameter.

use super::arms::{arms_of, check_alpha, Arms};
use super::{argmax, pair, random_argmax, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`UcbSource`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ucb {
    /// Width of the confidence bound. Textbook UCB1 is 2, a weak teacher over 100 pulls.
    pub alpha: f64,
    /// Which of several arms with the largest bound it pulls.
    pub ties: Ties,
}

impl Default for Ucb {
    fn default() -> Self {
        Self { alpha: 0.3, ties: Ties::default() }
    }
}

impl Algorithm for Ucb {
    const NAME: &'static str = "ucb";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_alpha(self.alpha)
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
        pair(environment, task, UcbSource::new(arms, self.alpha, self.ties))
    }
}

/// Which of the arms with the largest bound [`UcbSource`] pulls. Arms tie often: all that are
/// untried, and all with the same pulls and rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ties {
    /// Any of them: a tie is a pull without a likeliest arm.
    #[default]
    Random,
    /// The first, as argmax in most published code: then what was seen decides every pull.
    First,
}

/// Pulls every arm once, then the arm with the largest `mean + sqrt(alpha ln t / n)`, t pulls in
/// all, n of the arm. UCB1 is alpha 2.
#[derive(Clone, Debug)]
pub struct UcbSource {
    alpha: f64,
    ties: Ties,
    arms: Arms,
}

impl UcbSource {
    /// A source that has pulled nothing yet.
    pub fn new(arms: usize, alpha: f64, ties: Ties) -> Self {
        Self { alpha, ties, arms: Arms::new(arms) }
    }
}

impl Source for UcbSource {
    fn begin_history(&mut self) {
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let bounds = self.arms.upper_bounds(self.alpha);
        match self.ties {
            Ties::Random => random_argmax(bounds, rng),
            Ties::First => argmax(bounds),
        }
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.arms.learn(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arms pulled in a fresh history where only the fourth pull pays.
    fn pulls(ties: Ties, seed: u64) -> Vec<usize> {
        let mut rng = PortableRng::new(seed, 0);
        let mut source = UcbSource::new(4, 0.3, ties);
        source.begin_history();
        let mut pull = |reward| {
            let action = source.act(&[], &mut rng);
            source.learn(&Outcome { action, reward, next_observation: &[], done: false });
            action
        };
        [0.0, 0.0, 0.0, 1.0, 0.0].map(&mut pull).into()
    }

    #[test]
    fn every_arm_is_tried_then_the_best_in_the_order_that_the_rule_for_ties_gives() {
        assert_eq!(pulls(Ties::First, 1), [0, 1, 2, 3, 3]);
        let random = pulls(Ties::Random, 1);
        let mut tried = random[..4].to_vec();
        tried.sort_unstable();
        assert_eq!(tried, [0, 1, 2, 3]);
        assert_eq!(random[4], random[3], "the only arm that paid");
        assert!((2..20).any(|seed| pulls(Ties::Random, seed) != random));
    }
}
