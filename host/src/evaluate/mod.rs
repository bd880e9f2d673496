//! In-context evaluation: held-out tasks, baselines on the same axes, statistics, reports and plots.
//!
//! Nothing is trained here. A *context* is one learner, its memory empty at first, on one task over several episodes;
//! what improves from episode to episode was learned in context.

pub mod card;
pub mod chart;
#[cfg(test)]
mod chart_tests;
pub mod evaluation;
pub mod fidelity;
#[cfg(test)]
mod golden;
pub mod models;
pub mod policy;
pub mod report;
#[cfg(test)]
mod report_tests;
pub mod rollout;
mod run;
pub mod statistics;
pub mod svg;
mod tasks;
pub mod terminal;

pub use card::TrainingCard;
pub use evaluation::Evaluation;
pub use run::{evaluate, Contestants, EvaluateConfig};
pub(crate) use tasks::untrained_tasks;
