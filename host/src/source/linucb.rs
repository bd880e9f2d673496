//! LinUCB (Li et al. 2010, "A contextual-bandit approach to personalized news article
//! recommendation") for arms with known features.

use super::{pair_with, random_argmax, wrong_environment};
use super::{Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::linear_bandit::LinearBandit;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use serde::{Deserialize, Serialize};

/// Parameters of [`LinUcbSource`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinUcb {
    /// How many standard deviations an arm's bound lies above its mean.
    pub width: f64,
}

impl Default for LinUcb {
    fn default() -> Self {
        Self { width: 2.0 }
    }
}

impl Algorithm for LinUcb {
    const NAME: &'static str = "linucb";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        let valid = self.width.is_finite() && self.width >= 0.0;
        ParameterError::unless(valid, "width", "a finite number that is not negative")
    }

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
            Some(bandit) => pair_with(environment, bandit, task, LinUcbSource::new(bandit, self.width)),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// What is known of `theta`: the posterior of a prior N(0, I) under Gaussian noise.
#[derive(Clone, Debug)]
pub(super) struct Posterior {
    /// Features of the arms, a column each.
    pub features: DMatrix<f64>,
    variance: f64,
    /// Inverse of the covariance, as its triangular factor.
    pub precision: Cholesky<f64, Dyn>,
    /// Sum of reward times features over the variance: the precision times the mean.
    weighted: DVector<f64>,
}

impl Posterior {
    pub fn new(bandit: &LinearBandit) -> Self {
        let (dimensions, arms) = (usize::from(bandit.dimensions), usize::from(bandit.arms));
        let mut features = DMatrix::zeros(dimensions, arms);
        for (arm, mut column) in (0..bandit.arms).zip(features.column_iter_mut()) {
            for (entry, feature) in column.iter_mut().zip(&bandit.features(arm)) {
                *entry = f64::from(*feature);
            }
        }
        // Without any noise one pull would make the precision infinite.
        let variance = f64::from(bandit.noise).powi(2).max(1e-6);
        let weighted = DVector::zeros(dimensions);
        let identity = DMatrix::identity(dimensions, dimensions);
        let precision = Cholesky::new_unchecked(identity);
        Self { features, variance, precision, weighted }
    }

    pub fn restart(&mut self) {
        let dimensions = self.weighted.len();
        self.precision = Cholesky::new_unchecked(DMatrix::identity(dimensions, dimensions));
        self.weighted.fill(0.0);
    }

    pub fn learn(&mut self, outcome: &Outcome) {
        let features = self.features.column(outcome.action);
        self.precision.rank_one_update(&features, 1.0 / self.variance);
        self.weighted.axpy(f64::from(outcome.reward) / self.variance, &features, 1.0);
    }

    pub fn mean(&self) -> DVector<f64> {
        self.precision.solve(&self.weighted)
    }

    /// Standard deviation of each arm's pay.
    fn deviations(&self) -> impl Iterator<Item = f64> {
        // x' P^-1 x is the square of L^-1 x.
        let mut scaled = self.features.clone();
        self.precision.l_dirty().solve_lower_triangular_mut(&mut scaled);
        (0..scaled.ncols()).map(move |arm| scaled.column(arm).norm())
    }
}

/// Pulls the arm with the largest mean plus `width` standard deviations of the posterior, which
/// knows the features, the prior and the noise.
#[derive(Clone, Debug)]
pub struct LinUcbSource {
    width: f64,
    posterior: Posterior,
}

impl LinUcbSource {
    /// A source that has pulled nothing yet.
    pub fn new(bandit: &LinearBandit, width: f64) -> Self {
        Self { width, posterior: Posterior::new(bandit) }
    }
}

impl Source for LinUcbSource {
    fn begin_history(&mut self) {
        self.posterior.restart();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let means = self.posterior.features.tr_mul(&self.posterior.mean());
        let bounds = means
            .iter()
            .zip(self.posterior.deviations())
            .map(|(mean, deviation)| mean + self.width * deviation);
        random_argmax(bounds, rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.posterior.learn(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear_thompson::LinearThompson;
    use super::super::testing::mean_returns;
    use super::super::ucb::Ucb;
    use super::*;

    #[test]
    fn features_are_worth_what_the_specification_says() {
        let bandit = LinearBandit::STANDARD;
        let linucb = mean_returns(bandit, LinUcb::default(), 0..2_000, 1)[0];
        let thompson = mean_returns(bandit, LinearThompson::default(), 0..2_000, 1)[0];
        let ucb = mean_returns(bandit, Ucb::default(), 0..2_000, 1)[0];
        // The noise of 100 pulls over 2,000 tasks is 0.1, the luck of ties a little more.
        for (found, expected) in [(linucb, 126.0), (thompson, 123.4), (ucb, 113.5)] {
            assert!((found - expected).abs() < 1.0, "{found} is not {expected}");
        }
    }
}
