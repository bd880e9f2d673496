//! Environments: small enough to run inside firmware, and the ones the source algorithms learn on.
//!
//! A [`Family`] is an environment with its parameters; its tasks have numbers, and a number means
//! the same task on the host, in a firmware image and in every run. [`crate::environments!`] is the
//! one list of families.

use crate::{Interface, PortableRng};
use core::fmt;

pub mod grid;

/// What an environment answers to an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Reward of the step.
    pub reward: f32,
    /// Whether the episode ended with this step. [`Environment::observe`] still shows how it ended;
    /// the caller then calls [`Environment::reset`].
    pub done: bool,
}

/// One task at work: implemented by environments, called by source algorithms, evaluation and
/// firmware.
///
/// Order of calls: `reset`, then `observe` and `step` in turn until `done`, `observe` once more for
/// the observation that ended the episode, then `reset` again.
pub trait Environment {
    /// Starts an episode.
    fn reset(&mut self, rng: &mut PortableRng);

    /// Writes the current observation, [`Interface::observation_len`] words. A shorter slice
    /// receives the first words only.
    fn observe(&self, observation: &mut [i32]);

    /// Applies `action` in `0..actions`. An action out of range does what action 0 does.
    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition;
}

/// An environment and its parameters: implemented by the struct of the parameters.
///
/// The parameters are written with serde under the names of the struct's fields in configurations,
/// cards and on the command line.
pub trait Family: Sized + Clone + PartialEq + fmt::Debug + 'static {
    /// Name of the environment, in kebab case.
    const NAME: &'static str;

    /// Parameters that have a name of their own; the first is called [`Family::NAME`].
    const PRESETS: &'static [(&'static str, Self)];

    /// A task, ready to be reset.
    type Task: Environment + Clone;

    /// Whether every parameter is within its limits.
    ///
    /// # Errors
    /// The first parameter that is not.
    fn check(&self) -> Result<(), ParameterError>;

    /// What an agent sees and does: the same for every task. Only meaningful where
    /// [`Family::check`] accepts the parameters.
    fn interface(&self) -> Interface;

    /// Most steps of an episode.
    fn horizon(&self) -> u32;

    /// Number of tasks; `None` where there is no end to them.
    fn task_count(&self) -> Option<u32>;

    /// Task number `number`. `None` past the last one, and where the parameters are not within
    /// their limits.
    fn task(&self, number: u32) -> Option<Self::Task>;
}

/// A parameter out of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterError {
    /// Name of the field.
    pub field: &'static str,
    /// What it must be, to follow "expected".
    pub expected: &'static str,
}

impl ParameterError {
    /// `Ok` where `valid`.
    pub fn unless(valid: bool, field: &'static str, expected: &'static str) -> Result<(), Self> {
        match valid {
            true => Ok(()),
            false => Err(Self { field, expected }),
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        f.write_str(": expected ")?;
        f.write_str(self.expected)
    }
}

impl core::error::Error for ParameterError {}

/// Longest episode.
pub const MAX_HORIZON: u32 = 1_000_000;

/// Checks the parameter `horizon`.
pub(crate) fn check_horizon(horizon: u32) -> Result<(), ParameterError> {
    ParameterError::unless((1..=MAX_HORIZON).contains(&horizon), "horizon", "1 to 1,000,000")
}

/// The one list of environments: the module (its file here and its file on the host) and the struct
/// of its parameters. `environments!(callback)` calls the macro `callback` with the list.
#[macro_export]
macro_rules! environments {
    ($callback:ident) => {
        $callback! {
            dark_room::DarkRoom,
            bandit::Bandit,
            key_to_door::KeyToDoor,
            linear_bandit::LinearBandit,
            restless_bandit::RestlessBandit,
            watermaze::Watermaze,
            servo::Servo,
        }
    };
}

macro_rules! any_environment {
    ($($module:ident::$family:ident),+ $(,)?) => {
        $(pub mod $module;)+

        /// Any environment of the list.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum AnyFamily {
            $($family($module::$family)),+
        }

        /// A task of any environment of the list.
        #[derive(Clone, Debug)]
        // There is no heap to put the larger ones in.
        #[allow(clippy::large_enum_variant, missing_docs)]
        pub enum AnyTask {
            $($family(<$module::$family as Family>::Task)),+
        }

        impl AnyFamily {
            /// Names of all presets, environment by environment.
            pub fn preset_names() -> impl Iterator<Item = &'static str> {
                let names = core::iter::empty();
                $(let names = names.chain($module::$family::PRESETS.iter().map(|preset| preset.0));)+
                names
            }

            /// The environment that a preset is called after and its parameters.
            pub fn preset(name: &str) -> Option<Self> {
                $(
                    if let Some(found) = $module::$family::PRESETS.iter().find(|preset| preset.0 == name) {
                        return Some(Self::$family(found.1.clone()));
                    }
                )+
                None
            }

            /// As [`Family::NAME`].
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$family(_) => $module::$family::NAME),+
                }
            }

            /// As [`Family::interface`].
            pub fn interface(&self) -> Interface {
                match self {
                    $(Self::$family(family) => family.interface()),+
                }
            }

            /// As [`Family::horizon`].
            pub fn horizon(&self) -> u32 {
                match self {
                    $(Self::$family(family) => family.horizon()),+
                }
            }

            /// As [`Family::task_count`].
            pub fn task_count(&self) -> Option<u32> {
                match self {
                    $(Self::$family(family) => family.task_count()),+
                }
            }

            /// As [`Family::task`].
            pub fn task(&self, number: u32) -> Option<AnyTask> {
                match self {
                    $(Self::$family(family) => any_task(family, number, AnyTask::$family)),+
                }
            }
        }

        /// A function for each environment: in one of all, their tasks would lie on the stack side by
        /// side.
        #[inline(never)]
        fn any_task<F: Family>(family: &F, number: u32, any: impl Fn(F::Task) -> AnyTask) -> Option<AnyTask> {
            family.task(number).map(any)
        }

        impl Environment for AnyTask {
            fn reset(&mut self, rng: &mut PortableRng) {
                match self {
                    $(Self::$family(task) => task.reset(rng)),+
                }
            }

            fn observe(&self, observation: &mut [i32]) {
                match self {
                    $(Self::$family(task) => task.observe(observation)),+
                }
            }

            fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
                match self {
                    $(Self::$family(task) => task.step(action, rng)),+
                }
            }
        }
    };
}

environments!(any_environment);

/// Writes the words of an observation; a shorter slice receives the first ones only.
#[inline]
pub(crate) fn write_words<const WORDS: usize>(observation: &mut [i32], words: [i32; WORDS]) {
    for (word, value) in observation.iter_mut().zip(words) {
        *word = value;
    }
}
