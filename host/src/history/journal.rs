//! A history as it is recorded: episode by episode, in a file that is whole at any time.
//!
//! A Parquet file has its footer at the end: of a writer that was killed nothing can be read. So
//! what another program does is written to a journal first, one record an episode with a checksum,
//! and [`merge`](super::merge()) makes the Parquet file of all journals. The journals of
//! `NAME.parquet` lie in the folder `NAME.parquet.parts`, one a history, and are locked for as long
//! as somebody writes them.

use crate::files::{read_bytes, try_lock, FolderLock};
use crate::{Error, Result};
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Channel, Interface};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// First bytes of a journal, the last of them its version.
const MAGIC: [u8; 8] = *b"adpart\0\x02";
/// Bytes in front of a record: how many it has, these inverted, the first of its SHA-256.
const FRAME: usize = 16;
/// Largest journal that is read.
const MAX_BYTES: u64 = 16 << 30;
/// Largest number of a task, a history or an episode.
const MAX_ID: u32 = i32::MAX as u32;

/// What a journal is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Number of the task.
    pub task: u32,
    /// Number of the history, unique in its file.
    pub history: u32,
    /// What is observed.
    pub channels: Vec<Channel>,
    /// Number of actions.
    pub actions: u16,
}

/// An episode, from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordedEpisode {
    /// The words of what was observed before each action, step by step.
    pub observations: Vec<i32>,
    /// The actions.
    pub actions: Vec<u16>,
    /// Their rewards.
    pub rewards: Vec<f32>,
    /// The optimal actions, `u16::MAX` where unknown.
    pub optimal_actions: Vec<u16>,
    /// The words of what was observed after the last action, where that is known.
    pub last: Option<Vec<i32>>,
    /// Whether it was cut off, by a time limit or a reset before its end, where that is known.
    pub truncated: Option<bool>,
}

/// A journal that is being written, by one process.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    process: u32,
    about: Recorded,
    /// Bytes of whole records.
    len: u64,
    /// Records that could not be written yet.
    unwritten: Vec<u8>,
}

/// The folder of the journals of a Parquet file.
pub fn parts_folder(parquet: &Path) -> PathBuf {
    let mut name = parquet.as_os_str().to_owned();
    name.push(".parts");
    name.into()
}

/// The journal of a history.
fn part_path(folder: &Path, history: u32) -> PathBuf {
    folder.join(format!("history-{history:010}.part"))
}

/// The journals in a folder, in the order of their histories.
pub(super) fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io(folder, e);
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            parts.push(path);
        }
    }
    parts.sort_unstable();
    Ok(parts)
}

/// Number of the history of a journal, by its name.
fn history_of(part: &Path) -> Option<u32> {
    part.file_stem()?.to_str()?.strip_prefix("history-")?.parse().ok()
}

impl Journal {
    /// Begins the journal of a history of `parquet`. Where its number is `None`, it is the next one
    /// after those of the file and of its journals.
    ///
    /// # Errors
    /// [`Error::Argument`] `task` or `history` where the number is too large or taken, `environment`
    /// where no model can have the interface, or where the file or another journal observes or does
    /// something else; [`Error::File`] and [`Error::Io`].
    pub fn begin(
        parquet: &Path,
        task: u32,
        history: Option<u32>,
        channels: Vec<Channel>,
        actions: u16,
    ) -> Result<Self> {
        super::file::check_name(parquet)?;
        for (argument, number) in [("task", task), ("history", history.unwrap_or(0))] {
            if number > MAX_ID {
                return Err(Error::argument(argument, format!("is {number}, expected 0 to {MAX_ID}")));
            }
        }
        let about = Recorded { task, history: 0, channels, actions };
        if about.channels.len() > MAX_CHANNELS || !about.interface().is_valid() {
            let problem = "observes or does more than a model can: see docs/histories-format.md";
            return Err(Error::argument("environment", problem));
        }
        let folder = parts_folder(parquet);
        // Nobody else begins a journal, or merges, meanwhile.
        let held = FolderLock::wait(&folder)?;
        let begun = Self::begin_in(&folder, parquet, about, history);
        if begun.is_err() {
            // If it was made just now.
            let _ = std::fs::remove_dir(&folder);
        }
        drop(held);
        begun
    }

    fn begin_in(folder: &Path, parquet: &Path, about: Recorded, history: Option<u32>) -> Result<Self> {
        super::merge::finish(folder, parquet)?;
        let others = parts(folder)?;
        if let Some(other) = others.first() {
            about.check_like(&read_head(other)?, other)?;
        }
        let mut taken = super::merge::histories_of(parquet, &about)?;
        taken.extend(others.iter().filter_map(|part| history_of(part)));
        let history = history.unwrap_or_else(|| taken.iter().max().map_or(0, |last| last.saturating_add(1)));
        if taken.contains(&history) || history > MAX_ID {
            let problem = format!(
                "{history} is in {} or in {} already; choose another number, leave it out for the next free one, or \
                 remove both to record anew",
                parquet.display(),
                folder.display()
            );
            return Err(Error::argument("history", problem));
        }
        Self::create(&part_path(folder, history), Recorded { history, ..about })
    }

    fn create(path: &Path, about: Recorded) -> Result<Self> {
        let failed = |e| Error::io(path, e);
        let file = File::options().write(true).create_new(true).open(path).map_err(failed)?;
        try_lock(&file).map_err(failed)?;
        let head = serde_json::to_vec(&about).map_err(|e| Error::file(path, e))?;
        let unwritten = [&MAGIC[..], &framed(&head)].concat();
        let process = std::process::id();
        let mut journal = Self { path: path.into(), file, process, about, len: 0, unwritten };
        journal.write()?;
        Ok(journal)
    }

    /// What it is of.
    pub fn about(&self) -> &Recorded {
        &self.about
    }

    /// Writes an episode: from then on it outlives the process. What could not be written, on a full
    /// disk, is written with the next one, or by [`Journal::close`].
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] in another process than the one that began the journal.
    pub fn append(&mut self, episode: &RecordedEpisode) -> Result<()> {
        self.check_process()?;
        let record = postcard::to_allocvec(episode).map_err(|e| Error::file(&self.path, e))?;
        self.unwritten.extend(framed(&record));
        self.write()
    }

    fn check_process(&self) -> Result<()> {
        if std::process::id() == self.process {
            return Ok(());
        }
        let problem = "belongs to another process, which forked this one; begin another history here";
        Err(Error::file(&self.path, problem))
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_all_at(&self.unwritten, self.len).map_err(|e| Error::io(&self.path, e))?;
        let links = self.file.metadata().map_err(|e| Error::io(&self.path, e))?.nlink();
        if links == 0 {
            let problem = "was removed while it was recorded, with its episodes; record another history";
            return Err(Error::file(&self.path, problem));
        }
        self.len += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Ends the journal: it can be merged.
    ///
    /// # Errors
    /// As [`Journal::append`]: then it is not ended.
    pub fn close(&mut self) -> Result<()> {
        self.check_process()?;
        self.write()?;
        // A child of this process may have the file open still.
        self.file.unlock().or_else(unsupported).map_err(|e| Error::io(&self.path, e))
    }

    /// Removes the journal.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn discard(&mut self) -> Result<()> {
        self.check_process()?;
        std::fs::remove_file(&self.path).map_err(|e| Error::io(&self.path, e))?;
        // The last one takes the folder with it.
        let _ = self.path.parent().map(std::fs::remove_dir);
        Ok(())
    }
}

fn unsupported(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    }
}

impl Recorded {
    /// Refuses a history that cannot be in one file with `other`, which is at `path`.
    pub(super) fn check_like(&self, other: &Recorded, path: &Path) -> Result<()> {
        if (&self.channels, self.actions) == (&other.channels, other.actions) {
            return Ok(());
        }
        let words = |one: &Recorded| {
            let channels: Vec<String> = one.channels.iter().map(ToString::to_string).collect();
            format!("observations [{}] and {} actions", channels.join(", "), one.actions)
        };
        let problem = format!(
            "has {}, but {} has {}; a file has one interface: record to another file",
            words(self),
            path.display(),
            words(other)
        );
        Err(Error::argument("environment", problem))
    }

    /// The interface, as far as it is known: rewards are found when the file is described.
    pub fn interface(&self) -> Interface {
        Interface {
            channels: self.channels.iter().copied().take(MAX_CHANNELS).collect(),
            actions: self.actions,
            reward_levels: [0.0].into_iter().collect(),
        }
    }
}

fn framed(record: &[u8]) -> Vec<u8> {
    let len = record.len() as u32;
    [&len.to_le_bytes()[..], &(!len).to_le_bytes(), &Sha256::digest(record)[..8], record].concat()
}

/// The record at the front of `bytes`, and what follows it.
enum Front<'a> {
    Record(&'a [u8], &'a [u8]),
    /// It is not whole: its writer was killed, or is at work.
    Torn,
    Damaged,
}

fn front(bytes: &[u8]) -> Front<'_> {
    let Some((frame, rest)) = bytes.split_first_chunk::<FRAME>() else { return Front::Torn };
    let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| frame[at + byte]));
    if number(0) != !number(4) {
        return Front::Damaged;
    }
    match rest.split_at_checked(number(0) as usize) {
        None => Front::Torn,
        Some((record, after)) if Sha256::digest(record)[..8] == frame[8..] => Front::Record(record, after),
        Some(_) => Front::Damaged,
    }
}

/// What a journal is of.
fn read_head(path: &Path) -> Result<Recorded> {
    let mut bytes = vec![0; 1 << 16];
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let len = file.read_at(&mut bytes, 0).map_err(|e| Error::io(path, e))?;
    head(path, &bytes[..len])?.map(|(about, _)| about).ok_or_else(|| damaged(path, 0, 0))
}

/// What the journal is of, and the bytes of its episodes; `None` where its writer was killed before
/// it wrote that.
fn head<'a>(path: &Path, bytes: &'a [u8]) -> Result<Option<(Recorded, &'a [u8])>> {
    let short = bytes.len().min(MAGIC.len());
    if bytes[..short] != MAGIC[..short] {
        return Err(Error::file(path, "is no part of a recorded file, or of another version; remove it"));
    }
    match front(&bytes[short..]) {
        Front::Torn => Ok(None),
        Front::Damaged => Err(damaged(path, 0, 0)),
        Front::Record(head, rest) => {
            let about = serde_json::from_slice(head).map_err(|_| damaged(path, 0, 0))?;
            Ok(Some((about, rest)))
        }
    }
}

fn damaged(path: &Path, episodes: usize, bytes: usize) -> Error {
    let advice = match episodes {
        0 => "remove it".into(),
        _ => format!("`truncate --size {bytes} FILE` keeps these: then merge again"),
    };
    Error::file(path, format!("is damaged after {episodes} whole episodes; {advice}"))
}

/// A journal that was read.
pub(super) struct Part {
    pub path: PathBuf,
    pub about: Recorded,
    pub episodes: Vec<RecordedEpisode>,
}

/// Reads what a journal is of, and its whole episodes; `None` where its writer was killed before
/// there was any.
///
/// # Errors
/// [`Error::File`] where it is damaged, or where somebody still writes it.
pub(super) fn read_part(path: &Path) -> Result<Option<Part>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    if !try_lock(&file).map_err(|e| Error::io(path, e))? {
        let problem = "is being recorded; close its Recorder, or wait for the process that has it";
        return Err(Error::file(path, problem));
    }
    let bytes = read_bytes(path, MAX_BYTES)?;
    let Some((about, mut rest)) = head(path, &bytes)? else { return Ok(None) };
    let mut episodes: Vec<RecordedEpisode> = Vec::new();
    loop {
        let refuse = |count: usize| damaged(path, count, bytes.len() - rest.len());
        match front(rest) {
            Front::Torn => {
                let part = Part { path: path.into(), about, episodes };
                return Ok((!part.episodes.is_empty()).then_some(part));
            }
            Front::Damaged => return Err(refuse(episodes.len())),
            Front::Record(record, after) => {
                let episode: Option<RecordedEpisode> = postcard::from_bytes(record).ok();
                let whole = episode.filter(|episode| episode.is_of(&about));
                episodes.push(whole.ok_or_else(|| refuse(episodes.len()))?);
                rest = after;
            }
        }
    }
}

/// Whether somebody writes a history of `parquet`.
///
/// # Errors
/// [`Error::Io`].
pub fn is_recorded(parquet: &Path) -> Result<bool> {
    let folder = parts_folder(parquet);
    if !folder.exists() {
        return Ok(false);
    }
    for path in parts(&folder)? {
        let free = File::open(&path).and_then(|file| try_lock(&file)).map_err(|e| Error::io(&path, e))?;
        if !free {
            return Ok(true);
        }
    }
    Ok(false)
}

impl RecordedEpisode {
    /// Whether it has as many of everything as it must.
    fn is_of(&self, about: &Recorded) -> bool {
        let (steps, words) = (self.actions.len(), about.interface().observation_len());
        steps > 0
            && self.rewards.len() == steps
            && self.optimal_actions.len() == steps
            && self.observations.len() == steps * words
            && self.last.as_ref().is_none_or(|last| last.len() == words)
    }
}
