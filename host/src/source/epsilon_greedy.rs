//! Epsilon-greedy pulls (Sutton and Barto 2018, section 2.4).

use super::{random_argmax, threshold, Arms, Outcome, Source};
use algodistill_core::PortableRng;

/// Pulls every arm once, then with probability epsilon any arm, else the one with the largest mean.
#[derive(Clone, Debug)]
pub struct EpsilonGreedy {
    explore: u64,
    arms: Arms,
}

impl EpsilonGreedy {
    /// A source that has pulled nothing yet; `epsilon` 0 is the greedy baseline.
    pub fn new(arms: usize, epsilon: f32) -> Self {
        Self { explore: threshold(epsilon), arms: Arms::new(arms) }
    }
}

impl Source for EpsilonGreedy {
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
