//! Neural networks on plain slices: what training, and sources with a network of their own, are
//! made of. Nothing here knows of histories, environments or files.
//!
//! - [`ops`]: the fused operations, each with its backward beside it
//! - [`kernels`]: what they are made of; [`matrix`]: a weight matrix, packed for the products
//! - [`tape`]: how the operations go on dfdx's tape
//! - [`transformer`]: the model of [`crate::model`], its loss and gradient, fused or composed
//! - [`mlp`], [`one_hot`], [`replay`]: perceptrons and a memory of transitions, for sources
//! - [`optimizer`], [`schedule`], [`masks`]: AdamW and clipping, the learning rate, dropout

pub mod kernels;
pub mod masks;
pub mod matrix;
pub mod mlp;
pub mod one_hot;
pub mod ops;
pub mod optimizer;
pub mod parts;
pub mod random;
pub mod replay;
pub mod schedule;
pub mod tape;
pub mod transformer;

pub use masks::Masks;
pub use optimizer::{clip, AdamW, Hyperparameters};
pub use schedule::Schedule;
