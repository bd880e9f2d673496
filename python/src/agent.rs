//! `algodistill.Agent`: the device's code, called from Python.

use crate::arguments::{flag, reward, seed, shown, whole};
use crate::error;
use crate::model::{sampling, Weights};
use crate::observation::Coding;
use algodistill::export::{split_snapshot, OwnedAgent};
use algodistill_core::{PortableRng, Sampling};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::IntoPyObjectExt;
use std::sync::{Mutex, PoisonError};

/// A model at work: it learns a new task from what it sees, with fixed weights, by the very code that
/// a device runs, bit for bit.
///
/// Calls in turn: `act`, `feedback`. The context outlives the end of an episode; `reset` empties it.
///
/// model: path of a weights file (.adw), or its bytes
/// seed: of the actions that are drawn
/// greedy: always take the likeliest action
/// temperature: .01 to 100; 1 is what the model was trained for
/// observation_space: of the environment; needed where it is a Dict, where indices do not begin at 0,
///     and where the space has floats but whole numbers are given: without it, floats of a vector are
///     scaled by 65536 and whole numbers are taken as they are, so [1, 2] and [1.0, 2.0] differ
#[pyclass(module = "algodistill")]
pub struct Agent {
    pub(crate) weights: Weights,
    // Never locked: it makes an agent, which may go to another thread, one that may be seen from there.
    inner: Mutex<OwnedAgent>,
    rng: PortableRng,
    coding: Coding,
    /// The observation at hand.
    words: Vec<i32>,
}

impl Agent {
    fn inner(&mut self) -> &mut OwnedAgent {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The random numbers, then the context.
pub fn snapshot<'py>(
    py: Python<'py>,
    agent: &OwnedAgent,
    rng: &PortableRng,
) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = agent.snapshot_with(rng).map_err(error::of_agent)?;
    Ok(PyBytes::new(py, &bytes))
}

#[pymethods]
impl Agent {
    #[new]
    #[pyo3(signature = (model, *, seed=None, greedy=None, temperature=None, observation_space=None))]
    fn new(
        model: &Bound<'_, PyAny>,
        seed: Option<&Bound<'_, PyAny>>,
        greedy: Option<&Bound<'_, PyAny>>,
        temperature: Option<&Bound<'_, PyAny>>,
        observation_space: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let seed = seed.map_or(Ok(0), self::seed)?;
        let weights = Weights::open(model, sampling(greedy, temperature)?)?;
        let inner = Mutex::new(weights.agent()?);
        let coding = Coding::new(weights.interface.clone(), observation_space)?;
        Ok(Self { weights, inner, rng: PortableRng::new(seed, 0), coding, words: Vec::new() })
    }

    /// Chooses an action for an observation: an int, an array, or a tuple of these.
    fn act(&mut self, observation: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.coding.read("observation", observation, &mut self.words)?;
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.act(&self.words, &mut self.rng).map_err(error::of_agent)
    }

    /// Says what the last action brought. `done` is `terminated or truncated`; the observation after the
    /// action reaches the model where it ended an episode, and may always be given.
    #[pyo3(signature = (reward, done, next_observation=None))]
    fn feedback(
        &mut self,
        reward: &Bound<'_, PyAny>,
        done: &Bound<'_, PyAny>,
        next_observation: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (reward, done) = (self::reward(reward)?, flag("done", done)?);
        self.words.clear();
        if let Some(observation) = next_observation.filter(|_| done) {
            self.coding.read("next_observation", observation, &mut self.words)?;
        }
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.feedback(reward, done.then_some(&self.words)).map_err(error::of_agent)
    }

    /// A step of a demonstration: as `act`, but the action is given.
    fn demonstrate(&mut self, observation: &Bound<'_, PyAny>, action: &Bound<'_, PyAny>) -> PyResult<()> {
        let last = i64::from(self.weights.interface.actions) - 1;
        let action = whole("action", action, 0..=last)?;
        self.coding.read("observation", observation, &mut self.words)?;
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.demonstrate(&self.words, action as usize).map_err(error::of_agent)
    }

    /// Forgets the task: empties the context. The random numbers go on; `seed` begins them anew.
    #[pyo3(signature = (seed=None))]
    fn reset(&mut self, seed: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(seed) = seed {
            self.rng = PortableRng::new(self::seed(seed)?, 0);
        }
        self.inner().reset();
        Ok(())
    }

    /// The context and the random numbers, to be kept: what `restore` goes on from. The same bytes as
    /// `algodistill serve` gives.
    fn snapshot<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        self::snapshot(py, inner, &self.rng)
    }

    /// Goes on from a snapshot of the same model.
    fn restore(&mut self, snapshot: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(bytes) = snapshot.cast::<PyBytes>() else {
            let problem = format!("is {}, expected the bytes that snapshot() gave", shown(snapshot));
            return Err(error::argument("snapshot", problem));
        };
        let bytes = bytes.as_bytes();
        let Some((rng, context)) = split_snapshot(bytes) else {
            let problem = format!("has {} bytes, expected what snapshot() gave", bytes.len());
            return Err(error::argument("snapshot", problem));
        };
        let refused = |problem| {
            error::argument("snapshot", format!("{problem}; give what snapshot() of this model gave"))
        };
        self.inner().restore(context).map_err(refused)?;
        self.rng = rng;
        Ok(())
    }

    /// Logits of the last step, one per action, as the device has them: int32, 65536 is 1.
    #[getter]
    fn logits<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        PyArray1::from_vec(py, self.inner().logits_q16())
    }

    /// Path of the weights file.
    #[getter]
    fn model(&self) -> &str {
        &self.weights.name
    }

    /// What the model sees, channel by channel, as in the card of learning histories.
    #[getter]
    fn channels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.weights.channels(py)
    }

    /// Number of actions.
    #[getter]
    fn actions(&self) -> u16 {
        self.weights.interface.actions
    }

    /// Rewards that the model tells apart.
    #[getter]
    fn reward_levels(&self) -> Vec<f32> {
        self.weights.interface.reward_levels.to_vec()
    }

    /// Steps that the context holds.
    #[getter]
    fn window(&self) -> usize {
        self.weights.window
    }

    /// Names of the environments that the model was trained in; empty for those of another program.
    #[getter]
    fn environments(&self) -> Vec<&'static str> {
        self.weights.environments.clone()
    }

    /// Checksum of the weights.
    #[getter]
    fn weights_crc32(&self) -> u32 {
        self.weights.crc32
    }

    /// Number of int8 parameters.
    #[getter]
    fn parameters(&self) -> usize {
        self.weights.parameters
    }

    fn __repr__(&self) -> String {
        let Weights { name, interface, window, .. } = &self.weights;
        let channels: Vec<String> = interface.channels.iter().map(ToString::to_string).collect();
        format!(
            "Agent({name:?}, {}): sees ({}), {} actions, window {window}",
            self.weights.sampling_words(),
            channels.join(", "),
            interface.actions
        )
    }

    /// With the weights, so that a copy does not depend on the file.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let snapshot = slf.borrow_mut().snapshot(py)?;
        let agent = slf.borrow();
        let Weights { bytes, name, .. } = &agent.weights;
        let space = agent.coding.space().map(|space| space.clone_ref(py));
        let sampling = match agent.weights.sampling {
            Sampling::Greedy => (Some(true), None),
            // Its digits: the f64 of the f32 of .01 is below the least that is taken.
            Sampling::Temperature(temperature) => (None, temperature.to_string().parse::<f64>().ok()),
        };
        let arguments = (PyBytes::new(py, bytes), name, sampling, space);
        (slf.getattr("_from_copy")?, arguments, snapshot).into_bound_py_any(py)
    }

    #[staticmethod]
    fn _from_copy(
        weights: &Bound<'_, PyBytes>,
        name: String,
        sampling: (Option<Bound<'_, PyAny>>, Option<Bound<'_, PyAny>>),
        space: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (greedy, temperature) = (sampling.0.as_ref(), sampling.1.as_ref());
        let mut agent = Self::new(weights.as_any(), None, greedy, temperature, space)?;
        agent.weights.name = name;
        Ok(agent)
    }

    fn __setstate__(&mut self, snapshot: &Bound<'_, PyAny>) -> PyResult<()> {
        self.restore(snapshot)
    }
}
