//! Learning histories: in memory, and on disk as Parquet with a JSON card beside it.

use algodistill_core::Interface;
use std::ops::Range;

/// The steps of many learning histories, one entry a step in every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Original number of the episode within its history: with `--keep-every 5` they are 0, 5, 10, ...
    pub episodes: Vec<u32>,
    /// One column a word of the observation: what the source saw *before* the action.
    pub observations: Vec<Vec<i32>>,
    /// Action taken.
    pub actions: Vec<u16>,
    /// Reward of the action.
    pub rewards: Vec<f32>,
    /// Whether the episode ended with this step.
    pub dones: Vec<bool>,
}

/// One learning history: a contiguous run of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Which task of the environment (Dark Room: `row * size + column` of the goal).
    pub task: u32,
    /// Number of the history, unique in its file.
    pub id: u32,
    /// Its steps.
    pub steps: Range<usize>,
}

/// Learning histories in memory: what `train` consumes.
#[derive(Clone, Debug, PartialEq)]
pub struct Histories {
    /// What the source saw and did.
    pub interface: Interface,
    /// Every history, in the order of its steps.
    pub index: Vec<History>,
    /// The steps.
    pub steps: Steps,
}
