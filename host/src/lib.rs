//! Host tools of `algodistill`: generate learning histories, train, export, evaluate.

pub mod cli;
pub mod error;
pub mod files;
pub mod history;
pub mod model;
pub mod progress;
pub mod train;

pub use error::{Error, Result};
