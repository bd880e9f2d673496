//! Files of learning histories: Parquet with a card beside it.

mod check;
mod foreign;
#[cfg(test)]
mod tests;
mod write;

pub use foreign::{describe, Foreign};
pub use write::{generate_on, generate_to_file};

use super::card::{card_path, Card};
use super::columns::{Reader, Rows};
use super::{Histories, History, Steps};
use crate::environment::TaskSplit;
use crate::ranks::Ranks;
use crate::{files, Error, Result};
use algodistill_core::Interface;
use bytes::Bytes;
use check::{check_kinds, Checker};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Largest Parquet file that is read: it is decoded in memory.
const MAX_PARQUET_BYTES: u64 = 16 << 30;

/// Computes the digest of what passes through.
pub(super) struct Hashing<W> {
    pub sink: W,
    pub digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// The name must leave room for the card's.
pub(super) fn check_name(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        return Ok(());
    }
    Err(Error::argument(path.display().to_string(), "a file of histories is called NAME.parquet"))
}

/// A file of learning histories, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryFile {
    /// The Parquet file.
    pub path: PathBuf,
    /// What its card says.
    pub card: Card,
    /// Histories of the training tasks.
    pub training: Histories,
    /// Histories of the held-out tasks.
    pub held_out: Histories,
}

impl HistoryFile {
    /// SHA-256 of the Parquet file, in lower-case hexadecimal: what a training run writes down.
    pub fn digest(&self) -> &str {
        &self.card.sha256
    }
}

/// Reads histories and their card; refuses a file whose digest is not the card's, and any value out
/// of its range.
pub fn read(path: &Path) -> Result<HistoryFile> {
    let (card, all) = read_undivided(path)?;
    Ok(divide(path, card, &all))
}

/// As [`read`], training and held-out histories together, in the order of the file.
pub(super) fn read_undivided(path: &Path) -> Result<(Card, Histories)> {
    let (card, bytes) = read_bytes(path)?;
    let all = assemble(path, bytes, card.has_several_tasks_a_history(), |_| Ok(card.interface.clone()))?;
    check_against_card(path, &card, &all, all.steps.len())?;
    Ok((card, all))
}

/// A file that was checked against its card, and of which is known what histories it has.
pub(super) struct Opened {
    path: PathBuf,
    pub card: Card,
    reader: Reader,
    /// Steps count through the file.
    index: Vec<History>,
    /// Places in the index of the training histories, and of the held-out ones.
    parts: [Vec<usize>; 2],
}

impl Opened {
    /// For one of several ranks, which must all call it.
    ///
    /// # Errors
    /// As [`read`]; [`Error::File`] where rank 0 has another file.
    pub fn new(path: &Path, ranks: &Ranks) -> Result<Self> {
        let (card, bytes) = read_bytes(path)?;
        // The card as well: it says which tasks are held out.
        let digests = [&card.sha256[..], &card.card_sha256].concat().into_bytes();
        if ranks.broadcast_bytes(digests.clone()) != digests {
            let problem = "is not, or its card is not, what rank 0 has; all ranks must read the same files";
            return Err(Error::file(path, problem));
        }
        let several = card.has_several_tasks_a_history();
        let (reader, index) = parquet(path, || {
            let reader = Reader::open(Bytes::from(bytes))?;
            let index = reader.index(several)?;
            check_kinds(&reader.kinds(), &card.interface)?;
            Ok((reader, index))
        })?;
        let parts = split_sets(&card.split).map(|tasks| {
            let places = index.iter().enumerate().filter(|(_, history)| tasks.contains(&history.task));
            places.map(|(place, _)| place).collect()
        });
        Ok(Self { path: path.into(), card, reader, index, parts })
    }

    /// Number of training histories, and of held-out ones.
    pub fn counts(&self) -> [usize; 2] {
        [self.parts[0].len(), self.parts[1].len()]
    }

    /// Checks and keeps the steps of some of the training and of the held-out histories. The index
    /// has every history, the others without steps.
    pub fn read(self, wanted: [Range<usize>; 2]) -> Result<HistoryFile> {
        let Self { path, card, reader, mut index, parts } = self;
        let mut is_wanted = vec![false; index.len()];
        for (part, wanted) in parts.iter().zip(wanted) {
            part[wanted].iter().for_each(|&place| is_wanted[place] = true);
        }
        let places = index.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted);
        let ranges: Vec<Range<usize>> = places.map(|(history, _)| history.steps.clone()).collect();
        let mut pieces = parquet(&path, std::panic::AssertUnwindSafe(|| reader.pieces(&ranges)))?;
        let mut checker = Checker::new(&card.interface, card.has_several_tasks_a_history());
        for (first, rows) in &mut pieces {
            checker.row = *first;
            checker.check(rows).map_err(|problem| Error::file(&path, problem))?;
            rows.keep_tasks(checker.several);
        }
        let rows = index.last().map_or(0, |history| history.steps.end);
        let mut end = 0;
        for (history, wanted) in index.iter_mut().zip(is_wanted) {
            let first = end;
            end += if wanted { history.steps.len() } else { 0 };
            history.steps = first..end;
        }
        let parts: Vec<&Steps> = pieces.iter().map(|(_, rows)| &rows.steps).collect();
        let steps = Steps::concatenate(&parts, card.interface.observation_len());
        let all = Histories { index, steps, interface: card.interface.clone() };
        check_against_card(&path, &card, &all, rows)?;
        Ok(divide(&path, card, &all))
    }
}

/// The card, and the file that it describes.
fn read_bytes(path: &Path) -> Result<(Card, Vec<u8>)> {
    check_name(path)?;
    // Of two missing files, the one that the user named.
    std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    let card = Card::read(path)?;
    let bytes = files::read_bytes(path, MAX_PARQUET_BYTES)?;
    if files::hexadecimal(Sha256::digest(&bytes)) != card.sha256 {
        return Err(Error::file(
            path,
            format!(
                "is not the file that {} describes (its SHA-256 differs): it was changed or damaged; generate it again, \
                 copy both files again, or check it and write a new card with `histories check FILE --write-card`",
                card_path(path).display()
            ),
        ));
    }
    Ok((card, bytes))
}

/// Training histories and held-out ones, as the card says.
fn divide(path: &Path, card: Card, all: &Histories) -> HistoryFile {
    let [training, held_out] = split_sets(&card.split);
    let (training, held_out) = (all.of_tasks(&training), all.of_tasks(&held_out));
    HistoryFile { path: path.into(), card, training, held_out }
}

/// Refuses histories that the card does not describe; `steps` is the number of all.
fn check_against_card(path: &Path, card: &Card, all: &Histories, steps: usize) -> Result<()> {
    if all.index.len() as u64 != u64::from(card.histories) || steps as u64 != card.steps {
        return Err(Error::file(path, "has another number of histories or steps than its card says"));
    }
    let [training, held_out] = split_sets(&card.split);
    if let Some(stray) = all.index.iter().find(|h| training.contains(&h.task) == held_out.contains(&h.task)) {
        let (id, task) = (stray.id, stray.task);
        let problem =
            format!("history {id} is of task {task}, which its card must list as training or held-out");
        return Err(Error::file(path, problem));
    }
    let held = |task: &u32| held_out.contains(task);
    for history in all.index.iter().filter(|_| !all.steps.tasks.is_empty()) {
        let tasks = &all.steps.tasks[history.steps.clone()];
        let known = |task: &u32| training.contains(task) || held(task);
        if !tasks.iter().all(|task| known(task) && held(task) == held(&history.task)) {
            let problem = format!(
                "history {} is of training and of held-out tasks, or of tasks that its card does not list",
                history.id
            );
            return Err(Error::file(path, problem));
        }
    }
    Ok(())
}

/// The training tasks and the held-out ones.
pub(super) fn split_sets(split: &TaskSplit) -> [HashSet<u32>; 2] {
    [&split.training, &split.held_out].map(|tasks| tasks.iter().copied().collect())
}

/// What `read` makes of a Parquet file, or its problem. The Parquet library is not proof against
/// every malformed file; what it says then is of no use to a user.
fn parquet<T>(
    path: &Path,
    read: impl FnOnce() -> std::result::Result<T, String> + std::panic::UnwindSafe,
) -> Result<T> {
    std::panic::catch_unwind(read)
        .map_err(|_| Error::file(path, "is not a Parquet file that can be read: it is damaged"))?
        .map_err(|problem| Error::file(path, problem))
}

/// Decodes and checks the rows of a file.
fn assemble(
    path: &Path,
    bytes: Vec<u8>,
    several: bool,
    interface: impl FnOnce(&[Rows]) -> Result<Interface>,
) -> Result<Histories> {
    let refuse = |problem: String| Error::file(path, problem);
    let mut rows = parquet(path, || Reader::open(Bytes::from(bytes))?.rows())?;
    let interface = interface(&rows)?;
    let words = interface.observation_len();
    let mut checker = Checker::new(&interface, several);
    for part in &mut rows {
        checker.check(part).map_err(refuse)?;
        part.keep_tasks(several);
    }
    let index = checker.index;
    let steps: Vec<&Steps> = rows.iter().map(|part| &part.steps).collect();
    Ok(Histories { index, steps: Steps::concatenate(&steps, words), interface })
}
