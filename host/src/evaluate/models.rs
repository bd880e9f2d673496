//! Models as learners: the int8 agent that firmware runs, and the float model it was quantized from.

use super::policy::{Learner, Policy};
use crate::environment::EnvironmentConfig;
use crate::model::FloatAgent;
use crate::model::Parameters;
use crate::{files, Error, Result};
use algodistill_core::{Agent, Model, PortableRng, Sampling};
use std::path::{Path, PathBuf};

/// Largest weights file: what the largest dimensions of the format come to, 0.94 GB, with room for a card.
pub const MAX_WEIGHTS_BYTES: u64 = 1 << 30;

/// A weights file (`.adw`) in memory.
#[derive(Clone, Debug)]
pub struct Int8Model {
    path: PathBuf,
    bytes: Vec<u8>,
    sampling: Sampling,
}

impl Int8Model {
    /// Reads and validates a weights file. `sampling` says how actions are chosen.
    pub fn read(path: &Path, sampling: Sampling) -> Result<Self> {
        let model = Self { path: path.into(), bytes: files::read_bytes(path, MAX_WEIGHTS_BYTES)?, sampling };
        model.decode()?;
        Ok(model)
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file in bytes.
    pub fn file_len(&self) -> usize {
        self.bytes.len()
    }

    /// The model, borrowing from the file's bytes.
    pub fn decode(&self) -> Result<Model<'_>> {
        Model::decode(&self.bytes).map_err(|error| self.error(error))
    }

    /// Refuses an environment, called `name`, that the model cannot act in.
    pub fn check_interface(&self, name: &str, environment: &EnvironmentConfig) -> Result<()> {
        if *self.decode()?.interface() == environment.interface()? {
            return Ok(());
        }
        let problem = format!("{name} has other observations or actions than {}", self.path.display());
        Err(Error::argument("environment", problem))
    }

    /// Runs `body` with an agent that has an empty context.
    pub fn with_agent<T>(&self, body: impl FnOnce(Int8Policy) -> Result<T>) -> Result<T> {
        let model = self.decode()?;
        let mut workspace = vec![0; model.workspace_words()];
        let mut agent = Agent::new(model, &mut workspace).map_err(|error| self.error(error))?;
        agent.set_sampling(self.sampling).map_err(|error| Error::argument("temperature", error))?;
        body(Int8Policy { agent, path: &self.path })
    }

    fn error(&self, error: algodistill_core::Error) -> Error {
        Error::file(&self.path, error)
    }
}

impl Learner for Int8Model {
    fn in_context(&self, _task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()> {
        self.with_agent(|mut policy| body(&mut policy))
    }
}

/// The int8 agent in one context.
pub struct Int8Policy<'a> {
    agent: Agent<'a>,
    path: &'a Path,
}

impl Int8Policy<'_> {
    /// Logits of the last action, one an action.
    pub fn logits(&self) -> impl Iterator<Item = f32> + '_ {
        // Q16.16
        self.agent.logits().iter().map(|logit| *logit as f32 / 65_536.0)
    }

    fn error(&self, error: algodistill_core::Error) -> Error {
        Error::file(self.path, error)
    }
}

impl Policy for Int8Policy<'_> {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        self.agent.act(observation, rng).map_err(|error| self.error(error))
    }

    fn feedback(&mut self, reward: f32, done: bool) -> Result<()> {
        self.agent.feedback(reward, done).map_err(|error| self.error(error))
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.agent.demonstrate(observation, action).map_err(|error| self.error(error))
    }
}

/// The parameters before quantization.
#[derive(Clone, Debug)]
pub struct FloatModel {
    /// The parameters.
    pub parameters: Parameters,
    /// How actions are chosen.
    pub sampling: Sampling,
}

impl Learner for FloatModel {
    fn in_context(&self, _task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()> {
        let temperature = match self.sampling {
            Sampling::Temperature(temperature) => temperature,
            Sampling::Greedy => 0.0,
        };
        body(&mut FloatPolicy { agent: FloatAgent::new(&self.parameters), temperature })
    }
}

/// The float model in one context.
struct FloatPolicy<'a> {
    agent: FloatAgent<'a>,
    /// 0 is greedy.
    temperature: f32,
}

impl Policy for FloatPolicy<'_> {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        Ok(self.agent.act(observation, self.temperature, rng))
    }

    fn feedback(&mut self, reward: f32, done: bool) -> Result<()> {
        self.agent.feedback(reward, done);
        Ok(())
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.agent.demonstrate(observation, action);
        Ok(())
    }
}
