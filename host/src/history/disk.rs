//! Observations outside memory: in a file without a name, from which they are read where they are
//! needed.

use crate::{Error, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Where observations are kept while histories are in use: numbers and pictures outside memory where
/// they are many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Most bytes of numbers and pictures that are kept in memory.
    pub in_memory: u64,
    /// Folder of the file that holds them where they are more.
    pub folder: PathBuf,
    /// What to do where that folder has no room.
    pub advice: &'static str,
}

/// What [`Storage`] keeps in memory unless told otherwise.
pub const IN_MEMORY: u64 = 256 << 20;

impl Default for Storage {
    fn default() -> Self {
        Self {
            in_memory: IN_MEMORY,
            folder: std::env::temp_dir(),
            advice: "make room, or set TMPDIR to a folder of a larger disk",
        }
    }
}

impl Storage {
    /// In `folder`, or, where it is yet to be made, in the one that it will be made in.
    pub fn beside(folder: &Path) -> Self {
        let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let advice = "make room, or choose a folder of a larger disk with --out";
        Self { folder: there.into(), advice, ..Self::default() }
    }

    /// A file for `bytes` bytes; `None` where they are kept in memory.
    ///
    /// # Errors
    /// [`Error::Io`] with the folder.
    pub(super) fn file(&self, bytes: u64) -> Result<Option<Arc<Disk>>> {
        match bytes > self.in_memory {
            true => Disk::new(&self.folder, self.advice).map(|disk| Some(Arc::new(disk))),
            false => Ok(None),
        }
    }
}

/// A file without a name: the system takes it away when the process ends, however it ends.
#[derive(Debug)]
pub struct Disk {
    file: File,
    folder: PathBuf,
    advice: &'static str,
    end: AtomicU64,
}

impl Disk {
    fn new(folder: &Path, advice: &'static str) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|e| Error::io(folder, e))?;
        Ok(Self { file, folder: folder.into(), advice, end: AtomicU64::new(0) })
    }

    /// Writes behind all that was written; the place.
    fn append(&self, words: &[i32]) -> Result<u64> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(bytes, at).map_err(|e| self.failed(e, at + bytes.len() as u64))?;
        Ok(at)
    }

    fn read(&self, at: u64, words: &mut [i32]) -> Result<()> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
        self.file.read_exact_at(bytes, at).map_err(|e| Error::io(&self.folder, e))
    }

    fn failed(&self, error: std::io::Error, bytes: u64) -> Error {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                let problem = format!(
                    "has no room for the observations of the histories, which are kept in a file there while they are \
                     in use; {} MB were written ({error}): {}",
                    bytes / 1_000_000,
                    self.advice
                );
                Error::file(&self.folder, problem)
            }
            _ => Error::io(&self.folder, error),
        }
    }
}

/// Words that a reader takes from a disk at a time.
const BLOCK: usize = 1 << 14;

/// Records of some words each, in files.
#[derive(Clone, Debug)]
pub struct Records {
    /// Words of a record.
    words: usize,
    count: usize,
    /// In the order of their first records.
    runs: Vec<Run>,
}

/// Records that lie one after the other.
#[derive(Clone, Debug)]
struct Run {
    first: usize,
    disk: Arc<Disk>,
    at: u64,
}

impl Records {
    /// None, of `words` words each.
    pub fn new(words: usize) -> Self {
        Self { words, count: 0, runs: Vec::new() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Words of a record.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Writes whole records behind those there are.
    pub fn write(&mut self, disk: &Arc<Disk>, words: &[i32]) -> Result<()> {
        if !words.is_empty() {
            let at = disk.append(words)?;
            self.push(disk, at, words.len() / self.words);
        }
        Ok(())
    }

    fn push(&mut self, disk: &Arc<Disk>, at: u64, count: usize) {
        let goes_on = self.runs.last().is_some_and(|run| {
            Arc::ptr_eq(&run.disk, disk) && at == run.at + self.bytes(self.count - run.first)
        });
        if !goes_on {
            self.runs.push(Run { first: self.count, disk: disk.clone(), at });
        }
        self.count += count;
    }

    fn bytes(&self, records: usize) -> u64 {
        4 * (records * self.words) as u64
    }

    /// Appends some of the records of `other`, which stay where they are.
    pub fn extend(&mut self, other: &Self, range: std::ops::Range<usize>) {
        let mut next = range.start;
        let mut run = other.runs.partition_point(|run| run.first <= range.start).saturating_sub(1);
        while next < range.end {
            let end = other.runs.get(run + 1).map_or(other.count, |run| run.first).min(range.end);
            let Run { first, disk, at } = &other.runs[run];
            self.push(disk, at + other.bytes(next - first), end - next);
            (next, run) = (end, run + 1);
        }
    }

    /// Keeps only the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
        let count = self.count;
        self.runs.retain(|run| run.first < count);
    }

    /// Reads records into `words`, which has room for them.
    ///
    /// # Errors
    /// [`Error::Io`] with the folder.
    pub fn read(&self, first: usize, words: &mut [i32]) -> Result<()> {
        let count = words.len() / self.words.max(1);
        let mut next = first;
        let mut rest = words;
        let mut run = self.runs.partition_point(|run| run.first <= first).saturating_sub(1);
        while next < first + count {
            let end = self.runs.get(run + 1).map_or(self.count, |run| run.first).min(first + count);
            let (now, later) = rest.split_at_mut((end - next) * self.words);
            let Run { first, disk, at } = &self.runs[run];
            disk.read(at + self.bytes(next - first), now)?;
            (rest, next, run) = (later, end, run + 1);
        }
        Ok(())
    }

    /// Records that are read at a time.
    pub fn block(&self) -> usize {
        (BLOCK / self.words.max(1)).max(1)
    }
}

/// Some records in memory: those that were asked for and some behind them.
#[derive(Clone, Debug, Default)]
pub struct Block {
    first: usize,
    words: Vec<i32>,
}

impl Block {
    /// The words of a record; the others in memory must be of the same `records`.
    ///
    /// # Errors
    /// [`Error::Io`] with the folder.
    pub fn record(&mut self, records: &Records, record: usize) -> Result<&[i32]> {
        let words = records.words();
        let place = record.wrapping_sub(self.first);
        if place >= self.words.len() / words.max(1) {
            let count = records.block().min(records.len() - record);
            self.words.resize(count * words, 0);
            self.first = record;
            if let Err(problem) = records.read(record, &mut self.words) {
                self.words.clear();
                return Err(problem);
            }
        }
        let place = (record - self.first) * words;
        Ok(&self.words[place..place + words])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &Records, range: std::ops::Range<usize>) -> Vec<i32> {
        let mut words = vec![0; range.len() * records.words()];
        records.read(range.start, &mut words).unwrap();
        words
    }

    #[test]
    fn records_are_read_as_they_were_written_whatever_lies_between() {
        let folder = tempfile::tempdir().unwrap();
        let disks = [(), ()].map(|()| Arc::new(Disk::new(folder.path(), "").unwrap()));
        let [mut odd, mut even] = [(), ()].map(|()| Records::new(2));
        for pair in 0..50 {
            let words = |number: i32| [[number, -number], [number + 1, -number]].concat();
            odd.write(&disks[0], &words(100 + 2 * pair)).unwrap();
            even.write(&disks[(pair / 10 % 2) as usize], &words(2 * pair)).unwrap();
        }
        assert_eq!((odd.len(), odd.runs.len() > 20, even.runs.len() > 5), (100, true, true));
        assert_eq!(read(&even, 3..6), [3, -2, 4, -4, 5, -4]);
        let mut all = Records::new(2);
        all.extend(&even, 0..100);
        all.extend(&odd, 7..90);
        let mut part = Records::new(2);
        part.extend(&all, 95..110);
        let firsts: Vec<i32> = read(&part, 0..15).chunks(2).map(|words| words[0]).collect();
        assert_eq!(firsts, (95..100).chain(107..117).collect::<Vec<i32>>());
        part.truncate(3);
        assert_eq!((part.len(), read(&part, 2..3)), (3, vec![97, -96]));
        let mut block = Block::default();
        for record in [50, 51, 99, 150, 0, 182] {
            assert_eq!(block.record(&all, record).unwrap(), read(&all, record..record + 1));
        }
        // The files have no names.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_folder_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let usual = Storage { in_memory: 0, folder: folder.path().into(), ..Storage::default() };
        let beside = Storage { in_memory: 0, ..Storage::beside(folder.path()) };
        for (storage, advice) in [(usual, "set TMPDIR"), (beside, "with --out")] {
            let disk = storage.file(1).unwrap().unwrap();
            let problem = disk.failed(std::io::Error::from(ErrorKind::StorageFull), 7_000_000).to_string();
            for part in [folder.path().to_str().unwrap(), "7 MB", advice] {
                assert!(problem.contains(part), "{problem}");
            }
        }
        // Linux has a device that is always full.
        if let Ok(full) = File::options().write(true).open("/dev/full") {
            let disk = Disk { file: full, folder: "/somewhere".into(), advice: "", end: AtomicU64::new(0) };
            let problem = disk.append(&[1, 2]).unwrap_err().to_string();
            assert!(problem.starts_with("/somewhere: has no room"), "{problem}");
        }
        let nowhere = folder.path().join("nowhere");
        let nowhere = Storage { in_memory: 0, folder: nowhere, ..Storage::default() };
        assert!(nowhere.file(1).unwrap_err().to_string().contains("nowhere"));
        assert!(nowhere.file(0).unwrap().is_none());
        assert_eq!(Storage::beside(&folder.path().join("a/b")).folder, folder.path());
    }
}
