//! Source algorithms: the reinforcement learning whose learning histories are distilled.
//!
//! One file per algorithm has the struct of its parameters, an [`Algorithm`], and the learner
//! itself, a [`Source`]; the list is `sources!` below. A program adds an algorithm of its own
//! with [`register`].

use crate::environment::{EnvironmentConfig, Simulation};
use crate::parameters::{fields, refused, replace, Parameters};
use crate::registry::Registry;
use crate::{Error, Result};
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

mod arms;
mod columns;
mod dense_q;
mod networks;
mod pair;
mod sight;
mod solving;
mod states;
mod team;
#[cfg(test)]
mod testing;

pub use columns::{Columns, FinalObservations};
pub use networks::Paid;
pub use pair::{Learning, Pair, Recorded, Run};
pub(crate) use solving::Solving;

macro_rules! sources {
    ($($module:ident::$algorithm:ident),+ $(,)?) => {
        $(pub mod $module;)+

        /// The algorithms of the list, and what programs added.
        static SOURCES: Registry<Entry> = Registry::new(&[$(Entry::of::<$module::$algorithm>()),+]);
    };
}

// The one list of source algorithms: the module and the struct of the parameters. Of those that can
// learn in an environment the first is the default there.
sources! {
    linucb::LinUcb,
    linear_thompson::LinearThompson,
    belief::Belief,
    ucb::Ucb,
    thompson::Thompson,
    epsilon_greedy::EpsilonGreedy,
    sliding_window_ucb::SlidingWindowUcb,
    discounted_thompson::DiscountedThompson,
    psrl::Psrl,
    sweep::Sweep,
    self_tuning::SelfTuning,
    q_learning::QLearning,
    q_lambda::QLambda,
    noise::Noise,
    dqn::Dqn,
    a3c::A3c,
    sac::Sac,
}

/// A source algorithm and its parameters: implemented by the struct of the parameters, which are
/// written with serde under the names of its fields. The defaults are those of [`Default`].
pub trait Algorithm:
    Clone + PartialEq + fmt::Debug + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Name of the algorithm, in kebab case.
    const NAME: &'static str;

    /// Whether every parameter is within its limits.
    ///
    /// # Errors
    /// The first parameter that is not.
    fn check(&self) -> std::result::Result<(), ParameterError> {
        Ok(())
    }

    /// Whether it can learn in an environment that has a simulator and valid parameters.
    fn learns_in(&self, environment: &EnvironmentConfig) -> bool;

    /// The usual length of histories, where the usual one of the environment is `usual`.
    fn schedule(&self, usual: Schedule) -> Schedule {
        usual
    }

    /// Histories of a task that are learned together, as the streams of several actors; at least 1.
    fn actors(&self) -> u32 {
        1
    }

    /// Whether one learner can learn many tasks, another one in every episode: where it knows
    /// nothing of its task but what it sees and earns, and its learner is made with [`pair`] or
    /// [`pair_inlined`].
    fn learns_many_tasks(&self) -> bool {
        false
    }

    /// A learner and its task, number `task` of an environment that it can learn in. What follows a
    /// schedule (of exploration, of noise) follows it over `episodes` episodes.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such task.
    fn learner(&self, environment: &EnvironmentConfig, task: u32, episodes: u32)
        -> Result<Box<dyn Learning>>;
}

/// How long histories are, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Histories of each training task.
    pub histories_per_task: u32,
    /// Episodes of a history.
    pub episodes: u32,
    /// Of these, every `keep_every`-th is kept.
    pub keep_every: u32,
}

/// A learning algorithm on one task: implemented by sources, called by
/// [`crate::history::generate()`] and by evaluation.
///
/// Order of calls: `begin_history`; then for each episode `begin_episode`, and `act` and `learn` in
/// turn until `done`. A source may be used for another history of the same task: `begin_history`
/// forgets everything learned.
pub trait Source {
    /// Starts from no experience.
    fn begin_history(&mut self);

    /// Starts episode number `episode` of the history, counted from 0 without gaps.
    fn begin_episode(&mut self, episode: u32);

    /// Chooses an action where `observation` is seen.
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize;

    /// Learns from what followed the last [`Source::act`].
    fn learn(&mut self, outcome: &Outcome);
}

/// What followed an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// The action.
    pub action: usize,
    /// Its reward.
    pub reward: f32,
    /// What is seen now, before any reset.
    pub next_observation: &'a [i32],
    /// Whether the episode ended.
    pub done: bool,
}

impl<'a> Outcome<'a> {
    /// What was observed at the end of the episode, if this is the end.
    pub fn ended(&self) -> Option<&'a [i32]> {
        self.done.then_some(self.next_observation)
    }
}

/// [`Algorithm`] without its type; implemented for all of them.
trait AnyAlgorithm: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn fields(&self) -> Map<String, Value>;
    fn check(&self) -> Result<()>;
    fn learns_in(&self, environment: &EnvironmentConfig) -> bool;
    fn schedule(&self, usual: Schedule) -> Schedule;
    fn actors(&self) -> u32;
    fn learns_many_tasks(&self) -> bool;
    fn learner(&self, environment: &EnvironmentConfig, task: u32, episodes: u32)
        -> Result<Box<dyn Learning>>;
}

impl<A: Algorithm> AnyAlgorithm for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn fields(&self) -> Map<String, Value> {
        fields(self)
    }

    fn check(&self) -> Result<()> {
        Algorithm::check(self).map_err(|error| refused("source", self, error))
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        Algorithm::learns_in(self, environment)
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        Algorithm::schedule(self, usual)
    }

    fn actors(&self) -> u32 {
        Algorithm::actors(self)
    }

    fn learns_many_tasks(&self) -> bool {
        Algorithm::learns_many_tasks(self)
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        Algorithm::learner(self, environment, task, episodes)
    }
}

/// An algorithm with parameters from outside.
type Replaced = Result<Arc<dyn AnyAlgorithm>>;

/// How an algorithm is found by its name.
struct Entry {
    name: &'static str,
    default: fn() -> Arc<dyn AnyAlgorithm>,
    replace: fn(Map<String, Value>, &Parameters) -> Replaced,
}

impl Entry {
    const fn of<A: Algorithm>() -> Self {
        Self {
            name: A::NAME,
            default: || Arc::new(A::default()),
            replace: |base, parameters| {
                let algorithm: A = replace("source", A::NAME, base, parameters)?;
                Ok(Arc::new(algorithm))
            },
        }
    }
}

/// Adds an algorithm to the list of this process: it can then be named wherever a source can, and
/// files that mention it be read.
///
/// # Errors
/// [`Error::Argument`] where the name is taken.
pub fn register<A: Algorithm>() -> Result<()> {
    let added = SOURCES.add(Entry::of::<A>(), |entry| vec![entry.name]);
    added.map_err(|name| Error::argument("source", format!("there is already one called {name}")))
}

/// Names of all algorithms.
pub fn names() -> Vec<&'static str> {
    SOURCES.names(|entry| vec![entry.name])
}

/// Names of the algorithms that, with their default parameters, can learn in `environment`; the
/// first is the default one.
pub fn possible_sources(environment: &EnvironmentConfig) -> Vec<&'static str> {
    if environment.horizon().is_none() {
        return Vec::new();
    }
    let possible = |name: &&str| SourceConfig::preset(name).is_ok_and(|it| it.0.learns_in(environment));
    names().into_iter().filter(possible).collect()
}

/// A source algorithm and its parameters, as written in configurations and cards: the fields of its
/// struct, and `name`.
#[derive(Clone, Debug)]
pub struct SourceConfig(Arc<dyn AnyAlgorithm>);

impl<A: Algorithm> From<A> for SourceConfig {
    fn from(algorithm: A) -> Self {
        Self(Arc::new(algorithm))
    }
}

impl PartialEq for SourceConfig {
    fn eq(&self, other: &Self) -> bool {
        self.all_fields() == other.all_fields()
    }
}

impl Serialize for SourceConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.all_fields().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SourceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut given = Map::deserialize(deserializer)?;
        let name = match given.remove("name") {
            Some(Value::String(name)) => name,
            _ => return Err(D::Error::missing_field("name")),
        };
        // What a file does not say is as in the default.
        let preset = Self::preset(&name).map_err(D::Error::custom)?;
        preset.replaced(&Parameters(given)).map_err(D::Error::custom)
    }
}

fn unknown(name: &str) -> Error {
    let known = names().join(", ");
    Error::argument("source", format!("unknown name {name:?}; known are {known}"))
}

impl SourceConfig {
    /// The source called `name` with its default parameters.
    ///
    /// # Errors
    /// [`Error::Argument`] that lists the names.
    pub fn preset(name: &str) -> Result<Self> {
        let made = SOURCES.find(|entry| (entry.name == name).then(|| (entry.default)()));
        made.map(Self).ok_or_else(|| unknown(name))
    }

    /// The source called `name` (or else the first that can learn there) with `parameters` in place
    /// of its defaults, validated for `environment`.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field `source.field`, or `source` and says what is
    /// possible.
    pub fn chosen(
        name: Option<&str>,
        parameters: &Parameters,
        environment: &EnvironmentConfig,
    ) -> Result<Self> {
        let possible = possible_sources(environment);
        let name = name.or(possible.first().copied()).ok_or_else(|| {
            let problem = format!("no source algorithm can learn in {}", environment.name());
            Error::argument("source", problem)
        })?;
        Self::preset(name)?.with(parameters, environment)
    }

    /// This algorithm with other parameters, validated for `environment`.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field `source.field`.
    pub fn with(&self, parameters: &Parameters, environment: &EnvironmentConfig) -> Result<Self> {
        let changed = self.replaced(parameters)?;
        changed.validate(environment)?;
        Ok(changed)
    }

    fn replaced(&self, parameters: &Parameters) -> Result<Self> {
        let made = SOURCES
            .find(|entry| (entry.name == self.name()).then(|| (entry.replace)(self.0.fields(), parameters)));
        made.unwrap_or_else(|| Err(unknown(self.name()))).map(Self)
    }

    fn all_fields(&self) -> Map<String, Value> {
        let mut all = self.0.fields();
        all.insert("name".into(), self.name().into());
        all
    }

    /// The name of the algorithm, as in the field `name` of a configuration.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// As [`Algorithm::schedule`].
    pub fn schedule(&self, usual: Schedule) -> Schedule {
        self.0.schedule(usual)
    }

    /// As [`Algorithm::actors`].
    pub fn actors(&self) -> u32 {
        self.0.actors().max(1)
    }

    /// As [`Algorithm::learns_many_tasks`].
    pub fn learns_many_tasks(&self) -> bool {
        self.0.learns_many_tasks()
    }

    /// Refuses parameters out of range, and environments the algorithm cannot learn in.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field `source.field`, or `source` and says what can learn
    /// there.
    pub fn validate(&self, environment: &EnvironmentConfig) -> Result<()> {
        if environment.horizon().is_none() || !self.0.learns_in(environment) {
            let what = match possible_sources(environment).as_slice() {
                [] => "no source algorithm can run there".to_owned(),
                names => format!("possible there: {}", names.join(", ")),
            };
            let environment = environment.preset_name();
            let problem = format!("{} cannot learn in {environment}; {what}", self.name());
            return Err(Error::argument("source", problem));
        }
        self.0.check()
    }

    /// A learner and its task, number `task` of `environment`; `episodes` as in
    /// [`Algorithm::learner`].
    ///
    /// # Errors
    /// As [`SourceConfig::validate`]; [`Error::Argument`] where there is no such task.
    pub fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        self.validate(environment)?;
        self.0.learner(environment, task, episodes)
    }
}

/// `source` with task number `task` of `environment`, whichever it is.
///
/// # Errors
/// [`Error::Argument`] where there is no such task.
pub fn pair<S: Source + 'static>(
    environment: &EnvironmentConfig,
    task: u32,
    source: S,
) -> Result<Box<dyn Learning>> {
    let optimum = environment.optimal_return(task)?;
    Ok(Box::new(Pair { environment: environment.task(task)?, source, optimum }))
}

/// As [`pair`], for a source that takes no longer than its environment: the environments of the
/// list have their code compiled together with the source's, each of them.
///
/// # Errors
/// [`Error::Argument`] where there is no such task.
pub fn pair_inlined<S: Source + 'static>(
    environment: &EnvironmentConfig,
    task: u32,
    source: S,
) -> Result<Box<dyn Learning>> {
    macro_rules! of_the_list {
        ($($module:ident::$family:ident),+ $(,)?) => {
            $(
                if let Some(family) = environment.family::<algodistill_core::env::$module::$family>() {
                    return pair_with(environment, family, task, source);
                }
            )+
        };
    }
    if !environment.is_of_several_tasks() {
        algodistill_core::environments!(of_the_list);
    }
    pair(environment, task, source)
}

/// `source` with task number `task` of `family`, which is that of `environment`.
///
/// # Errors
/// [`Error::Argument`] where there is no such task.
pub fn pair_with<F: Simulation, S: Source + 'static>(
    environment: &EnvironmentConfig,
    family: &F,
    task: u32,
    source: S,
) -> Result<Box<dyn Learning>> {
    let task = family.task(task).ok_or_else(|| environment.no_task(task))?;
    let optimum = family.optimal_return(&task);
    Ok(Box::new(Pair { environment: task, source, optimum }))
}

/// The error of [`SourceConfig::learner`] called for an environment of another type: `learns_in`
/// and `learner` of an algorithm do not agree.
pub(crate) fn wrong_environment(name: &str, environment: &EnvironmentConfig) -> Error {
    Error::argument("source", format!("{name} cannot learn in {}", environment.name()))
}

/// Index of the largest value, at random where several are the largest: ties broken towards the
/// first action would be learned by the student as a preference.
pub(crate) fn random_argmax(values: impl Iterator<Item = f64>, rng: &mut PortableRng) -> usize {
    let (mut best, mut best_value, mut ties) = (0, f64::NEG_INFINITY, 0);
    for (index, value) in values.enumerate() {
        if value > best_value {
            (best, best_value, ties) = (index, value, 1);
        } else if value == best_value {
            ties += 1;
            if rng.below(ties) == 0 {
                best = index;
            }
        }
    }
    best
}

/// Index of the largest value, the first where several are the largest.
pub(crate) fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let largest = |best: (usize, f64), value: (usize, f64)| if value.1 > best.1 { value } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), largest).0
}

/// `probability` as a bound on 32 random bits: the event is `u64::from(bits) < threshold`.
pub(crate) fn threshold(probability: f32) -> u64 {
    (f64::from(probability) * 4_294_967_296.0) as u64
}

/// Checks that a parameter is a number from 0 to 1.
pub(crate) fn check_fraction(value: f32, field: &'static str) -> std::result::Result<(), ParameterError> {
    ParameterError::unless((0.0..=1.0).contains(&value), field, "a number from 0 to 1")
}
