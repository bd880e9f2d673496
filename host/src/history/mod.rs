//! Learning histories: in memory, and on disk as Parquet with a JSON card beside it.

use crate::source::{Columns, FinalObservations};
use algodistill_core::Interface;
use std::collections::HashSet;
use std::ops::Range;

pub mod card;
mod columns;
mod disk;
pub mod file;
pub mod filter;
pub mod generate;
mod huge_pages;
pub mod journal;
pub mod merge;
pub mod mixture;
mod observed;
mod score;
mod share;
pub mod steps_log;
mod tasks_per_history;

pub use card::{Card, ReturnWindow};
pub use disk::{Storage, IN_MEMORY};
pub use file::{
    check_replaceable, describe, describe_with, generate_on, generate_to_file, read, read_with, Foreign,
    HistoryFile,
};
pub use filter::{filter, filter_with, FilterConfig, Filtering};
pub use generate::{generate, GenerateConfig, Generated};
pub use journal::{is_recorded, Journal, Recorded, RecordedEpisode};
pub use merge::merge;
pub(crate) use mixture::difference;
pub use mixture::Mixture;
pub(crate) use observed::OnDisk;
pub use observed::Window;
pub use share::{Share, Slots};
pub use tasks_per_history::TasksPerHistory;

use huge_pages::zeros;

/// Writes histories as another program would, without a card.
#[cfg(test)]
pub(crate) fn write_for_tests(path: &std::path::Path, histories: &Histories) {
    let absent = columns::Presence::Absent;
    let layout = columns::Layout::new(&histories.interface, absent, absent).expect("columns");
    let rows = layout.encode(histories, "test").and_then(|rows| rows.into_file(&layout));
    std::fs::write(path, rows.expect("rows")).expect("a file");
}

/// The steps of many learning histories, one entry a step in every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Original number of the episode within its history: with `--keep-every 5` they are 0, 5, 10,
    /// ...
    pub episodes: Vec<u32>,
    /// One column a word of the observation: what the source saw *before* the action. Those of words
    /// that are on a disk are empty; a [`Window`] reads either.
    pub observations: Vec<Vec<i32>>,
    /// Action taken.
    pub actions: Vec<u16>,
    /// Reward of the action.
    pub rewards: Vec<f32>,
    /// Whether the episode ended with this step.
    pub dones: Vec<bool>,
    /// What was observed after the last step of an episode, where that is known and in memory.
    pub final_observations: FinalObservations,
    /// The optimal action, `u16::MAX` where it is unknown at a step; empty where it is unknown at
    /// all.
    pub optimal_actions: Vec<u16>,
    /// Whether the episode was cut off with this step, by a time limit or a reset before its end;
    /// `None` where that is unknown, empty where it is unknown at all.
    pub truncations: Vec<Option<bool>>,
    /// The task of the step's episode; empty where every history is of one task, [`History::task`].
    pub tasks: Vec<u32>,
    /// What of the observations is not in memory.
    pub(crate) on_disk: Option<OnDisk>,
}

impl Steps {
    /// No steps, of observations of `words` words.
    pub fn new(words: usize) -> Self {
        Self { observations: vec![Vec::new(); words], ..Self::default() }
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Makes room for `additional` steps of `other`. What `other` has on a disk needs none.
    fn reserve(&mut self, other: &Steps, additional: usize) {
        self.episodes.reserve(additional);
        let columns = self.observations.iter_mut().zip(&other.observations);
        columns.filter(|(_, other)| !other.is_empty()).for_each(|(column, _)| column.reserve(additional));
        self.actions.reserve(additional);
        self.rewards.reserve(additional);
        self.dones.reserve(additional);
    }

    /// `len` steps that are yet to be written.
    pub(crate) fn zeroed(words: usize, len: usize) -> Self {
        Self {
            episodes: zeros(len),
            observations: (0..words).map(|_| zeros(len)).collect(),
            actions: zeros(len),
            rewards: zeros(len),
            dones: zeros(len),
            final_observations: FinalObservations::default(),
            optimal_actions: Vec::new(),
            truncations: Vec::new(),
            tasks: Vec::new(),
            on_disk: None,
        }
    }

    /// All columns, to be written.
    pub(crate) fn as_mut(&mut self) -> Columns<'_> {
        Columns {
            episodes: &mut self.episodes,
            observations: self.observations.iter_mut().map(Vec::as_mut_slice).collect(),
            actions: &mut self.actions,
            rewards: &mut self.rewards,
            dones: &mut self.dones,
            final_observations: FinalObservations::default(),
        }
    }

    /// Keeps only `ranges`, which are ascending and disjoint. Final observations are not looked at.
    fn compact(&mut self, ranges: &[Range<usize>]) {
        fn column<T: Copy>(column: &mut Vec<T>, ranges: &[Range<usize>]) {
            let mut len = 0;
            for range in ranges {
                if range.start != len {
                    column.copy_within(range.clone(), len);
                }
                len += range.len();
            }
            column.truncate(len);
        }
        column(&mut self.episodes, ranges);
        self.observations.iter_mut().for_each(|observation| column(observation, ranges));
        column(&mut self.actions, ranges);
        column(&mut self.rewards, ranges);
        column(&mut self.dones, ranges);
        if !self.optimal_actions.is_empty() {
            column(&mut self.optimal_actions, ranges);
        }
    }

    /// Appends a range of the steps of `other`. Optimal actions stay known only where both know
    /// them, and so do truncations and the tasks of steps. What `other` has on a disk stays there.
    pub fn extend(&mut self, other: &Steps, range: Range<usize>) {
        self.extend_on_disk(other, range.clone());
        let (first, len) = (self.len(), other.len());
        extend_known(first, &mut self.optimal_actions, len, &other.optimal_actions, range.clone());
        extend_known(first, &mut self.truncations, len, &other.truncations, range.clone());
        extend_known(first, &mut self.tasks, len, &other.tasks, range.clone());
        for (step, words) in other.final_observations.of_range(range.clone()) {
            self.final_observations.push(first + step, words);
        }
        self.episodes.extend_from_slice(&other.episodes[range.clone()]);
        for (column, other) in self.observations.iter_mut().zip(&other.observations) {
            column.extend_from_slice(other.get(range.clone()).unwrap_or(&[]));
        }
        self.actions.extend_from_slice(&other.actions[range.clone()]);
        self.rewards.extend_from_slice(&other.rewards[range.clone()]);
        self.dones.extend_from_slice(&other.dones[range]);
    }
}

/// Appends a range of a column of `other_len` steps to one of `len`; either is empty where it is
/// unknown, and then both together are.
fn extend_known<T: Copy>(
    len: usize,
    column: &mut Vec<T>,
    other_len: usize,
    other: &[T],
    range: Range<usize>,
) {
    if column.len() == len && other.len() == other_len {
        column.extend_from_slice(&other[range]);
    } else {
        column.clear();
    }
}

/// The first `len` steps of `columns`, and the others; nothing was written yet.
fn split_columns(columns: Columns, len: usize) -> (Columns, Columns) {
    let episodes = columns.episodes.split_at_mut(len);
    let observations: (Vec<_>, Vec<_>) =
        columns.observations.into_iter().map(|column| column.split_at_mut(len)).unzip();
    let actions = columns.actions.split_at_mut(len);
    let rewards = columns.rewards.split_at_mut(len);
    let dones = columns.dones.split_at_mut(len);
    let part = |episodes, observations, actions, rewards, dones, final_observations| Columns {
        episodes,
        observations,
        actions,
        rewards,
        dones,
        final_observations,
    };
    let none = FinalObservations::default;
    (
        part(episodes.0, observations.0, actions.0, rewards.0, dones.0, none()),
        part(episodes.1, observations.1, actions.1, rewards.1, dones.1, none()),
    )
}

/// One learning history: a contiguous run of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Which task of the environment (Dark Room: `row * size + column` of the goal); that of the
    /// first step where [`Steps::tasks`] has several.
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

impl Histories {
    /// Only the histories of `tasks`, with their numbers.
    pub fn of_tasks(&self, tasks: &HashSet<u32>) -> Self {
        let mut some = Self {
            interface: self.interface.clone(),
            index: Vec::new(),
            steps: Steps::new(self.steps.observations.len()),
        };
        let kept: Vec<&History> = self.index.iter().filter(|history| tasks.contains(&history.task)).collect();
        some.steps.reserve(&self.steps, kept.iter().map(|history| history.steps.len()).sum());
        for history in kept {
            let first = some.steps.len();
            some.steps.extend(&self.steps, history.steps.clone());
            some.index.push(History { steps: first..some.steps.len(), ..*history });
        }
        some
    }

    /// The histories of the tasks `first`, and those of the tasks `second`.
    pub fn divide(mut self, first: &HashSet<u32>, second: &HashSet<u32>) -> [Self; 2] {
        let later = self.of_tasks(second);
        let of_first = self.index.iter().take_while(|history| first.contains(&history.task)).count();
        // Files of this program have the training histories first: they stay where they are.
        let in_order = of_first + later.index.len() == self.index.len();
        let end = self.index[..of_first].last().map_or(0, |history| history.steps.end);
        if in_order && end + later.steps.len() == self.steps.len() {
            self.index.truncate(of_first);
            self.steps.truncate(end);
            return [self, later];
        }
        [self.of_tasks(first), later]
    }
}
