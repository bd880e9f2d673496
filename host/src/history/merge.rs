//! The Parquet file of what was recorded, and its card.

use super::card::Card;
use super::columns::{row_group_steps, Layout, OptimalActions};
use super::file::{describe, histories_in, read_undivided, Foreign};
use super::journal::{parts, parts_folder, read_part, Part, Recorded, RecordedEpisode};
use super::{Histories, History, Steps, Storage};
use crate::files::{write_atomically, FolderLock};
use crate::{Error, Result};
use algodistill_core::Channel;
use std::path::Path;

/// Makes `path` and its card of what was recorded: of its journals, and of the histories that are in
/// the file already. The journals are removed then. `known` says how many tasks are held out; the
/// interface is that of the journals. `None` where no episode was recorded since, and nothing
/// changed.
///
/// # Errors
/// [`Error::File`] of a journal that is damaged, or that somebody still writes; of a history that is
/// in the file already; [`Error::Argument`] where the interfaces differ, and those of
/// [`describe`]. Nothing changed then.
pub fn merge(path: &Path, known: &Foreign) -> Result<Option<Card>> {
    super::file::check_name(path)?;
    let folder = parts_folder(path);
    if !folder.exists() {
        return Ok(None);
    }
    let _held = FolderLock::wait(&folder)?;
    let parts = parts(&folder)?;
    let mut recorded: Vec<Part> = Vec::with_capacity(parts.len());
    for part in &parts {
        if let Some(part) = read_part(part)? {
            if let Some(first) = recorded.first() {
                part.about.check_like(&first.about, &first.path)?;
            }
            recorded.push(part);
        }
    }
    let card = match recorded.first() {
        None => None,
        Some(Part { about, .. }) => {
            let about = about.clone();
            let all = together(path, &about, recorded)?;
            Some(write(path, &folder.join("merged.parquet"), &all, &known_of(&about, known))?)
        }
    };
    parts.iter().try_for_each(std::fs::remove_file).map_err(|e| Error::io(&folder, e))?;
    // Another process may begin a journal just now.
    let _ = std::fs::remove_dir(&folder);
    Ok(card)
}

/// Numbers of the histories of a Parquet file, if it is there, which must be like `about`.
pub(super) fn histories_of(path: &Path, about: &Recorded) -> Result<Vec<u32>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    like_card(path, about, &Card::read(path)?)?;
    histories_in(path)
}

fn like_card(path: &Path, about: &Recorded, card: &Card) -> Result<()> {
    if card.generation.is_some() {
        let problem = "was generated, not recorded; record to another file";
        return Err(Error::file(path, problem));
    }
    let channels = card.interface.channels.iter().copied().collect();
    about.check_like(&Recorded { channels, actions: card.interface.actions, ..*about }, path)
}

/// The histories of the file and of the journals, in the order of their numbers.
fn together(path: &Path, about: &Recorded, recorded: Vec<Part>) -> Result<Histories> {
    let interface = about.interface();
    let mut old = Histories { index: Vec::new(), steps: Steps::new(interface.observation_len()), interface };
    if path.exists() {
        let (card, all) = read_undivided(path, &Storage { in_memory: u64::MAX, ..Storage::default() })?;
        like_card(path, about, &card)?;
        old = all;
    }
    fill_optimal(&mut old.steps);
    let mut all =
        Histories { index: Vec::new(), steps: Steps::new(old.steps.observations.len()), ..old.clone() };
    let mut later = old.index.iter().peekable();
    for Part { path: part, about, episodes } in recorded {
        while let Some(history) = later.next_if(|history| history.id < about.history) {
            add(&mut all, history, &old.steps);
        }
        let (history, steps) = history(&about, episodes);
        if let Some(same) = later.peek().filter(|there| there.id == history.id) {
            // A process that was killed after it had merged did not remove its journals.
            let mut there = Steps::new(steps.observations.len());
            there.extend(&old.steps, same.steps.clone());
            if (same.task, &there) != (history.task, &steps) {
                let problem =
                    format!("is history {}, which {} has already; remove one", history.id, path.display());
                return Err(Error::file(part, problem));
            }
            continue;
        }
        add(&mut all, &history, &steps);
    }
    later.for_each(|history| add(&mut all, history, &old.steps));
    if all.steps.optimal_actions.iter().all(|&action| action == u16::MAX) {
        all.steps.optimal_actions.clear();
    }
    Ok(all)
}

fn fill_optimal(steps: &mut Steps) {
    if steps.optimal_actions.is_empty() {
        steps.optimal_actions = vec![u16::MAX; steps.len()];
    }
}

fn add(all: &mut Histories, history: &History, steps: &Steps) {
    let first = all.steps.len();
    all.steps.extend(steps, history.steps.clone());
    all.index.push(History { steps: first..all.steps.len(), ..*history });
}

/// The steps of a journal's episodes.
fn history(about: &Recorded, episodes: Vec<RecordedEpisode>) -> (History, Steps) {
    let words: usize = about.channels.iter().map(Channel::words).sum();
    let mut steps = Steps::new(words);
    for (number, episode) in episodes.into_iter().enumerate() {
        let len = episode.actions.len();
        for (word, column) in steps.observations.iter_mut().enumerate() {
            column.extend(episode.observations.iter().skip(word).step_by(words));
        }
        steps.episodes.resize(steps.episodes.len() + len, number as u32);
        steps.actions.extend(episode.actions);
        steps.rewards.extend(episode.rewards);
        steps.optimal_actions.extend(episode.optimal_actions);
        steps.dones.resize(steps.dones.len() + len - 1, false);
        steps.dones.push(true);
        if let Some(last) = episode.last {
            steps.final_observations.push(steps.dones.len() - 1, &last);
        }
    }
    (History { task: about.task, id: about.history, steps: 0..steps.len() }, steps)
}

/// What is known of the file, beyond its rows.
fn known_of(about: &Recorded, known: &Foreign) -> Foreign {
    let mut all = Foreign { actions: Some(about.actions), pixels: Vec::new(), ..known.clone() };
    let mut sizes = Vec::new();
    for channel in &about.channels {
        match *channel {
            Channel::Discrete { size } => sizes.push(size),
            Channel::Vector { .. } => {}
            Channel::Pixels { height, width, colours } => all.pixels.push([height, width, colours.into()]),
        }
    }
    all.observation_sizes = Some(sizes);
    all
}

/// Writes and describes `all` at `temporary`, which then becomes `path`.
fn write(path: &Path, temporary: &Path, all: &Histories, known: &Foreign) -> Result<Card> {
    let refuse = |e: parquet::errors::ParquetError| Error::file(path, format!("cannot be written: {e}"));
    let layout = Layout::new(&all.interface, OptimalActions::of(&all.steps)).map_err(refuse)?;
    write_atomically(temporary, |file| {
        let mut file = layout.file_writer(file).map_err(refuse)?;
        for group in groups(all) {
            layout.encode(&group, "recorded").and_then(|rows| rows.splice(&mut file)).map_err(refuse)?;
        }
        file.into_inner().map(drop).map_err(refuse)
    })?;
    let (mut card, _) = describe(temporary, known)?;
    std::fs::rename(temporary, path).map_err(|e| Error::io(path, e))?;
    card.write(path)?;
    Ok(card)
}

/// Whole histories, as many as a row group has.
fn groups(all: &Histories) -> impl Iterator<Item = Histories> + '_ {
    let most = row_group_steps(all.steps.len() as u64, all.steps.observations.len()) as usize;
    let mut rest = &all.index[..];
    std::iter::from_fn(move || {
        let first = rest.first()?.steps.start;
        let count = rest.iter().take_while(|history| history.steps.end - first <= most).count().max(1);
        let (group, after) = rest.split_at(count);
        rest = after;
        let mut histories = Histories {
            index: Vec::new(),
            steps: Steps::new(all.steps.observations.len()),
            interface: all.interface.clone(),
        };
        group.iter().for_each(|history| add(&mut histories, history, &all.steps));
        Some(histories)
    })
}
