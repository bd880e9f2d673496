//! Thompson sampling for arms with known features (Agrawal and Goyal 2013, "Thompson sampling for
//! contextual bandits with linear payoffs").

use super::linucb::Posterior;
use super::thompson::normal;
use super::{pair_with, random_argmax, wrong_environment};
use super::{Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::linear_bandit::LinearBandit;
use algodistill_core::PortableRng;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};

/// [`LinearThompsonSource`] has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearThompson {}

impl Algorithm for LinearThompson {
    const NAME: &'static str = "linear-thompson";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<LinearBandit>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match environment.family::<LinearBandit>() {
            Some(bandit) => pair_with(environment, bandit, task, LinearThompsonSource::new(bandit)),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// Draws `theta` from the posterior and pulls the arm that is best under it.
#[derive(Clone, Debug)]
pub struct LinearThompsonSource {
    posterior: Posterior,
}

impl LinearThompsonSource {
    /// A source that has pulled nothing yet.
    pub fn new(bandit: &LinearBandit) -> Self {
        Self { posterior: Posterior::new(bandit) }
    }
}

impl Source for LinearThompsonSource {
    fn begin_history(&mut self) {
        self.posterior.restart();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let mean = self.posterior.mean();
        // L'^-1 z has the covariance (L L')^-1.
        let mut theta = DVector::from_fn(mean.len(), |_, _| normal(rng));
        self.posterior.precision.l_dirty().tr_solve_lower_triangular_mut(&mut theta);
        theta += mean;
        random_argmax(self.posterior.features.tr_mul(&theta).iter().copied(), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.posterior.learn(outcome);
    }
}
