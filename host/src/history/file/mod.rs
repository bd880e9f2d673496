//! Files of learning histories: Parquet with a card beside it.

mod bytes;
mod check;
mod foreign;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod tests;
mod write;

pub(super) use foreign::{card_of, split_found};
pub use foreign::{describe, describe_with, Foreign};
pub use write::{check_replaceable, generate_on, generate_to_file};

use super::card::{card_path, Card};
use super::columns::{Kind, Problem, Reader};
use super::disk::{Disk, Storage};
use super::journal::parts_folder;
use super::{Histories, History, Steps};
use crate::environment::TaskSplit;
use crate::ranks::Ranks;
use crate::{Error, Result};
use bytes::ParquetFile;
use check::{check_kinds, Checker};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
/// of its range. Numbers and pictures are kept as [`Storage::default`] says.
pub fn read(path: &Path) -> Result<HistoryFile> {
    read_with(path, &Storage::default())
}

/// As [`read`].
///
/// # Errors
/// As [`read`]; those of keeping the observations, with the folder.
pub fn read_with(path: &Path, storage: &Storage) -> Result<HistoryFile> {
    let (card, all) = read_undivided(path, storage)?;
    Ok(divide(path, card, all))
}

/// Numbers of the histories of a file.
pub(super) fn histories_in(path: &Path) -> Result<Vec<u32>> {
    let file = ParquetFile::open(path)?;
    let index = parquet(path, || Reader::open(file)?.index(false))?;
    Ok(index.into_iter().map(|history| history.id).collect())
}

/// As [`read_with`], training and held-out histories together, in the order of the file.
pub(super) fn read_undivided(path: &Path, storage: &Storage) -> Result<(Card, Histories)> {
    let file = Opened::described(path)?;
    let disk = storage.file(file.outside_bytes())?;
    file.read_all(disk.as_ref(), Keep::All)
}

/// Which columns are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// All that training reads: not whether an episode was cut off.
    ForTraining,
}

/// A file that was checked against its card, and of which is known what histories it has.
pub(super) struct Opened {
    path: PathBuf,
    pub card: Card,
    reader: Reader<ParquetFile>,
    /// Steps count through the file.
    index: Vec<History>,
    /// Places in the index of the training histories, and of the held-out ones.
    parts: [Vec<usize>; 2],
}

impl Opened {
    /// A file and its card, which say the same; the index is not read yet.
    pub fn described(path: &Path) -> Result<Self> {
        check_name(path)?;
        if (!path.exists() && parts_folder(path).exists()) || super::merge::is_unfinished(path) {
            let problem =
                "was recorded, but is not made yet of its parts: do so with algodistill.merge, in Python";
            return Err(Error::file(path, problem));
        }
        // Of two missing files, the one that the user named.
        std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let card = Card::read(path)?;
        let file = ParquetFile::open(path)?;
        if file.digest()? != card.sha256 {
            return Err(Error::file(
                path,
                format!(
                    "is not the file that {} describes (its SHA-256 differs): it was changed or damaged; generate it again, \
                     copy both files again, or check it and write a new card with `histories check FILE --write-card`",
                    card_path(path).display()
                ),
            ));
        }
        let reader = parquet(path, || {
            let reader = Reader::open(file)?;
            check_kinds(reader.kinds(), &card.interface)?;
            Ok(reader)
        })?;
        Ok(Self { path: path.into(), card, reader, index: Vec::new(), parts: [Vec::new(), Vec::new()] })
    }

    /// For one of several ranks, which must all call it.
    ///
    /// # Errors
    /// As [`read`]; [`Error::File`] where rank 0 has another file.
    pub fn new(path: &Path, ranks: &Ranks) -> Result<Self> {
        let mut file = Self::described(path)?;
        let card = &file.card;
        // The card as well: it says which tasks are held out.
        let digests = [&card.sha256[..], &card.card_sha256].concat().into_bytes();
        if ranks.broadcast_bytes(digests.clone()) != digests {
            let problem = "is not, or its card is not, what rank 0 has; all ranks must read the same files";
            return Err(Error::file(path, problem));
        }
        let several = card.has_several_tasks_a_history();
        file.index = parquet(path, || file.reader.index(several))?;
        let index = &file.index;
        file.parts = split_sets(&card.split).map(|tasks| {
            let places = index.iter().enumerate().filter(|(_, history)| tasks.contains(&history.task));
            places.map(|(place, _)| place).collect()
        });
        Ok(file)
    }

    /// Number of training histories, and of held-out ones.
    pub fn counts(&self) -> [usize; 2] {
        [self.parts[0].len(), self.parts[1].len()]
    }

    /// Bytes of its numbers and pictures.
    fn outside_bytes(&self) -> u64 {
        outside_bytes(self.reader.kinds(), self.reader.len())
    }

    /// Checks all steps, and keeps their columns.
    pub fn read_all(self, disk: Option<&Arc<Disk>>, keep: Keep) -> Result<(Card, Histories)> {
        let Self { path, card, reader, .. } = self;
        let checker = Checker::new(&card.interface, card.has_several_tasks_a_history());
        let all: Range<usize> = 0..reader.len();
        let (steps, index) = assemble(&path, &reader, &[all], checker, disk, keep)?;
        let all = Histories { index, steps, interface: card.interface.clone() };
        check_against_card(&path, &card, &all, all.steps.len())?;
        Ok((card, all))
    }

    /// Checks and keeps, for training, the steps of some of the training and of the held-out histories.
    /// The index has every history, the others without steps.
    pub fn read(self, wanted: [Range<usize>; 2], disk: Option<&Arc<Disk>>) -> Result<HistoryFile> {
        let Self { path, card, reader, mut index, parts } = self;
        let mut is_wanted = vec![false; index.len()];
        for (part, wanted) in parts.iter().zip(wanted) {
            part[wanted].iter().for_each(|&place| is_wanted[place] = true);
        }
        let places = index.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted);
        let ranges: Vec<Range<usize>> = places.map(|(history, _)| history.steps.clone()).collect();
        let checker = Checker::new(&card.interface, card.has_several_tasks_a_history());
        let (steps, _) = assemble(&path, &reader, &ranges, checker, disk, Keep::ForTraining)?;
        let rows = index.last().map_or(0, |history| history.steps.end);
        let mut end = 0;
        for (history, wanted) in index.iter_mut().zip(is_wanted) {
            let first = end;
            end += if wanted { history.steps.len() } else { 0 };
            history.steps = first..end;
        }
        let all = Histories { index, steps, interface: card.interface.clone() };
        check_against_card(&path, &card, &all, rows)?;
        Ok(divide(&path, card, all))
    }
}

/// Bytes of the numbers and pictures of `rows` rows.
pub(super) fn outside_bytes(kinds: &[Kind], rows: usize) -> u64 {
    let words: usize = kinds.iter().filter(|kind| **kind != Kind::Integer).map(|kind| kind.words()).sum();
    (rows as u64).saturating_mul(4 * words as u64)
}

/// Training histories and held-out ones, as the card says.
pub(super) fn divide(path: &Path, card: Card, all: Histories) -> HistoryFile {
    let [training, held_out] = split_sets(&card.split);
    let [training, held_out] = all.divide(&training, &held_out);
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
fn parquet<T>(path: &Path, read: impl FnOnce() -> std::result::Result<T, Problem>) -> Result<T> {
    // What was half read is dropped.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .map_err(|_| Error::file(path, "is not a Parquet file that can be read: it is damaged"))?
        .map_err(|problem| match problem {
            Problem::Content(problem) => Error::file(path, problem),
            Problem::Disk(error) => error,
        })
}

/// Decodes and checks the rows of `ranges`; the steps, and the histories that the checker found.
fn assemble(
    path: &Path,
    reader: &Reader<ParquetFile>,
    ranges: &[Range<usize>],
    mut checker: Checker,
    disk: Option<&Arc<Disk>>,
    keep: Keep,
) -> Result<(Steps, Vec<History>)> {
    let words = reader.kinds().iter().map(|kind| kind.words()).sum();
    let mut steps = Steps::new(words);
    parquet(path, || {
        reader.pieces(ranges, disk, |first, mut rows| {
            checker.row = first;
            checker.check(&rows)?;
            rows.keep_tasks(checker.several);
            if keep == Keep::ForTraining {
                rows.steps.truncations = Vec::new();
            }
            steps.append(rows.steps);
            Ok(())
        })
    })?;
    Ok((steps, checker.index))
}
