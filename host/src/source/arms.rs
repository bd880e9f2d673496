//! What the sources for bandits have in common.

use super::Outcome;
use crate::environment::EnvironmentConfig;
use algodistill_core::env::ParameterError;

/// Number of arms of an environment without observations; `None` of any other.
pub(crate) fn arms_of(environment: &EnvironmentConfig) -> Option<usize> {
    let interface = environment.interface().ok()?;
    interface.channels.is_empty().then_some(usize::from(interface.actions))
}

/// Number of arms of a bandit that pays 0 or 1; `None` of any other environment.
pub(crate) fn bernoulli_arms_of(environment: &EnvironmentConfig) -> Option<usize> {
    let interface = environment.interface().ok()?;
    arms_of(environment).filter(|_| *interface.reward_levels == [0.0, 1.0])
}

/// Checks the width `alpha` of [`Arms::upper_bounds`].
pub(crate) fn check_alpha(alpha: f64) -> Result<(), ParameterError> {
    let valid = alpha.is_finite() && alpha >= 0.0;
    ParameterError::unless(valid, "alpha", "a finite number that is not negative")
}

/// Pulls and rewards of the arms of a bandit.
#[derive(Clone, Debug)]
pub(crate) struct Arms {
    /// Pulls of each arm.
    pub pulls: Vec<f64>,
    /// Sum of the rewards of each arm.
    pub sums: Vec<f64>,
}

impl Arms {
    /// Nothing pulled yet.
    pub fn new(arms: usize) -> Self {
        Self { pulls: vec![0.0; arms], sums: vec![0.0; arms] }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pulls.fill(0.0);
        self.sums.fill(0.0);
    }

    /// Counts a pull.
    pub fn learn(&mut self, outcome: &Outcome) {
        self.pulls[outcome.action] += 1.0;
        self.sums[outcome.action] += f64::from(outcome.reward);
    }

    /// Pulls and sum of rewards, arm by arm.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pulls.iter().copied().zip(self.sums.iter().copied())
    }

    /// `mean + sqrt(alpha ln t / n)` of each arm, t pulls in all, n of the arm; infinite where there
    /// are none (Auer, Cesa-Bianchi and Fischer 2002).
    pub fn upper_bounds(&self, alpha: f64) -> impl Iterator<Item = f64> + '_ {
        let total: f64 = self.pulls.iter().sum();
        let width = alpha * total.max(1.0).ln();
        self.iter().map(move |(pulls, sum)| match pulls {
            0.0 => f64::INFINITY,
            _ => sum / pulls + (width / pulls).sqrt(),
        })
    }
}
