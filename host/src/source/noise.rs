//! Noise distillation (Zisman et al. 2024, "Emergence of In-Context Reinforcement Learning from
//! Noise Distillation", AD-epsilon): a history of improvement without any learning.

use super::{check_fraction, pair, threshold, Algorithm, Learning, Outcome, Schedule, Source};
use crate::environment::{EnvironmentConfig, Expert};
use crate::{Error, Result};
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`NoisyExpert`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Fraction of the steps over which the noise falls linearly from 1 to 0.
    pub decay: f32,
}

impl Default for Noise {
    fn default() -> Self {
        Self { decay: 0.8 }
    }
}

impl Algorithm for Noise {
    const NAME: &'static str = "noise";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_fraction(self.decay, "decay")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.expert(0).is_ok_and(|expert| expert.is_some())
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        match usual.episodes {
            // Long episodes: a bandit's.
            ..10 => usual,
            _ => {
                Schedule { histories_per_task: usual.histories_per_task.min(20), episodes: 30, keep_every: 1 }
            }
        }
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        let expert = environment.expert(task)?.ok_or_else(|| {
            Error::argument("source", format!("no expert is known in {}", environment.name()))
        })?;
        let horizon = environment.horizon().unwrap_or(0);
        let source = NoisyExpert {
            expert,
            actions: environment.interface()?.actions.into(),
            noisy_steps: f64::from(self.decay) * f64::from(episodes) * f64::from(horizon),
            steps: 0,
        };
        pair(environment, task, source)
    }
}

/// An optimal policy that is replaced by a uniformly random action with a probability that falls
/// linearly, step by step, from 1 to 0 over a fraction of the history.
pub struct NoisyExpert {
    expert: Box<dyn Expert>,
    actions: u32,
    /// Steps after which no noise is left; those of all episodes if they had their full length.
    noisy_steps: f64,
    steps: u32,
}

impl Source for NoisyExpert {
    fn begin_history(&mut self) {
        self.steps = 0;
        self.expert.begin_context();
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let noise = (1.0 - f64::from(self.steps) / self.noisy_steps).max(0.0);
        if u64::from(rng.next_u32()) < threshold(noise as f32) {
            rng.below(self.actions) as usize
        } else {
            self.expert.act(observation, rng)
        }
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.steps = self.steps.saturating_add(1);
        self.expert.learn(outcome);
    }
}
