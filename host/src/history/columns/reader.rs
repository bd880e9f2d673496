//! The rows of a file, row group by row group.

use super::observations::{Observations, Values};
use super::places::Places;
use super::reason;
use super::{Kind, Problem, Rows};
use crate::history::disk::Disk;
use crate::history::History;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Most rows of a file that is read: what 32-bit steps of a training run, and some gigabytes of
/// memory, can hold.
pub const MAX_ROWS: i64 = 1 << 28;

/// A Parquet file whose columns were found. A [`Problem`] says which column is wrong and how.
///
/// The Parquet library may panic on malformed bytes: the caller catches that.
pub struct Reader<R: ChunkReader + 'static> {
    file: SerializedFileReader<R>,
    places: Places,
    /// First row of each row group, and the number of rows.
    starts: Vec<usize>,
    kinds: Vec<Kind>,
}

impl<R: ChunkReader + 'static> Reader<R> {
    /// Looks at the file's metadata, and at its first row.
    pub fn open(file: R) -> Result<Self, Problem> {
        let file = SerializedFileReader::new(file).map_err(unreadable)?;
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
        let mut reader = Self { file, places, starts, kinds: Vec::new() };
        reader.kinds = reader.first_kinds()?;
        Ok(reader)
    }

    /// What the columns of the observations hold, and how much in each row: the first row says so.
    /// It is read by itself, for it to be refused before more of them come.
    fn first_kinds(&self) -> Result<Vec<Kind>, Problem> {
        let with_rows = (0..self.file.num_row_groups()).find(|group| self.has_rows(*group));
        let observations = self.places.observations.iter();
        let Some(group) = with_rows else { return Ok(observations.map(|place| place.kind).collect()) };
        let group = self.file.get_row_group(group).map_err(unreadable)?;
        let mut values = Values::default();
        observations
            .map(|place| {
                if place.kind == Kind::Integer {
                    return Ok(Kind::Integer);
                }
                let mut column = Observations::new(group.as_ref(), *place, place.kind, false)?;
                column.next(1, &mut values)?;
                Ok(column.kind())
            })
            .collect()
    }

    /// What the columns of the observations hold.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn has_rows(&self, group: usize) -> bool {
        self.starts[group] < self.starts[group + 1]
    }

    /// The histories: reads two columns only. Each is of one task unless they are of `several`.
    pub fn index(&self, several: bool) -> Result<Vec<History>, Problem> {
        let groups: Vec<Vec<History>> = (0..self.file.num_row_groups())
            .into_par_iter()
            .map(|group| self.group_index(group))
            .collect::<Result<_, String>>()?;
        let mut index: Vec<History> = Vec::new();
        for history in groups.into_iter().flatten() {
            match index.last_mut() {
                Some(last) if last.id == history.id && (several || last.task == history.task) => {
                    last.steps.end = history.steps.end
                }
                Some(last) if last.id >= history.id => {
                    return Err(Problem::Content(format!(
                        "history_id {} follows {} in row {}; rows must be sorted by history_id, each history of one task_id",
                        history.id, last.id, history.steps.start
                    )));
                }
                _ => index.push(history),
            }
        }
        Ok(index)
    }

    /// Passes the rows of `ranges`, which are ascending and disjoint, to `take`, in pieces with their
    /// first row. No more than the row groups that hold them is decoded, and of those one a thread is
    /// in memory. Numbers and pictures go to the `disk`, where there is one.
    pub fn pieces(
        &self,
        ranges: &[Range<usize>],
        disk: Option<&Arc<Disk>>,
        mut take: impl FnMut(usize, Rows) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let groups: Vec<(usize, Vec<Range<usize>>)> = (0..self.file.num_row_groups())
            .map(|group| {
                let (first, end) = (self.starts[group], self.starts[group + 1]);
                let clipped = |range: &Range<usize>| range.start.max(first)..range.end.min(end);
                // Ranges far away are many: there is one for each history.
                let from = ranges.partition_point(|range| range.end <= first);
                let near = ranges[from..].iter().take_while(|range| range.start < end);
                (group, near.map(clipped).filter(|range| !range.is_empty()).collect::<Vec<_>>())
            })
            .filter(|(_, wanted)| !wanted.is_empty())
            .collect();
        for wave in groups.chunks(rayon::current_num_threads()) {
            let decoded: Vec<Vec<(usize, Rows)>> = wave
                .par_iter()
                .map(|(group, wanted)| self.group(*group, wanted, disk))
                .collect::<Result<_, Problem>>()?;
            decoded.into_iter().flatten().try_for_each(|(first, rows)| take(first, rows))?;
        }
        Ok(())
    }

    fn group(
        &self,
        group: usize,
        wanted: &[Range<usize>],
        disk: Option<&Arc<Disk>>,
    ) -> Result<Vec<(usize, Rows)>, Problem> {
        let first = self.starts[group];
        let reader = self.file.get_row_group(group).map_err(unreadable)?;
        let read = self.places.read(reader.as_ref(), &self.kinds, disk);
        let rows = read.map_err(|problem| self.in_group(problem, group))?;
        let whole = first..self.starts[group + 1];
        if wanted.iter().eq([&whole]) {
            return Ok(vec![(first, rows)]);
        }
        let slice = |range: &Range<usize>| (range.start, rows.slice(range.start - first..range.end - first));
        Ok(wanted.iter().map(slice).collect())
    }

    /// Where the row group is that a problem is in: its rows are counted from its first one.
    fn in_group(&self, problem: Problem, group: usize) -> Problem {
        match problem {
            Problem::Content(text) if self.starts.len() > 2 => {
                Problem::Content(format!("{text} (row group {group} begins at row {})", self.starts[group]))
            }
            other => other,
        }
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
    format!("is not a Parquet file that can be read: {}", reason(&e))
}
