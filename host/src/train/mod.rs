//! Training: the float transformer on learning histories.
//!
//! [`train`] draws batches of [`Sequences`] as the [`objective`] says, computes loss and gradient
//! with the fused engine of [`crate::nn::transformer`] (on a GPU with the composed network), and
//! updates the parameters with [`AdamW`](crate::nn::AdamW). A sequence is several windows long
//! unless told otherwise, so that the context loses tokens in training as the ring of a device
//! does. Batches and masks are functions of seed and update, so a run stopped anywhere goes on as
//! if it had not been. Several [`Ranks`](crate::ranks::Ranks) share the sequences of every batch.

mod batch;
pub mod checkpoint;
pub mod config;
mod dataset;
#[cfg(test)]
mod final_observation_tests;
pub mod metrics;
mod network;
mod normalisers;
pub mod objective;
#[cfg(test)]
mod on_disk_tests;
mod run;
pub(crate) mod run_files;
#[cfg(test)]
mod tests;

pub use batch::Sequences;
pub use checkpoint::{load_parameters, save_parameters, Checkpoint, TrainingRecord};
pub use config::{Device, TrainConfig};
pub use dataset::{histories_digest, share};
pub use objective::{Objective, ObjectiveConfig};
pub use run::{snapshot_path, train, train_on, TrainOutcome};
pub use run_files::read_config;
