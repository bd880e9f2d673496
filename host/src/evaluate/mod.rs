//! In-context evaluation: held-out tasks, baselines on the same axes, statistics, reports and
//! plots.
//!
//! Nothing is trained here. A *context* is one learner, its memory empty at first, on one task over
//! several episodes; what improves from episode to episode was learned in context.

pub mod asking;
mod command;
mod drawn;
mod entrant;
pub mod evaluation;
pub mod fidelity;
pub mod models;
pub mod outside;
mod play;
pub mod policy;
mod recorded;
pub mod report;
pub mod rollout;
mod run;
pub mod statistics;
mod tasks;

pub use command::{evaluate_command, CommandConfig};
pub use drawn::DrawnEpisode;
pub use evaluation::{Evaluation, ModelSummary};
pub(crate) use models::unlike;
pub use outside::{outside, Outside, OutsideLine, Returns};
pub use play::{play, Moment, PlayConfig, Played};
pub use recorded::recorded;
pub(crate) use run::check_name;
pub use run::{evaluate, Contestant, Contestants, EvaluateConfig};
pub(crate) use tasks::same_tasks;
