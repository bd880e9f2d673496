//! Thompson sampling for Bernoulli arms (Thompson 1933; Chapelle and Li 2011).

use super::arms::{bernoulli_arms_of, Arms};
use super::{pair, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// [`ThompsonSource`] has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thompson {}

impl Algorithm for Thompson {
    const NAME: &'static str = "thompson";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        bernoulli_arms_of(environment).is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        pair(environment, task, ThompsonSource::new(bernoulli_arms_of(environment).unwrap_or(0)))
    }
}

/// Pulls the arm with the largest draw from its posterior, Beta(1 + successes, 1 + failures).
#[derive(Clone, Debug)]
pub struct ThompsonSource {
    arms: Arms,
}

impl ThompsonSource {
    /// A source with a uniform prior on every arm.
    pub fn new(arms: usize) -> Self {
        Self { arms: Arms::new(arms) }
    }
}

impl Source for ThompsonSource {
    fn begin_history(&mut self) {
        self.arms.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let (mut best, mut largest) = (0, f64::NEG_INFINITY);
        for (arm, (pulls, sum)) in self.arms.iter().enumerate() {
            let draw = beta(1.0 + sum, 1.0 + pulls - sum, rng);
            if draw > largest {
                (best, largest) = (arm, draw);
            }
        }
        best
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.arms.learn(outcome);
    }
}

/// A draw from Beta(a, b), a and b at least 1.
pub(super) fn beta(a: f64, b: f64, rng: &mut PortableRng) -> f64 {
    let (x, y) = (gamma(a, rng), gamma(b, rng));
    x / (x + y)
}

/// A draw from Gamma(shape, 1), shape at least 1 (Marsaglia and Tsang 2000).
fn gamma(shape: f64, rng: &mut PortableRng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = normal(rng);
        let root = 1.0 + c * normal;
        if root <= 0.0 {
            continue;
        }
        let cube = root * root * root;
        if open_uniform(rng).ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
            return d * cube;
        }
    }
}

/// A standard normal draw (Marsaglia's polar method).
pub(super) fn normal(rng: &mut PortableRng) -> f64 {
    loop {
        let (x, y) = (2.0 * open_uniform(rng) - 1.0, 2.0 * open_uniform(rng) - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * square.ln() / square).sqrt();
        }
    }
}

/// Uniform in (0, 1).
fn open_uniform(rng: &mut PortableRng) -> f64 {
    (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_draws_have_the_mean_and_variance_of_the_distribution() {
        let mut rng = PortableRng::new(1, 0);
        for (a, b) in [(1.0, 1.0), (1.0, 30.0), (5.0, 2.0), (200.0, 100.0)] {
            let draws: Vec<f64> = (0..50_000).map(|_| beta(a, b, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let expected = a * b / ((a + b) * (a + b) * (a + b + 1.0));
            assert!(
                (mean - a / (a + b)).abs() < 5.0 * (expected / 50_000.0).sqrt(),
                "mean of Beta({a}, {b}): {mean}"
            );
            assert!((variance / expected - 1.0).abs() < 0.05, "variance of Beta({a}, {b}): {variance}");
        }
    }
}
