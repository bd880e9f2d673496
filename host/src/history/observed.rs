//! Observations of steps, wherever they are kept.

use super::disk::{Block, Disk, Records};
use super::Steps;
use crate::Result;
use std::ops::Range;
use std::sync::Arc;

/// What of the observations of [`Steps`] is on a disk: the words of numbers and pictures, whose
/// columns are empty, and all final observations.
#[derive(Clone, Debug)]
pub(crate) struct OnDisk {
    /// Of each step, the words whose columns are empty, in their order.
    observations: Records,
    /// The steps that have a final observation, ascending.
    ended: Vec<usize>,
    /// Of each of these, all words.
    last: Records,
}

impl OnDisk {
    /// No steps: of the words of an observation, `kept` are on the disk.
    pub fn new(words: usize, kept: usize) -> Self {
        Self { observations: Records::new(kept), ended: Vec::new(), last: Records::new(words) }
    }

    /// Adds the words of steps, one step after the other.
    pub(super) fn write(&mut self, disk: &Arc<Disk>, words: &[i32]) -> Result<()> {
        self.observations.write(disk, words)
    }

    /// Adds the final observations after the steps `ended`, beyond those there are.
    pub(super) fn write_last(
        &mut self,
        disk: &Arc<Disk>,
        ended: impl IntoIterator<Item = usize>,
        words: &[i32],
    ) -> Result<()> {
        self.ended.extend(ended);
        self.last.write(disk, words)
    }

    fn extend(&mut self, first: usize, other: &Self, range: Range<usize>) {
        self.observations.extend(&other.observations, range.clone());
        let place = |step| other.ended.partition_point(|&ended| ended < step);
        let own = place(range.start)..place(range.end);
        self.ended.extend(other.ended[own.clone()].iter().map(|step| first + step - range.start));
        self.last.extend(&other.last, own);
    }

    fn truncate(&mut self, len: usize) {
        self.observations.truncate(len);
        self.ended.truncate(self.ended.partition_point(|&ended| ended < len));
        self.last.truncate(self.ended.len());
    }
}

/// Equal where the words are; a disk that cannot be read is equal to nothing.
impl PartialEq for OnDisk {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Records, other: &Records| {
            let [mut mine, mut theirs] = [(), ()].map(|()| Block::default());
            (one.words(), one.len()) == (other.words(), other.len())
                && (0..one.len()).all(|record| {
                    match (mine.record(one, record), theirs.record(other, record)) {
                        (Ok(mine), Ok(theirs)) => mine == theirs,
                        _ => false,
                    }
                })
        };
        self.ended == other.ended
            && same(&self.observations, &other.observations)
            && same(&self.last, &other.last)
    }
}

impl Steps {
    /// Whether a final observation is known of any step.
    pub fn knows_final_observations(&self) -> bool {
        !self.final_observations.is_empty() || self.on_disk.as_ref().is_some_and(|it| !it.ended.is_empty())
    }

    /// Those of `range` after which a final observation is known, ascending.
    pub fn ended(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let all = match &self.on_disk {
            Some(on_disk) => &on_disk.ended[..],
            None => self.final_observations.steps(),
        };
        let place = |step| all.partition_point(|&ended| ended < step);
        all[place(range.start)..place(range.end)].iter().copied()
    }

    /// Whether there is one entry a step in every column of observations that is in memory, and one
    /// record a step on the disk for the others.
    pub(crate) fn has_all_observations(&self) -> bool {
        let len = self.len();
        let on_disk = self.on_disk.as_ref();
        let records = on_disk.map_or(0, |it| it.observations.words());
        let missing = self.observations.iter().filter(|column| column.is_empty() && len > 0).count();
        self.observations.iter().all(|column| [0, len].contains(&column.len()))
            && (missing == records || len == 0)
            && on_disk.is_none_or(|it| it.observations.len() == len)
    }

    /// Appends what is on the disk of a range of the steps of `other`, before its columns are
    /// appended.
    pub(super) fn extend_on_disk(&mut self, other: &Steps, range: Range<usize>) {
        let first = self.len();
        let Some(more) = &other.on_disk else { return };
        if first == 0 && self.on_disk.is_none() {
            self.on_disk = Some(OnDisk::new(more.last.words(), more.observations.words()));
        }
        if let Some(own) = &mut self.on_disk {
            own.extend(first, more, range);
        }
    }

    /// Adds all of `more`.
    pub(super) fn append(&mut self, more: Steps) {
        match self.is_empty() {
            true => *self = more,
            false => self.extend(&more, 0..more.len()),
        }
    }

    /// Keeps only the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.episodes.truncate(len);
        self.observations.iter_mut().for_each(|column| column.truncate(len));
        self.actions.truncate(len);
        self.rewards.truncate(len);
        self.dones.truncate(len);
        self.final_observations.truncate(len);
        self.optimal_actions.truncate(len);
        self.truncations.truncate(len);
        self.tasks.truncate(len);
        if let Some(on_disk) = &mut self.on_disk {
            on_disk.truncate(len);
        }
    }

    /// Brings what is on the disk into memory.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) with the folder of the disk.
    pub fn load(&mut self) -> Result<()> {
        let Some(on_disk) = self.on_disk.take() else { return Ok(()) };
        let len = self.len();
        let mut block = Block::default();
        let missing = self.observations.iter_mut().filter(|column| column.is_empty());
        let mut columns: Vec<&mut Vec<i32>> = missing.take(on_disk.observations.words()).collect();
        columns.iter_mut().for_each(|column| column.reserve(len));
        for step in 0..on_disk.observations.len() {
            let words = block.record(&on_disk.observations, step)?;
            columns.iter_mut().zip(words).for_each(|(column, word)| column.push(*word));
        }
        let mut block = Block::default();
        for (place, &step) in on_disk.ended.iter().enumerate() {
            self.final_observations.push(step, block.record(&on_disk.last, place)?);
        }
        Ok(())
    }
}

/// Reads observations of steps, best in their order. It may be used with one [`Steps`] only, to
/// which nothing is added meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Window {
    observations: Block,
    last: Block,
}

impl Window {
    /// Writes what was observed before a step to the front of `words`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) with the folder of the disk.
    pub fn observe(&mut self, steps: &Steps, step: usize, words: &mut [i32]) -> Result<()> {
        let record = match &steps.on_disk {
            None => &[][..],
            Some(on_disk) => self.observations.record(&on_disk.observations, step)?,
        };
        let mut record = record.iter();
        for (word, column) in words.iter_mut().zip(&steps.observations) {
            if let Some(found) = column.get(step).or_else(|| record.next()) {
                *word = *found;
            }
        }
        Ok(())
    }

    /// What was observed after a step, if that is known.
    ///
    /// # Errors
    /// As [`Window::observe`].
    pub fn after<'a>(&'a mut self, steps: &'a Steps, step: usize) -> Result<Option<&'a [i32]>> {
        let Some(on_disk) = &steps.on_disk else { return Ok(steps.final_observations.after(step)) };
        match on_disk.ended.binary_search(&step) {
            Ok(place) => self.last.record(&on_disk.last, place).map(Some),
            Err(_) => Ok(None),
        }
    }
}
