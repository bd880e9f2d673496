//! Training: the float transformer on learning histories.
//!
//! [`train`] draws batches of sequences from [`Windows`], computes loss and gradient with the [`fused`] engine (one operation on dfdx's
//! tape; the [`composed`] network of dfdx's own operations on a GPU and in tests), and updates the parameters with [`AdamW`].
//! Batches and masks are functions of seed and update, so a run stopped anywhere goes on as if it had not been. Several [`Ranks`](crate::ranks::Ranks)
//! share the sequences of every batch.

pub mod batch;
pub mod checkpoint;
pub mod composed;
pub mod config;
pub mod fused;
mod initial;
mod masks;
pub mod metrics;
pub mod optimizer;
mod parts;
mod run;
mod schedule;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Tokens, Windows};
pub use checkpoint::{load_parameters, save_parameters, Checkpoint, TrainingRecord};
pub use composed::Composed;
pub use config::{validate_dimensions, Device, TrainConfig};
pub use fused::{forward_logits, Engine, LossOptions};
pub use initial::initial_parameters;
pub use masks::Masks;
pub use optimizer::AdamW;
pub use run::{histories_digest, read_config, share, train, train_on, TrainOutcome};

/// What random numbers are drawn for: each purpose has streams of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial parameters.
    Initial = 1,
    /// Training batches.
    Batch = 2,
    /// Dropout and token masking.
    Masks = 3,
    /// Validation batches.
    Validation = 4,
}

/// Number of the random stream of `purpose` and `index` (an update, a tensor).
fn stream(purpose: Purpose, index: u64) -> u64 {
    (purpose as u64) << 56 | index
}
