//! Environments on the host: one file per environment says what the host knows beyond the dynamics
//! in `algodistill_core::env` (references, expert, drawing, defaults).
//!
//! The list is that of the core, [`algodistill_core::environments!`]; a program adds an environment
//! of its own with [`register`].

use crate::parameters::{fields, refused, replace, Parameters};
use crate::registry::Registry;
use crate::source::Outcome;
use crate::{Error, Result};
use algodistill_core::{Environment, Family, Interface, PortableRng};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

mod drawing;
pub(crate) mod rooms;
mod several;
mod split;
#[cfg(test)]
mod testing;
mod trajectory;

pub use drawing::{Drawing, Tint};
pub(crate) use split::shuffle;
pub use split::TaskSplit;
pub use trajectory::{Mark, Trajectory};

/// What the host knows of an environment. Only [`Simulation::describe`] and
/// [`Simulation::defaults`] must be there: an environment without a known optimum or expert is
/// evaluated against what remains.
pub trait Simulation: Family<Task: Send> + Serialize + DeserializeOwned + Send + Sync {
    /// The environment with its parameters, for a title: `Dark Room 9x9, 20 steps`.
    fn describe(&self) -> String;

    /// How many tasks, histories and episodes are usual.
    fn defaults(&self) -> Defaults;

    /// Name of an action, for people.
    fn action_name(&self, action: usize) -> String {
        format!("action {action}")
    }

    /// For learners with tables of states: where they cut word number `word` of an observation, a
    /// number of a vector channel: the least number of each bin but the first, ascending. `None`
    /// where nobody said.
    fn bins(&self, _word: usize) -> Option<Vec<i32>> {
        None
    }

    /// Largest expected return of an episode of `task` (exact), where it is known.
    fn optimal_return(&self, _task: &Self::Task) -> Option<f64> {
        None
    }

    /// Expected return of an episode of `task` under uniformly random actions (exact), where it is
    /// known.
    fn random_return(&self, _task: &Self::Task) -> Option<f64> {
        None
    }

    /// An optimal policy of `task`, told the task: for demonstrations, labels and noise
    /// distillation.
    fn expert(&self, _task: &Self::Task) -> Option<Box<dyn Expert>> {
        None
    }

    /// Mean return over all tasks, episode by episode, of the ideal in-context learner, where one
    /// is known. After the last one the return stays as it is.
    fn ideal(&self) -> Option<Vec<f64>> {
        None
    }

    /// The part of the horizon that an episode takes in the mean, where what pays ends it early: how long
    /// experiments take is estimated by it.
    fn part_of_horizon(&self) -> f64 {
        1.0
    }

    /// `task` after `episode`, for people who watch: it may show what the model does not see.
    fn draw(&self, _task: &Self::Task, _episode: &Episode) -> Option<Drawing> {
        None
    }

    /// An `episode` of `task` from above, for the figures of an evaluation; `None` where there is no
    /// above.
    fn trajectory(&self, _task: &Self::Task, _episode: &Episode) -> Option<Trajectory> {
        None
    }
}

/// How many tasks, histories and episodes are usual in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Training tasks; `None` is all that are not held out.
    pub tasks: Option<u32>,
    /// Held-out tasks.
    pub held_out: u32,
    /// Histories of each training task.
    pub histories_per_task: u32,
    /// Histories of each held-out task, for the validation loss.
    pub held_out_histories_per_task: u32,
    /// Episodes of a history.
    pub episodes: u32,
    /// Evaluation: contexts of each task.
    pub runs: u32,
    /// Evaluation: episodes of each context.
    pub context_episodes: u32,
}

/// A policy that is told its task. It may have a memory: it sees what came of every action.
pub trait Expert: Send {
    /// Forgets the episodes before: a new context begins.
    fn begin_context(&mut self) {}

    /// An optimal action where `observation` is seen.
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize;

    /// What followed an action, its own or somebody else's.
    fn learn(&mut self, _outcome: &Outcome) {}

    /// Episodes went by that it did not see: histories keep only some.
    fn skip_episodes(&mut self, _count: u32) {}
}

/// What happened in an episode so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// Observations, the current one last: one more than the actions.
    pub observations: Vec<Vec<i32>>,
    /// The actions.
    pub actions: Vec<usize>,
    /// Their rewards.
    pub rewards: Vec<f32>,
}

impl Episode {
    /// Sum of the rewards so far.
    pub fn total(&self) -> f32 {
        self.rewards.iter().sum()
    }
}

/// A task at work, of whichever environment.
pub trait AnyTask: Environment + Send {
    /// As [`Simulation::draw`].
    fn draw(&self, episode: &Episode) -> Option<Drawing>;

    /// As [`Simulation::trajectory`].
    fn trajectory(&self, episode: &Episode) -> Option<Trajectory>;

    /// The task as it is now.
    fn boxed_clone(&self) -> Box<dyn AnyTask>;
}

impl Environment for Box<dyn AnyTask> {
    fn reset(&mut self, rng: &mut PortableRng) {
        (**self).reset(rng);
    }

    fn observe(&self, observation: &mut [i32]) {
        (**self).observe(observation);
    }

    fn step(&mut self, action: usize, rng: &mut PortableRng) -> algodistill_core::Transition {
        (**self).step(action, rng)
    }
}

impl Clone for Box<dyn AnyTask> {
    fn clone(&self) -> Self {
        (**self).boxed_clone()
    }
}

#[derive(Clone)]
struct Running<F: Simulation> {
    family: F,
    task: F::Task,
}

impl<F: Simulation> Environment for Running<F> {
    fn reset(&mut self, rng: &mut PortableRng) {
        self.task.reset(rng);
    }

    fn observe(&self, observation: &mut [i32]) {
        self.task.observe(observation);
    }

    fn step(&mut self, action: usize, rng: &mut PortableRng) -> algodistill_core::Transition {
        self.task.step(action, rng)
    }
}

impl<F: Simulation> AnyTask for Running<F> {
    fn draw(&self, episode: &Episode) -> Option<Drawing> {
        self.family.draw(&self.task, episode)
    }

    fn trajectory(&self, episode: &Episode) -> Option<Trajectory> {
        self.family.trajectory(&self.task, episode)
    }

    fn boxed_clone(&self) -> Box<dyn AnyTask> {
        Box::new(self.clone())
    }
}

/// [`Simulation`] without its type; implemented for all of them.
trait AnySimulation: Any + fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn fields(&self) -> Map<String, Value>;
    /// The struct of the parameters.
    fn parameters(&self) -> &dyn Any;
    fn check(&self) -> Result<()>;
    fn interface(&self) -> Interface;
    fn horizon(&self) -> u32;
    fn task_count(&self) -> Option<u32>;
    fn describe(&self) -> String;
    fn defaults(&self) -> Defaults;
    fn action_name(&self, action: usize) -> String;
    fn bins(&self, word: usize) -> Option<Vec<i32>>;
    fn ideal(&self) -> Option<Vec<f64>>;
    fn part_of_horizon(&self) -> f64;
    /// `None` past the last task, as in the methods below.
    fn task(&self, task: u32) -> Option<Box<dyn AnyTask>>;
    fn optimal_return(&self, task: u32) -> Option<Option<f64>>;
    fn random_return(&self, task: u32) -> Option<Option<f64>>;
    fn expert(&self, task: u32) -> Option<Option<Box<dyn Expert>>>;
}

impl<F: Simulation> AnySimulation for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn fields(&self) -> Map<String, Value> {
        fields(self)
    }

    fn parameters(&self) -> &dyn Any {
        self
    }

    fn check(&self) -> Result<()> {
        Family::check(self).map_err(|error| refused("environment", self, error))
    }

    fn interface(&self) -> Interface {
        Family::interface(self)
    }

    fn horizon(&self) -> u32 {
        Family::horizon(self)
    }

    fn task_count(&self) -> Option<u32> {
        Family::task_count(self)
    }

    fn describe(&self) -> String {
        Simulation::describe(self)
    }

    fn defaults(&self) -> Defaults {
        Simulation::defaults(self)
    }

    fn action_name(&self, action: usize) -> String {
        Simulation::action_name(self, action)
    }

    fn bins(&self, word: usize) -> Option<Vec<i32>> {
        Simulation::bins(self, word)
    }

    fn ideal(&self) -> Option<Vec<f64>> {
        Simulation::ideal(self)
    }

    fn part_of_horizon(&self) -> f64 {
        Simulation::part_of_horizon(self)
    }

    fn task(&self, task: u32) -> Option<Box<dyn AnyTask>> {
        let task = Family::task(self, task)?;
        Some(Box::new(Running { family: self.clone(), task }))
    }

    fn optimal_return(&self, task: u32) -> Option<Option<f64>> {
        Family::task(self, task).map(|task| Simulation::optimal_return(self, &task))
    }

    fn random_return(&self, task: u32) -> Option<Option<f64>> {
        Family::task(self, task).map(|task| Simulation::random_return(self, &task))
    }

    fn expert(&self, task: u32) -> Option<Option<Box<dyn Expert>>> {
        Family::task(self, task).map(|task| Simulation::expert(self, &task))
    }
}

/// An environment with parameters from outside.
type Replaced = Result<Arc<dyn AnySimulation>>;

/// How an environment is found by its name.
struct Entry {
    name: &'static str,
    presets: fn() -> Vec<&'static str>,
    preset: fn(&str) -> Option<Arc<dyn AnySimulation>>,
    replace: fn(Map<String, Value>, &Parameters) -> Replaced,
}

impl Entry {
    const fn of<F: Simulation>() -> Self {
        Self {
            name: F::NAME,
            presets: || F::PRESETS.iter().map(|preset| preset.0).collect(),
            preset: |name| {
                let preset = F::PRESETS.iter().find(|preset| preset.0 == name)?;
                Some(Arc::new(preset.1.clone()))
            },
            replace: |base, parameters| {
                let family: F = replace("environment", F::NAME, base, parameters)?;
                Ok(Arc::new(family))
            },
        }
    }
}

macro_rules! built_in {
    ($($module:ident::$family:ident),+ $(,)?) => {
        $(pub(crate) mod $module;)+

        /// The environments of the list, and what programs added.
        static ENVIRONMENTS: Registry<Entry> =
            Registry::new(&[$(Entry::of::<algodistill_core::env::$module::$family>()),+]);
    };
}

algodistill_core::environments!(built_in);

/// Adds an environment to the list of this process: its presets can then be named wherever a preset
/// can, and files that mention it be read.
///
/// # Errors
/// [`Error::Argument`] where the name of the environment or of one of its presets is taken.
pub fn register<F: Simulation>() -> Result<()> {
    let names = |entry: &Entry| [vec![entry.name], (entry.presets)()].concat();
    let entry = Entry::of::<F>();
    let added = match names(&entry).contains(&CUSTOM) {
        true => Err(CUSTOM),
        false => ENVIRONMENTS.add(entry, names),
    };
    added.map_err(|name| Error::argument("environment", format!("there is already one called {name}")))
}

/// Names of all presets, environment by environment.
pub fn presets() -> Vec<&'static str> {
    ENVIRONMENTS.names(|entry| (entry.presets)())
}

/// An environment and its parameters, as written in configurations and cards: the fields of its
/// struct in the core, and `name`.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Simulated(Arc<dyn AnySimulation>),
    /// Known only through learning histories that another program wrote: it can be trained on, not
    /// simulated.
    Custom(Interface),
}

impl<F: Simulation> From<F> for EnvironmentConfig {
    fn from(family: F) -> Self {
        Self(Kind::Simulated(Arc::new(family)))
    }
}

impl PartialEq for EnvironmentConfig {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl Serialize for EnvironmentConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EnvironmentConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let name = match fields.remove("name") {
            Some(Value::String(name)) => name,
            _ => return Err(D::Error::missing_field("name")),
        };
        if name == CUSTOM {
            let interface = fields.remove("interface").ok_or(D::Error::missing_field("interface"))?;
            if let Some(field) = fields.keys().next() {
                return Err(D::Error::unknown_field(field, &["interface"]));
            }
            return Interface::deserialize(interface).map(Self::custom).map_err(D::Error::custom);
        }
        let made = ENVIRONMENTS.find(|entry| {
            (entry.name == name).then(|| (entry.replace)(fields.clone(), &Parameters::default()))
        });
        let made = made.unwrap_or_else(|| Err(unknown(&name))).map_err(D::Error::custom)?;
        Ok(Self(Kind::Simulated(made)))
    }
}

/// Name of an environment without a simulator.
const CUSTOM: &str = "custom";

fn unknown(name: &str) -> Error {
    let known = presets().join(", ");
    Error::argument("environment", format!("unknown name {name:?}; known are {known}"))
}

impl EnvironmentConfig {
    /// The environment called `name`, one of [`presets`].
    ///
    /// # Errors
    /// [`Error::Argument`] that lists the names.
    pub fn preset(name: &str) -> Result<Self> {
        let preset = ENVIRONMENTS.find(|entry| (entry.preset)(name)).ok_or_else(|| unknown(name))?;
        Ok(Self(Kind::Simulated(preset)))
    }

    /// An environment that is known only through its learning histories.
    pub fn custom(interface: Interface) -> Self {
        Self(Kind::Custom(interface))
    }

    /// This environment with other parameters, validated.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field `environment.field`.
    pub fn with(&self, parameters: &Parameters) -> Result<Self> {
        let changed = match &self.0 {
            Kind::Simulated(simulation) => ENVIRONMENTS
                .find(|entry| {
                    (entry.name == simulation.name())
                        .then(|| (entry.replace)(simulation.fields(), parameters))
                })
                .unwrap_or_else(|| Err(unknown(simulation.name())))?,
            Kind::Custom(_) if parameters.is_empty() => return Ok(self.clone()),
            Kind::Custom(_) => {
                return Err(Error::argument("environment", "custom has no parameters to set"));
            }
        };
        let changed = Self(Kind::Simulated(changed));
        changed.validate()?;
        Ok(changed)
    }

    /// The fields as they are written, `name` among them.
    pub fn fields(&self) -> Map<String, Value> {
        let mut all = match &self.0 {
            Kind::Simulated(simulation) => simulation.fields(),
            Kind::Custom(interface) => {
                let interface = serde_json::to_value(interface).unwrap_or_default();
                Map::from_iter([("interface".to_owned(), interface)])
            }
        };
        all.insert("name".into(), self.name().into());
        all
    }

    /// The name of the preset with these parameters, or else of the environment.
    pub fn preset_name(&self) -> &'static str {
        let is_it = |name: &&str| Self::preset(name).is_ok_and(|preset| preset == *self);
        presets().into_iter().find(is_it).unwrap_or(self.name())
    }

    /// The parameters, where this is the environment of type `F`.
    pub fn family<F: Simulation>(&self) -> Option<&F> {
        match &self.0 {
            Kind::Simulated(simulation) => simulation.parameters().downcast_ref(),
            Kind::Custom(_) => None,
        }
    }

    /// The name of the environment, as in the field `name` of a configuration.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Simulated(simulation) => simulation.name(),
            Kind::Custom(_) => CUSTOM,
        }
    }

    /// Refuses parameters that describe no environment.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field `environment.field`.
    pub fn validate(&self) -> Result<()> {
        match &self.0 {
            Kind::Simulated(simulation) => simulation.check(),
            Kind::Custom(interface) if interface.is_valid() => Ok(()),
            Kind::Custom(_) => {
                Err(Error::argument("environment.interface", "is outside the limits of the model"))
            }
        }
    }

    /// What an agent sees and does: the same for every task.
    pub fn interface(&self) -> Result<Interface> {
        self.validate()?;
        Ok(match &self.0 {
            Kind::Simulated(simulation) => simulation.interface(),
            Kind::Custom(interface) => interface.clone(),
        })
    }

    /// Steps of an episode; `None` for an environment known only through its histories.
    pub fn horizon(&self) -> Option<u32> {
        self.simulation().ok().map(AnySimulation::horizon)
    }

    /// Number of tasks; `None` where there is no end to them. An environment without a simulator
    /// has none.
    pub fn task_count(&self) -> Option<u32> {
        self.simulation().map_or(Some(0), AnySimulation::task_count)
    }

    /// As [`Simulation::describe`].
    pub fn describe(&self) -> String {
        self.simulation().map_or("Custom environment".into(), AnySimulation::describe)
    }

    /// As [`Simulation::defaults`].
    pub fn defaults(&self) -> Result<Defaults> {
        Ok(self.simulation()?.defaults())
    }

    /// As [`Simulation::action_name`].
    pub fn action_name(&self, action: usize) -> String {
        self.simulation().map_or(format!("action {action}"), |simulation| simulation.action_name(action))
    }

    /// As [`Simulation::bins`].
    pub fn bins(&self, word: usize) -> Option<Vec<i32>> {
        self.simulation().ok()?.bins(word)
    }

    /// As [`Simulation::ideal`].
    pub fn ideal(&self) -> Option<Vec<f64>> {
        self.simulation().ok()?.ideal()
    }

    /// As [`Simulation::part_of_horizon`].
    pub fn part_of_horizon(&self) -> f64 {
        self.simulation().map_or(1.0, |simulation| simulation.part_of_horizon())
    }

    /// Task number `task`, ready to be reset.
    pub fn task(&self, task: u32) -> Result<Box<dyn AnyTask>> {
        self.of_task(task, |simulation| simulation.task(task))
    }

    /// As [`Simulation::optimal_return`]; not known of an environment without a simulator.
    pub fn optimal_return(&self, task: u32) -> Result<Option<f64>> {
        if matches!(self.0, Kind::Custom(_)) {
            return Ok(None);
        }
        self.of_task(task, |simulation| simulation.optimal_return(task))
    }

    /// As [`Simulation::random_return`].
    pub fn random_return(&self, task: u32) -> Result<Option<f64>> {
        self.of_task(task, |simulation| simulation.random_return(task))
    }

    /// As [`Simulation::expert`].
    pub fn expert(&self, task: u32) -> Result<Option<Box<dyn Expert>>> {
        self.of_task(task, |simulation| simulation.expert(task))
    }

    fn simulation(&self) -> Result<&dyn AnySimulation> {
        match &self.0 {
            Kind::Simulated(simulation) => Ok(&**simulation),
            Kind::Custom(_) => {
                Err(Error::argument("environment", "custom has no simulator: it cannot be run"))
            }
        }
    }

    /// What `body` finds of a task that exists.
    fn of_task<T>(&self, task: u32, body: impl FnOnce(&dyn AnySimulation) -> Option<T>) -> Result<T> {
        self.validate()?;
        let simulation = self.simulation()?;
        body(simulation).ok_or_else(|| self.no_task(task))
    }

    /// The error of a task beyond the last one.
    pub(crate) fn no_task(&self, task: u32) -> Error {
        let last = self.task_count().map_or(u32::MAX, |count| count.saturating_sub(1));
        Error::argument("task", format!("is {task}, but {} has tasks 0 to {last}", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::env::dark_room::{DarkRoom, GoalReward};

    #[test]
    fn configurations_are_read_strictly() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let text = serde_json::to_string(&room).unwrap();
        assert_eq!(
            text,
            r#"{"horizon":20,"name":"dark-room","reward":"every-step","size":9,"start":"centre"}"#
        );
        let read = |text: &str| serde_json::from_str::<EnvironmentConfig>(text);
        assert_eq!(read(&text).unwrap(), room);
        for (from, to, expected) in [
            ("\"size\"", "\"sise\"", "sise"),
            ("}", r#","extra":1}"#, "extra"),
            ("dark-room", "dark-rom", "bandit-one-good-arm"),
            ("\"centre\"", "[1]", "[row, column]"),
        ] {
            let problem = read(&text.replace(from, to)).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        // Cards of version 0.1.0.
        let old = text.replace("\"centre\"", "[4,4]");
        assert_eq!(
            toml::from_str::<EnvironmentConfig>(&toml::to_string(&read(&old).unwrap()).unwrap()).unwrap(),
            read(&old).unwrap()
        );
    }

    #[test]
    fn parameters_are_set_by_name_and_refused_by_name() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let set = |text: &str| {
            let assignments = text.split_whitespace().map(|one| one.parse().unwrap());
            room.with(&assignments.collect())
        };
        let found = set("size=5 reward=once start=0,1").unwrap();
        let family = found.family::<DarkRoom>().unwrap();
        assert_eq!((family.size, family.reward), (5, GoalReward::Once));
        assert_eq!(found.preset_name(), "dark-room");
        assert_eq!(EnvironmentConfig::from(DarkRoom::HARD).preset_name(), "dark-room-hard");
        for (text, expected) in [
            ("arms=3", "environment.arms: is not a parameter of dark-room; it has horizon, reward, size"),
            ("size=1", "environment.size: is 1, expected 2 to 128"),
            ("start=9,9", "environment.start: is [9,9], expected a cell of the room"),
            ("reward=twice", "environment.reward: is \"twice\", expected every-step or once"),
        ] {
            let problem = set(text).unwrap_err().to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert!(room.task(81).err().unwrap().to_string().contains("tasks 0 to 80"));
    }
}
