//! Learning histories as Parquet columns: one row a step, see `docs/histories-format.md`.

mod decode;
mod encode;
mod gather;
mod layout;
mod observations;
mod places;
mod reader;

pub use encode::EncodedRows;
pub use layout::{Layout, Presence};
pub use reader::Reader;

use super::Steps;
use crate::Error;
use algodistill_core::Channel;
use parquet::errors::ParquetError;
use std::fmt;
use std::ops::Range;

/// Names of the columns that may be missing: of final observations, of optimal actions, and of whether
/// an episode was cut off.
const FINAL_OBSERVATION: &str = "final_observation";
const OPTIMAL_ACTION: &str = "optimal_action";
const TRUNCATED: &str = "truncated";

/// Values handed to a column writer, or taken from a column reader, at a time.
const BATCH: usize = 1 << 13;

/// Bounds on the steps of a row group, and on its bytes before it is encoded: a reader and a writer
/// have one a thread in memory.
const GROUP_STEPS: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 20;
const GROUP_BYTES: u64 = 64 << 20;

/// Steps of a row group, of `steps` in all with observations of `words` words. They depend on nothing
/// else, so that a file does not depend on the number of threads.
pub fn row_group_steps(steps: u64, words: usize) -> u64 {
    let bytes = 4 * words as u64 + 16;
    (steps / 16).clamp(*GROUP_STEPS.start(), *GROUP_STEPS.end()).min(GROUP_BYTES / bytes)
}

/// Why rows cannot be had.
#[derive(Debug)]
pub enum Problem {
    /// Which column of the file is wrong and how.
    Content(String),
    /// The observations cannot be kept.
    Disk(Error),
}

/// What the library says of a file, and what to do where it is only compressed by something else.
fn reason(error: &ParquetError) -> String {
    let said = error.to_string();
    match said.contains("Disabled feature") {
        true => format!("{said}; write the file with zstd, snappy or no compression"),
        false => said,
    }
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Content(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}

/// The columns of a file, their types checked but not yet their values.
#[derive(Debug, Default)]
pub struct Rows {
    /// `task_id`.
    pub tasks: Vec<u32>,
    /// `history_id`.
    pub histories: Vec<u32>,
    /// `step`.
    pub numbers: Vec<u32>,
    /// What the columns of the observations hold.
    pub kinds: Vec<Kind>,
    /// The other columns.
    pub steps: Steps,
}

impl Rows {
    /// Makes the tasks of the steps known where histories are of several.
    pub fn keep_tasks(&mut self, several: bool) {
        if several {
            self.steps.tasks.clone_from(&self.tasks);
        }
    }

    /// Some of the rows.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let mut steps = Steps::new(self.steps.observations.len());
        steps.extend(&self.steps, range.clone());
        let ids = |column: &[u32]| column[range.clone()].to_vec();
        Self {
            tasks: ids(&self.tasks),
            histories: ids(&self.histories),
            numbers: ids(&self.numbers),
            kinds: self.kinds.clone(),
            steps,
        }
    }
}

/// What a column of observations holds, and how much of it in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Integer,
    /// Integers; 0 where no row says how many.
    List(usize),
    /// Bytes; 0 where no row says how many.
    Bytes(usize),
}

impl Kind {
    /// What the column of a channel holds.
    pub fn of(channel: &Channel) -> Self {
        match channel {
            Channel::Discrete { .. } => Self::Integer,
            Channel::Vector { size } => Self::List((*size).into()),
            Channel::Pixels { .. } => Self::Bytes(channel.inputs()),
        }
    }

    /// Words of an observation.
    pub fn words(self) -> usize {
        match self {
            Self::Integer => 1,
            Self::List(numbers) => numbers,
            Self::Bytes(bytes) => bytes.div_ceil(4),
        }
    }

    /// Whether this can be what is `expected`: as many, or not known how many.
    pub fn fits(self, expected: Self) -> bool {
        match (self, expected) {
            (Self::List(found), Self::List(wanted)) | (Self::Bytes(found), Self::Bytes(wanted)) => {
                found == wanted || found == 0
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("an integer"),
            Self::List(0) => f.write_str("a list of integers"),
            Self::List(numbers) => write!(f, "a list of {numbers} integers"),
            Self::Bytes(0) => f.write_str("bytes"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}
