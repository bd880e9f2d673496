//! The configuration of RL2: the experiment in one place.

use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::model::{check, within, Dimensions};
use crate::nn::{Hyperparameters, Schedule};
use crate::parameters::{fields, replace, Parameters};
use crate::{Error, Result};
use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::model::weights::MAX_WINDOW;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything that decides a run of RL2. The defaults are measured on Dark Room, see `docs/rl2.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rl2Config {
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream, a multiple of 16.
    pub d_model: usize,
    /// Attention heads; `d_model / heads` is a multiple of 4.
    pub heads: usize,
    /// Heads of keys and values, each shared by `heads / kv_heads` neighbouring query heads; as many as
    /// `heads` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Hidden width of the feed-forward network, a multiple of 16.
    pub d_ff: usize,
    /// Context window in tokens; a whole trial when absent.
    pub window: Option<usize>,
    /// Training tasks; absent: as many as is usual in the environment.
    pub tasks: Option<u32>,
    /// Tasks held out from training; absent: as many as is usual in the environment.
    pub held_out: Option<u32>,
    /// Seed of the split into training and held-out tasks.
    pub split_seed: u64,
    /// Episodes of a trial; absent: 10, or 1 where an episode is long enough to learn in.
    pub episodes: Option<u32>,
    /// Iterations: trials are made, and learned from.
    pub iterations: u64,
    /// Trials of an iteration.
    pub trials: usize,
    /// Trials of a parameter update.
    pub minibatch: usize,
    /// Times that an iteration goes through its trials.
    pub epochs: u32,
    /// What a reward one step later is worth, also over the ends of episodes.
    pub discount: f32,
    /// Decay of the generalized advantage estimate (Schulman et al. 2016).
    pub gae_lambda: f32,
    /// How far the probability of an action may go from what it was, as a ratio, before nothing more
    /// is gained by it.
    pub clip_ratio: f32,
    /// Divergence of the policy from that of the trials at which an iteration ends early; 0: never.
    pub target_kl: f32,
    /// Weight of the entropy of the policy in the first iteration.
    pub entropy: f32,
    /// The same in the last iteration; the way there is linear.
    pub final_entropy: f32,
    /// What an observation is worth, beside the reward, that the trial has not had before after as many
    /// payments of the episode: a bonus for exploration by counts (Strehl and Littman 2008). An
    /// episode that has paid less often than one before earns none: the trial knows what pays next.
    /// The agent learns from the bonus, but does not see it; returns are without it.
    pub novelty: f32,
    /// Fraction of the trials that pay nothing, whatever the agent does. Where every training task pays
    /// at one of the places that the policy has learned to look at, it never learns what to do if none
    /// did; on a held-out task that is so. With `novelty`, it goes on looking.
    pub barren: f32,
    /// Weight of the error of the values: how much the values shape the network below. At 0 they are
    /// not learned; above, AdamW has the value head learn at about the same speed.
    pub value_weight: f32,
    /// Highest learning rate of AdamW.
    pub learning_rate: f32,
    /// Iterations over which the learning rate rises linearly from 0.
    pub warm_up: u64,
    /// Learning rate in the last iteration, as a fraction of the highest one; a cosine leads there.
    pub final_learning_rate_fraction: f32,
    /// AdamW: decoupled weight decay, a rate per unit of learning rate, on the matrices of the
    /// blocks and the head.
    pub weight_decay: f32,
    /// Largest norm of the whole gradient; a longer one is scaled down. 0 turns clipping off.
    pub clip: f32,
    /// Seed of the initial parameters and the trials.
    pub seed: u64,
    /// Iterations between two evaluations; 0 turns them off.
    pub evaluate_every: u64,
    /// Trials of an evaluation on training tasks, and as many on held-out tasks.
    pub evaluation_trials: usize,
    /// Iterations between two checkpoints; 0 writes one at the end only.
    pub checkpoint_every: u64,
    /// Worker threads; all that the process may use when absent. Does not change the result.
    pub threads: Option<usize>,
    /// Where.
    pub environment: EnvironmentConfig,
}

impl Default for Rl2Config {
    fn default() -> Self {
        Self {
            layers: 2,
            d_model: 64,
            heads: 4,
            kv_heads: None,
            d_ff: 256,
            window: None,
            tasks: None,
            held_out: None,
            split_seed: 0,
            episodes: None,
            iterations: 400,
            trials: 64,
            minibatch: 16,
            epochs: 2,
            discount: 0.99,
            gae_lambda: 0.95,
            clip_ratio: 0.2,
            target_kl: 0.03,
            entropy: 0.02,
            final_entropy: 0.005,
            novelty: 0.0,
            barren: 0.0,
            value_weight: 0.5,
            learning_rate: 1e-3,
            warm_up: 5,
            final_learning_rate_fraction: 0.1,
            weight_decay: 0.05,
            clip: 0.5,
            seed: 0,
            evaluate_every: 25,
            evaluation_trials: 128,
            checkpoint_every: 25,
            threads: None,
            environment: DarkRoom::STANDARD.into(),
        }
    }
}

/// Episodes of a trial where one is too short to learn in.
const EPISODES: u32 = 10;
/// Largest number of anything that is counted.
const MAX_SIZE: usize = 1 << 16;
/// Most steps of a trial: it is kept whole, and differentiated whole.
const MAX_TRIAL_STEPS: u64 = 1 << 14;
/// Most steps of the trials of an iteration: all are kept.
const MAX_STEPS: u64 = 1 << 22;
/// Most parameters of all blocks, as in [`crate::train::TrainConfig`].
const MAX_PARAMETERS: usize = 1 << 26;

impl Rl2Config {
    /// The fields that may be open, and are not written then.
    pub(crate) const OPEN: [&str; 1] = ["kv_heads"];

    /// Episodes of a trial.
    ///
    /// # Errors
    /// [`Error::Argument`] where the environment cannot be simulated.
    pub fn resolved_episodes(&self) -> Result<u32> {
        let usual = self.environment.defaults()?.context_episodes.min(EPISODES);
        Ok(self.episodes.unwrap_or(usual))
    }

    /// Most steps of a trial.
    ///
    /// # Errors
    /// As [`Rl2Config::resolved_episodes`].
    pub fn trial_steps(&self) -> Result<u64> {
        let horizon = self.environment.horizon().unwrap_or(0);
        Ok(u64::from(self.resolved_episodes()?) * u64::from(horizon))
    }

    /// Sizes of the model.
    ///
    /// # Errors
    /// As [`Rl2Config::resolved_episodes`].
    pub fn dimensions(&self) -> Result<Dimensions> {
        let whole_trial = self.trial_steps()?.min(MAX_WINDOW as u64) as usize;
        let interface = self.environment.interface()?;
        let dimensions = Dimensions {
            layers: self.layers,
            d_model: self.d_model,
            heads: self.heads,
            kv_heads: self.kv_heads,
            d_ff: self.d_ff,
            window: self.window.unwrap_or(whole_trial),
            final_observation: interface.observation_len() > 0,
            ..Dimensions::default()
        };
        Ok(dimensions.resolved(&interface))
    }

    /// The tasks that are trained on, and those that are not.
    ///
    /// # Errors
    /// [`Error::Argument`] where there are not that many.
    pub fn split(&self) -> Result<TaskSplit> {
        let usual = self.environment.defaults()?;
        let (tasks, held_out) = (self.tasks.or(usual.tasks), self.held_out.unwrap_or(usual.held_out));
        self.environment.split(self.split_seed, tasks, held_out)
    }

    /// With everything said that is absent and changes the result.
    pub(crate) fn resolved(&self) -> Result<Self> {
        let (usual, dimensions) = (self.environment.defaults()?, self.dimensions()?);
        Ok(Self {
            kv_heads: dimensions.kv_heads,
            window: Some(dimensions.window),
            tasks: self.tasks.or(usual.tasks),
            held_out: Some(self.held_out.unwrap_or(usual.held_out)),
            episodes: Some(self.resolved_episodes()?),
            ..self.clone()
        })
    }

    /// Without what does not change the result and must not show in its bytes.
    pub(super) fn comparable(&self) -> Self {
        Self { threads: None, checkpoint_every: 0, ..self.clone() }
    }

    /// What AdamW is told.
    pub fn hyperparameters(&self) -> Hyperparameters {
        Hyperparameters { weight_decay: self.weight_decay, ..Hyperparameters::default() }
    }

    /// The learning rate of every iteration.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warm_up: self.warm_up,
            updates: self.iterations,
            final_fraction: self.final_learning_rate_fraction,
        }
    }

    /// Weight of the entropy in an iteration, counted from 0.
    pub fn entropy_weight(&self, iteration: u64) -> f32 {
        let progress = iteration as f32 / self.iterations.saturating_sub(1).max(1) as f32;
        self.entropy + (self.final_entropy - self.entropy) * progress
    }

    /// Replaces one field.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `rl2.field`.
    pub fn set(&mut self, field: &str, value: Value) -> Result<()> {
        let mut fields = fields(self);
        for open in Self::OPEN {
            fields.entry(open).or_insert(Value::Null);
        }
        let change = Parameters(Map::from_iter([(field.to_owned(), value)]));
        *self = replace("rl2", "the configuration of RL2", fields, &change)?;
        Ok(())
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `rl2.field`, one of the environment as
    /// `environment.field`.
    pub fn validate(&self) -> Result<()> {
        self.environment.validate()?;
        self.environment.defaults()?;
        self.validate_fields().map_err(|error| match error {
            Error::Argument { argument, problem } => Error::argument(format!("rl2.{argument}"), problem),
            other => other,
        })
    }

    fn validate_fields(&self) -> Result<()> {
        if let Some(episodes) = self.episodes {
            within("episodes", episodes as usize, MAX_SIZE)?;
        }
        let steps = self.trial_steps()?;
        let horizon = self.environment.horizon().unwrap_or(0);
        let expected = format!("such that episodes * {horizon} steps = {steps} is at most {MAX_TRIAL_STEPS}");
        check(steps <= MAX_TRIAL_STEPS, "episodes", self.resolved_episodes()?, expected)?;
        self.dimensions()?.validate()?;
        let parameters = self.d_model * self.layers * (4 * self.d_model + 2 * self.d_ff);
        let expected =
            format!("such that d_model * layers * (4 d_model + 2 d_ff) is at most {MAX_PARAMETERS}");
        check(parameters <= MAX_PARAMETERS, "d_model", self.d_model, expected)?;
        for (field, trials) in [("trials", self.trials), ("evaluation_trials", self.evaluation_trials)] {
            within(field, trials, MAX_SIZE)?;
            let expected = format!("such that {field} * {steps} steps is at most {MAX_STEPS}");
            check(trials as u64 * steps <= MAX_STEPS, field, trials, expected)?;
        }
        within("minibatch", self.minibatch, self.trials)?;
        within("epochs", self.epochs as usize, 1000)?;
        let most = u64::from(u32::MAX);
        check((1..=most).contains(&self.iterations), "iterations", self.iterations, "1 to 2^32 - 1")?;
        for (field, seed) in [("seed", self.seed), ("split_seed", self.split_seed)] {
            check(seed <= i64::MAX as u64, field, seed, "below 2^63 (a TOML integer)")?;
        }
        if let Some(threads) = self.threads {
            within("threads", threads, 1024)?;
        }
        let positive = self.learning_rate > 0.0 && self.learning_rate <= 1.0;
        check(positive, "learning_rate", self.learning_rate, "above 0 and at most 1")?;
        for (field, value) in [
            ("target_kl", self.target_kl),
            ("entropy", self.entropy),
            ("final_entropy", self.final_entropy),
            ("novelty", self.novelty),
            ("value_weight", self.value_weight),
            ("weight_decay", self.weight_decay),
            ("clip", self.clip),
        ] {
            check(value.is_finite() && value >= 0.0, field, value, "a finite number, 0 or more")?;
        }
        for (field, value) in [
            ("discount", self.discount),
            ("gae_lambda", self.gae_lambda),
            ("final_learning_rate_fraction", self.final_learning_rate_fraction),
        ] {
            check((0.0..=1.0).contains(&value), field, value, "between 0 and 1")?;
        }
        check((0.0..1.0).contains(&self.barren), "barren", self.barren, "at least 0 and below 1")?;
        let ratio = self.clip_ratio > 0.0 && self.clip_ratio < 1.0;
        check(ratio, "clip_ratio", self.clip_ratio, "above 0 and below 1")?;
        self.split().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_trained_is_refused_by_name() {
        let valid = Rl2Config::default();
        valid.validate().unwrap();
        let custom = EnvironmentConfig::custom(valid.environment.interface().unwrap());
        for (config, problem) in [
            (Rl2Config { trials: 0, ..valid.clone() }, "rl2.trials: is 0"),
            (Rl2Config { window: Some(0), ..valid.clone() }, "rl2.window: is 0"),
            (Rl2Config { minibatch: 65, ..valid.clone() }, "rl2.minibatch: is 65, must be between 1 and 64"),
            (Rl2Config { episodes: Some(0), ..valid.clone() }, "rl2.episodes: is 0"),
            (Rl2Config { episodes: Some(1000), ..valid.clone() }, "rl2.episodes: is 1000, must be such that"),
            (Rl2Config { trials: 1 << 15, ..valid.clone() }, "rl2.trials: is 32768, must be such that"),
            (Rl2Config { evaluation_trials: 1 << 15, ..valid.clone() }, "rl2.evaluation_trials: is 32768"),
            (Rl2Config { held_out: Some(81), ..valid.clone() }, "rl2.tasks: 0 training and 81 held-out"),
            (Rl2Config { iterations: 0, ..valid.clone() }, "rl2.iterations: is 0"),
            (Rl2Config { clip_ratio: 0.0, ..valid.clone() }, "rl2.clip_ratio: is 0"),
            (Rl2Config { learning_rate: f32::NAN, ..valid.clone() }, "rl2.learning_rate: is NaN"),
            (Rl2Config { d_model: 60, ..valid.clone() }, "rl2.d_model: is 60"),
            (Rl2Config { kv_heads: Some(3), ..valid.clone() }, "rl2.kv_heads: is 3, must be 1 to 4"),
            (Rl2Config { environment: custom, ..valid.clone() }, "environment: custom has no simulator"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn as_many_heads_of_keys_and_values_as_others_are_the_same_run_as_none_said() {
        let usual = Rl2Config::default();
        let mut config = usual.clone();
        config.set("kv_heads", 4.into()).unwrap();
        assert_eq!(config.resolved().unwrap(), usual.resolved().unwrap());
        config.set("kv_heads", 2.into()).unwrap();
        let resolved = config.resolved().unwrap();
        assert_eq!((resolved.kv_heads, resolved.dimensions().unwrap().kv_heads()), (Some(2), 2));
        assert!(!toml::to_string(&usual).unwrap().contains("kv_heads"), "as saved runs have it");
        assert_eq!(toml::from_str::<Rl2Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn a_window_is_a_whole_trial_unless_told_otherwise() {
        let mut config = Rl2Config::default();
        assert_eq!(config.dimensions().unwrap().window, 200);
        config.set("episodes", 3.into()).unwrap();
        assert_eq!(config.dimensions().unwrap().window, 60);
        config.set("window", 40.into()).unwrap();
        assert_eq!(config.resolved().unwrap().dimensions().unwrap().window, 40);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Rl2Config>(&text).unwrap(), config);
        let error = config.set("windows", 3.into()).unwrap_err().to_string();
        assert!(error.starts_with("rl2.windows: is not a parameter of the configuration of RL2"), "{error}");
    }
}
