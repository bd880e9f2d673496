//! Histories of several tasks: one agent that meets another task in every episode.

use algodistill_core::PortableRng;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

/// Of how many tasks one history is: written as a number from 1, or as `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TasksPerHistory {
    /// As many: 1 is one agent a task.
    Number(NonZeroU32),
    /// All training tasks, or all held-out ones.
    All,
}

/// How `all` is written.
const ALL: &str = "all";

impl Default for TasksPerHistory {
    fn default() -> Self {
        Self::Number(NonZeroU32::MIN)
    }
}

impl TasksPerHistory {
    /// Whether every history is of one task.
    pub fn is_one(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there are not that many among `tasks`.
    pub(super) fn is_more_than(&self, tasks: usize) -> bool {
        matches!(self, Self::Number(count) if count.get() as usize > tasks.max(1))
    }

    /// Groups of `tasks` tasks.
    pub(super) fn count(self, tasks: usize) -> usize {
        match self {
            Self::Number(count) => tasks.div_ceil(count.get() as usize),
            Self::All => tasks.min(1),
        }
    }

    /// `tasks` in groups of as many, the last one of what is left, by lot: what a history is of.
    pub(super) fn groups(self, tasks: &[u32], split_seed: u64) -> Vec<Vec<u32>> {
        let count = match self {
            Self::Number(count) => count.get() as usize,
            Self::All => tasks.len().max(1),
        };
        let mut tasks = tasks.to_vec();
        if count < tasks.len() {
            // Stream 0 is that of the split.
            crate::environment::shuffle(&mut tasks, &mut PortableRng::new(split_seed, 1));
        }
        tasks.chunks(count).map(<[u32]>::to_vec).collect()
    }
}

/// Of the generator that draws the tasks of the episodes: apart from the sources'.
const TASKS_SEED: u64 = 0x7A5C_0DE5;

/// The task of each episode of history number `stream`, drawn from `group`.
pub(super) fn draw(group: &[u32], seed: u64, stream: u64, episodes: u32) -> Arc<[u32]> {
    let mut rng = PortableRng::new(seed ^ TASKS_SEED, stream);
    (0..episodes).map(|_| group[rng.below(group.len() as u32) as usize]).collect()
}

impl FromStr for TasksPerHistory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            (ALL, _) => Ok(Self::All),
            (_, Ok(number)) => Ok(Self::Number(number)),
            _ => Err(format!("expected a whole number from 1, or {ALL}")),
        }
    }
}

impl fmt::Display for TasksPerHistory {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::All => formatter.write_str(ALL),
        }
    }
}

impl Serialize for TasksPerHistory {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(to),
            Self::All => to.serialize_str(ALL),
        }
    }
}

impl<'de> Deserialize<'de> for TasksPerHistory {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = TasksPerHistory;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                write!(formatter, "a whole number from 1, or {ALL:?}")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<TasksPerHistory, E> {
                let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
                number
                    .map(TasksPerHistory::Number)
                    .ok_or_else(|| E::custom("is out of range, expected 1 to 4294967295"))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<TasksPerHistory, E> {
                self.visit_u64(u64::try_from(number).unwrap_or(0))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TasksPerHistory, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Written).map_err(D::Error::custom)
    }
}
