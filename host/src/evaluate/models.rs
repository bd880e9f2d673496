//! Models as learners: the int8 agent that firmware runs, and the float model it was quantized
//! from.

use super::policy::{Learner, Policy};
use crate::environment::EnvironmentConfig;
use crate::export::{OwnedAgent, TrainingCard, MAX_WEIGHTS_BYTES};
use crate::history::difference;
use crate::model::FloatAgent;
use crate::model::Parameters;
use crate::train::objective::{DecisionTransformer, Objective};
use crate::{files, Error, Result};
use algodistill_core::{Interface, Model, PortableRng, Sampling};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A weights file (`.adw`) in memory.
#[derive(Clone, Debug)]
pub struct Int8Model {
    path: PathBuf,
    bytes: Arc<[u8]>,
    sampling: Sampling,
    goal: Option<DecisionTransformer>,
}

impl Int8Model {
    /// Reads and validates a weights file. `sampling` says how actions are chosen.
    pub fn read(path: &Path, sampling: Sampling) -> Result<Self> {
        let bytes = files::read_bytes(path, MAX_WEIGHTS_BYTES)?.into();
        let mut model = Self { path: path.into(), bytes, sampling, goal: None };
        let card = TrainingCard::parse(path, model.decode()?.card()).ok();
        model.goal = card.and_then(|card| card.goal().copied());
        Ok(model)
    }

    /// How it is asked for a return, where its card says that it is.
    pub fn goal(&self) -> Option<DecisionTransformer> {
        self.goal
    }

    /// What it is shown: of a Decision Transformer without the two channels that say what it is asked
    /// for.
    pub fn observed(&self) -> Result<Interface> {
        let mut interface = self.decode()?.interface().clone();
        if self.goal.is_some() {
            interface.channels.truncate(interface.channels.len().saturating_sub(2));
        }
        Ok(interface)
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the other file has the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.bytes == other.bytes
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
        let observed = environment.interface()?;
        let needed = self.goal.map_or(Ok(observed.clone()), |objective| objective.interface(&observed))?;
        let model = self.decode()?;
        let Some(problem) = unlike(model.interface(), name, &needed) else { return Ok(()) };
        let trained_in = TrainingCard::parse(&self.path, model.card())?.environment_names().join(", ");
        let of = if trained_in.is_empty() { trained_in } else { format!("is a model of {trained_in} and ") };
        Err(Error::argument(self.path.display().to_string(), of + &problem))
    }

    /// An agent with an empty context.
    pub fn agent(&self) -> Result<Int8Policy<'_>> {
        let mut agent = OwnedAgent::new(self.bytes.clone()).map_err(|error| self.error(error))?;
        agent.set_sampling(self.sampling).map_err(|error| Error::argument("temperature", error))?;
        Ok(Int8Policy { agent, path: &self.path })
    }

    fn error(&self, error: algodistill_core::Error) -> Error {
        Error::file(&self.path, error)
    }
}

/// Why a model for `interface` cannot act in the environment called `name`, where it would need one
/// for `needed`; `None` where it can.
pub(crate) fn unlike(interface: &Interface, name: &str, needed: &Interface) -> Option<String> {
    let (field, of_model, of_environment) = difference(interface, needed)?;
    let what = match field {
        "interface.channels" => "observations",
        "interface.actions" => "actions",
        _ => "reward levels",
    };
    Some(format!(
        "does not fit {name} as it is to be run: {what} are {of_model} in the model, {of_environment} there; give a \
         model that was trained for that, or another environment"
    ))
}

impl Learner for Int8Model {
    fn in_context(&self, _task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()> {
        body(&mut self.agent()?)
    }
}

/// The int8 agent in one context.
pub struct Int8Policy<'a> {
    agent: OwnedAgent,
    path: &'a Path,
}

impl Int8Policy<'_> {
    /// Logits of the last action, one per action.
    pub fn logits(&self) -> Vec<f32> {
        self.agent.logits()
    }

    fn error(&self, error: algodistill_core::Error) -> Error {
        Error::file(self.path, error)
    }
}

impl Policy for Int8Policy<'_> {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        self.agent.act(observation, rng).map_err(|error| self.error(error))
    }

    fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<()> {
        self.agent.feedback(reward, ended).map_err(|error| self.error(error))
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.agent.demonstrate(observation, action).map_err(|error| self.error(error))
    }

    fn forget(&mut self) {
        self.agent.reset();
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

    fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<()> {
        self.agent.feedback(reward, ended);
        Ok(())
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.agent.demonstrate(observation, action);
        Ok(())
    }

    fn forget(&mut self) {
        self.agent.reset();
    }
}
