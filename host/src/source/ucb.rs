//! Upper confidence bounds (Auer, Cesa-Bianchi and Fischer 2002) with the width of the bound as a parameter.

use super::{random_argmax, Arms, Outcome, Source};
use algodistill_core::PortableRng;

/// Pulls every arm once, then the arm with the largest `mean + sqrt(alpha ln t / n)`, t pulls in all, n of the arm.
/// UCB1 is alpha 2.
#[derive(Clone, Debug)]
pub struct Ucb {
    alpha: f64,
    arms: Arms,
}

impl Ucb {
    /// A source that has pulled nothing yet.
    pub fn new(arms: usize, alpha: f64) -> Self {
        Self { alpha, arms: Arms::new(arms) }
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
        random_argmax(bounds, rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.arms.learn(outcome);
    }
}
