//! `algodistill.AgentBatch`: many contexts of one model at once.

use crate::arguments::{flag, reward, seed, shown, whole};
use crate::error::{self, OrderError};
use crate::model::{sampling, Weights};
use crate::observation::Coding;
use crate::work::Threads;
use algodistill::export::OwnedAgent;
use algodistill_core::{Error, PortableRng};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Most contexts of a batch.
const MAX_CONTEXTS: i64 = 1 << 16;

/// Many contexts of one model, each of which does what an `Agent` of its own would do: context i draws
/// its actions as `Agent(model, seed=seed + i)`.
///
/// Calls in turn: `act`, `feedback`. A call that raises has changed nothing.
///
/// model: path of a weights file (.adw), or its bytes
/// contexts: how many
/// seed: of the first context
/// greedy, temperature, observation_space: as of an Agent
/// threads: that share the contexts; the interpreter's lock is not held meanwhile
#[pyclass(module = "algodistill")]
pub struct AgentBatch {
    weights: Weights,
    coding: Coding,
    // Never locked: see `Agent`.
    contexts: Mutex<Vec<Context>>,
    threads: Option<Threads>,
}

struct Context {
    agent: OwnedAgent,
    rng: PortableRng,
    /// The observation at hand.
    words: Vec<i32>,
    awaits_feedback: bool,
}

/// What one context is told.
#[derive(Clone, Copy)]
struct Outcome {
    reward: f32,
    done: bool,
}

impl AgentBatch {
    fn contexts(&mut self) -> &mut Vec<Context> {
        self.contexts.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `step` in every context; all arguments were checked before.
    fn each<T: Send>(
        &mut self,
        py: Python<'_>,
        step: impl Fn(usize, &mut Context) -> Result<T, Error> + Sync,
    ) -> PyResult<Vec<T>> {
        let contexts = self.contexts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let threads = &mut self.threads;
        let done: algodistill::Result<Result<Vec<T>, Error>> = py.detach(|| match threads {
            None => {
                Ok(contexts.iter_mut().enumerate().map(|(place, context)| step(place, context)).collect())
            }
            Some(threads) => threads.install(|| {
                contexts.par_iter_mut().enumerate().map(|(place, context)| step(place, context)).collect()
            }),
        });
        done.map_err(error::exception)?.map_err(error::of_agent)
    }

    fn refuse_out_of_turn(&mut self, awaits_feedback: bool, advice: &str) -> PyResult<()> {
        match self.contexts().iter().position(|context| context.awaits_feedback != awaits_feedback) {
            None => Ok(()),
            Some(place) => Err(OrderError::new_err(format!("context {place}: {advice}"))),
        }
    }
}

#[pymethods]
impl AgentBatch {
    #[new]
    #[pyo3(signature = (model, contexts, *, seed=None, greedy=None, temperature=None, observation_space=None, threads=None))]
    fn new(
        model: &Bound<'_, PyAny>,
        contexts: &Bound<'_, PyAny>,
        seed: Option<&Bound<'_, PyAny>>,
        greedy: Option<&Bound<'_, PyAny>>,
        temperature: Option<&Bound<'_, PyAny>>,
        observation_space: Option<&Bound<'_, PyAny>>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let count = whole("contexts", contexts, 1..=MAX_CONTEXTS)?;
        let threads = threads.map_or(Ok(1), |threads| whole("threads", threads, 1..=1024))?;
        let first = seed.map_or(Ok(0), self::seed)?;
        let weights = Weights::open(model, sampling(greedy, temperature)?)?;
        let context = |place: i64| {
            let rng = PortableRng::new(first.wrapping_add(place as u64), 0);
            Ok(Context { agent: weights.agent()?, rng, words: Vec::new(), awaits_feedback: false })
        };
        let contexts = Mutex::new((0..count).map(context).collect::<PyResult<_>>()?);
        let threads = (threads > 1).then(|| Threads::new(threads as usize)).transpose();
        let threads = threads.map_err(error::exception)?;
        let coding = Coding::new(weights.interface.clone(), observation_space)?;
        Ok(Self { weights, coding, contexts, threads })
    }

    /// Chooses an action for the observation of each context: an array whose first axis is the contexts,
    /// or a sequence of observations. The actions, an int64 array.
    fn act<'py>(
        slf: &Bound<'py, Self>,
        py: Python<'py>,
        observations: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        let advice =
            "act was called again before feedback: call feedback(rewards, dones) for the last actions, or \
                      reset() to forget everything";
        batch.refuse_out_of_turn(false, advice)?;
        let items = one_each("observations", observations, batch.contexts().len())?;
        let contexts = batch.contexts.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (place, (context, item)) in contexts.iter_mut().zip(&items).enumerate() {
            batch.coding.read(&format!("observations[{place}]"), item, &mut context.words)?;
        }
        let actions = batch.each(py, |_, context| {
            let action = context.agent.act(&context.words, &mut context.rng)?;
            context.awaits_feedback = true;
            Ok(action as i64)
        })?;
        Ok(PyArray1::from_vec(py, actions))
    }

    /// Says what the last action of each context brought. Observations after the action are read where it
    /// ended an episode.
    #[pyo3(signature = (rewards, dones, next_observations=None))]
    fn feedback(
        slf: &Bound<'_, Self>,
        py: Python<'_>,
        rewards: &Bound<'_, PyAny>,
        dones: &Bound<'_, PyAny>,
        next_observations: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        batch.refuse_out_of_turn(true, "feedback was called before act: call act(observations) first")?;
        let count = batch.contexts().len();
        let rewards = one_each("rewards", rewards, count)?;
        let dones = one_each("dones", dones, count)?;
        let mut outcomes = Vec::with_capacity(count);
        for (given, done) in rewards.iter().zip(&dones) {
            let reward = self::reward(given)?;
            if reward.is_nan() {
                return Err(error::argument(
                    "rewards",
                    format!("[{}] is NaN, expected a number", outcomes.len()),
                ));
            }
            outcomes.push(Outcome { reward, done: flag("dones", done)? });
        }
        let next = next_observations.map(|next| one_each("next_observations", next, count)).transpose()?;
        let contexts = batch.contexts.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (place, (context, outcome)) in contexts.iter_mut().zip(&outcomes).enumerate() {
            context.words.clear();
            if let Some(next) = next.as_ref().filter(|_| outcome.done) {
                let name = format!("next_observations[{place}]");
                batch.coding.read(&name, &next[place], &mut context.words)?;
            }
        }
        batch
            .each(py, |place, context| {
                let Outcome { reward, done } = outcomes[place];
                context.agent.feedback(reward, done.then_some(&context.words))?;
                context.awaits_feedback = false;
                Ok(())
            })
            .map(drop)
    }

    /// Empties the contexts with these numbers, all of them unless told. Their random numbers go on.
    #[pyo3(signature = (contexts=None))]
    fn reset(slf: &Bound<'_, Self>, contexts: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        let count = batch.contexts().len();
        let numbers = match contexts {
            None => (0..count).collect(),
            Some(given) => {
                let last = count as i64 - 1;
                let number =
                    |item: PyResult<Bound<'_, PyAny>>| Ok(whole("contexts", &item?, 0..=last)? as usize);
                let Ok(items) = given.try_iter() else {
                    let problem = format!("is {}, expected a list of numbers of contexts", shown(given));
                    return Err(error::argument("contexts", problem));
                };
                items.map(number).collect::<PyResult<Vec<usize>>>()?
            }
        };
        for number in numbers {
            let context = &mut batch.contexts()[number];
            context.agent.reset();
            context.awaits_feedback = false;
        }
        Ok(())
    }

    /// What `Agent.snapshot` gives of each context; an `Agent` can go on from one, too.
    fn snapshots<'py>(slf: &Bound<'py, Self>, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        let contexts = batch.contexts().iter();
        contexts.map(|context| crate::agent::snapshot(py, &context.agent, &context.rng)).collect()
    }

    /// Logits of the last step of each context, as `Agent.logits`: int32 of shape [contexts, actions].
    #[getter]
    fn logits<'py>(slf: &Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        let actions = usize::from(batch.weights.interface.actions);
        let all: Vec<i32> = batch.contexts().iter().flat_map(|context| context.agent.logits_q16()).collect();
        PyArray1::from_vec(py, all).call_method1("reshape", ((batch.contexts().len(), actions),))
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        Ok(batch.contexts().len())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut batch = idle(slf)?;
        let batch = &mut *batch;
        let contexts = batch.contexts().len();
        Ok(format!("AgentBatch({:?}, {contexts}, {})", batch.weights.name, batch.weights.sampling_words()))
    }
}

/// The batch, unless another thread is in it: threads of Python may share one.
fn idle<'py>(batch: &Bound<'py, AgentBatch>) -> PyResult<PyRefMut<'py, AgentBatch>> {
    batch.try_borrow_mut().map_err(|_| {
        OrderError::new_err(
            "another thread is in a call of this AgentBatch: give each thread a batch of its own, or a lock",
        )
    })
}

/// The items of a sequence or array, one for each context.
fn one_each<'py>(name: &str, values: &Bound<'py, PyAny>, count: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let Ok(found) = values.len() else {
        let problem = format!("is {}, expected an item for each of {count} contexts", shown(values));
        return Err(error::argument(name, problem));
    };
    if found != count {
        return Err(error::argument(
            name,
            format!("has {found} items, expected one for each of {count} contexts"),
        ));
    }
    values.try_iter()?.collect()
}
