//! The card: a JSON file beside a Parquet file that says what is in it and how it came about.

use super::filter::Filtering;
use super::{GenerateConfig, Steps};
use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::error::in_plain_words;
use crate::{files, Error, Result};
use algodistill_core::Interface;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the card and of the columns it describes. Version 1, which is read as well, has
/// neither final observations nor optimal actions.
pub const FORMAT_VERSION: u32 = 2;
/// Most windows of [`Card::returns`].
const WINDOWS: usize = 10;

/// What is in a file of learning histories, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Where the histories are from.
    pub environment: EnvironmentConfig,
    /// What devices call it; absent where they do not, and where the environment has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_name: Option<String>,
    /// What the source saw and did.
    pub interface: Interface,
    /// How to generate the same file again, before any filter; absent where another program wrote
    /// it.
    pub generation: Option<GenerateConfig>,
    /// Which tasks are trained on and which are not.
    pub split: TaskSplit,
    /// Number of histories.
    pub histories: u32,
    /// Number of steps: rows of the file.
    pub steps: u64,
    /// Steps that the source took, kept or not; absent where that is not known, as in older cards.
    #[serde(default)]
    pub source_steps: Option<u64>,
    /// Share of the histories that solved their task: in which the mean return of a 50th of the
    /// history, kept or not, reached 90 % of the optimum. Absent where the optimum is not known.
    #[serde(default)]
    pub solved_share: Option<f64>,
    /// Median over all histories of the environment steps until then, those of all actors that
    /// learn together; absent where less than half got there.
    #[serde(default)]
    pub median_steps_to_solve: Option<u64>,
    /// How the source improved.
    pub returns: Vec<ReturnWindow>,
    /// What was taken out since, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filtering>,
    /// SHA-256 of the Parquet file, in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-256 of this card's text with this field empty.
    pub card_sha256: String,
}

/// Mean return of the episodes of a window, over all histories.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnWindow {
    /// First episode.
    pub first_episode: u32,
    /// Last episode.
    pub last_episode: u32,
    /// Over the training tasks.
    pub training: Option<f64>,
    /// Over the held-out tasks.
    pub held_out: Option<f64>,
}

/// Where the card of a Parquet file lies: `NAME.parquet` has `NAME.card.json`.
pub fn card_path(parquet: &Path) -> PathBuf {
    parquet.with_extension("card.json")
}

impl Card {
    /// Writes the card of `parquet`, with its own digest.
    pub fn write(&mut self, parquet: &Path) -> Result<()> {
        let path = card_path(parquet);
        self.card_sha256.clear();
        self.card_sha256 = files::hexadecimal(Sha256::digest(self.text(&path)?));
        files::write_bytes(&path, self.text(&path)?.as_bytes())
    }

    /// Whether the episodes of a history are of several tasks.
    pub fn has_several_tasks_a_history(&self) -> bool {
        self.generation.as_ref().is_some_and(|config| !config.tasks_per_history.is_one())
    }

    fn text(&self, path: &Path) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::file(path, e))
    }

    /// Reads the card of `parquet` and checks all that can be checked without the data.
    pub fn read(parquet: &Path) -> Result<Self> {
        let path = card_path(parquet);
        let refuse = |problem: String| {
            let advice = "generate the histories again, or `histories check FILE --write-card` to describe foreign ones";
            Error::file(&path, format!("{problem}; {advice}"))
        };
        if !path.exists() {
            return Err(refuse("is missing".into()));
        }
        let text = files::read_text(&path)?;
        let card: Self = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("is not a card: {}", in_plain_words(error))))?;
        if !(1..=FORMAT_VERSION).contains(&card.format_version) {
            let found = card.format_version;
            return Err(refuse(format!(
                "format_version is {found}, this program reads 1 to {FORMAT_VERSION}"
            )));
        }
        let digest = files::hexadecimal(Sha256::digest(text.replacen(&card.card_sha256, "", 1)));
        if digest != card.card_sha256 {
            return Err(refuse("was changed: its text does not match card_sha256".into()));
        }
        if card.environment.interface()? != card.interface {
            return Err(refuse("interface is not that of the environment".into()));
        }
        Ok(card)
    }
}

/// Sums of returns by episode number, of training and of held-out tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Returns {
    episodes: BTreeMap<u32, [Mean; 2]>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, other: Mean) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0.0).then_some(self.sum / self.count)
    }
}

impl Returns {
    /// Adds the episodes of one history.
    pub fn add(&mut self, steps: &Steps, history: std::ops::Range<usize>, held_out: bool) {
        let episodes = steps.episodes[history.clone()].chunk_by(|a, b| a == b);
        let mut first = history.start;
        for episode in episodes {
            let rewards = &steps.rewards[first..first + episode.len()];
            first += episode.len();
            let sum = rewards.iter().map(|&reward| f64::from(reward)).sum();
            self.episodes.entry(episode[0]).or_default()[usize::from(held_out)].add(Mean { sum, count: 1.0 });
        }
    }

    /// Adds other episodes.
    pub fn merge(&mut self, other: &Returns) {
        for (&episode, means) in &other.episodes {
            let entry = self.episodes.entry(episode).or_default();
            entry.iter_mut().zip(means).for_each(|(mine, theirs)| mine.add(*theirs));
        }
    }

    /// At most [`WINDOWS`] windows with equally many episode numbers.
    pub fn windows(&self) -> Vec<ReturnWindow> {
        let episodes: Vec<_> = self.episodes.iter().collect();
        let window = |episodes: &[(&u32, &[Mean; 2])]| {
            let mut means = [Mean::default(); 2];
            for (_, episode) in episodes {
                means.iter_mut().zip(*episode).for_each(|(mean, other)| mean.add(*other));
            }
            let [training, held_out] = means.map(Mean::value);
            let (first, last) = (episodes.first()?, episodes.last()?);
            Some(ReturnWindow { first_episode: *first.0, last_episode: *last.0, training, held_out })
        };
        episodes.chunks(episodes.len().div_ceil(WINDOWS).max(1)).filter_map(window).collect()
    }
}
