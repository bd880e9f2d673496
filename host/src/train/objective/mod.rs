//! Training objectives: what the tokens of a step are, which sequences exist, and what each token
//! should be answered with. One file each; `objectives!` below is the list.

use crate::history::Histories;
use crate::model::{Dimensions, Previous, Tokens};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a model is trained to do with learning histories.
pub trait Objective: Sync {
    /// Its name in configurations and on the command line.
    fn name(&self) -> &'static str;

    /// Checks its parameters.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Checks that the histories have what it learns from.
    ///
    /// # Errors
    /// [`Error::Argument`] that says what is missing.
    fn check(&self, _histories: &Histories) -> Result<()> {
        Ok(())
    }

    /// How many episodes at the end of a history of `episodes` are trained on; they form a history
    /// of their own.
    fn kept_episodes(&self, episodes: usize) -> usize {
        episodes
    }

    /// Tokens that a step becomes.
    fn tokens_per_step(&self) -> usize {
        1
    }

    /// Adds the tokens of a step, and their targets.
    fn push(&self, place: Place, stream: &mut Stream);
}

/// A step of the histories.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// All histories.
    pub histories: &'a Histories,
    /// Number of the step, through all histories.
    pub step: usize,
    /// Whether its history, or what is kept of it, begins here: there is no step before.
    pub begins: bool,
}

/// The tokens of a batch, and their targets.
pub struct Stream {
    pub(super) tokens: Tokens,
    pub(super) targets: Vec<u16>,
    observation: Vec<i32>,
}

impl Stream {
    pub(super) fn new(dimensions: &Dimensions, histories: &Histories) -> Self {
        let interface = &histories.interface;
        let observation = vec![0; interface.observation_len()];
        Self { tokens: Tokens::new(dimensions, interface), targets: Vec::new(), observation }
    }

    /// Adds the token that an agent makes of a step: what is observed, the action and outcome of
    /// the step before, and what was observed after that, where it ended an episode.
    pub fn push_step(&mut self, place: Place, target: u16) {
        let Place { histories, step, begins } = place;
        let columns = &histories.steps;
        for (word, column) in self.observation.iter_mut().zip(&columns.observations) {
            *word = column[step];
        }
        let outcome = |step: usize| Previous {
            action: columns.actions[step],
            reward: columns.rewards[step],
            ended: columns.dones[step].then(|| columns.final_observations.after(step).unwrap_or(&[])),
        };
        let previous = (!begins).then(|| outcome(step - 1));
        self.tokens.push(&histories.interface, &self.observation, previous);
        self.targets.push(target);
    }
}

/// The modules of all objectives, and the type that is any of them.
macro_rules! objectives {
    ($($module:ident::$kind:ident),* $(,)?) => {
        $(pub mod $module;)*
        $(pub use $module::$kind;)*

        /// Any objective, with its parameters: the field `objective` of a configuration, and those
        /// of its parameters.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "Fields", into = "Fields")]
        pub enum ObjectiveConfig {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $kind($kind),)*
        }

        impl ObjectiveConfig {
            /// Every objective with its default parameters.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$kind($kind::default()),)*]
            }

            /// The objective itself.
            pub fn inner(&self) -> &dyn Objective {
                match self {
                    $(Self::$kind(objective) => objective,)*
                }
            }
        }
    };
}

objectives! {
    algorithm_distillation::AlgorithmDistillation,
    expert::Expert,
    decision_pretrained::DecisionPretrained,
}

/// The names of all objectives.
pub fn names() -> Vec<&'static str> {
    ObjectiveConfig::all().iter().map(|objective| objective.inner().name()).collect()
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::AlgorithmDistillation(AlgorithmDistillation)
    }
}

impl ObjectiveConfig {
    /// The objective of this name, with its default parameters.
    ///
    /// # Errors
    /// [`Error::Argument`] with the names of all objectives.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::all().into_iter().find(|objective| objective.inner().name() == name);
        found.ok_or_else(|| {
            let problem = format!("is {name:?}, must be one of {}", names().join(", "));
            Error::argument("objective", problem)
        })
    }
}

/// The objective as fields of a configuration; those that are parameters are absent where the
/// objective has none such.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    objective: Option<String>,
    expert_fraction: Option<f32>,
}

/// The parameters among the fields: another objective does not have them.
pub(super) const PARAMETERS: [&str; 1] = ["expert_fraction"];

impl From<ObjectiveConfig> for Fields {
    fn from(config: ObjectiveConfig) -> Self {
        let expert_fraction = match &config {
            ObjectiveConfig::Expert(expert) => Some(expert.fraction),
            _ => None,
        };
        Self { objective: Some(config.inner().name().into()), expert_fraction }
    }
}

impl TryFrom<Fields> for ObjectiveConfig {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<Self, String> {
        let mut config = match (fields.objective, fields.expert_fraction) {
            (Some(name), _) => Self::named(&name).map_err(|error| error.to_string())?,
            // Files from before there was a choice.
            (None, Some(_)) => Self::Expert(Expert::default()),
            (None, None) => Self::default(),
        };
        match (&mut config, fields.expert_fraction) {
            (Self::Expert(expert), Some(fraction)) => expert.fraction = fraction,
            (other, Some(_)) => {
                let name = other.inner().name();
                return Err(format!("expert_fraction belongs to the objective expert, not to {name}"));
            }
            (_, None) => {}
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_objective_is_found_by_its_name_and_survives_its_fields() {
        for objective in ObjectiveConfig::all() {
            let name = objective.inner().name();
            assert_eq!(ObjectiveConfig::named(name).unwrap(), objective);
            let text = toml::to_string(&objective).unwrap();
            assert_eq!(toml::from_str::<ObjectiveConfig>(&text).unwrap(), objective, "{text}");
        }
        let error = ObjectiveConfig::named("experts").unwrap_err().to_string();
        assert!(error.contains("algorithm-distillation, expert, decision-pretrained"), "{error}");
    }

    #[test]
    fn a_fraction_alone_is_expert_distillation_and_fits_no_other_objective() {
        let old: ObjectiveConfig = toml::from_str("expert_fraction = 0.25").unwrap();
        assert_eq!(old, ObjectiveConfig::Expert(Expert { fraction: 0.25 }));
        let text = "objective = \"decision-pretrained\"\nexpert_fraction = 0.25";
        let error = toml::from_str::<ObjectiveConfig>(text).unwrap_err().to_string();
        assert!(error.contains("belongs to the objective expert"), "{error}");
    }
}
