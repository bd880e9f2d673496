//! Training objectives: what the tokens of a step are, which sequences exist, and what each token
//! should be answered with. One file each; `objectives!` below is the list.

use crate::history::{Histories, Window};
use crate::model::{Dimensions, Previous, Tokens};
use crate::nn::transformer::Outcome;
use crate::{Error, Result};
use algodistill_core::{Interface, Normaliser};
use serde::{Deserialize, Serialize};
use std::ops::Range;

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

    /// Whether it is trained on optimal actions, which histories have only where they were asked for.
    fn needs_optimal_actions(&self) -> bool {
        false
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
    ///
    /// # Errors
    /// Those of reading what the histories have on a disk.
    fn push(&self, place: Place, stream: &mut Stream) -> Result<()>;

    /// What a model sees and does where its histories have the interface `observed`: further channels
    /// may follow those of the observation.
    ///
    /// # Errors
    /// [`Error::Argument`] where they are too many.
    fn interface(&self, observed: &Interface) -> Result<Interface> {
        Ok(observed.clone())
    }

    /// Whether a sequence goes on into the next episode. Where it does not, each episode is a history
    /// of its own, and who runs the model empties its context where one begins.
    fn spans_episodes(&self) -> bool {
        true
    }

    /// How the model is asked for a return, where it is.
    fn goal(&self) -> Option<&DecisionTransformer> {
        None
    }

    /// How it learns the values of actions, where it does: its batches then have outcomes.
    fn action_values(&self) -> Option<&OfflineQ> {
        None
    }
}

/// A step of the histories.
#[derive(Clone)]
pub struct Place<'a> {
    /// All histories.
    pub histories: &'a Histories,
    /// Number of the step, through all histories.
    pub step: usize,
    /// Steps of its history, or of what is kept of it.
    pub history: Range<usize>,
    /// Whether the context is empty here: there is no step before.
    pub begins: bool,
}

/// The tokens of a batch, and their targets.
pub struct Stream {
    pub(super) tokens: Tokens,
    pub(super) targets: Vec<u16>,
    pub(super) outcomes: Vec<Outcome>,
    /// Of the model.
    interface: Interface,
    observation: Vec<i32>,
    window: Window,
}

impl Stream {
    pub(super) fn new(dimensions: &Dimensions, interface: Interface, normalisers: &[Normaliser]) -> Self {
        Self {
            tokens: Tokens::new(dimensions, &interface, normalisers),
            targets: Vec::new(),
            outcomes: Vec::new(),
            observation: vec![0; interface.observation_len()],
            interface,
            window: Window::default(),
        }
    }

    /// Adds the token that an agent makes of a step: what is observed, the action and outcome of
    /// the step before, and what was observed after that, where it ended an episode. `more` are the
    /// words of the channels that the objective adds.
    ///
    /// # Errors
    /// Those of reading what the histories have on a disk.
    pub fn push_step(&mut self, place: Place, target: u16, more: &[i32]) -> Result<()> {
        let Place { histories, step, begins, history: _ } = place;
        let columns = &histories.steps;
        self.window.observe(columns, step, &mut self.observation)?;
        self.observation
            .iter_mut()
            .skip(columns.observations.len())
            .zip(more)
            .for_each(|(word, own)| *word = *own);
        let before = if begins { None } else { Some(step - 1) };
        let ended = match before.filter(|before| columns.dones[*before]) {
            Some(before) => Some(self.window.after(columns, before)?.unwrap_or(&[])),
            None => None,
        };
        let previous = before.map(|before| Previous {
            action: columns.actions[before],
            reward: columns.rewards[before],
            ended,
        });
        self.tokens.push(&self.interface, &self.observation, previous);
        self.targets.push(target);
        Ok(())
    }

    /// Adds what came of the action of a step.
    pub fn push_outcome(&mut self, place: &Place) {
        let (steps, step) = (&place.histories.steps, place.step);
        self.outcomes.push(Outcome { reward: steps.rewards[step], ended: steps.dones[step] });
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
    offline_q::OfflineQ,
    decision_transformer::DecisionTransformer,
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
    q_discount: Option<f32>,
    q_lambda: Option<f32>,
    q_conservatism: Option<f32>,
    q_temperature: Option<f32>,
    q_copy_rate: Option<f32>,
    q_across_episodes: Option<bool>,
    return_lowest: Option<f32>,
    return_unit: Option<f32>,
    return_levels: Option<u16>,
    time_steps: Option<u16>,
}

/// The parameters among the fields: another objective does not have them.
pub(super) const PARAMETERS: [&str; 11] = [
    "expert_fraction",
    "q_discount",
    "q_lambda",
    "q_conservatism",
    "q_temperature",
    "q_copy_rate",
    "q_across_episodes",
    "return_lowest",
    "return_unit",
    "return_levels",
    "time_steps",
];

impl Fields {
    /// Name of the first parameter that is there, and of the objective that it belongs to.
    fn parameter(&self) -> Option<(&'static str, &'static str)> {
        let given = [
            self.expert_fraction.is_some(),
            self.q_discount.is_some(),
            self.q_lambda.is_some(),
            self.q_conservatism.is_some(),
            self.q_temperature.is_some(),
            self.q_copy_rate.is_some(),
            self.q_across_episodes.is_some(),
            self.return_lowest.is_some(),
            self.return_unit.is_some(),
            self.return_levels.is_some(),
            self.time_steps.is_some(),
        ];
        let name = *PARAMETERS.iter().zip(given).find(|(_, given)| *given)?.0;
        let owner = match name {
            "expert_fraction" => "expert",
            name if name.starts_with("q_") => "offline-q",
            _ => "decision-transformer",
        };
        Some((name, owner))
    }
}

impl From<ObjectiveConfig> for Fields {
    fn from(config: ObjectiveConfig) -> Self {
        let objective = Some(config.inner().name().into());
        match config {
            ObjectiveConfig::AlgorithmDistillation(_) | ObjectiveConfig::DecisionPretrained(_) => {
                Self { objective, ..Self::default() }
            }
            ObjectiveConfig::Expert(expert) => {
                Self { objective, expert_fraction: Some(expert.fraction), ..Self::default() }
            }
            ObjectiveConfig::OfflineQ(q) => Self {
                objective,
                q_discount: Some(q.discount),
                q_lambda: Some(q.lambda),
                q_conservatism: Some(q.conservatism),
                q_temperature: Some(q.temperature),
                q_copy_rate: Some(q.copy_rate),
                q_across_episodes: Some(q.across_episodes),
                ..Self::default()
            },
            ObjectiveConfig::DecisionTransformer(returns) => Self {
                objective,
                return_lowest: Some(returns.lowest),
                return_unit: Some(returns.unit),
                return_levels: Some(returns.levels),
                time_steps: Some(returns.time_steps),
                ..Self::default()
            },
        }
    }
}

impl TryFrom<Fields> for ObjectiveConfig {
    type Error = String;

    fn try_from(mut fields: Fields) -> std::result::Result<Self, String> {
        let mut config = match (&fields.objective, fields.expert_fraction) {
            (Some(name), _) => Self::named(name).map_err(|error| error.to_string())?,
            // Files from before there was a choice.
            (None, Some(_)) => Self::Expert(Expert::default()),
            (None, None) => Self::default(),
        };
        /// Puts a parameter that is there in place of the default.
        fn take<T>(own: &mut T, given: &mut Option<T>) {
            if let Some(given) = given.take() {
                *own = given;
            }
        }
        match &mut config {
            Self::AlgorithmDistillation(_) | Self::DecisionPretrained(_) => {}
            Self::Expert(expert) => take(&mut expert.fraction, &mut fields.expert_fraction),
            Self::OfflineQ(q) => {
                take(&mut q.discount, &mut fields.q_discount);
                take(&mut q.lambda, &mut fields.q_lambda);
                take(&mut q.conservatism, &mut fields.q_conservatism);
                take(&mut q.temperature, &mut fields.q_temperature);
                take(&mut q.copy_rate, &mut fields.q_copy_rate);
                take(&mut q.across_episodes, &mut fields.q_across_episodes);
            }
            Self::DecisionTransformer(returns) => {
                take(&mut returns.lowest, &mut fields.return_lowest);
                take(&mut returns.unit, &mut fields.return_unit);
                take(&mut returns.levels, &mut fields.return_levels);
                take(&mut returns.time_steps, &mut fields.time_steps);
            }
        }
        match fields.parameter() {
            Some((field, owner)) => {
                let name = config.inner().name();
                Err(format!("{field} belongs to the objective {owner}, not to {name}"))
            }
            None => Ok(config),
        }
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
