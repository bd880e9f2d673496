//! Histories of logs: one a run.

use super::{decode, Run, Skipped};
use crate::environment::EnvironmentConfig;
use crate::history::card::Card;
use crate::history::file::{card_of, check_name, check_replaceable, split_found, Foreign};
use crate::history::{filter, Histories, History, Steps};
use crate::{files, Error, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Largest log that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Largest number of a task.
const MAX_TASK: u32 = i32::MAX as u32;

/// What is known of logs beyond what they say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Importing {
    /// Where the devices were; absent: the preset that the logs name, if it has their interface,
    /// else an environment that is known only through its histories.
    pub environment: Option<EnvironmentConfig>,
    /// The task of every run, whatever the logs say.
    pub task: Option<u32>,
    /// Tasks held out from training; absent: one in ten.
    pub held_out: Option<u32>,
    /// Seed of the split.
    pub split_seed: u64,
    /// Logs of which anything cannot be read are refused.
    pub strict: bool,
}

/// What was made of logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Of the file.
    pub card: Card,
    /// Every run, in the order of the logs.
    pub origins: Vec<Origin>,
    /// Of every log what could not be read.
    pub skipped: Vec<(PathBuf, Vec<Skipped>)>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The log.
    pub log: PathBuf,
    /// Number of the history that it is; absent where no step of it is known.
    pub history: Option<u32>,
    /// Number of its task.
    pub task: Option<u32>,
    /// What the log says of the device.
    pub device: u32,
    /// What the log says of the model.
    pub model_crc32: String,
    /// What the log says of the seed.
    pub seed: Option<u64>,
    /// The name of the environment in the log.
    pub environment: String,
    /// Episodes and steps of the history.
    pub episodes: usize,
    /// See `episodes`.
    pub steps: usize,
    /// Episodes that the log has not all steps of.
    pub lost_episodes: u32,
    /// Steps of the last episode, where the log ends before it.
    pub unfinished_steps: usize,
}

/// Makes histories of `logs`, and the card beside them: one of each run, in their order.
///
/// # Errors
/// [`Error::File`] of a log: [`decode`], a run that another log has, an interface other than that of the
/// first, a task that there is not, another preset than that of the first, an episode longer than the
/// environment's, and where `strict` anything that cannot be read. [`Error::Argument`] `environment` and
/// `task`, where they are not those of the logs, or `task` is missing; `held_out`.
pub fn import(importing: &Importing, logs: &[PathBuf], out: &Path) -> Result<Imported> {
    check_name(out)?;
    check_replaceable(out)?;
    let (mut runs, mut all_skipped) = (Vec::new(), Vec::new());
    for path in logs {
        let log = decode(path, &files::read_bytes(path, MAX_BYTES)?)?;
        if let Some(first) = log.skipped.first().filter(|_| importing.strict) {
            let Skipped { byte, bytes, problem } = first;
            let problem = format!(
                "{bytes} bytes from byte {byte} on cannot be read: {problem}; log the steps again, or leave --strict \
                 out to import what can be read"
            );
            return Err(Error::file(path, problem));
        }
        runs.extend(log.runs.into_iter().map(|run| (path, run)));
        if !log.skipped.is_empty() {
            all_skipped.push((path.clone(), log.skipped));
        }
    }
    if logs.len() > 1 {
        refuse_twice(&runs)?;
    }
    let environment = environment_of(importing, &runs)?;
    refuse_longer(&environment, &runs)?;
    let tasks = tasks_of(importing, &environment, &runs)?;
    let interface = environment.interface()?;
    let mut all = Histories { index: Vec::new(), steps: Steps::new(interface.observation_len()), interface };
    let mut origins = Vec::with_capacity(runs.len());
    for ((path, run), task) in runs.iter().zip(tasks) {
        let (first, id) = (all.steps.len(), all.index.len() as u32);
        let is_there = !run.steps.is_empty();
        if is_there {
            all.steps.extend(&run.steps, 0..run.steps.len());
            all.index.push(History { task, id, steps: first..all.steps.len() });
        }
        origins.push(Origin {
            history: is_there.then_some(id),
            task: is_there.then_some(task),
            ..Origin::of(path, run)
        });
    }
    if all.steps.truncations.iter().all(Option::is_none) {
        all.steps.truncations.clear();
    }
    let Importing { held_out, split_seed, .. } = *importing;
    let split = split_found(&all, &Foreign { held_out, split_seed, ..Foreign::default() })?;
    let sha256 = filter::write(out, &all, "device")?;
    let environment_name = environment_name(&environment, &runs);
    let mut card = Card { environment_name, ..card_of(&all, environment, split, sha256) };
    card.write(out)?;
    Ok(Imported { card, origins, skipped: all_skipped })
}

impl Origin {
    fn of(log: &Path, run: &Run) -> Self {
        let Run { head, steps, lost_episodes, unfinished_steps } = run;
        Self {
            log: log.into(),
            history: None,
            task: None,
            device: head.device,
            model_crc32: format!("{:08x}", head.model_crc),
            seed: head.seed,
            environment: head.environment.clone(),
            episodes: steps.episodes.chunk_by(|a, b| a == b).count(),
            steps: steps.len(),
            lost_episodes: *lost_episodes,
            unfinished_steps: *unfinished_steps,
        }
    }
}

/// Refuses a run of which another log has the beginning or all: one that was fetched twice, perhaps while the
/// device went on. A device that starts again with the same seed may do the same again: what is in one log
/// twice happened twice.
fn refuse_twice(runs: &[(&PathBuf, Run)]) -> Result<()> {
    let mut sorted: Vec<_> = runs.iter().filter(|(_, run)| !run.steps.is_empty()).collect();
    sorted.sort_by(|(_, a), (_, b)| {
        let head = |run: &Run| (run.head.model_crc, run.head.device, run.head.task, run.head.seed);
        head(a).cmp(&head(b)).then_with(|| what_happened(a).cmp(what_happened(b)))
    });
    // Each is the beginning of the next.
    let mut chain: Vec<&(&PathBuf, Run)> = Vec::new();
    for run in sorted {
        while chain.last().is_some_and(|(_, shorter)| !begins_with(&run.1, shorter)) {
            chain.pop();
        }
        // Logs are told apart by their place in the list: one may be named twice.
        if let Some((other, _)) = chain.iter().find(|(other, _)| !std::ptr::eq(*other, run.0)) {
            let problem = format!("has a run that {} has as well; leave one of them out", other.display());
            return Err(Error::file(run.0, problem));
        }
        chain.push(run);
    }
    Ok(())
}

fn begins_with(run: &Run, shorter: &Run) -> bool {
    let heads_agree = run.head == shorter.head;
    heads_agree && what_happened(run).take(shorter.steps.len()).eq(what_happened(shorter))
}

/// Each step, as far as it does not depend on where the log ends.
fn what_happened(run: &Run) -> impl Iterator<Item = impl Ord + '_> {
    let Steps { observations, episodes, actions, rewards, dones, .. } = &run.steps;
    (0..run.steps.len()).map(move |step| {
        let seen: Vec<i32> = observations.iter().map(|column| column[step]).collect();
        (episodes[step], actions[step], rewards[step].to_bits(), dones[step], seen)
    })
}

/// Refuses an episode that is longer than the environment lets it be.
fn refuse_longer(environment: &EnvironmentConfig, runs: &[(&PathBuf, Run)]) -> Result<()> {
    let Some(horizon) = environment.horizon() else { return Ok(()) };
    for (path, run) in runs {
        for episode in run.steps.episodes.chunk_by(|a, b| a == b) {
            if episode.len() > horizon as usize {
                let (number, steps, name) = (episode[0], episode.len(), environment.preset_name());
                let problem = format!(
                    "episode {number} has {steps} steps, but those of {name} end after {horizon}; say with \
                     --environment, and --set horizon=STEPS where it has one, where the device was"
                );
                return Err(Error::file(path, problem));
            }
        }
    }
    Ok(())
}

/// The environment that was named, or that the logs name, or one without a simulator.
fn environment_of(importing: &Importing, runs: &[(&PathBuf, Run)]) -> Result<EnvironmentConfig> {
    let Some((first, Run { head, .. })) = runs.first() else {
        return Err(Error::argument("logs", "are none, expected at least one"));
    };
    if let Some((path, _)) = runs.iter().find(|(_, run)| run.head.interface != head.interface) {
        let problem = format!(
            "has another interface (observations, actions or reward levels) than {}; a file has one: import them \
             to a file each",
            first.display()
        );
        return Err(Error::file(path, problem));
    }
    let is_it = |environment: &EnvironmentConfig| {
        environment.interface().is_ok_and(|interface| interface == head.interface)
    };
    if let Some(environment) = &importing.environment {
        if !is_it(environment) {
            let channels: Vec<String> = head.interface.channels.iter().map(ToString::to_string).collect();
            let problem = format!(
                "{} sees, does or earns something else than the device of {}: observations [{}], {} actions, rewards \
                 {:?}; name another, or leave it out",
                environment.preset_name(),
                first.display(),
                channels.join(", "),
                head.interface.actions,
                head.interface.reward_levels.as_slice()
            );
            return Err(Error::argument("environment", problem));
        }
        return Ok(environment.clone());
    }
    let preset = |run: &Run| EnvironmentConfig::preset(&run.head.environment).ok().filter(is_it);
    let mut named = runs.iter().filter_map(|(path, run)| Some((path, run, preset(run)?)));
    let first = named.next();
    let other =
        first.as_ref().and_then(|(_, _, environment)| named.find(|(_, _, other)| other != environment));
    if let (Some((first, named, _)), Some((path, other, _))) = (&first, &other) {
        let problem = format!(
            "is of {}, but {} is of {}; a file is of one environment: import them to a file each, or say \
             --environment",
            other.head.environment,
            first.display(),
            named.head.environment
        );
        return Err(Error::file(path, problem));
    }
    let is_named = runs.iter().all(|(_, run)| run.head.environment == head.environment);
    let named = first.map(|(_, _, environment)| environment).filter(|_| is_named);
    Ok(named.unwrap_or_else(|| EnvironmentConfig::custom(head.interface.clone())))
}

/// What all logs call an environment without a simulator.
fn environment_name(environment: &EnvironmentConfig, runs: &[(&PathBuf, Run)]) -> Option<String> {
    let name = &runs.first()?.1.head.environment;
    let is_it = environment.horizon().is_none() && !name.is_empty();
    (is_it && runs.iter().all(|(_, run)| run.head.environment == *name)).then(|| name.clone())
}

/// The task of each run. Where nobody knows it, and the environment has no tasks of its own, each run
/// gets a number that no other has.
fn tasks_of(
    importing: &Importing,
    environment: &EnvironmentConfig,
    runs: &[(&PathBuf, Run)],
) -> Result<Vec<u32>> {
    let is_custom = environment.horizon().is_none();
    let last = match environment.task_count() {
        Some(count) if !is_custom => count.saturating_sub(1).min(MAX_TASK),
        _ => MAX_TASK,
    };
    let name = environment.preset_name();
    let expected = |task: u32| format!("is {task}, but {name} has tasks 0 to {last}");
    if let Some(task) = importing.task {
        return match task > last {
            true => Err(Error::argument("task", expected(task))),
            false => Ok(vec![task; runs.len()]),
        };
    }
    let known: BTreeSet<u32> = runs.iter().filter_map(|(_, run)| run.head.task).collect();
    let mut free = (0..).filter(|task| !known.contains(task));
    let task_of = |(path, run): &(&PathBuf, Run)| match run.head.task {
        Some(task) if task > last => {
            Err(Error::file(path, format!("task {}; say which with --task", expected(task))))
        }
        Some(task) => Ok(task),
        None if is_custom => Ok(free.next().unwrap_or(0)),
        None => {
            let problem = format!("is not known of a run in {}; say which of {name} it is", path.display());
            Err(Error::argument("task", problem))
        }
    };
    runs.iter().map(task_of).collect()
}
