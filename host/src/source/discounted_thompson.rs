//! Discounted Thompson sampling (Raj and Kalyani 2017, "Taming non-stationary bandits: a Bayesian
//! approach").

use super::arms::{bernoulli_arms_of, Arms};
use super::thompson::beta;
use super::{check_fraction, pair, random_argmax, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`DiscountedThompsonSource`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscountedThompson {
    /// What a pull counts after another one, in [0, 1]; 1 never forgets.
    pub discount: f32,
}

impl Default for DiscountedThompson {
    fn default() -> Self {
        Self { discount: 0.98 }
    }
}

impl Algorithm for DiscountedThompson {
    const NAME: &'static str = "discounted-thompson";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_fraction(self.discount, "discount")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        bernoulli_arms_of(environment).is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        let arms = bernoulli_arms_of(environment).unwrap_or(0);
        pair(environment, task, DiscountedThompsonSource::new(arms, *self))
    }
}

/// Pulls the arm with the largest draw from Beta(1 + successes, 1 + failures), where what was seen
/// of all arms counts `discount` as much with every pull.
#[derive(Clone, Debug)]
pub struct DiscountedThompsonSource {
    discount: f64,
    arms: Arms,
}

impl DiscountedThompsonSource {
    /// A source with a uniform prior on every arm.
    pub fn new(arms: usize, parameters: DiscountedThompson) -> Self {
        Self { discount: parameters.discount.into(), arms: Arms::new(arms) }
    }
}

impl Source for DiscountedThompsonSource {
    fn begin_history(&mut self) {
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let draw = |(pulls, sum): (f64, f64)| beta(1.0 + sum, 1.0 + pulls - sum, rng);
        let draws: Vec<f64> = self.arms.iter().map(draw).collect();
        random_argmax(draws.into_iter(), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        for seen in self.arms.pulls.iter_mut().chain(&mut self.arms.sums) {
            *seen *= self.discount;
        }
        self.arms.learn(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;
    use algodistill_core::env::restless_bandit::RestlessBandit;

    #[test]
    fn what_was_seen_counts_less_with_every_pull() {
        let mut source = DiscountedThompsonSource::new(2, DiscountedThompson { discount: 0.5 });
        source.begin_history();
        for (action, reward) in [(0, 1.0), (1, 1.0), (0, 0.0)] {
            source.learn(&Outcome { action, reward, next_observation: &[], done: false });
        }
        assert_eq!(source.arms.iter().collect::<Vec<_>>(), [(1.25, 0.25), (0.5, 0.5)]);
    }

    #[test]
    fn it_earns_what_the_specification_says_in_a_restless_bandit() {
        let returns = mean_returns(RestlessBandit::STANDARD, DiscountedThompson::default(), 0..1000, 2);
        // Every 3 is four standard errors.
        assert!((returns[0] - 176.7).abs() < 3.0 && (returns[1] - returns[0]).abs() < 6.0, "{returns:?}");
    }
}
