//! Upper confidence bounds (Auer, Cesa-Bianchi and Fischer 2002) with the width of the bound as a parameter.

use super::{argmax, random_argmax, Arms, Outcome, Source};
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Which of the arms with the largest bound [`Ucb`] pulls. Arms tie often: all that are untried, and all with the same pulls and rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ties {
    /// Any of them: a tie is a pull without a likeliest arm.
    #[default]
    Random,
    /// The first, as argmax in most published code: then what was seen decides every pull.
    First,
}

/// Pulls every arm once, then the arm with the largest `mean + sqrt(alpha ln t / n)`, t pulls in all, n of the arm.
/// UCB1 is alpha 2.
#[derive(Clone, Debug)]
pub struct Ucb {
    alpha: f64,
    ties: Ties,
    arms: Arms,
}

impl Ucb {
    /// A source that has pulled nothing yet.
    pub fn new(arms: usize, alpha: f64, ties: Ties) -> Self {
        Self { alpha, ties, arms: Arms::new(arms) }
    }
}

impl Source for Ucb {
    fn begin_history(&mut self) {
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let total: f64 = self.arms.pulls.iter().sum();
        let width = self.alpha * total.max(1.0).ln();
        let bounds = self.arms.iter().map(|(pulls, sum)| match pulls {
            0.0 => f64::INFINITY,
            _ => sum / pulls + (width / pulls).sqrt(),
        });
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
        let mut source = Ucb::new(4, 0.3, ties);
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
