//! What firmware image and runner share: the loop around the agent, the worlds it lives in, and
//! what goes over the link. The runner on the host runs the same code with the host's core, so a
//! difference between host and device is a difference of the core's arithmetic.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
pub mod link;
pub mod request;
pub mod session;
