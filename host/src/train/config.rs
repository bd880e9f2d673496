//! The training configuration: the experiment in one place.

use crate::model::Dimensions;
use crate::{Error, Result};
use algodistill_core::model::weights::{MAX_LAYERS, MAX_WIDTH, MAX_WINDOW};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Where the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The fused engine on the CPU.
    #[default]
    Cpu,
    /// dfdx's own operations on an NVIDIA GPU; needs a build with `--features cuda`.
    Cuda,
}

/// Everything that decides a training run. The defaults are the recipe measured on Dark Room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream, a multiple of 16.
    pub d_model: usize,
    /// Attention heads; `d_model / heads` is a multiple of 4.
    pub heads: usize,
    /// Hidden width of the feed-forward network, a multiple of 16.
    pub d_ff: usize,
    /// Context window in steps, 1 to 4096: position i attends to j with 0 <= i - j < window.
    pub window: usize,
    /// Tokens of a training sequence. May exceed `window`: the band applies.
    pub sequence_length: usize,
    /// Sequences of a batch.
    pub batch: usize,
    /// Parameter updates.
    pub updates: u64,
    /// Highest learning rate, reached after the warm-up.
    pub learning_rate: f32,
    /// Updates over which the learning rate rises linearly from 0.
    pub warm_up: u64,
    /// Learning rate at the last update, as a fraction of the highest one; a cosine leads there.
    pub final_learning_rate_fraction: f32,
    /// AdamW: decay of the first moment.
    pub beta1: f32,
    /// AdamW: decay of the second moment.
    pub beta2: f32,
    /// AdamW: decoupled weight decay, a rate per unit of learning rate, on the matrices of the blocks and the head. Not on
    /// embeddings (a row that is rarely seen would fade) nor on the gains of the norms.
    pub weight_decay: f32,
    /// Largest norm of the whole gradient; a longer one is scaled down. 0 turns clipping off.
    pub clip: f32,
    /// Share of the target probability that is spread evenly over all actions.
    pub label_smoothing: f32,
    /// Probability that an attention weight is dropped.
    pub dropout: f32,
    /// Probability that an element of a block's output is dropped before it is added to the residual stream.
    pub residual_dropout: f32,
    /// Probability that a token's whole embedding is zero.
    pub token_masking: f32,
    /// Share of the training sequences that begin exactly where a history begins; the others begin at any of its episodes.
    pub history_start_fraction: f32,
    /// Expert distillation: train on this last fraction of the episodes of each history only.
    pub expert_fraction: Option<f32>,
    /// Seed of the initial parameters, the batches and the masks.
    pub seed: u64,
    /// Updates between two lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Updates between two validations on held-out tasks; 0 turns them off.
    pub validation_every: u64,
    /// Sequences of a validation.
    pub validation_windows: usize,
    /// Updates between two checkpoints; 0 writes one at the end only.
    pub checkpoint_every: u64,
    /// Worker threads, at most 16 of which have work; all that the process may use (`--threads`) when absent. Does not change the result.
    pub threads: Option<usize>,
    /// Where the network runs.
    pub device: Device,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            layers: 2,
            d_model: 64,
            heads: 4,
            d_ff: 256,
            window: 160,
            sequence_length: 160,
            batch: 32,
            updates: 1500,
            learning_rate: 3e-3,
            warm_up: 100,
            final_learning_rate_fraction: 0.0,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.01,
            clip: 1.0,
            label_smoothing: 0.0,
            dropout: 0.0,
            residual_dropout: 0.0,
            token_masking: 0.0,
            history_start_fraction: 0.25,
            expert_fraction: None,
            seed: 0,
            log_every: 10,
            validation_every: 250,
            validation_windows: 64,
            checkpoint_every: 250,
            threads: None,
            device: Device::Cpu,
        }
    }
}

/// Largest value of every size, so that no product of two of them overflows.
const MAX_SIZE: usize = 1 << 16;
/// Most tokens of a batch.
const MAX_BATCH_TOKENS: usize = 1 << 22;
/// Bounds [`TrainConfig`]'s memory of a sequence to two gigabytes a thread.
const MAX_ACTIVATIONS: usize = 1 << 26;
/// Most parameters of all blocks that can be trained: the gradients of the parts of a batch are in memory together.
const MAX_PARAMETERS: usize = 1 << 26;
/// Episodes that expert distillation keeps unless told otherwise.
pub const DEFAULT_EXPERT_FRACTION: f32 = 0.1;

impl TrainConfig {
    /// Dimensions of the model.
    pub fn dimensions(&self) -> Dimensions {
        Dimensions {
            layers: self.layers,
            d_model: self.d_model,
            heads: self.heads,
            d_ff: self.d_ff,
            window: self.window,
        }
    }

    /// Number of worker threads.
    pub fn resolved_threads(&self) -> usize {
        self.threads.unwrap_or_else(rayon::current_num_threads)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `train.field`.
    pub fn validate(&self) -> Result<()> {
        validate_dimensions(&self.dimensions())?;
        size("sequence_length", self.sequence_length, MAX_SIZE)?;
        size("batch", self.batch, MAX_SIZE)?;
        check(self.updates >= 1, "updates", self.updates, "at least 1")?;
        check(self.log_every >= 1, "log_every", self.log_every, "at least 1")?;
        check(self.seed <= i64::MAX as u64, "seed", self.seed, "below 2^63 (a TOML integer)")?;
        size("validation_windows", self.validation_windows, MAX_SIZE)?;
        let sequence = self.sequence_length;
        product("batch", "batch * sequence_length", &[self.batch, sequence], MAX_BATCH_TOKENS)?;
        let validation = [self.validation_windows, sequence];
        product("validation_windows", "validation_windows * sequence_length", &validation, MAX_BATCH_TOKENS)?;
        let width = self.d_model + self.d_ff;
        let activations = [sequence, self.layers, width];
        product(
            "sequence_length",
            "sequence_length * layers * (d_model + d_ff)",
            &activations,
            MAX_ACTIVATIONS,
        )?;
        let parameters = [self.d_model, self.layers, 4 * self.d_model + 2 * self.d_ff];
        product("d_model", "d_model * layers * (4 d_model + 2 d_ff)", &parameters, MAX_PARAMETERS)?;
        if let Some(threads) = self.threads {
            size("threads", threads, 1024)?;
        }
        let positive = self.learning_rate > 0.0 && self.learning_rate <= 1.0;
        check(positive, "learning_rate", self.learning_rate, "above 0 and at most 1")?;
        for (field, value) in [("weight_decay", self.weight_decay), ("clip", self.clip)] {
            check(value.is_finite() && value >= 0.0, field, value, "a finite number, 0 or more")?;
        }
        for (field, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("dropout", self.dropout),
            ("residual_dropout", self.residual_dropout),
            ("token_masking", self.token_masking),
            ("label_smoothing", self.label_smoothing),
        ] {
            check((0.0..1.0).contains(&value), field, value, "0 or more and below 1")?;
        }
        for (field, value) in [
            ("final_learning_rate_fraction", self.final_learning_rate_fraction),
            ("history_start_fraction", self.history_start_fraction),
        ] {
            check((0.0..=1.0).contains(&value), field, value, "between 0 and 1")?;
        }
        if let Some(fraction) = self.expert_fraction {
            check(fraction > 0.0 && fraction <= 1.0, "expert_fraction", fraction, "above 0 and at most 1")?;
        }
        Ok(())
    }
}

/// Checks that a device can run a model of these dimensions: the limits of the weights format.
///
/// # Errors
/// [`Error::Argument`] that names the field as `train.field`.
pub fn validate_dimensions(dimensions: &Dimensions) -> Result<()> {
    let Dimensions { layers, d_model, heads, d_ff, window } = *dimensions;
    size("layers", layers, MAX_LAYERS)?;
    size("d_model", d_model, MAX_WIDTH)?;
    size("d_ff", d_ff, MAX_WIDTH)?;
    size("window", window, MAX_WINDOW)?;
    check(d_model % 16 == 0, "d_model", d_model, "a multiple of 16")?;
    check(d_ff % 16 == 0, "d_ff", d_ff, "a multiple of 16")?;
    let divides = heads >= 1 && d_model % heads == 0 && (d_model / heads) % 4 == 0;
    check(
        divides,
        "heads",
        heads,
        format!("such that d_model / heads = {d_model} / heads is a multiple of 4"),
    )
}

fn size(field: &str, value: usize, largest: usize) -> Result<()> {
    check((1..=largest).contains(&value), field, value, format!("between 1 and {largest}"))
}

/// What takes memory has a limit: better refused by name than killed by the system.
fn product(field: &str, formula: &str, factors: &[usize], largest: usize) -> Result<()> {
    let product = factors.iter().fold(1_usize, |product, &factor| product.saturating_mul(factor));
    let expected = format!("such that {formula} = {product} is at most {largest}");
    check(product <= largest, field, factors[0], expected)
}

fn check(valid: bool, field: &str, found: impl Display, expected: impl Display) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Error::argument(format!("train.{field}"), format!("is {found}, must be {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid() {
        TrainConfig::default().validate().unwrap();
    }

    #[test]
    fn refuses_by_name() {
        let valid = TrainConfig::default();
        for (config, field) in [
            (TrainConfig { layers: 0, ..valid.clone() }, "train.layers"),
            (TrainConfig { d_model: 60, ..valid.clone() }, "train.d_model"),
            (TrainConfig { heads: 0, ..valid.clone() }, "train.heads"),
            (TrainConfig { heads: 3, ..valid.clone() }, "train.heads"),
            (TrainConfig { heads: 32, ..valid.clone() }, "train.heads"),
            (TrainConfig { d_ff: usize::MAX, ..valid.clone() }, "train.d_ff"),
            (TrainConfig { window: 4097, ..valid.clone() }, "train.window"),
            (TrainConfig { batch: 0, ..valid.clone() }, "train.batch"),
            (TrainConfig { batch: 1 << 16, ..valid.clone() }, "train.batch"),
            (TrainConfig { validation_windows: 1 << 16, ..valid.clone() }, "train.validation_windows"),
            (TrainConfig { sequence_length: 1 << 16, layers: 8, ..valid.clone() }, "train.sequence_length"),
            (TrainConfig { d_model: 4096, d_ff: 4096, ..valid.clone() }, "train.d_model"),
            (TrainConfig { updates: 0, ..valid.clone() }, "train.updates"),
            (TrainConfig { learning_rate: f32::NAN, ..valid.clone() }, "train.learning_rate"),
            (TrainConfig { clip: f32::INFINITY, ..valid.clone() }, "train.clip"),
            (TrainConfig { dropout: 1.0, ..valid.clone() }, "train.dropout"),
            (TrainConfig { beta2: f32::NAN, ..valid.clone() }, "train.beta2"),
            (TrainConfig { expert_fraction: Some(0.0), ..valid.clone() }, "train.expert_fraction"),
            (TrainConfig { threads: Some(0), ..valid.clone() }, "train.threads"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
