//! Recording what any program does, episode by episode.

use crate::error::{exception, ArgumentError, OrderError};
use crate::work;
use algodistill::history::{self, Foreign, RecordedEpisode};
use algodistill_core::Interface;
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::path::PathBuf;

/// A history that is being recorded.
#[pyclass]
pub struct Journal {
    journal: history::Journal,
    interface: Interface,
    episode: RecordedEpisode,
    /// What is observed now, before the next action.
    now: Vec<i32>,
    closed: bool,
}

#[pymethods]
impl Journal {
    /// Begins a history of `path`; `channels` as cards have them, in JSON.
    #[new]
    fn new(path: PathBuf, task: u32, history: Option<u32>, channels: &str, actions: u16) -> PyResult<Self> {
        let channels: Vec<algodistill_core::Channel> = serde_json::from_str(channels)
            .map_err(|error| ArgumentError::new_err(format!("channels: {error}")))?;
        let journal = history::Journal::begin(&path, task, history, channels, actions).map_err(exception)?;
        let interface = journal.about().interface();
        Ok(Self { journal, interface, episode: RecordedEpisode::default(), now: Vec::new(), closed: false })
    }

    /// Number of the history.
    #[getter]
    fn history(&self) -> u32 {
        self.journal.about().history
    }

    /// An episode begins. One that was left before its end is recorded as cut off where it was left.
    fn begin(&mut self, words: &Bound<'_, PyAny>) -> PyResult<()> {
        self.start(words_of(words)?)
    }

    /// An action, the optimal one (-1 where unknown), its reward, what was observed then, and whether
    /// the episode was terminated or truncated; where it was both, it was terminated.
    fn step(
        &mut self,
        action: i64,
        optimal: i64,
        reward: f64,
        words: &Bound<'_, PyAny>,
        terminated: bool,
        truncated: bool,
    ) -> PyResult<()> {
        self.add(action, optimal, reward, words_of(words)?)?;
        if terminated || truncated {
            self.end(Some(!terminated), true)?;
        }
        Ok(())
    }

    /// A whole episode: observations [steps + 1, words] or, where the last one is not known, [steps,
    /// words]. Whether it was `truncated` may be unknown.
    fn episode(
        &mut self,
        observations: PyReadonlyArray2<'_, i32>,
        actions: Vec<i64>,
        rewards: Vec<f64>,
        optimal: Vec<i64>,
        truncated: Option<bool>,
    ) -> PyResult<()> {
        let rows = observations.as_array();
        let rows: Vec<Vec<i32>> = rows.outer_iter().map(|row| row.to_vec()).collect();
        let steps = actions.len();
        if !(steps..=steps + 1).contains(&rows.len()) || rewards.len() != steps || optimal.len() != steps {
            let problem = format!(
                "episode: has {} observations, {steps} actions and {} rewards, expected as many \
                 rewards as actions, and one observation more",
                rows.len(),
                rewards.len()
            );
            return Err(ArgumentError::new_err(problem));
        }
        let is_last_known = rows.len() > steps;
        let mut rows = rows.into_iter();
        self.start(rows.next().unwrap_or_default())?;
        let unknown = vec![0; self.interface.observation_len()];
        for step in 0..steps {
            let next = rows.next().unwrap_or_else(|| unknown.clone());
            self.add(actions[step], optimal[step], rewards[step], next)?;
        }
        self.end(truncated, is_last_known)
    }

    /// Ends and removes the history.
    fn discard(&mut self) -> PyResult<()> {
        self.closed = true;
        self.journal.discard().map_err(exception)
    }

    /// Ends the history; an episode that is not over is cut off here.
    fn close(&mut self) -> PyResult<()> {
        if self.closed {
            return Ok(());
        }
        self.leave()?;
        self.journal.close().map_err(exception)?;
        self.closed = true;
        Ok(())
    }
}

impl Journal {
    fn check(&self, words: &[i32]) -> PyResult<()> {
        if self.closed {
            return Err(OrderError::new_err("the recorder is closed; make another one, of another history"));
        }
        self.interface
            .check(words)
            .map_err(|problem| ArgumentError::new_err(format!("observation: {problem}")))
    }

    fn action(&self, name: &str, action: i64) -> PyResult<u16> {
        let actions = self.interface.actions;
        u16::try_from(action).ok().filter(|action| *action < actions).ok_or_else(|| {
            ArgumentError::new_err(format!("{name}: is {action}, expected 0 to {}", actions - 1))
        })
    }

    /// Starts an episode, and ends the one before.
    fn start(&mut self, words: Vec<i32>) -> PyResult<()> {
        self.check(&words)?;
        self.leave()?;
        self.now = words;
        Ok(())
    }

    /// Adds a step to the episode.
    fn add(&mut self, action: i64, optimal: i64, reward: f64, words: Vec<i32>) -> PyResult<()> {
        self.check(&words)?;
        let known = optimal != -1;
        let action = self.action("action", action)?;
        let optimal = if known { self.action("optimal_action", optimal)? } else { u16::MAX };
        // Also what is too large for 32 bits.
        if !(reward as f32).is_finite() {
            let problem = format!("reward: is {reward}, expected a finite number of 32 bits");
            return Err(ArgumentError::new_err(problem));
        }
        let episode = &mut self.episode;
        episode.observations.extend_from_slice(&self.now);
        episode.actions.push(action);
        episode.rewards.push(reward as f32);
        episode.optimal_actions.push(optimal);
        self.now = words;
        Ok(())
    }

    /// Writes the episode, if it has steps, as cut off here.
    fn leave(&mut self) -> PyResult<()> {
        self.end(Some(true), true)
    }

    /// Writes the episode, if it has steps; whether it was cut off, if that is known, and whether it is
    /// known what is observed now.
    fn end(&mut self, truncated: Option<bool>, known: bool) -> PyResult<()> {
        if self.episode.actions.is_empty() {
            return Ok(());
        }
        let mut episode = std::mem::take(&mut self.episode);
        let now = std::mem::take(&mut self.now);
        (episode.last, episode.truncated) = (known.then_some(now), truncated);
        self.journal.append(&episode).map_err(exception)
    }
}

/// The words of an observation: of a list, or, where they are many, of an array.
fn words_of(words: &Bound<'_, PyAny>) -> PyResult<Vec<i32>> {
    match words.cast::<PyList>() {
        Ok(list) => list.extract(),
        Err(_) => Ok(words.extract::<PyReadonlyArray1<'_, i32>>()?.as_array().to_vec()),
    }
}

/// A recorder that nobody closed before it was forgotten.
impl Drop for Journal {
    fn drop(&mut self) {
        // There is nobody to tell; whole episodes are written.
        let _ = self.close();
    }
}

/// Makes the Parquet file and its card of what was recorded; the card's text, where there was
/// anything.
#[pyfunction]
pub fn merge(
    py: Python<'_>,
    path: PathBuf,
    held_out: Option<u32>,
    split_seed: u64,
) -> PyResult<Option<String>> {
    let known = Foreign { held_out, split_seed, ..Foreign::default() };
    let merged = py.detach(|| work::in_pool(None, || history::merge(&path, &known)));
    let card = merged.map_err(exception)?;
    let text = card.map(|card| serde_json::to_string(&card)).transpose();
    text.map_err(|error| exception(algodistill::Error::file(&path, error)))
}

/// Whether somebody records a history of `path`.
#[pyfunction]
pub fn is_recorded(path: PathBuf) -> PyResult<bool> {
    history::is_recorded(&path).map_err(exception)
}
