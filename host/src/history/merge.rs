//! The Parquet file of what was recorded, and its card.

use super::card::{card_path, Card};
use super::file::{describe, histories_in, read_undivided, Foreign};
use super::journal::{parts, parts_folder, read_part, Part, Recorded, RecordedEpisode};
use super::{filter, Histories, History, Steps, Storage};
use crate::environment::TaskSplit;
use crate::files::FolderLock;
use crate::{Error, Result};
use algodistill_core::Channel;
use std::path::{Path, PathBuf};

/// Makes `path` and its card of what was recorded: of its journals, and of the histories that are in
/// the file already. The journals are removed then. `known` says how many tasks are held out; absent,
/// those of the file stay where they are, and of further ones as many are as make one in ten. The
/// interface is that of the journals. `None` where no episode was recorded since, nothing is to be
/// divided anew, and nothing changed.
///
/// # Errors
/// [`Error::File`] of a journal that is damaged, or that somebody still writes; of a history that is
/// in the file already; [`Error::Argument`] where the interfaces differ, and those of
/// [`describe`]. Nothing changed then.
pub fn merge(path: &Path, known: &Foreign) -> Result<Option<Card>> {
    super::file::check_name(path)?;
    let folder = parts_folder(path);
    if !folder.exists() {
        return divide(path, known);
    }
    let _held = FolderLock::wait(&folder)?;
    finish(&folder, path)?;
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
        None => divide(path, known)?,
        Some(Part { about, .. }) => {
            let about = about.clone();
            let all = together(path, &about, recorded)?;
            let merged = folder.join("merged.parquet");
            filter::write(&merged, &all, "recorded")?;
            let known = Foreign { split: split_of(path)?, ..known_of(&about.channels, about.actions, known) };
            let (mut card, _) = describe(&merged, &known)?;
            card.write(&whole(&folder))?;
            std::fs::rename(&merged, whole(&folder)).map_err(|e| Error::io(&folder, e))?;
            finish(&folder, path)?;
            Some(card)
        }
    };
    parts.iter().try_for_each(std::fs::remove_file).map_err(|e| Error::io(&folder, e))?;
    // Another process may begin a journal just now.
    let _ = std::fs::remove_dir(&folder);
    Ok(card)
}

/// The file that was made of all journals, with its card beside it, as long as it is not where it
/// belongs.
fn whole(folder: &Path) -> PathBuf {
    folder.join("whole.parquet")
}

/// Whether a process was killed while it moved what it had made of the journals of `path`.
pub(super) fn is_unfinished(path: &Path) -> bool {
    whole(&parts_folder(path)).exists()
}

/// Moves what was made to where it belongs; the Parquet file last, so that a process that is killed
/// meanwhile leaves a sign that there is something to move.
pub(super) fn finish(folder: &Path, path: &Path) -> Result<()> {
    let whole = whole(folder);
    let (card, to) = (card_path(&whole), card_path(path));
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| Error::io(to, e));
    if !whole.exists() {
        // Of a process that was killed before it had made the file.
        let _ = std::fs::remove_file(card);
        return Ok(());
    }
    if card.exists() {
        rename(&card, &to)?;
    }
    rename(&whole, path)
}

/// The split of the file, if it is there.
fn split_of(path: &Path) -> Result<TaskSplit> {
    match path.exists() {
        true => Ok(Card::read(path)?.split),
        false => Ok(TaskSplit::default()),
    }
}

/// Divides the tasks of a file anew, if it is there and `known` says how many are held out.
fn divide(path: &Path, known: &Foreign) -> Result<Option<Card>> {
    if known.held_out.is_none() || !path.exists() {
        return Ok(None);
    }
    let card = Card::read(path)?;
    refuse_generated(path, &card)?;
    let (mut card, _) = describe(path, &known_of(&card.interface.channels, card.interface.actions, known))?;
    card.write(path)?;
    Ok(Some(card))
}

/// Numbers of the histories of a Parquet file, if it is there, which must be like `about`.
pub(super) fn histories_of(path: &Path, about: &Recorded) -> Result<Vec<u32>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    like_card(path, about, &Card::read(path)?)?;
    histories_in(path)
}

fn refuse_generated(path: &Path, card: &Card) -> Result<()> {
    match card.generation.is_some() {
        true => Err(Error::file(path, "was generated, not recorded; record to another file")),
        false => Ok(()),
    }
}

fn like_card(path: &Path, about: &Recorded, card: &Card) -> Result<()> {
    refuse_generated(path, card)?;
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
    fill_unknown(&mut old.steps);
    let mut all = Histories {
        index: Vec::new(),
        steps: Steps::new(old.steps.observations.len()),
        interface: old.interface.clone(),
    };
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
    if all.steps.truncations.iter().all(Option::is_none) {
        all.steps.truncations.clear();
    }
    Ok(all)
}

/// Makes what a file may lack known to be unknown, so that it stays known of what is added.
fn fill_unknown(steps: &mut Steps) {
    if steps.optimal_actions.is_empty() {
        steps.optimal_actions = vec![u16::MAX; steps.len()];
    }
    if steps.truncations.is_empty() {
        steps.truncations = vec![None; steps.len()];
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
        steps.truncations.resize(steps.dones.len() - 1, episode.truncated.map(|_| false));
        steps.truncations.push(episode.truncated);
        if let Some(last) = episode.last {
            steps.final_observations.push(steps.dones.len() - 1, &last);
        }
    }
    (History { task: about.task, id: about.history, steps: 0..steps.len() }, steps)
}

/// What is known of the file, beyond its rows.
fn known_of(channels: &[Channel], actions: u16, known: &Foreign) -> Foreign {
    let mut all = Foreign { actions: Some(actions), pixels: Vec::new(), ..known.clone() };
    let mut sizes = Vec::new();
    for channel in channels {
        match *channel {
            Channel::Discrete { size } => sizes.push(size),
            Channel::Vector { .. } => {}
            Channel::Pixels { height, width, colours } => all.pixels.push([height, width, colours.into()]),
        }
    }
    all.observation_sizes = Some(sizes);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{read, Journal};

    const CHANNELS: [Channel; 2] = [Channel::Vector { size: 2 }, Channel::Discrete { size: 9 }];

    /// Records a history of two episodes of one and of two steps.
    fn record(path: &Path, task: u32, history: Option<u32>) -> Journal {
        let mut journal = Journal::begin(path, task, history, CHANNELS.to_vec(), 4).unwrap();
        let number = task as i32;
        let mut episode = RecordedEpisode {
            observations: vec![number, -number, 3],
            actions: vec![1],
            rewards: vec![0.5],
            optimal_actions: vec![u16::MAX],
            last: Some(vec![7, 8, 0]),
            truncated: Some(true),
        };
        journal.append(&episode).unwrap();
        episode.observations.extend([5, 6, 2]);
        episode.actions.push(3);
        episode.rewards.push(-1.0);
        episode.optimal_actions.push(2);
        (episode.last, episode.truncated) = (None, Some(false));
        journal.append(&episode).unwrap();
        journal
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        (folder, path)
    }

    #[test]
    fn what_was_recorded_is_read_again_and_added_to() {
        let (folder, path) = folder();
        for task in [6, 7] {
            record(&path, task, None).close().unwrap();
        }
        let known = Foreign { held_out: Some(0), ..Foreign::default() };
        let card = merge(&path, &known).unwrap().unwrap();
        assert_eq!((card.histories, card.steps), (2, 6));
        record(&path, 5, Some(1 << 30)).close().unwrap();
        merge(&path, &known).unwrap().unwrap();
        assert!(merge(&path, &Foreign::default()).unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

        let all = read(&path).unwrap().training;
        let index: Vec<_> = all.index.iter().map(|history| (history.task, history.id)).collect();
        assert_eq!(index, [(6, 0), (7, 1), (5, 1 << 30)]);
        let steps = &all.steps;
        assert_eq!(steps.observations[1], [-6, -6, 6, -7, -7, 6, -5, -5, 6]);
        assert_eq!(steps.episodes, [0, 1, 1].repeat(3));
        assert_eq!(steps.dones, [true, false, true].repeat(3));
        assert_eq!(steps.optimal_actions, [u16::MAX, u16::MAX, 2].repeat(3));
        assert_eq!(steps.truncations, [Some(true), Some(false), Some(false)].repeat(3));
        assert_eq!(steps.final_observations.steps(), [0, 3, 6]);
        assert_eq!(all.interface.channels[..], CHANNELS);
        assert_eq!(all.interface.reward_levels[..], [-1.0, 0.5]);
    }

    #[test]
    fn what_is_unknown_of_a_history_stays_known_of_another() {
        let (_folder, path) = folder();
        let known = Foreign { held_out: Some(0), ..Foreign::default() };
        let mut journal = Journal::begin(&path, 3, None, CHANNELS.to_vec(), 4).unwrap();
        let episode = RecordedEpisode {
            observations: vec![0; 6],
            actions: vec![0; 2],
            rewards: vec![0.0; 2],
            optimal_actions: vec![u16::MAX; 2],
            ..RecordedEpisode::default()
        };
        journal.append(&episode).unwrap();
        journal.close().unwrap();
        merge(&path, &known).unwrap().unwrap();
        let steps = read(&path).unwrap().training.steps;
        assert!(steps.truncations.is_empty() && steps.optimal_actions.is_empty());
        record(&path, 3, None).close().unwrap();
        merge(&path, &known).unwrap().unwrap();
        let steps = read(&path).unwrap().training.steps;
        assert_eq!(steps.truncations, [None, None, Some(true), Some(false), Some(false)]);
        assert_eq!(steps.optimal_actions, [[u16::MAX; 4].as_slice(), &[2]].concat());
    }

    #[test]
    fn a_history_has_one_writer_and_is_merged_after_it() {
        let (_folder, path) = folder();
        let mut journal = record(&path, 0, Some(3));
        let refused = |result: Result<()>| result.unwrap_err().to_string();
        let again = Journal::begin(&path, 0, Some(3), CHANNELS.to_vec(), 4).map(drop);
        assert!(refused(again).contains("choose another number"));
        let other = Journal::begin(&path, 0, None, CHANNELS.to_vec(), 5).map(drop);
        assert!(refused(other).contains("5 actions"));
        let open = merge(&path, &Foreign::default()).map(drop);
        assert!(refused(open).contains("is being recorded"));
        journal.discard().unwrap();
        assert!(merge(&path, &Foreign::default()).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_that_somebody_removes_says_so() {
        let (_folder, path) = folder();
        let mut journal = record(&path, 0, None);
        std::fs::remove_dir_all(parts_folder(&path)).unwrap();
        assert!(journal.close().unwrap_err().to_string().contains("was removed while"));
    }

    /// What a process leaves that is killed between two of the steps of a merge.
    #[test]
    fn a_merge_that_was_killed_is_finished_by_the_next() {
        for killed_after in 0..3 {
            let (_folder, path) = folder();
            record(&path, 6, None).close().unwrap();
            merge(&path, &Foreign { held_out: Some(0), ..Foreign::default() }).unwrap().unwrap();
            record(&path, 7, None).close().unwrap();
            let (before, parts) = (std::fs::read(&path).unwrap(), parts_folder(&path));
            let part = parts.join("history-0000000001.part");
            let journal = std::fs::read(&part).unwrap();
            merge(&path, &Foreign::default()).unwrap().unwrap();
            let (file, card) = (std::fs::read(&path).unwrap(), std::fs::read(card_path(&path)).unwrap());
            // Back to where it was.
            std::fs::create_dir(&parts).unwrap();
            std::fs::write(&part, journal).unwrap();
            if killed_after < 2 {
                std::fs::rename(&path, whole(&parts)).unwrap();
                std::fs::write(&path, before).unwrap();
            }
            if killed_after < 1 {
                std::fs::rename(card_path(&path), card_path(&whole(&parts))).unwrap();
            }
            let next = Journal::begin(&path, 8, None, CHANNELS.to_vec(), 4).unwrap();
            assert_eq!(next.about().history, 2, "killed after {killed_after}");
            drop(next);
            std::fs::remove_file(parts.join("history-0000000002.part")).unwrap();
            merge(&path, &Foreign::default()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), file);
            assert_eq!(std::fs::read(card_path(&path)).unwrap(), card);
        }
    }

    #[test]
    fn tasks_stay_held_out_until_they_are_divided_anew() {
        let (_folder, path) = folder();
        let record = |tasks: std::ops::Range<u32>| {
            tasks.for_each(|task| record(&path, task, None).close().unwrap());
        };
        record(0..8);
        let asked = |count| Foreign { held_out: Some(count), ..Foreign::default() };
        let first = merge(&path, &asked(3)).unwrap().unwrap().split;
        record(8..30);
        let second = merge(&path, &Foreign::default()).unwrap().unwrap().split;
        assert_eq!(second.held_out, first.held_out);
        record(30..50);
        let third = merge(&path, &Foreign::default()).unwrap().unwrap().split;
        assert!(first.held_out.iter().all(|task| third.held_out.contains(task)));
        assert!(second.training.iter().all(|task| third.training.contains(task)));
        assert_eq!((third.held_out.len(), third.training.len()), (5, 45));
        let anew = merge(&path, &asked(9)).unwrap().unwrap().split;
        assert_eq!((anew.held_out.len(), anew.training.len()), (9, 41));
        assert_eq!(read(&path).unwrap().card.split, anew);
        assert_eq!(merge(&path, &Foreign::default()).unwrap(), None);
    }
}
