//! Host tools of `algodistill`: generate learning histories, train, export, evaluate.

#[cfg(feature = "cli")]
pub mod cli;
pub mod deploy;
pub mod encoders;
pub mod environment;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod files;
pub mod history;
pub mod memory;
pub mod model;
pub mod nn;
pub mod parameters;
pub mod progress;
pub mod ranks;
mod registry;
pub mod rl2;
pub mod serve;
pub mod source;
mod toml_text;
pub mod train;

pub use error::{Error, Result};
