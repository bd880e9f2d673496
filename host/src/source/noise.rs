//! Noise distillation (Zisman et al. 2024, "Emergence of In-Context Reinforcement Learning from Noise Distillation", AD-epsilon):
//! a history of improvement without any learning.

use super::{threshold, Outcome, Source};
use crate::environment::OptimalPolicy;
use algodistill_core::{Environment, PortableRng};

/// An optimal policy that is replaced by a uniformly random action with a probability that falls linearly, step by step,
/// from 1 to 0 over a fraction of the history.
#[derive(Clone, Debug)]
pub struct Noise {
    policy: OptimalPolicy,
    actions: u32,
    /// Steps after which no noise is left.
    noisy_steps: f64,
    steps: u32,
}

impl Noise {
    /// `decay` is the fraction of the `episodes` (of full length) with noise.
    pub fn new(policy: OptimalPolicy, environment: &impl Environment, decay: f32, episodes: u32) -> Self {
        Self {
            policy,
            actions: u32::from(environment.interface().actions),
            noisy_steps: f64::from(decay) * f64::from(episodes) * f64::from(environment.horizon()),
            steps: 0,
        }
    }
}

impl Source for Noise {
    fn begin_history(&mut self) {
        self.steps = 0;
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let noise = (1.0 - f64::from(self.steps) / self.noisy_steps).max(0.0);
        if u64::from(rng.next_u32()) < threshold(noise as f32) {
            rng.below(self.actions) as usize
        } else {
            self.policy.act(observation, rng)
        }
    }

    fn learn(&mut self, _outcome: &Outcome) {
        self.steps = self.steps.saturating_add(1);
    }
}
