//! Learning histories: in memory, and on disk as Parquet with a JSON card beside it.

use crate::source::{Columns, FinalObservations};
use algodistill_core::Interface;
use std::collections::HashSet;
use std::ops::Range;

pub mod card;
mod columns;
pub mod file;
pub mod filter;
pub mod generate;
mod huge_pages;
pub mod mixture;
mod score;
mod share;
mod tasks_per_history;

pub use card::{Card, ReturnWindow};
pub use file::{describe, generate_on, generate_to_file, read, Foreign, HistoryFile};
pub use filter::{filter, FilterConfig, Filtering};
pub use generate::{generate, GenerateConfig, Generated};
pub(crate) use mixture::difference;
pub use mixture::Mixture;
pub use share::{Share, Slots};
pub use tasks_per_history::TasksPerHistory;

use huge_pages::zeros;

/// The steps of many learning histories, one entry a step in every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Original number of the episode within its history: with `--keep-every 5` they are 0, 5, 10,
    /// ...
    pub episodes: Vec<u32>,
    /// One column a word of the observation: what the source saw *before* the action.
    pub observations: Vec<Vec<i32>>,
    /// Action taken.
    pub actions: Vec<u16>,
    /// Reward of the action.
    pub rewards: Vec<f32>,
    /// Whether the episode ended with this step.
    pub dones: Vec<bool>,
    /// What was observed after the last step of an episode, where that is known.
    pub final_observations: FinalObservations,
    /// The optimal action, `u16::MAX` where it is unknown at a step; empty where it is unknown at
    /// all.
    pub optimal_actions: Vec<u16>,
    /// The task of the step's episode; empty where every history is of one task, [`History::task`].
    pub tasks: Vec<u32>,
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

    /// Makes room for `additional` more steps.
    pub fn reserve(&mut self, additional: usize) {
        self.episodes.reserve(additional);
        self.observations.iter_mut().for_each(|column| column.reserve(additional));
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
            tasks: Vec::new(),
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
    /// them, and so do the tasks of steps.
    pub fn extend(&mut self, other: &Steps, range: Range<usize>) {
        if self.optimal_actions.len() == self.len() && other.optimal_actions.len() == other.len() {
            self.optimal_actions.extend_from_slice(&other.optimal_actions[range.clone()]);
        } else {
            self.optimal_actions.clear();
        }
        if self.tasks.len() == self.len() && other.tasks.len() == other.len() {
            self.tasks.extend_from_slice(&other.tasks[range.clone()]);
        } else {
            self.tasks.clear();
        }
        let first = self.len();
        for (step, words) in other.final_observations.of_range(range.clone()) {
            self.final_observations.push(first + step, words);
        }
        self.episodes.extend_from_slice(&other.episodes[range.clone()]);
        for (column, other) in self.observations.iter_mut().zip(&other.observations) {
            column.extend_from_slice(&other[range.clone()]);
        }
        self.actions.extend_from_slice(&other.actions[range.clone()]);
        self.rewards.extend_from_slice(&other.rewards[range.clone()]);
        self.dones.extend_from_slice(&other.dones[range]);
    }

    /// The steps of `parts`, one part after the other; every part has observations of `words`
    /// words. Columns are copied in parallel.
    pub fn concatenate(parts: &[&Steps], words: usize) -> Self {
        fn column<'a, T: Copy + 'a>(parts: &[&'a Steps], of: impl Fn(&'a Steps) -> &'a [T]) -> Vec<T> {
            let mut all = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
            parts.iter().for_each(|part| all.extend_from_slice(of(part)));
            all
        }
        let mut all = Self::new(words);
        let Self {
            episodes,
            observations,
            actions,
            rewards,
            dones,
            optimal_actions,
            final_observations,
            tasks,
        } = &mut all;
        let tasks_known = parts.iter().all(|part| part.tasks.len() == part.len());
        let known = parts.iter().all(|part| part.optimal_actions.len() == part.len());
        rayon::scope(|scope| {
            scope.spawn(|_| *episodes = column(parts, |part| &part.episodes));
            for (word, observation) in observations.iter_mut().enumerate() {
                scope.spawn(move |_| *observation = column(parts, |part| &part.observations[word]));
            }
            scope.spawn(|_| *actions = column(parts, |part| &part.actions));
            scope.spawn(|_| *rewards = column(parts, |part| &part.rewards));
            scope.spawn(|_| *dones = column(parts, |part| &part.dones));
            scope.spawn(|_| {
                let mut first = 0;
                for part in parts {
                    final_observations.append(first, &part.final_observations);
                    first += part.len();
                }
            });
            if tasks_known {
                scope.spawn(|_| *tasks = column(parts, |part| &part.tasks));
            }
            if known {
                scope.spawn(|_| *optimal_actions = column(parts, |part| &part.optimal_actions));
            }
        });
        all
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
        some.steps.reserve(kept.iter().map(|history| history.steps.len()).sum());
        for history in kept {
            let first = some.steps.len();
            some.steps.extend(&self.steps, history.steps.clone());
            some.index.push(History { steps: first..some.steps.len(), ..*history });
        }
        some
    }
}
