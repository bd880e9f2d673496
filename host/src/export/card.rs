//! The training card of a weights file: how the model was made, and so on which tasks it may be
//! evaluated.

use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::error::in_plain_words;
use crate::history::card::Card;
use crate::history::GenerateConfig;
use crate::rl2::{Rl2Config, Rl2Record};
use crate::train::objective::DecisionTransformer;
use crate::train::TrainingRecord;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// The JSON text in a weights file. A device reads the name of the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingCard {
    /// Where the learning histories are from, one entry per file; `None` where that is not known.
    /// In JSON, where there is one file, the entry itself. Empty where there were no histories:
    /// RL2.
    #[serde(rename = "generation", with = "one_or_many")]
    pub origins: Vec<Option<Origin>>,
    /// Configuration, data, and how long.
    pub training: Training,
    /// Results on held-out tasks, as far as known when the file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationSummary>,
}

/// Where histories are from. Their environment's name lies where a device looks for it,
/// `environment.name`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// From this program: environment, source algorithm, seeds and split.
    Generated(Box<GenerateConfig>),
    /// From a device in an environment that there is a simulator of.
    Recorded(Recorded),
    /// From a device anywhere else.
    Named(Named),
}

/// Histories of a device in an environment that there is a simulator of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The environment.
    pub environment: EnvironmentConfig,
    /// The tasks that are trained on, ascending.
    pub tasks: Vec<u32>,
}

/// Histories of a device elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What the device calls its environment.
    pub environment: Name,
}

/// See [`Named`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The name.
    pub name: String,
}

impl Origin {
    /// Of the histories with this card, as far as it says.
    pub fn of(card: &Card) -> Option<Self> {
        if let Some(generation) = &card.generation {
            return Some(Self::Generated(Box::new(generation.clone())));
        }
        let environment = card.environment.clone();
        match environment.horizon() {
            Some(_) => Some(Self::Recorded(Recorded { environment, tasks: card.split.training.clone() })),
            None => {
                let name = card.environment_name.clone()?;
                Some(Self::Named(Named { environment: Name { name } }))
            }
        }
    }

    /// The tasks that were trained on, where there is a simulator of them.
    fn trained_in(&self) -> Option<TrainedIn<'_>> {
        match self {
            Self::Generated(generation) => Some(TrainedIn::Histories(generation)),
            Self::Recorded(recorded) => Some(TrainedIn::Recorded(recorded)),
            Self::Named(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        // Not an untagged enum, which would hide what is wrong.
        let origin = Value::deserialize(from)?;
        match (origin.get("source"), origin.get("tasks")) {
            (Some(_), _) => serde_json::from_value(origin).map(Self::Generated),
            (None, Some(_)) => serde_json::from_value(origin).map(Self::Recorded),
            (None, None) => serde_json::from_value(origin).map(Self::Named),
        }
        .map_err(serde::de::Error::custom)
    }
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Training {
    /// On learning histories.
    Histories(TrainingRecord),
    /// By reinforcement learning, over whole trials.
    Rl2(Rl2Record),
}

impl<'de> Deserialize<'de> for Training {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        // Not an untagged enum, which would hide what is wrong.
        let record = Value::deserialize(from)?;
        match record.get("rl2") {
            Some(_) => serde_json::from_value(record).map(Self::Rl2),
            None => serde_json::from_value(record).map(Self::Histories),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Training {
    /// What tells it from others: the seed, and how far it came on what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Histories(TrainingRecord { config, dataset, update }) => {
                write!(f, "seed {}, update {update} on histories {dataset:.8}", config.seed)
            }
            Self::Rl2(Rl2Record { config, iteration, .. }) => {
                write!(f, "seed {}, iteration {iteration} of RL2", config.seed)
            }
        }
    }
}

/// What says which tasks of an environment a model was trained on.
#[derive(Clone, Copy, Debug)]
pub enum TrainedIn<'a> {
    /// Those of these histories.
    Histories(&'a GenerateConfig),
    /// Those that devices were in.
    Recorded(&'a Recorded),
    /// Those of these trials.
    Rl2(&'a Rl2Config),
}

impl<'a> TrainedIn<'a> {
    /// The environment.
    pub fn environment(self) -> &'a EnvironmentConfig {
        match self {
            Self::Histories(generation) => &generation.environment,
            Self::Recorded(recorded) => &recorded.environment,
            Self::Rl2(config) => &config.environment,
        }
    }

    /// The tasks. What devices were not in is held out, where there is an end to it.
    ///
    /// # Errors
    /// [`Error::Argument`] where there are not that many.
    pub fn split(self) -> Result<TaskSplit> {
        match self {
            Self::Histories(generation) => generation.split(),
            Self::Recorded(Recorded { environment, tasks }) => {
                let mut held_out: Vec<u32> = (0..environment.task_count().unwrap_or(0)).collect();
                held_out.retain(|task| tasks.binary_search(task).is_err());
                Ok(TaskSplit { training: tasks.clone(), held_out })
            }
            Self::Rl2(config) => config.split(),
        }
    }
}

/// The results that travel with a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSummary {
    /// Name of the environment.
    pub environment: String,
    /// Held-out tasks.
    pub tasks: usize,
    /// Contexts of each.
    pub runs: u32,
    /// Seed of the evaluation.
    pub seed: u64,
    /// Steps of each context, where it was one unbroken stream; "episodes" below are then its
    /// blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// First and last episode of the mean, from 1.
    pub episodes: [usize; 2],
    /// Mean return of an episode.
    pub mean_return: f64,
    /// The same of the source algorithm, where it was run.
    pub source_mean_return: Option<f64>,
    /// Runs without any reward.
    pub never_solved: usize,
}

/// A list that is written as its element where it has one only.
mod one_or_many {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        match list {
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
        // Not an untagged enum, which would hide what is wrong with an element.
        match serde_json::Value::deserialize(from)? {
            serde_json::Value::Array(many) => many.into_iter().map(serde_json::from_value).collect(),
            one => serde_json::from_value(one).map(|one| vec![one]),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl TrainingCard {
    /// Of a model that was trained on the histories with these cards.
    pub fn of_histories<'a>(cards: impl IntoIterator<Item = &'a Card>, training: Training) -> Self {
        Self { origins: cards.into_iter().map(Origin::of).collect(), training, evaluation: None }
    }

    /// Generations of all files that this program wrote.
    pub fn known_generations(&self) -> impl Iterator<Item = &GenerateConfig> {
        self.origins.iter().flatten().filter_map(|origin| match origin {
            Origin::Generated(generation) => Some(&**generation),
            _ => None,
        })
    }

    /// Whether the tasks of all histories are known.
    pub fn knows_all_tasks(&self) -> bool {
        self.origins.iter().all(|origin| origin.as_ref().and_then(Origin::trained_in).is_some())
    }

    /// Where it was trained, as far as is known.
    pub fn trained_in(&self) -> impl Iterator<Item = TrainedIn<'_>> {
        let rl2 = match &self.training {
            Training::Histories(_) => None,
            Training::Rl2(record) => Some(TrainedIn::Rl2(&record.config)),
        };
        self.origins.iter().flatten().filter_map(Origin::trained_in).chain(rl2)
    }

    /// Names of these environments, each once.
    pub fn environment_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.trained_in().map(|one| one.environment().preset_name()).collect();
        names.dedup();
        names
    }

    /// How it is asked for a return, where it is.
    pub fn goal(&self) -> Option<&DecisionTransformer> {
        match &self.training {
            Training::Histories(record) => record.config.objective.inner().goal(),
            Training::Rl2(_) => None,
        }
    }

    /// The window, where no sequence of the training was longer: the ring was never full, so that
    /// what the model does once it has lost the first step of a stream was never trained.
    pub fn never_wrapped(&self) -> Option<usize> {
        let (window, wraps) = match &self.training {
            Training::Histories(TrainingRecord { config, .. }) => {
                let window = config.dimensions.window;
                // Where its context is emptied with every episode, the ring need not be.
                let emptied = !config.objective.inner().spans_episodes();
                (window, emptied || config.resolved_sequence_length() > window)
            }
            Training::Rl2(Rl2Record { config, .. }) => {
                let window = config.window?;
                (window, config.trial_steps().is_ok_and(|steps| steps > window as u64))
            }
        };
        (!wraps).then_some(window)
    }

    /// Reads the card of the weights file `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let problem = |error| {
            let said = in_plain_words(error);
            Error::file(path, format!("its training card cannot be used ({said}); export the model again"))
        };
        serde_json::from_str(text).map_err(problem)
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        // Structures of strings and numbers; map keys are strings.
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a card is valid JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use crate::source::SourceConfig;
    use crate::train::TrainConfig;

    #[test]
    fn a_model_of_rl2_says_so_and_which_tasks_it_was_trained_on() {
        let config = Rl2Config { held_out: Some(10), window: Some(200), ..Rl2Config::default() };
        let split = config.split().expect("a split");
        let training = Training::Rl2(Rl2Record { config, iteration: 3, steps: 9 });
        let card = TrainingCard { origins: Vec::new(), training, evaluation: None };
        let read = TrainingCard::parse(Path::new("x.adw"), &card.to_json()).expect("a card");
        assert_eq!(read, card);
        assert_eq!((read.environment_names(), read.never_wrapped()), (vec!["dark-room"], Some(200)));
        let [trained_in] = read.trained_in().collect::<Vec<_>>()[..] else { panic!("one environment") };
        assert_eq!(trained_in.split().expect("a split"), split);
        let wrong = card.to_json().replace("trials", "trails");
        let refused = TrainingCard::parse(Path::new("x.adw"), &wrong).expect_err("no such field");
        assert!(refused.to_string().contains("trails is no field here"), "{refused}");
    }

    #[test]
    fn one_file_is_written_as_itself_and_several_as_a_list() {
        let room = EnvironmentConfig::preset("dark-room").expect("a preset");
        let source = SourceConfig::preset("psrl").expect("a source");
        let generation = GenerateConfig::recommended(room.clone(), source).expect("defaults");
        let generated = Some(Origin::Generated(Box::new(generation)));
        let recorded = Some(Origin::Recorded(Recorded { environment: room, tasks: vec![3, 65] }));
        let named = Some(Origin::Named(Named { environment: Name { name: "pump".into() } }));
        let record = TrainingRecord { config: TrainConfig::default(), dataset: String::new(), update: 0 };
        let training = Training::Histories(record);
        for (origins, begins) in [
            (vec![generated.clone()], r#"{"generation":{"environment":{"horizon":20,"name":"dark-room""#),
            (vec![None], r#"{"generation":null,"#),
            (vec![recorded.clone()], r#"{"generation":{"environment":{"horizon":20,"name":"dark-room""#),
            (vec![named.clone()], r#"{"generation":{"environment":{"name":"pump"}},"#),
            (
                vec![generated.clone(), None, named, recorded.clone(), generated],
                r#"{"generation":[{"environment":"#,
            ),
        ] {
            let card = TrainingCard { origins, training: training.clone(), evaluation: None };
            let text = card.to_json();
            assert!(text.starts_with(begins), "{text}");
            assert_eq!(text.contains(r#""tasks":[3,65]}"#), card.origins.contains(&recorded), "{text}");
            assert_eq!(TrainingCard::parse(Path::new("x.adw"), &text).expect("a card"), card);
            let refused =
                TrainingCard::parse(Path::new("x.adw"), &text.replace("split_seed", "seed_of_split"));
            assert_eq!(refused.is_err(), text.contains("split_seed"));
        }
    }
}
