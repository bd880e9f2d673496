//! Files of other programs, which have no card yet.

use super::bytes::ParquetFile;
use super::check::Checker;
use super::{check_name, outside_bytes, parquet};
use crate::environment::{shuffle, EnvironmentConfig, TaskSplit};
use crate::history::card::{Card, Returns, FORMAT_VERSION};
use crate::history::columns::{Kind, Reader, Rows};
use crate::history::disk::Storage;
use crate::history::{Histories, Steps};
use crate::{Error, Result};
use algodistill_core::interface::{
    MAX_ACTIONS, MAX_CHANNELS, MAX_CHANNEL_SIZE, MAX_ENCODERS, MAX_PIXEL_BYTES, MAX_REWARD_LEVELS,
    MAX_VECTOR_SIZE,
};
use algodistill_core::{Channel, Interface, PortableRng};
use std::collections::BTreeSet;
use std::path::Path;

/// What is known of a file that another program wrote, beyond its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Values that each column of integers of an observation can have, from 0; absent: those that
    /// occur.
    pub observation_sizes: Option<Vec<u16>>,
    /// Height, width and colours of each column of bytes of an observation.
    pub pixels: Vec<[u16; 3]>,
    /// Number of actions; absent: those that occur, at least 2.
    pub actions: Option<u16>,
    /// Tasks held out from training; absent: one in ten.
    pub held_out: Option<u32>,
    /// Where `held_out` is absent: how tasks are divided already, which stays so.
    pub split: TaskSplit,
    /// Seed of the split.
    pub split_seed: u64,
}

/// Checks a file that another program wrote, and describes it: reward levels are those that occur,
/// observation sizes and actions as well unless `known` has them, and some of its tasks are held
/// out. The card is returned, not written.
///
/// # Errors
/// [`Error::Argument`] that names the field of `known`; [`Error::File`] and [`Error::Io`].
pub fn describe(path: &Path, known: &Foreign) -> Result<(Card, Histories)> {
    describe_with(path, known, &Storage::default())
}

/// As [`describe`]; numbers and pictures are kept as `storage` says.
///
/// # Errors
/// As [`describe`]; those of keeping the observations, with the folder.
pub fn describe_with(path: &Path, known: &Foreign, storage: &Storage) -> Result<(Card, Histories)> {
    check_name(path)?;
    let file = ParquetFile::open(path)?;
    let sha256 = file.digest()?;
    let reader = parquet(path, || Reader::open(file))?;
    let disk = storage.file(outside_bytes(reader.kinds(), reader.len()))?;
    let mut parts = Vec::new();
    parquet(path, || {
        let all: std::ops::Range<usize> = 0..reader.len();
        reader.pieces(&[all], disk.as_ref(), |_, rows| {
            parts.push(rows);
            Ok(())
        })
    })?;
    let interface = infer(path, &parts, known)?;
    let mut steps = Steps::new(interface.observation_len());
    let mut checker = Checker::new(&interface, false);
    for part in parts {
        parquet(path, || checker.check(&part))?;
        steps.append(part.steps);
    }
    let index = checker.index;
    let all = Histories { index, steps, interface };
    let split = split_found(&all, known)?;
    let card = card_of(&all, EnvironmentConfig::custom(all.interface.clone()), split, sha256);
    Ok((card, all))
}

/// The card of histories that were not generated.
pub(in crate::history) fn card_of(
    all: &Histories,
    environment: EnvironmentConfig,
    split: TaskSplit,
    sha256: String,
) -> Card {
    let mut returns = Returns::default();
    for history in &all.index {
        let held_out = split.held_out.binary_search(&history.task).is_ok();
        returns.add(&all.steps, history.steps.clone(), held_out);
    }
    Card {
        format_version: FORMAT_VERSION,
        environment,
        environment_name: None,
        interface: all.interface.clone(),
        generation: None,
        split,
        histories: all.index.len() as u32,
        steps: all.steps.len() as u64,
        source_steps: None,
        solved_share: None,
        median_steps_to_solve: None,
        returns: returns.windows(),
        filters: Vec::new(),
        sha256,
        card_sha256: String::new(),
    }
}

/// The interface of a foreign file: what is known, and else what occurs in it.
pub(super) fn infer(path: &Path, parts: &[Rows], known: &Foreign) -> Result<Interface> {
    let (mut sizes, mut actions, levels) = occurring(parts).map_err(|problem| Error::file(path, problem))?;
    if let Some(wanted) = &known.observation_sizes {
        if let Some(size) = wanted.iter().find(|size| !(1..=MAX_CHANNEL_SIZE).contains(&usize::from(**size)))
        {
            let problem = format!("has {size}, expected 1 to {MAX_CHANNEL_SIZE} values of each word");
            return Err(Error::argument("observation_sizes", problem));
        }
        if wanted.len() != sizes.len() || wanted.iter().zip(&sizes).any(|(wanted, found)| wanted < found) {
            let problem = format!("is {wanted:?}, but the file needs {sizes:?} or more");
            return Err(Error::argument("observation_sizes", problem));
        }
        sizes.clone_from(wanted);
    }
    if let Some(wanted) = known.actions {
        if usize::from(wanted) > MAX_ACTIONS {
            return Err(Error::argument("actions", format!("is {wanted}, expected 2 to {MAX_ACTIONS}")));
        }
        if wanted < actions {
            let problem = format!("is {wanted}, but the file needs {actions} or more");
            return Err(Error::argument("actions", problem));
        }
        actions = wanted;
    }
    let kinds = parts.first().map_or(&[][..], |part| &part.kinds);
    let channels = channels(path, kinds, &sizes, &known.pixels)?;
    let columns = channels.len();
    let interface = Interface {
        channels: channels.into_iter().take(MAX_CHANNELS).collect(),
        actions,
        reward_levels: levels.into_iter().take(MAX_REWARD_LEVELS).collect(),
    };
    if interface.is_valid() && columns <= MAX_CHANNELS {
        return Ok(interface);
    }
    let problem = format!(
        "has {columns} observation columns and {actions} actions; a model can have at most {MAX_CHANNELS} columns \
         ({MAX_ENCODERS} of them lists, of at most {MAX_VECTOR_SIZE} numbers, or pictures, of at most \
         {MAX_PIXEL_BYTES} bytes) and {MAX_ACTIONS} actions, and rewards that are finite"
    );
    Err(Error::file(path, problem))
}

/// The channels of columns of such kinds.
fn channels(path: &Path, kinds: &[Kind], sizes: &[u16], pixels: &[[u16; 3]]) -> Result<Vec<Channel>> {
    let mut sizes = sizes.iter();
    let mut shapes = pixels.iter();
    let mut channels = Vec::with_capacity(kinds.len());
    for (number, kind) in kinds.iter().enumerate() {
        channels.push(match *kind {
            Kind::Integer => Channel::Discrete { size: sizes.next().copied().unwrap_or(1) },
            Kind::List(numbers) => Channel::Vector { size: numbers.min(usize::from(u16::MAX)) as u16 },
            Kind::Bytes(bytes) => {
                let missing = || {
                    let problem = format!(
                        "are not said for observation_{number}, which has {bytes} bytes a row; \
                         say HEIGHTxWIDTHxCOLOURS"
                    );
                    Error::argument("pixels", problem)
                };
                let &[height, width, colours] = shapes.next().ok_or_else(missing)?;
                let channel =
                    u8::try_from(colours).ok().map(|colours| Channel::Pixels { height, width, colours });
                channel.filter(|channel| channel.inputs() == bytes).ok_or_else(|| {
                    let problem = format!(
                        "are {height}x{width}x{colours} for observation_{number}, which has {bytes} bytes a row"
                    );
                    Error::argument("pixels", problem)
                })?
            }
        });
    }
    match shapes.next() {
        None => Ok(channels),
        Some(_) => {
            let all = kinds.iter().filter(|kind| matches!(kind, Kind::Bytes(_))).count();
            let problem =
                format!("has {} shapes, but {} has {all} columns of bytes", pixels.len(), path.display());
            Err(Error::argument("pixels", problem))
        }
    }
}

/// Sizes of the words of an observation, actions and reward levels that occur in the parts of a
/// file, all of which are of the same kinds.
fn occurring(parts: &[Rows]) -> std::result::Result<(Vec<u16>, u16, Vec<f32>), String> {
    let kinds = parts.first().map_or(&[][..], |part| &part.kinds);
    let mut sizes = Vec::with_capacity(kinds.len());
    let mut next = 0;
    for (number, kind) in kinds.iter().enumerate() {
        let word = next;
        next += kind.words();
        if *kind != Kind::Integer {
            continue;
        }
        let values = || parts.iter().flat_map(|part| part.steps.observations.get(word).into_iter().flatten());
        let (low, high) = (values().min().copied().unwrap_or(0), values().max().copied().unwrap_or(0));
        if low < 0 || high as usize >= MAX_CHANNEL_SIZE {
            let limit = MAX_CHANNEL_SIZE - 1;
            return Err(format!(
                "observation_{number} has values from {low} to {high}, expected 0 to {limit}"
            ));
        }
        sizes.push(high as u16 + 1);
    }
    let highest_action = parts.iter().flat_map(|part| &part.steps.actions).max();
    let Some(&highest_action) = highest_action else { return Err("has no rows".into()) };
    Ok((sizes, highest_action.saturating_add(1).max(2), reward_levels(parts)))
}

/// The distinct rewards, or where they are too many, quantiles.
pub(super) fn reward_levels(parts: &[Rows]) -> Vec<f32> {
    let rewards = || parts.iter().flat_map(|part| part.steps.rewards.iter().copied());
    let mut levels: Vec<f32> = Vec::with_capacity(MAX_REWARD_LEVELS);
    for reward in rewards() {
        if levels.contains(&reward) {
            continue;
        }
        if levels.len() == MAX_REWARD_LEVELS {
            levels = rewards().collect();
            levels.sort_unstable_by(f32::total_cmp);
            let count = levels.len();
            levels = (0..MAX_REWARD_LEVELS)
                .map(|i| levels[count * (2 * i + 1) / (2 * MAX_REWARD_LEVELS)])
                .collect();
            break;
        }
        levels.push(reward);
    }
    levels.sort_unstable_by(f32::total_cmp);
    levels.dedup();
    levels
}

/// Splits the tasks that occur in a foreign file; one in ten is held out unless `known` says how
/// many.
pub(in crate::history) fn split_found(all: &Histories, known: &Foreign) -> Result<TaskSplit> {
    let tasks: BTreeSet<u32> = all.index.iter().map(|history| history.task).collect();
    let count = tasks.len();
    let (mut split, held_out) = match known.held_out {
        Some(wanted) => (TaskSplit::default(), wanted as usize),
        None => (known.split.clone(), (count / 10).saturating_sub(known.split.held_out.len())),
    };
    let is_new = |task: &u32| !split.held_out.contains(task) && !split.training.contains(task);
    let mut new: Vec<u32> = tasks.into_iter().filter(is_new).collect();
    if known.held_out.is_some() && held_out >= count {
        let problem =
            format!("is {held_out}, but the file has {count} tasks and at least one is needed for training");
        return Err(Error::argument("held_out", problem));
    }
    shuffle(&mut new, &mut PortableRng::new(known.split_seed, 0));
    split.training.extend(new.split_off(held_out.min(new.len())));
    split.held_out.extend(new);
    split.training.sort_unstable();
    split.held_out.sort_unstable();
    Ok(split)
}
