//! The observations of a row group, all columns together: in memory, or on a disk.

use super::observations::{Observations, Values};
use super::places::{Place, Places};
use super::{Kind, Problem, BATCH, FINAL_OBSERVATION};
use crate::history::disk::Disk;
use crate::history::{OnDisk, Steps};
use parquet::file::reader::RowGroupReader;
use std::sync::Arc;

impl Places {
    /// Reads the observations and final observations of a row group, of such `kinds`, and nothing
    /// else. Numbers and pictures go to the `disk`, where there is one, and so do all final
    /// observations of a file that has any.
    pub(super) fn read_observations(
        &self,
        group: &dyn RowGroupReader,
        kinds: &[Kind],
        disk: Option<&Arc<Disk>>,
    ) -> Result<Steps, Problem> {
        let rows = group.metadata().num_rows() as usize;
        let open = |places: &[Place], nullable| -> Result<Vec<Observations>, String> {
            let places = places.iter().zip(kinds);
            places.map(|(place, kind)| Observations::new(group, *place, *kind, nullable)).collect()
        };
        let mut columns = open(&self.observations, false)?;
        let mut last_columns = open(&self.final_observations, true)?;
        let mut values: Vec<Values> = columns.iter().map(|_| Values::default()).collect();
        // Of integers only, nothing goes there.
        let disk = disk.filter(|_| kinds.iter().any(|kind| *kind != Kind::Integer));
        let mut gathered = Gathered::new(kinds, disk);
        for first in (0..rows).step_by(BATCH) {
            let count = BATCH.min(rows - first);
            for (column, values) in columns.iter_mut().zip(&mut values) {
                column.next(count, values)?;
            }
            gathered.add(count, &values)?;
            if !last_columns.is_empty() {
                for (column, values) in last_columns.iter_mut().zip(&mut values) {
                    column.next(count, values)?;
                }
                gathered.add_last(first, count, &values)?;
            }
        }
        Ok(gathered.steps)
    }
}

/// The observations so far.
struct Gathered<'a> {
    kinds: &'a [Kind],
    disk: Option<&'a Arc<Disk>>,
    steps: Steps,
    /// Words on their way to the disk.
    words: Vec<i32>,
}

impl<'a> Gathered<'a> {
    fn new(kinds: &'a [Kind], disk: Option<&'a Arc<Disk>>) -> Self {
        let words = |all: bool| -> usize {
            let counted = kinds.iter().filter(|kind| all || **kind != Kind::Integer);
            counted.map(|kind| kind.words()).sum()
        };
        let mut steps = Steps::new(words(true));
        steps.on_disk = disk.map(|_| OnDisk::new(words(true), words(false)));
        Self { kinds, disk, steps, words: Vec::new() }
    }

    /// Adds the observations of `count` rows.
    fn add(&mut self, count: usize, values: &[Values]) -> Result<(), Problem> {
        let Self { kinds, disk, steps, words } = self;
        let disk = *disk;
        let goes_out = |kind: Kind| disk.is_some() && kind != Kind::Integer;
        let mut columns = steps.observations.iter_mut();
        for (values, kind) in values.iter().zip(*kinds) {
            let width = kind.words();
            for (place, column) in columns.by_ref().take(width).enumerate() {
                if !goes_out(*kind) {
                    column.extend(values.words.iter().skip(place).step_by(width));
                }
            }
        }
        if let (Some(disk), Some(on_disk)) = (disk, &mut steps.on_disk) {
            words.clear();
            for row in 0..count {
                for (values, kind) in values.iter().zip(*kinds).filter(|(_, kind)| goes_out(**kind)) {
                    let width = kind.words();
                    words.extend_from_slice(&values.words[row * width..(row + 1) * width]);
                }
            }
            on_disk.write(disk, words)?;
        }
        Ok(())
    }

    /// Adds the final observations of `count` rows, the first of which is number `first` of the row
    /// group. Rows where all columns have a value have one; those where some have are refused.
    fn add_last(&mut self, first: usize, count: usize, values: &[Values]) -> Result<(), Problem> {
        let Self { kinds, disk, steps, words } = self;
        words.clear();
        let mut ended = Vec::new();
        let mut next = vec![0; values.len()];
        for row in 0..count {
            let begin = words.len();
            let mut found = 0;
            for ((values, kind), next) in values.iter().zip(*kinds).zip(&mut next) {
                if values.known[row] {
                    let width = kind.words();
                    words.extend_from_slice(&values.words[*next * width..(*next + 1) * width]);
                    *next += 1;
                    found += 1;
                }
            }
            let row = first + row;
            match found {
                0 => {}
                found if found < values.len() => {
                    let expected = values.len();
                    return Err(Problem::Content(format!(
                        "has {found} {FINAL_OBSERVATION} values in row {row} of a row group, expected none or {expected}"
                    )));
                }
                _ if disk.is_some() => ended.push(row),
                _ => steps.final_observations.push(row, &words[begin..]),
            }
        }
        if let (Some(disk), Some(on_disk)) = (disk, &mut steps.on_disk) {
            on_disk.write_last(disk, ended, words)?;
        }
        Ok(())
    }
}
