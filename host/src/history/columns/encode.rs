//! Steps as a row group in memory.

use super::{Layout, Presence, BATCH};
use crate::history::{Histories, History};
use algodistill_core::Channel;
use bytes::Bytes;
use parquet::column::writer::{get_column_writer, ColumnCloseResult, ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use std::io::Write;
use std::ops::Range;

/// A row group in memory, ready to be spliced into a file.
pub struct EncodedRows {
    columns: Vec<(Bytes, ColumnCloseResult)>,
}

impl Layout {
    /// Encodes the steps of `histories`, whose ranges cover them in order.
    pub fn encode(&self, histories: &Histories, source: &str) -> Result<EncodedRows> {
        let steps = &histories.steps;
        let per_history = |value: fn(&History) -> u32| {
            let mut column = Vec::with_capacity(steps.len());
            for history in &histories.index {
                column.resize(column.len() + history.steps.len(), value(history) as i32);
            }
            column
        };
        let mut columns = Vec::with_capacity(self.schema.num_columns());
        let tasks = match steps.tasks.is_empty() {
            true => per_history(|history| history.task),
            false => steps.tasks.iter().map(|&task| task as i32).collect(),
        };
        let ids = per_history(|history| history.id);
        let episodes = steps.episodes.iter().map(|&episode| episode as i32).collect();
        for column in [tasks, ids, episodes, step_numbers(histories)] {
            columns.push(self.encode_column::<Int32Type>(columns.len(), &column)?);
        }
        let mut words = steps.observations.iter();
        for channel in &self.channels {
            let own: Vec<&Vec<i32>> = words.by_ref().take(channel.words()).collect();
            let everywhere = |rows: Range<usize>, add: &mut dyn FnMut(usize, &[i32])| {
                let mut row = vec![0; own.len()];
                for (place, step) in rows.enumerate() {
                    row.iter_mut().zip(&own).for_each(|(word, column)| *word = column[step]);
                    add(place, &row);
                }
            };
            let (column, len) = (columns.len(), steps.len());
            columns.push(match channel {
                Channel::Discrete { .. } => self.encode_column::<Int32Type>(column, own[0])?,
                Channel::Vector { .. } => self.encode_lists(column, len, 1, everywhere)?,
                Channel::Pixels { .. } => {
                    let pictures = bytes_of(channel, everywhere);
                    self.encode_known::<ByteArrayType>(column, len, pictures)?
                }
            });
        }
        let actions: Vec<i32> = steps.actions.iter().map(|&action| i32::from(action)).collect();
        columns.push(self.encode_column::<Int32Type>(columns.len(), &actions)?);
        columns.push(self.encode_column::<FloatType>(columns.len(), &steps.rewards)?);
        columns.push(self.encode_column::<BoolType>(columns.len(), &steps.dones)?);
        columns.push(self.encode_repeated(columns.len(), &ByteArray::from(source), steps.len())?);
        let mut first = 0;
        for channel in &self.channels {
            let own = first..first + channel.words();
            first = own.end;
            let known = |rows: Range<usize>, add: &mut dyn FnMut(usize, &[i32])| {
                for (row, words) in steps.final_observations.of_range(rows) {
                    add(row, &words[own.clone()]);
                }
            };
            let (column, len) = (columns.len(), steps.len());
            columns.push(match channel {
                Channel::Discrete { .. } => {
                    let known = |rows: Range<usize>, add: &mut dyn FnMut(usize, i32)| {
                        known(rows, &mut |row, words| add(row, words[0]));
                    };
                    self.encode_known::<Int32Type>(column, len, known)?
                }
                Channel::Vector { .. } => self.encode_lists(column, len, 2, known)?,
                Channel::Pixels { .. } => {
                    self.encode_known::<ByteArrayType>(column, len, bytes_of(channel, known))?
                }
            });
        }
        if self.optimal_actions != Presence::Absent {
            let action = |&action: &u16| (action != u16::MAX).then_some(i32::from(action));
            columns.push(self.encode_some::<Int32Type, _>(columns.len(), &steps.optimal_actions, action)?);
        }
        if self.truncations != Presence::Absent {
            let truncated = |truncated: &Option<bool>| *truncated;
            columns.push(self.encode_some::<BoolType, _>(columns.len(), &steps.truncations, truncated)?);
        }
        Ok(EncodedRows { columns })
    }

    /// One row a step; null where `value` has none.
    fn encode_some<T: DataType, S>(
        &self,
        column: usize,
        steps: &[S],
        value: impl Fn(&S) -> Option<T::T>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        self.encode_known::<T>(column, steps.len(), |rows, add| {
            for (row, step) in steps[rows].iter().enumerate() {
                if let Some(value) = value(step) {
                    add(row, value);
                }
            }
        })
    }

    fn encode_column<T: DataType>(
        &self,
        column: usize,
        values: &[T::T],
    ) -> Result<(Bytes, ColumnCloseResult)> {
        self.write_column::<T>(column, |writer| {
            values.chunks(BATCH).try_for_each(|batch| writer.write_batch(batch, None, None).map(drop))
        })
    }

    /// `len` rows of one value.
    fn encode_repeated(
        &self,
        column: usize,
        value: &ByteArray,
        len: usize,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let batch = vec![value.clone(); BATCH.min(len)];
        self.write_column::<ByteArrayType>(column, |writer| {
            (0..len).step_by(BATCH).try_for_each(|first| {
                writer.write_batch(&batch[..BATCH.min(len - first)], None, None).map(drop)
            })
        })
    }

    /// `len` rows, null but where `known` adds a value: it is asked for a range of the rows, and says
    /// each of them by its place within the range, in ascending order. Where the column is not
    /// nullable, that is all of them.
    fn encode_known<T: DataType>(
        &self,
        column: usize,
        len: usize,
        known: impl Fn(Range<usize>, &mut dyn FnMut(usize, T::T)),
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let nullable = self.schema.column(column).max_def_level() > 0;
        self.write_column::<T>(column, |writer| {
            let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(BATCH));
            for first in (0..len).step_by(BATCH) {
                let rows = first..(first + BATCH).min(len);
                values.clear();
                levels.clear();
                levels.resize(rows.len(), 0);
                known(rows, &mut |row, value| {
                    values.push(value);
                    levels[row] = 1;
                });
                writer.write_batch(&values, nullable.then_some(&levels), None)?;
            }
            Ok(())
        })
    }

    /// As [`Layout::encode_known`], of the numbers of a row; `level` is that of a row which has
    /// them.
    fn encode_lists(
        &self,
        column: usize,
        len: usize,
        level: i16,
        known: impl Fn(Range<usize>, &mut dyn FnMut(usize, &[i32])),
    ) -> Result<(Bytes, ColumnCloseResult)> {
        self.write_column::<Int32Type>(column, |writer| {
            let [mut definition, mut repetition] = [const { Vec::new() }; 2];
            let mut values = Vec::new();
            for first in (0..len).step_by(BATCH) {
                let rows = first..(first + BATCH).min(len);
                let mut next = 0;
                let mut skip = |until: usize, definition: &mut Vec<i16>, repetition: &mut Vec<i16>| {
                    definition.extend((next..until).map(|_| 0));
                    repetition.extend((next..until).map(|_| 0));
                    next = until + 1;
                };
                [&mut definition, &mut repetition].into_iter().for_each(Vec::clear);
                values.clear();
                known(rows.clone(), &mut |row, numbers| {
                    skip(row, &mut definition, &mut repetition);
                    values.extend_from_slice(numbers);
                    definition.extend(numbers.iter().map(|_| level));
                    repetition.extend((0..numbers.len()).map(|place| i16::from(place > 0)));
                });
                skip(rows.len(), &mut definition, &mut repetition);
                writer.write_batch(&values, Some(&definition), Some(&repetition))?;
            }
            Ok(())
        })
    }

    fn write_column<T: DataType>(
        &self,
        column: usize,
        write: impl FnOnce(&mut ColumnWriterImpl<T>) -> Result<()>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut sink = TrackedWrite::new(Vec::new());
        let pages = Box::new(SerializedPageWriter::new(&mut sink));
        let mut writer = get_column_writer(self.schema.column(column), self.properties.clone(), pages);
        let typed = T::get_column_writer_mut(&mut writer)
            .ok_or_else(|| ParquetError::General(format!("column {column} has another type")))?;
        write(typed)?;
        let closed = close(writer)?;
        Ok((sink.into_inner()?.into(), closed))
    }
}

/// As `known`, with the words of a picture as its bytes.
fn bytes_of(
    channel: &Channel,
    known: impl Fn(Range<usize>, &mut dyn FnMut(usize, &[i32])),
) -> impl Fn(Range<usize>, &mut dyn FnMut(usize, ByteArray)) {
    let bytes = channel.inputs();
    move |rows, add| {
        known(rows, &mut |row, words| {
            add(row, ByteArray::from(bytemuck::cast_slice::<i32, u8>(words)[..bytes].to_vec()));
        });
    }
}

fn close(writer: ColumnWriter) -> Result<ColumnCloseResult> {
    match writer {
        ColumnWriter::BoolColumnWriter(typed) => typed.close(),
        ColumnWriter::Int32ColumnWriter(typed) => typed.close(),
        ColumnWriter::FloatColumnWriter(typed) => typed.close(),
        ColumnWriter::ByteArrayColumnWriter(typed) => typed.close(),
        _ => Err(ParquetError::General("a column of a type that is not written".into())),
    }
}

/// Number of each step within its episode; a history that breaks off ends its last one.
fn step_numbers(histories: &Histories) -> Vec<i32> {
    let mut dones = histories.steps.dones.iter();
    let mut numbers = Vec::with_capacity(dones.len());
    for history in &histories.index {
        let mut next = 0;
        // Where the steps lie may be told from the beginning of another row group.
        for &done in dones.by_ref().take(history.steps.len()) {
            numbers.push(next);
            next = if done { 0 } else { next + 1 };
        }
    }
    numbers
}

impl EncodedRows {
    /// Writes the rows as the next row group of `file`.
    pub fn splice<W: Write + Send>(self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut group = file.next_row_group()?;
        for (bytes, closed) in self.columns {
            group.append_column(&bytes, closed)?;
        }
        group.close().map(drop)
    }

    /// The rows as a Parquet file of their own, to be sent to another process.
    pub fn into_file(self, layout: &Layout) -> Result<Vec<u8>> {
        let mut file = layout.file_writer(Vec::new())?;
        self.splice(&mut file)?;
        file.into_inner()
    }

    /// What [`EncodedRows::into_file`] wrote.
    pub fn from_file(bytes: Bytes) -> Result<Self> {
        // All of the metadata as they are, for the file to be the same.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let metadata =
            ParquetMetaDataReader::new().with_metadata_options(Some(options)).parse_and_finish(&bytes)?;
        let group =
            metadata.row_groups().first().ok_or_else(|| ParquetError::General("no row group".into()))?;
        let columns = group.columns().iter().map(|column| {
            let mut metadata = column.clone().into_builder();
            // Readers forget that these were written in the old place as well.
            if let Some(Statistics::Int32(statistics)) = column.statistics() {
                let statistics = statistics.clone().with_backwards_compatible_min_max(true);
                metadata = metadata.set_statistics(Statistics::Int32(statistics));
            }
            let closed = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: metadata.build()?,
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            Ok((bytes.clone(), closed))
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }
}
