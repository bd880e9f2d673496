//! Logs of steps, which devices write (`docs/steps-log.md`), and the histories that are made of
//! them.

mod block;
mod import;
#[cfg(test)]
mod tests;

pub use import::{import, Imported, Importing, Origin};

use super::Steps;
use crate::{Error, Result};
use algodistill_core::log::{HEADER_MARKER, STEPS_MARKER};
use algodistill_core::Interface;
use block::{Block, Header, Problem, Record};
use serde::Serialize;
use std::path::Path;

/// What the header of a log says.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// CRC-32 of the weights file of the model that acted.
    pub model_crc: u32,
    /// Number that tells devices or runs apart.
    pub device: u32,
    /// Number of the task, where it is known.
    pub task: Option<u32>,
    /// Seed of all that was random, where it is known.
    pub seed: Option<u64>,
    /// Name of the environment; empty where it is not known.
    pub environment: String,
    /// What was observed and done.
    pub interface: Interface,
}

/// A run of a device: a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What the log says of it.
    pub head: Head,
    /// Its steps, of whole episodes; the last one may be cut off.
    pub steps: Steps,
    /// Episodes of which the log has not all steps, up to the last that it has any of.
    pub lost_episodes: u32,
    /// Steps of the last episode, where the log ends before it.
    pub unfinished_steps: usize,
}

/// Bytes that belong to no whole block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Where they begin.
    pub byte: usize,
    /// How many.
    pub bytes: usize,
    /// Why they cannot be read.
    pub problem: String,
}

/// What could be read of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The runs, in their order; of some there may be no step.
    pub runs: Vec<Run>,
    /// What could not be read.
    pub skipped: Vec<Skipped>,
}

/// Reads a log; `path` names it in errors. Bytes that were changed or lost are skipped up to the
/// next whole block.
///
/// # Errors
/// [`Error::File`] where nothing can be read, where the log is of a later version, or where a value
/// that was not changed on the way is out of its range.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Log> {
    let mut reading = Reading::default();
    let (mut good, mut at, mut problem) = (0, 0, None);
    while let Some(found) = next_marker(bytes, at) {
        match reading.piece(&bytes[found..]) {
            Ok(len) => {
                reading.skip(good..found, problem.take());
                (good, at) = (found + len, found + len);
            }
            Err(Problem::Damage(why)) => {
                problem.get_or_insert(format!("{why}, at byte {found}"));
                at = found + 1;
            }
            Err(Problem::Content(further, why)) => {
                return Err(Error::file(path, format!("byte {}: {why}", found + further)));
            }
        }
    }
    reading.skip(good..bytes.len(), problem);
    reading.finish(path)
}

/// Where the next block may begin.
fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let is_one = |four: &[u8]| four == HEADER_MARKER || four == STEPS_MARKER;
    rest.windows(4).position(is_one).map(|place| from + place)
}

/// A log that is being read.
#[derive(Default)]
struct Reading<'a> {
    header: Option<Header<'a>>,
    runs: Vec<Run>,
    skipped: Vec<Skipped>,
    /// Of the last run.
    run: Place,
}

/// Where a run is.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Number of the episode that goes on, and of its next step.
    next: (u32, u32),
    /// Whether all steps of it are there.
    is_whole: bool,
    /// Episodes that were kept, and their steps.
    episodes: u32,
    steps: usize,
}

impl<'a> Reading<'a> {
    /// Takes in what is at the front of `bytes`; how long it is.
    fn piece(&mut self, bytes: &'a [u8]) -> std::result::Result<usize, Problem> {
        if bytes.starts_with(&HEADER_MARKER) {
            let header = block::header(bytes)?;
            let len = header.bytes.len();
            if self.header.as_ref().is_none_or(|last| last.bytes != header.bytes) {
                self.begin_run(header.head.clone());
                self.header = Some(header);
            }
            return Ok(len);
        }
        let Some(header) = &self.header else {
            return Err(Problem::Damage("no header comes before the block of steps".into()));
        };
        let block = block::steps(bytes, header)?;
        let len = block.len;
        if (block.episode, block.step) < self.run.next {
            // The device was started again.
            let head = header.head.clone();
            self.begin_run(head);
        }
        self.add(block);
        Ok(len)
    }

    fn begin_run(&mut self, head: Head) {
        self.end_run();
        let steps = Steps::new(head.interface.observation_len());
        self.runs.push(Run { head, steps, lost_episodes: 0, unfinished_steps: 0 });
        self.run = Place::default();
    }

    fn add(&mut self, Block { episode, step, records, .. }: Block) {
        let (Some(run), place) = (self.runs.last_mut(), &mut self.run) else { return };
        if (episode, step) != place.next {
            // What there is of the episode before is no whole episode.
            run.steps.truncate(place.steps);
        }
        place.is_whole = step == 0 || place.is_whole && (episode, step) == place.next;
        place.next = (episode, step.saturating_add(records.len() as u32));
        let ended = records.last().and_then(|record| record.ended);
        if place.is_whole {
            records.into_iter().for_each(|record| add_step(&mut run.steps, episode, record));
        }
        let Some(cut_off) = ended else { return };
        place.next = (episode.saturating_add(1), 0);
        if place.is_whole {
            let known = cut_off.map(|_| false);
            let last = run.steps.len() - 1;
            run.steps.truncations[place.steps..last].fill(known);
            (place.steps, place.episodes) = (run.steps.len(), place.episodes + 1);
        }
    }

    /// Counts what is not there of the last run.
    fn end_run(&mut self) {
        let (Some(run), place) = (self.runs.last_mut(), &self.run) else { return };
        run.unfinished_steps = run.steps.len() - place.steps;
        let (episode, step) = place.next;
        let begun = episode.saturating_add(u32::from(step > 0));
        let kept = place.episodes + u32::from(run.unfinished_steps > 0);
        run.lost_episodes = begun.saturating_sub(kept);
    }

    fn skip(&mut self, range: std::ops::Range<usize>, problem: Option<String>) {
        if !range.is_empty() {
            let problem = problem.unwrap_or_else(|| "no block begins here".into());
            self.skipped.push(Skipped { byte: range.start, bytes: range.len(), problem });
        }
    }

    fn finish(mut self, path: &Path) -> Result<Log> {
        self.end_run();
        let Self { runs, skipped, header, .. } = self;
        if runs.iter().any(|run| !run.steps.is_empty()) {
            return Ok(Log { runs, skipped });
        }
        let why = skipped.first().map(|first| first.problem.clone());
        let problem = match (header, why) {
            (None, Some(why)) if why.starts_with("no block") => {
                "is no log of steps: no header, which begins with ADLH, is in it".into()
            }
            (None, Some(why)) => format!("no whole header can be read: {why}; log the steps again"),
            (None, None) => "is empty, expected a log of steps".into(),
            (Some(_), Some(why)) => {
                format!("has no whole episode or beginning of one: {why}; log the steps again")
            }
            (Some(_), None) if runs.iter().any(|run| run.lost_episodes > 0) => {
                "has steps, but no whole episode or beginning of one: it begins in mid-episode; log from the start of \
                 an episode on"
                    .into()
            }
            (Some(_), None) => "has a header, but no steps".into(),
        };
        Err(Error::file(path, problem))
    }
}

fn add_step(steps: &mut Steps, episode: u32, record: Record) {
    let Record { observation, action, reward, ended, last } = record;
    steps.observations.iter_mut().zip(observation).for_each(|(column, word)| column.push(word));
    steps.episodes.push(episode);
    steps.actions.push(action);
    steps.rewards.push(reward);
    steps.dones.push(ended.is_some());
    steps.truncations.push(ended.flatten());
    if let Some(last) = last {
        steps.final_observations.push(steps.dones.len() - 1, &last);
    }
}
