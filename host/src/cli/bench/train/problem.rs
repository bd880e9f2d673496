//! What every contestant trains: a model, a batch, initial parameters, and how they reach another
//! program.

use crate::environment::EnvironmentConfig;
use crate::history::{Histories, History, Steps};
use crate::model::{Dimensions, Role, NORM_EPSILON};
use crate::nn::random::Purpose;
use crate::nn::transformer::{initial_parameters, Batch};
use crate::train::{Sequences, TrainConfig};
use crate::{Error, Result};
use algodistill_core::{Interface, PortableRng};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Sizes of the model and of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Sizes of the model.
    #[serde(flatten)]
    pub dimensions: Dimensions,
    /// Tokens of a sequence.
    pub sequence_length: usize,
    /// Sequences of a batch.
    pub batch: usize,
}

impl Shape {
    /// The training configuration that every contestant follows; batches and parameters are
    /// functions of it.
    pub fn config(&self) -> TrainConfig {
        let Self { dimensions, sequence_length, batch } = *self;
        TrainConfig {
            dimensions,
            sequence_length: Some(sequence_length),
            batch,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.01,
            seed: 0,
            ..TrainConfig::default()
        }
    }

    /// Tokens of a batch.
    pub fn tokens(&self) -> usize {
        self.batch * self.sequence_length
    }

    /// Floating-point operations of forward and backward, per token: 6 for each element of the
    /// blocks' matrices and the head (2 forward, 4 backward), and for each pair of query and key
    /// inside the band `12 d_model` a layer (2 products of 2 operations forward, twice that
    /// backward). What is computed again in place of being kept does not count, nor do norms,
    /// softmax and AdamW.
    pub fn operations_per_token(&self, actions: usize) -> f64 {
        let Dimensions { layers, d_model: d, d_ff, window, .. } = self.dimensions;
        let of_layer = d * self.dimensions.d_query_key_value() + d * d + 2 * d * d_ff;
        let matrices = layers * of_layer + actions * d;
        let pairs: usize = (0..self.sequence_length).map(|query| (query + 1).min(window)).sum();
        let attention = layers * 12 * d * pairs;
        6.0 * matrices as f64 + attention as f64 / self.sequence_length as f64
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dimensions, sequence_length, batch } = self;
        let Dimensions { layers, d_model, heads, d_ff, window, .. } = dimensions;
        let shared = match dimensions.kv_heads() {
            all if all == *heads => String::new(),
            some => format!(" ({some} of keys and values)"),
        };
        write!(
            f,
            "B {batch} x T {sequence_length}, {layers} layers, d {d_model}, {heads} heads{shared}, FF {d_ff}, W {window}"
        )
    }
}

/// A shape with its batch and its initial parameters.
pub struct Problem {
    /// Its sizes.
    pub shape: Shape,
    /// The configuration of [`Shape::config`].
    pub config: TrainConfig,
    /// That of Dark Room.
    pub interface: Interface,
    /// Random tokens and targets.
    pub batch: Batch,
    /// Initial values in the order of [`crate::model::layout`].
    pub parameters: Vec<f32>,
}

impl Problem {
    /// # Errors
    /// [`Error::Argument`] where the shape is none that can be trained.
    pub fn new(shape: Shape) -> Result<Self> {
        let config = shape.config();
        config.validate()?;
        let interface = EnvironmentConfig::preset("dark-room")?.interface()?;
        let histories = synthetic(interface.clone(), shape.sequence_length);
        let batch = Sequences::new(&histories, &config, &[])?.batch(Purpose::Batch, 0, shape.batch)?;
        let parameters = initial_parameters(&config.dimensions, &interface, config.seed).values;
        Ok(Self { shape, config, interface, batch, parameters })
    }

    /// Writes the batch and the parameters for programs that are not this one (see
    /// `benches/peers/README.md`).
    pub fn write_data(&self) -> Result<tempfile::NamedTempFile> {
        let words = self.batch.inputs.rows.iter().copied();
        let words = words.chain(self.batch.targets.iter().map(|&target| u32::from(target)));
        let words = words.chain(self.parameters.iter().map(|value| value.to_bits()));
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let folder = std::env::temp_dir();
        let file = tempfile::NamedTempFile::new_in(&folder).map_err(|error| Error::io(&folder, error))?;
        std::fs::write(file.path(), bytes).map_err(|error| Error::io(file.path(), error))?;
        Ok(file)
    }
}

/// What a contestant is told: the object in its first argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Specification {
    /// The one that is meant, where a program is several.
    pub contestant: super::contestant::Contestant,
    /// Sizes.
    #[serde(flatten)]
    pub shape: Shape,
    /// Threads to use.
    pub threads: usize,
    tables: Vec<usize>,
    actions: u16,
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    weight_decay: f32,
    norm_epsilon: f32,
    data: PathBuf,
}

impl Specification {
    /// The specification of `problem`, whose data are in the file `data`.
    pub fn new(
        contestant: super::contestant::Contestant,
        problem: &Problem,
        threads: usize,
        data: PathBuf,
    ) -> Self {
        let layout = crate::model::layout(&problem.shape.dimensions, &problem.interface);
        let tables = layout.iter().filter(|tensor| tensor.role == Role::Embedding);
        let config = &problem.config;
        Self {
            contestant,
            shape: problem.shape,
            threads,
            tables: tables.map(|tensor| tensor.shape[0]).collect(),
            actions: problem.interface.actions,
            learning_rate: config.learning_rate,
            beta1: config.beta1,
            beta2: config.beta2,
            weight_decay: config.weight_decay,
            norm_epsilon: NORM_EPSILON,
            data,
        }
    }
}

/// Histories of random steps, each as long as one sequence: the values do not change the time.
fn synthetic(interface: Interface, length: usize) -> Histories {
    const HISTORIES: usize = 8;
    let mut rng = PortableRng::new(0, 0);
    let mut steps = Steps::new(interface.observation_len());
    for step in 0..HISTORIES * length {
        steps.episodes.push((step / 20) as u32);
        steps.observations.iter_mut().for_each(|column| column.push(rng.below(9) as i32));
        steps.actions.push(rng.below(5) as u16);
        steps.rewards.push(rng.below(2) as f32);
        steps.dones.push(step % length == length - 1);
    }
    let index = (0..HISTORIES)
        .map(|id| History { task: id as u32, id: id as u32, steps: id * length..(id + 1) * length })
        .collect();
    Histories { interface, index, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_operations_of_a_model_small_enough_to_count_by_hand() {
        let dimensions = Dimensions {
            layers: 1,
            d_model: 16,
            heads: 1,
            d_ff: 32,
            window: 2,
            final_observation: false,
            ..Dimensions::default()
        };
        let shape = Shape { dimensions, sequence_length: 4, batch: 1 };
        // Pairs: 1 + 2 + 2 + 2.
        let expected = 6.0 * (4.0 * 256.0 + 2.0 * 512.0 + 5.0 * 16.0) + 12.0 * 16.0 * 7.0 / 4.0;
        assert_eq!(shape.operations_per_token(5), expected);
        // Keys and values of a half of the width.
        let dimensions = Dimensions { heads: 4, kv_heads: Some(2), ..dimensions };
        let shape = Shape { dimensions, ..shape };
        assert_eq!(shape.operations_per_token(5), expected - 6.0 * 256.0);
        assert_eq!(
            shape.to_string(),
            "B 1 x T 4, 1 layers, d 16, 4 heads (2 of keys and values), FF 32, W 2"
        );
    }

    #[test]
    fn the_data_file_has_rows_targets_and_parameters() {
        let dimensions = Dimensions {
            layers: 1,
            d_model: 16,
            heads: 1,
            d_ff: 16,
            window: 4,
            final_observation: false,
            ..Dimensions::default()
        };
        let shape = Shape { dimensions, sequence_length: 8, batch: 2 };
        let problem = Problem::new(shape).unwrap();
        let bytes = std::fs::read(problem.write_data().unwrap().path()).unwrap();
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words.len(), 16 * 4 + 16 + problem.parameters.len());
        assert_eq!(words[..64], problem.batch.inputs.rows);
        assert_eq!(words[64], u32::from(problem.batch.targets[0]));
        assert_eq!(f32::from_bits(*words.last().unwrap()), *problem.parameters.last().unwrap());
    }
}
