//! What the sources for bandits have in common.

use super::Outcome;
use crate::environment::EnvironmentConfig;

/// Number of arms of an environment without observations; `None` of any other.
pub(crate) fn arms_of(environment: &EnvironmentConfig) -> Option<usize> {
    let interface = environment.interface().ok()?;
    interface.channels.is_empty().then_some(usize::from(interface.actions))
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
}
