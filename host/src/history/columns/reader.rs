//! The rows of a file, row group by row group.

use super::places::Places;
use super::{Kind, Rows};
use crate::history::History;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rayon::prelude::*;
use std::ops::Range;

/// Most rows of a file that is read: what 32-bit steps of a training run, and some gigabytes of
/// memory, can hold.
pub const MAX_ROWS: i64 = 1 << 28;

/// A Parquet file whose columns were found. An `Err` says which column is wrong and how.
///
/// The Parquet library may panic on malformed bytes: the caller catches that.
pub struct Reader {
    file: SerializedFileReader<Bytes>,
    places: Places,
    /// First row of each row group, and the number of rows.
    starts: Vec<usize>,
}

impl Reader {
    /// Looks at the file's metadata.
    pub fn open(bytes: Bytes) -> std::result::Result<Self, String> {
        let file = SerializedFileReader::new(bytes).map_err(unreadable)?;
        let metadata = file.metadata();
        let mut starts = vec![0];
        let mut rows = 0_i64;
        for group in metadata.row_groups() {
            let sum =
                rows.checked_add(group.num_rows()).filter(|sum| group.num_rows() >= 0 && *sum <= MAX_ROWS);
            rows =
                sum.ok_or_else(|| format!("has more than {MAX_ROWS} rows; split it into several files"))?;
            starts.push(rows as usize);
        }
        let places = Places::find(metadata.file_metadata().schema_descr())?;
        Ok(Self { file, places, starts })
    }

    /// What the columns of the observations hold, as far as is known without reading them.
    pub fn kinds(&self) -> Vec<Kind> {
        self.places.observations.iter().map(|place| place.kind).collect()
    }

    /// All rows, one entry a row group that has any.
    pub fn rows(&self) -> std::result::Result<Vec<Rows>, String> {
        let with_rows = self.groups().filter(|group| self.starts[*group] < self.starts[group + 1]);
        with_rows.map(|group| self.group(group)).collect()
    }

    /// The histories: reads two columns only. Each is of one task unless they are of `several`.
    pub fn index(&self, several: bool) -> std::result::Result<Vec<History>, String> {
        let groups: Vec<Vec<History>> =
            self.groups().map(|group| self.group_index(group)).collect::<std::result::Result<_, String>>()?;
        let mut index: Vec<History> = Vec::new();
        for history in groups.into_iter().flatten() {
            match index.last_mut() {
                Some(last) if last.id == history.id && (several || last.task == history.task) => {
                    last.steps.end = history.steps.end
                }
                Some(last) if last.id >= history.id => {
                    return Err(format!(
                        "history_id {} follows {} in row {}; rows must be sorted by history_id, each history of one task_id",
                        history.id, last.id, history.steps.start
                    ));
                }
                _ => index.push(history),
            }
        }
        Ok(index)
    }

    /// The rows of `ranges`, which are ascending and disjoint, in pieces with their first row. No
    /// more than the row groups that hold them is decoded, and of those a few at a time are in
    /// memory.
    pub fn pieces(&self, ranges: &[Range<usize>]) -> std::result::Result<Vec<(usize, Rows)>, String> {
        let pieces: Vec<Vec<(usize, Rows)>> = self
            .groups()
            .map(|group| {
                let (first, end) = (self.starts[group], self.starts[group + 1]);
                let clipped = |range: &Range<usize>| range.start.max(first)..range.end.min(end);
                let wanted: Vec<_> = ranges.iter().map(clipped).filter(|range| !range.is_empty()).collect();
                if wanted.is_empty() {
                    return Ok(Vec::new());
                }
                let rows = self.group(group)?;
                let slice =
                    |range: Range<usize>| (range.start, rows.slice(range.start - first..range.end - first));
                Ok(wanted.into_iter().map(slice).collect())
            })
            .collect::<std::result::Result<_, String>>()?;
        Ok(pieces.into_iter().flatten().collect())
    }

    fn groups(&self) -> rayon::range::Iter<usize> {
        (0..self.file.num_row_groups()).into_par_iter()
    }

    fn group(&self, group: usize) -> std::result::Result<Rows, String> {
        self.places.read(self.file.get_row_group(group).map_err(unreadable)?.as_ref())
    }

    fn group_index(&self, group: usize) -> std::result::Result<Vec<History>, String> {
        let (tasks, ids) =
            self.places.read_ids(self.file.get_row_group(group).map_err(unreadable)?.as_ref())?;
        let mut index = Vec::new();
        let mut first = self.starts[group];
        let rows: Vec<(u32, u32)> = tasks.into_iter().zip(ids).collect();
        for rows in rows.chunk_by(|a, b| a == b) {
            let (task, id) = rows[0];
            index.push(History { task, id, steps: first..first + rows.len() });
            first += rows.len();
        }
        Ok(index)
    }
}

fn unreadable(e: ParquetError) -> String {
    format!("is not a Parquet file that can be read: {e}")
}
