//! Host tools of `algodistill`: generate learning histories, train, export, evaluate.

pub mod error;
pub mod files;
pub mod history;
pub mod model;

pub use error::{Error, Result};
