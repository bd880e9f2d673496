//! The training card of a weights file: how the model was made, and so on which tasks it may be
//! evaluated.

use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::error::in_plain_words;
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
    /// Environment, source algorithm, seeds and split of the learning histories, one entry per
    /// file; `None` for histories that another program wrote. In JSON, where there is one file,
    /// the entry itself. Empty where there were no histories: RL2.
    #[serde(rename = "generation", with = "one_or_many")]
    pub generations: Vec<Option<GenerateConfig>>,
    /// Configuration, data, and how long.
    pub training: Training,
    /// Results on held-out tasks, as far as known when the file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationSummary>,
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
    /// Those of these trials.
    Rl2(&'a Rl2Config),
}

impl<'a> TrainedIn<'a> {
    /// The environment.
    pub fn environment(self) -> &'a EnvironmentConfig {
        match self {
            Self::Histories(generation) => &generation.environment,
            Self::Rl2(config) => &config.environment,
        }
    }

    /// The tasks.
    ///
    /// # Errors
    /// [`Error::Argument`] where there are not that many.
    pub fn split(self) -> Result<TaskSplit> {
        match self {
            Self::Histories(generation) => generation.split(),
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
    /// Generations of all files that this program wrote.
    pub fn known_generations(&self) -> impl Iterator<Item = &GenerateConfig> {
        self.generations.iter().flatten()
    }

    /// Where it was trained, as far as is known.
    pub fn trained_in(&self) -> impl Iterator<Item = TrainedIn<'_>> {
        let rl2 = match &self.training {
            Training::Histories(_) => None,
            Training::Rl2(record) => Some(TrainedIn::Rl2(&record.config)),
        };
        self.known_generations().map(TrainedIn::Histories).chain(rl2)
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
        let card = TrainingCard { generations: Vec::new(), training, evaluation: None };
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
        let generation = GenerateConfig::recommended(room, source).ok();
        let record = TrainingRecord { config: TrainConfig::default(), dataset: String::new(), update: 0 };
        let training = Training::Histories(record);
        for (generations, begins) in [
            (vec![generation.clone()], r#"{"generation":{"environment":{"horizon":20,"name":"dark-room""#),
            (vec![None], r#"{"generation":null,"#),
            (vec![generation.clone(), None, generation], r#"{"generation":[{"environment":"#),
        ] {
            let card = TrainingCard { generations, training: training.clone(), evaluation: None };
            let text = card.to_json();
            assert!(text.starts_with(begins), "{text}");
            assert_eq!(TrainingCard::parse(Path::new("x.adw"), &text).expect("a card"), card);
            let refused =
                TrainingCard::parse(Path::new("x.adw"), &text.replace("split_seed", "seed_of_split"));
            assert_eq!(refused.is_err(), text.contains("split_seed"));
        }
    }
}
