//! The environments of the library: those that models are shipped for.

use crate::error::{exception, ArgumentError};
use algodistill::environment::{self, AnyTask, EnvironmentConfig, Episode, Expert};
use algodistill::parameters::Parameters;
use algodistill::source::Outcome;
use algodistill_core::{Environment as _, PortableRng};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Stream of the seed that an expert breaks ties with; the environment has stream 0, as in a trace.
const EXPERT_STREAM: u64 = 2;

/// Names of all presets.
#[pyfunction]
pub fn presets() -> Vec<&'static str> {
    environment::presets()
}

/// A task of an environment, at work.
#[pyclass]
pub struct Task {
    config: EnvironmentConfig,
    number: u32,
    words: usize,
    // A lock that nobody waits for: a task can be sent to another thread, not shared.
    state: Mutex<State>,
}

struct State {
    task: Box<dyn AnyTask>,
    expert: Option<Box<dyn Expert>>,
    rng: PortableRng,
    expert_rng: PortableRng,
    episode: Episode,
    is_over: bool,
}

/// The expert of a task, at the beginning of a context.
fn expert(config: &EnvironmentConfig, task: u32) -> PyResult<Option<Box<dyn Expert>>> {
    let mut expert = config.expert(task).map_err(exception)?;
    if let Some(expert) = &mut expert {
        expert.begin_context();
    }
    Ok(expert)
}

#[pymethods]
impl Task {
    /// Task `number` of a preset, with parameters in JSON in place of its own.
    #[new]
    fn new(preset: &str, number: u32, parameters: &str) -> PyResult<Self> {
        let parameters: Parameters = serde_json::from_str(parameters)
            .map_err(|error| ArgumentError::new_err(format!("set: {error}")))?;
        let config = EnvironmentConfig::preset(preset).and_then(|preset| preset.with(&parameters));
        let config = config.map_err(exception)?;
        let task = config.task(number).map_err(exception)?;
        let expert = expert(&config, number)?;
        let words = config.interface().map_err(exception)?.observation_len();
        let rng = |stream| PortableRng::new(0, stream);
        let (rng, expert_rng) = (rng(0), rng(EXPERT_STREAM));
        let state = State { task, expert, rng, expert_rng, episode: Episode::default(), is_over: true };
        Ok(Self { config, number, words, state: Mutex::new(state) })
    }

    /// What is seen and done, in JSON: channels, actions and reward levels.
    #[getter]
    fn interface(&self) -> PyResult<String> {
        let interface = self.config.interface().map_err(exception)?;
        serde_json::to_string(&interface).map_err(|error| ArgumentError::new_err(error.to_string()))
    }

    /// What the environment is, for people.
    #[getter]
    fn title(&self) -> String {
        self.config.describe()
    }

    /// Number of tasks; `None` where there is no end to them.
    #[getter]
    fn task_count(&self) -> Option<u32> {
        self.config.task_count()
    }

    /// Largest expected return of an episode, where it is known.
    #[getter]
    fn optimal_return(&self) -> PyResult<Option<f64>> {
        self.config.optimal_return(self.number).map_err(exception)
    }

    /// Expected return of an episode of random actions, where it is known.
    #[getter]
    fn random_return(&self) -> PyResult<Option<f64>> {
        self.config.random_return(self.number).map_err(exception)
    }

    /// The state of the random numbers.
    #[getter]
    fn get_random_state(&mut self) -> [u32; 4] {
        self.state().rng.state()
    }

    #[setter]
    fn set_random_state(&mut self, state: [u32; 4]) {
        self.state().rng = PortableRng::from_state(state);
    }

    /// Begins the random numbers of a seed.
    fn seed(&mut self, seed: u64) -> PyResult<()> {
        let expert = expert(&self.config, self.number)?;
        let state = self.state();
        state.expert = expert;
        state.rng = PortableRng::new(seed, 0);
        state.expert_rng = PortableRng::new(seed, EXPERT_STREAM);
        Ok(())
    }

    /// Begins an episode: the words of what is observed.
    fn reset(&mut self) -> PyResult<Vec<i32>> {
        let words = self.words;
        if !self.state().is_over {
            // It would go on as if the episode did.
            let expert = expert(&self.config, self.number)?;
            self.state().expert = expert;
        }
        let state = self.state();
        state.task.reset(&mut state.rng);
        state.episode = Episode::default();
        state.is_over = false;
        Ok(state.observe(words))
    }

    /// Acts: the words of what is observed then, the reward, and whether the episode ended.
    fn step(&mut self, action: usize) -> (Vec<i32>, f32, bool) {
        let words = self.words;
        let state = self.state();
        let transition = state.task.step(action, &mut state.rng);
        state.is_over = transition.done;
        state.episode.actions.push(action);
        state.episode.rewards.push(transition.reward);
        let observed = state.observe(words);
        if let Some(expert) = &mut state.expert {
            let (reward, done) = (transition.reward, transition.done);
            expert.learn(&Outcome { action, reward, next_observation: &observed, done });
        }
        (observed, transition.reward, transition.done)
    }

    /// An action that is optimal now, where one is known.
    fn optimal_action(&mut self) -> Option<usize> {
        let state = self.state();
        let observation = state.episode.observations.last()?;
        Some(state.expert.as_mut()?.act(observation, &mut state.expert_rng))
    }

    /// The task and the episode so far as text, where there is a drawing of them.
    fn draw(&mut self) -> Option<String> {
        let state = self.state();
        state.task.draw(&state.episode).map(|drawing| drawing.plain())
    }
}

impl Task {
    fn state(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn observe(&mut self, words: usize) -> Vec<i32> {
        let mut observed = vec![0; words];
        self.task.observe(&mut observed);
        self.episode.observations.push(observed.clone());
        observed
    }
}
