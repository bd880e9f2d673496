//! Files of histories as arrays.

use crate::error::exception;
use crate::work;
use algodistill::history::{self, History, Steps, Storage};
use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// The columns of a file of histories, in the order of its rows, and the text of its card.
///
/// `observation` is [steps, words], `optimal_action` and `truncated` (0 or 1) are -1 where they are
/// unknown, `final_observation` is [episodes, words] of the steps `final_step`.
#[pyfunction]
pub fn read_histories(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let storage = Storage { in_memory: u64::MAX, ..Storage::default() };
    let read = || work::in_pool(None, || history::read_with(&path, &storage));
    let file = py.detach(read).map_err(exception)?;
    let card = serde_json::to_string(&file.card);
    let card = card.map_err(|error| exception(algodistill::Error::file(&path, error)))?;
    let parts = [&file.training, &file.held_out];
    let mut all: Vec<(&History, &Steps)> =
        parts.iter().flat_map(|part| part.index.iter().map(|history| (history, &part.steps))).collect();
    all.sort_unstable_by_key(|(history, _)| history.id);
    let words = file.training.interface.observation_len();
    let rows: usize = all.iter().map(|(history, _)| history.steps.len()).sum();
    let mut columns = Columns::default();
    columns.observations.reserve(rows * words);
    for (history, steps) in all {
        columns.add(history, steps);
    }
    let table = |values: Vec<i32>, rows: usize| values.into_pyarray(py).reshape([rows, words]);
    let dict = PyDict::new(py);
    dict.set_item("card", card)?;
    dict.set_item("task_id", columns.tasks.into_pyarray(py))?;
    dict.set_item("history_id", columns.histories.into_pyarray(py))?;
    dict.set_item("episode", columns.episodes.into_pyarray(py))?;
    dict.set_item("observation", table(columns.observations, rows)?)?;
    dict.set_item("action", columns.actions.into_pyarray(py))?;
    dict.set_item("reward", columns.rewards.into_pyarray(py))?;
    dict.set_item("done", columns.dones.into_pyarray(py))?;
    dict.set_item("optimal_action", columns.optimal_actions.into_pyarray(py))?;
    dict.set_item("truncated", columns.truncations.into_pyarray(py))?;
    let ended = columns.final_steps.len();
    dict.set_item("final_step", columns.final_steps.into_pyarray(py))?;
    dict.set_item("final_observation", table(columns.final_observations, ended)?)?;
    Ok(dict)
}

#[derive(Default)]
struct Columns {
    tasks: Vec<u32>,
    histories: Vec<u32>,
    episodes: Vec<u32>,
    observations: Vec<i32>,
    actions: Vec<u16>,
    rewards: Vec<f32>,
    dones: Vec<bool>,
    optimal_actions: Vec<i32>,
    truncations: Vec<i8>,
    final_steps: Vec<u64>,
    final_observations: Vec<i32>,
}

impl Columns {
    fn add(&mut self, history: &History, steps: &Steps) {
        let (range, first) = (history.steps.clone(), self.actions.len());
        for step in range.clone() {
            self.tasks.push(steps.tasks.get(step).copied().unwrap_or(history.task));
            self.observations.extend(steps.observations.iter().map(|column| column[step]));
            let optimal = steps.optimal_actions.get(step).filter(|&&action| action != u16::MAX);
            self.optimal_actions.push(optimal.map_or(-1, |&action| action.into()));
            let truncated = steps.truncations.get(step).copied().flatten();
            self.truncations.push(truncated.map_or(-1, i8::from));
        }
        self.histories.resize(first + range.len(), history.id);
        self.episodes.extend_from_slice(&steps.episodes[range.clone()]);
        self.actions.extend_from_slice(&steps.actions[range.clone()]);
        self.rewards.extend_from_slice(&steps.rewards[range.clone()]);
        self.dones.extend_from_slice(&steps.dones[range.clone()]);
        for (place, words) in steps.final_observations.of_range(range) {
            self.final_steps.push((first + place) as u64);
            self.final_observations.extend_from_slice(words);
        }
    }
}
