//! What a run of RL2 keeps: safetensors, as [`crate::train::checkpoint`] writes them.

use super::config::Rl2Config;
use super::ppo::ValueHead;
use crate::model::{Parameters, Role, TensorLayout};
use crate::nn::AdamW;
use crate::train::checkpoint::{load, save, state, STATE};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a model was trained by RL2: stored with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rl2Record {
    /// The resolved configuration.
    #[serde(rename = "rl2")]
    pub config: Rl2Config,
    /// Iterations done.
    pub iteration: u64,
    /// Steps taken in the environment.
    pub steps: u64,
}

/// What a run has come to, beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Configuration and iterations.
    pub record: Rl2Record,
    /// Parameter updates done.
    pub updates: u64,
    /// Deviation of the returns.
    pub returns: RunningDeviation,
}

/// The deviation of what has been seen, of which the older counts less and less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningDeviation {
    weight: f64,
    sum: f64,
    squares: f64,
}

impl RunningDeviation {
    /// What counts of an iteration when the next one comes.
    const KEPT: f64 = 0.98;

    /// Takes the values of an iteration.
    pub fn add(&mut self, values: impl ExactSizeIterator<Item = f32> + Clone) {
        let part = (1.0 - Self::KEPT) / values.len().max(1) as f64;
        let sum: f64 = values.clone().map(f64::from).sum();
        let squares: f64 = values.map(|value| f64::from(value) * f64::from(value)).sum();
        self.weight = self.weight * Self::KEPT + (1.0 - Self::KEPT);
        self.sum = self.sum * Self::KEPT + sum * part;
        self.squares = self.squares * Self::KEPT + squares * part;
    }

    /// The deviation; 1 where everything was equal so far.
    pub fn deviation(&self) -> f32 {
        let mean = self.sum / self.weight;
        let variance = self.squares / self.weight - mean * mean;
        if variance > 1e-8 {
            variance.sqrt() as f32
        } else {
            1.0
        }
    }
}

/// Everything a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Rl2Checkpoint {
    /// Sizes and interface of the model; no values.
    pub(super) parameters: Parameters,
    /// The model's values, and behind them those of the value head.
    pub(super) values: Vec<f32>,
    /// The optimizer's moments of all of them.
    pub(super) optimizer: AdamW,
    /// The rest.
    pub(super) reached: Reached,
}

impl Rl2Checkpoint {
    /// Writes the checkpoint, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let layout = layout(&self.parameters);
        save(path, &self.parameters, &self.reached, &layout, &state(&self.values, &self.optimizer))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// As [`crate::train::load_parameters`].
    pub fn load(path: &Path) -> Result<Self> {
        let (parameters, reached, groups) = load(path, layout, |_: &Reached| STATE.to_vec())?;
        let mut groups = groups.into_iter();
        let mut next = || groups.next().unwrap_or_default();
        let values = next();
        let mut optimizer = optimizer(&parameters);
        (optimizer.first, optimizer.second) = (next(), next());
        Ok(Self { parameters, values, optimizer, reached })
    }

    /// Number of values of the model, before those of the value head.
    pub(super) fn model_count(&self) -> usize {
        self.parameters.layout().last().map_or(0, |tensor| tensor.range().end)
    }

    /// The model as it is now.
    pub(super) fn model(&self) -> Parameters {
        Parameters { values: self.values[..self.model_count()].to_vec(), ..self.parameters.clone() }
    }
}

/// The tensors of the model, and the value head as one more.
fn layout(parameters: &Parameters) -> Vec<TensorLayout> {
    let mut layout = parameters.layout();
    let offset = layout.last().map_or(0, |last| last.range().end);
    let count = ValueHead::new(parameters.dimensions.d_model).parameter_count();
    layout.push(TensorLayout {
        name: "value_head".into(),
        role: Role::Head,
        shape: [1, count],
        inputs: count,
        offset,
    });
    layout
}

/// AdamW for model and value head; the latter does not decay, it is not part of what is exported.
pub(super) fn optimizer(parameters: &Parameters) -> AdamW {
    let layout = layout(parameters);
    let count = layout.last().map_or(0, |tensor| tensor.range().end);
    let decaying = parameters.layout().into_iter().filter(|tensor| tensor.role.decays());
    AdamW::new(count, decaying.map(|tensor| tensor.range()))
}
