//! The exact filter of a restless bandit's states.

use super::{pair_with, random_argmax, wrong_environment, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::restless_bandit::RestlessBandit;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// [`BeliefSource`] has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Belief {}

impl Algorithm for Belief {
    const NAME: &'static str = "belief";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<RestlessBandit>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match environment.family::<RestlessBandit>() {
            Some(bandit) => pair_with(environment, bandit, task, BeliefSource::new(bandit)),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// Knows the chain, keeps the probability that each arm is in its better state, and pulls the
/// likeliest: the myopic policy, which is near the optimum where states last and arms are alike
/// (Liu and Zhao 2010).
///
/// The states go on over the end of an episode, and so does what it believes of them.
#[derive(Clone, Debug)]
pub struct BeliefSource {
    bandit: RestlessBandit,
    /// Probability that the arm is good now.
    good: Vec<f64>,
}

impl BeliefSource {
    /// A source that has seen nothing yet.
    pub fn new(bandit: &RestlessBandit) -> Self {
        let good = vec![bandit.good_share.into(); bandit.arms.into()];
        Self { bandit: *bandit, good }
    }
}

impl Source for BeliefSource {
    fn begin_history(&mut self) {
        self.good.fill(self.bandit.good_share.into());
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let (good_pays, bad_pays) = (f64::from(self.bandit.good_pays), f64::from(self.bandit.bad_pays));
        random_argmax(self.good.iter().map(|good| good * (good_pays - bad_pays)), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        let RestlessBandit { good_pays, bad_pays, good_stays, .. } = self.bandit;
        let likelihood = |pays: f32| match outcome.reward > 0.0 {
            true => f64::from(pays),
            false => 1.0 - f64::from(pays),
        };
        let good = &mut self.good[outcome.action];
        let (if_good, if_bad) = (*good * likelihood(good_pays), (1.0 - *good) * likelihood(bad_pays));
        // An outcome that both states rule out teaches nothing.
        if if_good + if_bad > 0.0 {
            *good = if_good / (if_good + if_bad);
        }
        let (stays, turns) = (f64::from(good_stays), f64::from(self.bandit.bad_turns()));
        for good in &mut self.good {
            *good = *good * stays + (1.0 - *good) * turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;

    #[test]
    fn it_keeps_up_with_the_states_in_every_episode_of_a_stream() {
        let returns = mean_returns(RestlessBandit::STANDARD, Belief {}, 0..1000, 4);
        // Every 2.6 is four standard errors; the first episode starts in ignorance.
        assert!(returns.iter().all(|mean| (mean - 221.5).abs() < 2.6), "{returns:?}");
    }

    #[test]
    fn an_update_is_that_of_bayes_and_then_of_the_chain() {
        let mut source = BeliefSource::new(&RestlessBandit::STANDARD);
        source.begin_history();
        source.learn(&Outcome { action: 3, reward: 1.0, next_observation: &[], done: false });
        // Good with .25 * .9 / (.25 * .9 + .75 * .1) = .75, then .75 * .98 + .25 * .02 / 3.
        assert!((source.good[3] - 0.736_667).abs() < 1e-6, "{}", source.good[3]);
        assert!((source.good[0] - 0.25).abs() < 1e-6);
        assert_eq!(source.act(&[], &mut PortableRng::new(0, 0)), 3);
    }

    #[test]
    fn arms_that_pay_more_when_bad_are_pulled_when_bad() {
        let upside_down = RestlessBandit { good_pays: 0.1, bad_pays: 0.9, ..RestlessBandit::STANDARD };
        let returns = mean_returns(upside_down, Belief {}, 0..50, 1);
        assert!(returns[0] > 260.0, "{returns:?}");
    }
}
