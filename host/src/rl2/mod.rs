//! RL2 (Duan et al. 2016, "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning",
//! arXiv 1611.02779): the transformer of [`crate::model`], trained by reinforcement learning to learn
//! in context.
//!
//! A trial is some episodes of one hidden task. The agent keeps its context over the ends of the
//! episodes, and is trained by proximal policy optimization ([`ppo`]) on the whole trial: what it
//! does in the first episode is worth what it earns by it in the last one. Nobody shows it how: there
//! are no histories. [`train`] is the loop, [`Rl2Config`] everything that decides it.

mod checkpoint;
pub mod config;
pub mod ppo;
mod ranges;
mod run;
#[cfg(test)]
mod tests;
mod trials;

pub use checkpoint::{Rl2Checkpoint, Rl2Record};
pub use config::Rl2Config;
pub use run::{read_config, train, MetricsLine, Rl2Outcome};
