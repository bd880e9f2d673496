#![cfg_attr(not(test), no_std)]
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(target_endian = "big")]
compile_error!("algodistill-core keeps the ring and the snapshot in little-endian order");

pub mod agent;
#[cfg(feature = "capi")]
pub mod capi;
pub mod context;
pub mod env;
pub mod error;
pub mod interface;
pub mod log;
pub mod model;
pub mod rng;

pub use agent::{Agent, Sampling};
pub use env::{Environment, Family, Transition};
pub use error::Error;
pub use interface::{Channel, Interface};
pub use log::StepLog;
pub use model::kernels::Kernels;
pub use model::{workspace_words, Dimensions, Encoders, Model, Normaliser};
pub use rng::PortableRng;
