#![cfg_attr(not(test), no_std)]
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod env;
pub mod interface;
pub mod rng;

pub use env::{Environment, Transition};
pub use interface::{Channel, Interface};
pub use rng::PortableRng;
