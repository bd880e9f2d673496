//! The training card of a weights file: how the model was made, and so on which tasks it may be
//! evaluated.

use crate::error::in_plain_words;
use crate::history::GenerateConfig;
use crate::train::TrainingRecord;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The JSON text in a weights file. The device does not read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingCard {
    /// Environment, source algorithm, seeds and split of the learning histories, one entry per
    /// file; `None` for histories that another program wrote. In JSON, where there is one file,
    /// the entry itself.
    #[serde(rename = "generation", with = "one_or_many")]
    pub generations: Vec<Option<GenerateConfig>>,
    /// Configuration, digest of the histories, updates.
    pub training: TrainingRecord,
    /// Results on held-out tasks, as far as known when the file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationSummary>,
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

    /// Names of the environments of these files, each once.
    pub fn trained_in(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.known_generations().map(|one| one.environment.preset_name()).collect();
        names.dedup();
        names
    }

    /// The window, where no sequence of the training was longer: the ring was never full, so that
    /// what the model does once it has lost the first step of a stream was never trained.
    pub fn never_wrapped(&self) -> Option<usize> {
        let config = &self.training.config;
        // Where its context is emptied with every episode, the ring need not be.
        let wraps = !config.objective.inner().spans_episodes()
            || config.resolved_sequence_length() > config.dimensions.window;
        (!wraps).then_some(config.dimensions.window)
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
    fn one_file_is_written_as_itself_and_several_as_a_list() {
        let room = EnvironmentConfig::preset("dark-room").expect("a preset");
        let source = SourceConfig::preset("psrl").expect("a source");
        let generation = GenerateConfig::recommended(room, source).ok();
        let training = TrainingRecord { config: TrainConfig::default(), dataset: String::new(), update: 0 };
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
