//! Learning histories as Parquet columns: one row a step, see `docs/histories-format.md`.

use super::{Histories, History, Steps};
use crate::source::FinalObservations;
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Channel, Interface};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::reader::{get_typed_column_reader, ColumnReader};
use parquet::column::writer::{get_column_writer, ColumnCloseResult, ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor, Type, TypePtr};
use rayon::prelude::*;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

/// Most rows of a file that is read: what 32-bit steps of a training run, and some gigabytes of
/// memory, can hold.
pub const MAX_ROWS: i64 = 1 << 28;
/// Name of the columns of final observations, and of optimal actions.
const FINAL_OBSERVATION: &str = "final_observation";
const OPTIMAL_ACTION: &str = "optimal_action";
/// What a value of a column of actions must be.
const AN_ACTION: &str = "an action, 0 to 255";

/// Values handed to a column writer, or taken from a column reader, at a time.
const BATCH: usize = 1 << 13;

/// How the columns of one interface are written.
pub struct Layout {
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    channels: Vec<Channel>,
    optimal_actions: OptimalActions,
}

/// Which steps have an optimal action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimalActions {
    /// None: there is no column of them.
    Absent,
    /// All.
    Everywhere,
    /// Some: it is null in the other rows.
    Somewhere,
}

impl OptimalActions {
    /// As these steps have them.
    pub fn of(steps: &Steps) -> Self {
        match steps.optimal_actions.contains(&u16::MAX) {
            true => Self::Somewhere,
            false if steps.optimal_actions.is_empty() => Self::Absent,
            false => Self::Everywhere,
        }
    }
}

/// A row group in memory, ready to be spliced into a file.
pub struct EncodedRows {
    columns: Vec<(Bytes, ColumnCloseResult)>,
}

impl Layout {
    /// Columns for the observations of `interface`, and one for `optimal_actions` unless they are
    /// absent.
    pub fn new(interface: &Interface, optimal_actions: OptimalActions) -> Result<Self> {
        let channels: Vec<Channel> = interface.channels.iter().copied().collect();
        let required = |name: &str, kind| primitive(name, kind, Repetition::REQUIRED, None);
        let mut fields: Vec<TypePtr> = Vec::new();
        for name in ["task_id", "history_id", "episode", "step"] {
            fields.push(required(name, Physical::INT32)?);
        }
        for (number, channel) in channels.iter().enumerate() {
            fields.push(field_of(channel, &format!("observation_{number}"), Repetition::REQUIRED)?);
        }
        fields.push(required("action", Physical::INT32)?);
        fields.push(required("reward", Physical::FLOAT)?);
        fields.push(required("done", Physical::BOOLEAN)?);
        let text = Some(LogicalType::String);
        fields.push(primitive("source", Physical::BYTE_ARRAY, Repetition::REQUIRED, text)?);
        for (number, channel) in channels.iter().enumerate() {
            fields.push(field_of(channel, &format!("{FINAL_OBSERVATION}_{number}"), Repetition::OPTIONAL)?);
        }
        match optimal_actions {
            OptimalActions::Absent => {}
            OptimalActions::Everywhere => fields.push(required(OPTIMAL_ACTION, Physical::INT32)?),
            OptimalActions::Somewhere => {
                fields.push(primitive(OPTIMAL_ACTION, Physical::INT32, Repetition::OPTIONAL, None)?)
            }
        }
        let root = Type::group_type_builder("step").with_fields(fields).build()?;
        // Integers change little from row to row, so their differences take a few bits; a dictionary would
        // cost a hash a value. It pays for the rewards, mostly a few levels, and for the constant
        // name of the source.
        let column = |name: &str| ColumnPath::from(name);
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("algodistill ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_encoding(Encoding::DELTA_BINARY_PACKED)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled(column("reward"), true)
            .set_column_encoding(column("reward"), Encoding::PLAIN)
            .set_column_encoding(column("done"), Encoding::PLAIN)
            .set_column_dictionary_enabled(column("source"), true)
            .set_column_encoding(column("source"), Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_statistics_enabled(column("task_id"), EnabledStatistics::Chunk)
            .set_column_statistics_enabled(column("history_id"), EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for number in pictures(&channels) {
            for prefix in ["observation", FINAL_OBSERVATION] {
                let column = column(&format!("{prefix}_{number}"));
                properties = properties.set_column_encoding(column, Encoding::PLAIN);
            }
        }
        let schema = SchemaDescriptor::new(Arc::new(root));
        Ok(Self { schema, properties: Arc::new(properties.build()), channels, optimal_actions })
    }

    /// A file into which row groups can be spliced.
    pub fn file_writer<W: Write + Send>(&self, sink: W) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(sink, self.schema.root_schema_ptr(), self.properties.clone())
    }

    /// Encodes the steps of `histories`, whose ranges cover them in order.
    pub fn encode(&self, histories: &Histories, source: &str) -> Result<EncodedRows> {
        let steps = &histories.steps;
        let per_history = |value: fn(&super::History) -> u32| {
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
        for column in [tasks, ids, episodes, step_numbers(steps)] {
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
        match self.optimal_actions {
            OptimalActions::Absent => {}
            OptimalActions::Everywhere => {
                let actions = steps.optimal_actions.iter().map(|&action| i32::from(action));
                columns.push(self.encode_column::<Int32Type>(columns.len(), &actions.collect::<Vec<_>>())?);
            }
            OptimalActions::Somewhere => {
                let known = |rows: Range<usize>, add: &mut dyn FnMut(usize, i32)| {
                    for (row, &action) in steps.optimal_actions[rows].iter().enumerate() {
                        if action != u16::MAX {
                            add(row, action.into());
                        }
                    }
                };
                columns.push(self.encode_known::<Int32Type>(columns.len(), steps.len(), known)?);
            }
        }
        Ok(EncodedRows { columns })
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

fn primitive(
    name: &str,
    kind: Physical,
    repetition: Repetition,
    logical: Option<LogicalType>,
) -> Result<TypePtr> {
    let field = Type::primitive_type_builder(name, kind).with_logical_type(logical);
    field.with_repetition(repetition).build().map(Arc::new)
}

/// The column of a channel: an integer, a list of integers, or bytes.
fn field_of(channel: &Channel, name: &str, repetition: Repetition) -> Result<TypePtr> {
    match channel {
        Channel::Discrete { .. } => primitive(name, Physical::INT32, repetition, None),
        Channel::Pixels { .. } => primitive(name, Physical::BYTE_ARRAY, repetition, None),
        Channel::Vector { .. } => {
            let element = primitive("element", Physical::INT32, Repetition::REQUIRED, None)?;
            let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
            let list = list.with_fields(vec![element]).build()?;
            let field = Type::group_type_builder(name).with_logical_type(Some(LogicalType::List));
            field.with_repetition(repetition).with_fields(vec![Arc::new(list)]).build().map(Arc::new)
        }
    }
}

/// Numbers of the pixels channels.
fn pictures(channels: &[Channel]) -> impl Iterator<Item = usize> + '_ {
    let numbered = channels.iter().enumerate();
    numbered.filter(|(_, channel)| matches!(channel, Channel::Pixels { .. })).map(|(number, _)| number)
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

/// Number of each step within its episode.
fn step_numbers(steps: &Steps) -> Vec<i32> {
    let mut next = 0;
    let number = |&done: &bool| {
        let number = next;
        next = if done { 0 } else { number + 1 };
        number
    };
    steps.dones.iter().map(number).collect()
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
}

impl EncodedRows {
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

/// The columns of a file, their types checked but not yet their values.
#[derive(Debug, Default)]
pub struct Rows {
    /// `task_id`.
    pub tasks: Vec<u32>,
    /// `history_id`.
    pub histories: Vec<u32>,
    /// `step`.
    pub numbers: Vec<u32>,
    /// What the columns of the observations hold.
    pub kinds: Vec<Kind>,
    /// The other columns.
    pub steps: Steps,
}

impl Rows {
    /// Makes the tasks of the steps known where histories are of several.
    pub fn keep_tasks(&mut self, several: bool) {
        if several {
            self.steps.tasks.clone_from(&self.tasks);
        }
    }

    /// Some of the rows.
    fn slice(&self, range: Range<usize>) -> Self {
        let mut steps = Steps::new(self.steps.observations.len());
        steps.extend(&self.steps, range.clone());
        let ids = |column: &[u32]| column[range.clone()].to_vec();
        Self {
            tasks: ids(&self.tasks),
            histories: ids(&self.histories),
            numbers: ids(&self.numbers),
            kinds: self.kinds.clone(),
            steps,
        }
    }
}

/// What a column of observations holds, and how much of it in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Integer,
    /// Integers; 0 where no row says how many.
    List(usize),
    /// Bytes; 0 where no row says how many.
    Bytes(usize),
}

impl Kind {
    /// What the column of a channel holds.
    pub fn of(channel: &Channel) -> Self {
        match channel {
            Channel::Discrete { .. } => Self::Integer,
            Channel::Vector { size } => Self::List((*size).into()),
            Channel::Pixels { .. } => Self::Bytes(channel.inputs()),
        }
    }

    /// Words of an observation.
    pub fn words(self) -> usize {
        match self {
            Self::Integer => 1,
            Self::List(numbers) => numbers,
            Self::Bytes(bytes) => bytes.div_ceil(4),
        }
    }

    /// Whether this can be what is `expected`: as many, or not known how many.
    pub fn fits(self, expected: Self) -> bool {
        match (self, expected) {
            (Self::List(found), Self::List(wanted)) | (Self::Bytes(found), Self::Bytes(wanted)) => {
                found == wanted || found == 0
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("an integer"),
            Self::List(0) => f.write_str("a list of integers"),
            Self::List(numbers) => write!(f, "a list of {numbers} integers"),
            Self::Bytes(0) => f.write_str("bytes"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

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

/// Where the columns lie in a file, which may have them in any order and others beside them.
struct Places {
    tasks: usize,
    histories: usize,
    episodes: usize,
    numbers: usize,
    observations: Vec<Place>,
    actions: usize,
    rewards: usize,
    dones: usize,
    /// As many as observations, or none.
    final_observations: Vec<Place>,
    optimal_actions: Option<usize>,
}

/// A column of observations.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    /// What it holds, but not how many.
    kind: Kind,
}

impl Places {
    fn find(schema: &SchemaDescriptor) -> std::result::Result<Self, String> {
        let place = |name: &str| schema.columns().iter().position(|column| column.path().string() == name);
        let checked = |name: &str, types: &[Physical]| {
            let index = place(name).ok_or_else(|| format!("has no column {name}; expected task_id, history_id, episode, step, observation_0, ..., action, reward, done"))?;
            let column = schema.column(index);
            if !types.contains(&column.physical_type())
                || column.max_rep_level() > 0
                || column.max_def_level() > 1
            {
                return Err(format!("column {name} has type {}, expected {types:?}", column.physical_type()));
            }
            Ok(index)
        };
        let integer = |name: &str| checked(name, &[Physical::INT32, Physical::INT64]);
        // A list is a column whose path goes on behind its name.
        let leaf = |name: &str| {
            let is_it =
                |column: &ColumnDescPtr| column.path().parts().first().is_some_and(|part| part == name);
            schema.columns().iter().position(is_it)
        };
        let observation = |name: &str| {
            let column = leaf(name).unwrap_or_default();
            let found = schema.column(column);
            let integers = matches!(found.physical_type(), Physical::INT32 | Physical::INT64);
            let bytes =
                matches!(found.physical_type(), Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
            let kind = match (found.max_rep_level(), found.max_def_level()) {
                (0, 0..=1) if integers => Kind::Integer,
                (0, 0..=1) if bytes => Kind::Bytes(0),
                (1, 1..=3) if integers => Kind::List(0),
                _ => {
                    let kind = found.physical_type();
                    return Err(format!(
                        "column {name} has type {kind}, expected an integer, a list of integers, or bytes"
                    ));
                }
            };
            Ok(Place { column, kind })
        };
        let mut observations = Vec::new();
        while leaf(&format!("observation_{}", observations.len())).is_some() {
            observations.push(observation(&format!("observation_{}", observations.len()))?);
        }
        if observations.len() > MAX_CHANNELS {
            return Err(format!(
                "has {} observation columns, at most {MAX_CHANNELS} are possible",
                observations.len()
            ));
        }
        let names = || schema.columns().iter().filter_map(|column| column.path().parts().first());
        let stray = names().find(|name| {
            name.strip_prefix("observation_").is_some_and(|number| {
                number.parse().map_or(true, |number: usize| number >= observations.len())
            })
        });
        if let Some(name) = stray {
            return Err(format!(
                "has a column {name} but not all before it; expected observation_0, observation_1, ..."
            ));
        }
        let mut final_observations = Vec::new();
        while leaf(&format!("{FINAL_OBSERVATION}_{}", final_observations.len())).is_some() {
            let name = format!("{FINAL_OBSERVATION}_{}", final_observations.len());
            let found = observation(&name)?;
            if let Some(expected) =
                observations.get(final_observations.len()).filter(|it| it.kind != found.kind)
            {
                return Err(format!("column {name} holds {}, expected {}", found.kind, expected.kind));
            }
            final_observations.push(found);
        }
        let named =
            |name: &str| name.strip_prefix(FINAL_OBSERVATION).is_some_and(|rest| rest.starts_with('_'));
        let all = names().filter(|name| named(name)).count();
        if all != final_observations.len() || ![0, observations.len()].contains(&all) {
            return Err(format!(
                "has {all} {FINAL_OBSERVATION} columns, expected {FINAL_OBSERVATION}_0, ..., one per observation \
                 column, {}, or none",
                observations.len()
            ));
        }
        let optimal_actions = place(OPTIMAL_ACTION).map(|_| integer(OPTIMAL_ACTION)).transpose()?;
        Ok(Self {
            final_observations,
            optimal_actions,
            tasks: integer("task_id")?,
            histories: integer("history_id")?,
            episodes: integer("episode")?,
            numbers: integer("step")?,
            observations,
            actions: integer("action")?,
            rewards: checked("reward", &[Physical::FLOAT, Physical::DOUBLE])?,
            dones: checked("done", &[Physical::BOOLEAN])?,
        })
    }

    fn read_ids(&self, group: &dyn RowGroupReader) -> std::result::Result<(Vec<u32>, Vec<u32>), String> {
        Ok((ids(group, self.tasks)?, ids(group, self.histories)?))
    }

    /// Rows where all words are there have a final observation; those where some are are refused.
    fn read_final_observations(
        &self,
        group: &dyn RowGroupReader,
        kinds: &[Kind],
    ) -> std::result::Result<FinalObservations, String> {
        let columns: Vec<Values> = self
            .final_observations
            .iter()
            .map(|&place| read_observations(group, place, true))
            .collect::<std::result::Result<_, _>>()?;
        let unlike = |(column, kind): (&Values, &Kind)| !column.kind.fits(*kind);
        if let Some(number) = columns.iter().zip(kinds).position(unlike) {
            let (found, expected) = (columns[number].kind, kinds[number]);
            return Err(format!("{FINAL_OBSERVATION}_{number} holds {found}, expected {expected}"));
        }
        let mut all = FinalObservations::default();
        let mut next = vec![0; columns.len()];
        let mut words = Vec::new();
        for row in 0..columns.first().map_or(0, |column| column.known.len()) {
            words.clear();
            let mut found = 0;
            for (column, next) in columns.iter().zip(&mut next) {
                if column.known[row] {
                    let width = column.kind.words();
                    words.extend_from_slice(&column.words[*next * width..(*next + 1) * width]);
                    *next += 1;
                    found += 1;
                }
            }
            match found {
                0 => {}
                found if found == columns.len() => all.push(row, &words),
                found => {
                    let expected = columns.len();
                    return Err(format!(
                        "has {found} {FINAL_OBSERVATION} values in row {row} of a row group, expected none or {expected}"
                    ));
                }
            }
        }
        Ok(all)
    }

    fn read(&self, group: &dyn RowGroupReader) -> std::result::Result<Rows, String> {
        let ids = |column| ids(group, column);
        let mut kinds = Vec::with_capacity(self.observations.len());
        let mut observations = Vec::new();
        for &place in &self.observations {
            let Values { kind, words, .. } = read_observations(group, place, false)?;
            match kind {
                Kind::Integer => observations.push(words),
                _ => {
                    let width = kind.words();
                    let column = |word| words.iter().skip(word).step_by(width).copied().collect();
                    observations.extend((0..width).map(column));
                }
            }
            kinds.push(kind);
        }
        let final_observations = self.read_final_observations(group, &kinds)?;
        let float = "a finite number in the range of f32";
        let action = |value| u8::try_from(value).ok().map(u16::from);
        Ok(Rows {
            tasks: ids(self.tasks)?,
            histories: ids(self.histories)?,
            numbers: ids(self.numbers)?,
            kinds,
            steps: Steps {
                episodes: ids(self.episodes)?,
                observations,
                actions: read_integers(group, self.actions, AN_ACTION, None, action)?,
                rewards: match group.metadata().column(self.rewards).column_type() {
                    Physical::FLOAT => read::<FloatType, _>(group, self.rewards, float, None, |v| {
                        v.is_finite().then_some(v)
                    })?,
                    _ => read::<DoubleType, _>(group, self.rewards, float, None, |v| {
                        Some(v as f32).filter(|reward| reward.is_finite())
                    })?,
                },
                dones: read::<BoolType, _>(group, self.dones, "true or false", None, Some)?,
                final_observations,
                optimal_actions: match self.optimal_actions {
                    None => Vec::new(),
                    Some(column) => read_integers(group, column, AN_ACTION, Some(u16::MAX), action)?,
                },
                tasks: Vec::new(),
            },
        })
    }
}

fn ids(group: &dyn RowGroupReader, column: usize) -> std::result::Result<Vec<u32>, String> {
    let id = |value: i64| u32::try_from(value).ok().filter(|&id| id <= i32::MAX as u32);
    read_integers(group, column, "an integer from 0 to 2147483647", None, id)
}

/// The values of a column of observations.
struct Values {
    kind: Kind,
    /// Which rows have a value.
    known: Vec<bool>,
    /// Of the rows that have one, row by row.
    words: Vec<i32>,
}

/// Reads a column of observations; null is refused unless it is `nullable`.
fn read_observations(
    group: &dyn RowGroupReader,
    place: Place,
    nullable: bool,
) -> std::result::Result<Values, String> {
    let Place { column, kind } = place;
    let name = group.metadata().column(column).column_descr().path().parts()[0].clone();
    let rows: Vec<Option<Vec<i32>>> = match kind {
        Kind::Integer => {
            let word = |value| i32::try_from(value).ok().map(Some);
            let values = read_integers(group, column, "a 32-bit integer", nullable.then_some(None), word)?;
            let known = values.iter().map(Option::is_some).collect();
            return Ok(Values { kind, known, words: values.into_iter().flatten().collect() });
        }
        Kind::List(_) => read_lists(group, column)?,
        Kind::Bytes(_) => {
            let null = nullable.then_some(None);
            let words = |bytes: &[u8]| {
                let mut words = vec![0; bytes.len().div_ceil(4)];
                bytemuck::cast_slice_mut::<i32, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
                (bytes.len(), words)
            };
            let values = match group.metadata().column(column).column_type() {
                Physical::BYTE_ARRAY => {
                    read::<ByteArrayType, _>(group, column, "bytes", null, |v| Some(Some(words(v.data()))))?
                }
                _ => read::<FixedLenByteArrayType, _>(group, column, "bytes", null, |v| {
                    Some(Some(words(v.data())))
                })?,
            };
            let bytes = values.iter().flatten().next().map_or(0, |(bytes, _)| *bytes);
            if let Some(row) = values.iter().position(|it| it.as_ref().is_some_and(|it| it.0 != bytes)) {
                return Err(format!(
                    "column {name} has another number of bytes in row {row} of its row group, expected {bytes} in all"
                ));
            }
            let known: Vec<bool> = values.iter().map(Option::is_some).collect();
            if bytes == 0 && known.contains(&true) {
                return Err(format!("column {name} has no bytes in a row, expected those of a picture"));
            }
            let words = values.into_iter().flatten().flat_map(|(_, words)| words).collect();
            return Ok(Values { kind: Kind::Bytes(bytes), known, words });
        }
    };
    let width = rows.iter().flatten().next().map_or(0, Vec::len);
    for (row, found) in rows.iter().enumerate() {
        match found {
            None if nullable => {}
            Some(numbers) if numbers.len() == width && width > 0 => {}
            None => return Err(format!("column {name} has no value at row {row} of its row group")),
            Some(numbers) => {
                return Err(format!(
                    "column {name} has a list of {} in row {row} of its row group, expected {} in all",
                    numbers.len(),
                    width.max(1)
                ))
            }
        }
    }
    let known = rows.iter().map(Option::is_some).collect();
    Ok(Values { kind: Kind::List(width), known, words: rows.into_iter().flatten().flatten().collect() })
}

/// Reads a column of lists of integers.
fn read_lists(
    group: &dyn RowGroupReader,
    column: usize,
) -> std::result::Result<Vec<Option<Vec<i32>>>, String> {
    match group.metadata().column(column).column_type() {
        Physical::INT32 => read_lists_of::<Int32Type>(group, column, Some),
        _ => read_lists_of::<Int64Type>(group, column, |value| i32::try_from(value).ok()),
    }
}

fn read_lists_of<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    convert: impl Fn(T::T) -> Option<i32>,
) -> std::result::Result<Vec<Option<Vec<i32>>>, String> {
    let rows = group.metadata().num_rows() as usize;
    let description = group.metadata().column(column).column_descr();
    let name = &description.path().parts()[0];
    let text = |e: ParquetError| format!("column {name} cannot be decoded: {e}");
    let reader: ColumnReader = group.get_column_reader(column).map_err(text)?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let a_number = description.max_def_level();
    // Not `is_optional`, which is also true of what is repeated.
    let element_is_optional = description.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
    // Behind a list that is null, and one that is empty.
    let an_empty_list = a_number - 1 - i16::from(element_is_optional);
    let mut all: Vec<Option<Vec<i32>>> = Vec::new();
    let [mut definition, mut repetition] = [const { Vec::new() }; 2];
    let mut values = Vec::new();
    while all.len() < rows {
        [&mut definition, &mut repetition].into_iter().for_each(Vec::clear);
        values.clear();
        let most = BATCH.min(rows - all.len());
        let (read, _, _) = reader
            .read_records(most, Some(&mut definition), Some(&mut repetition), &mut values)
            .map_err(text)?;
        if read == 0 || definition.len() != repetition.len() {
            return Err(format!("column {name} ends at or after row {} of its row group", all.len()));
        }
        let mut rest = values.drain(..);
        for (definition, repetition) in definition.iter().zip(&repetition) {
            if *repetition == 0 {
                all.push((*definition >= an_empty_list).then(Vec::new));
            }
            let row = all.len().saturating_sub(1);
            if *definition == a_number {
                let value = rest.next().and_then(&convert);
                let value = value.ok_or_else(|| {
                    format!("column {name} has no 32-bit integer in row {row} of its row group")
                })?;
                if let Some(Some(list)) = all.last_mut() {
                    list.push(value);
                }
            } else if *definition > an_empty_list {
                return Err(format!("column {name} has a null in the list of row {row} of its row group"));
            }
        }
    }
    Ok(all)
}

/// As [`read`], of either width.
fn read_integers<U: Clone>(
    group: &dyn RowGroupReader,
    column: usize,
    expected: &str,
    null: Option<U>,
    convert: impl Fn(i64) -> Option<U>,
) -> std::result::Result<Vec<U>, String> {
    match group.metadata().column(column).column_type() {
        Physical::INT32 => read::<Int32Type, U>(group, column, expected, null, |value| convert(value.into())),
        _ => read::<Int64Type, U>(group, column, expected, null, convert),
    }
}

/// Reads a column; `null` stands for a value that is not there, which is refused where it is
/// `None`. Memory grows with what was decoded, not with what the file says there is.
fn read<T: DataType, U: Clone>(
    group: &dyn RowGroupReader,
    column: usize,
    expected: &str,
    null: Option<U>,
    convert: impl Fn(T::T) -> Option<U>,
) -> std::result::Result<Vec<U>, String> {
    let rows = group.metadata().num_rows() as usize;
    let description = group.metadata().column(column).column_descr();
    let name = description.name();
    let text = |e: ParquetError| format!("column {name} cannot be decoded: {e}");
    let reader: ColumnReader = group.get_column_reader(column).map_err(text)?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let nullable = description.max_def_level() > 0;
    let mut all = Vec::new();
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while all.len() < rows {
        values.clear();
        levels.clear();
        let (read, found, _) = reader
            .read_records(BATCH.min(rows - all.len()), nullable.then_some(&mut levels), None, &mut values)
            .map_err(text)?;
        let known = if nullable { levels.iter().filter(|level| **level > 0).count() } else { read };
        if read == 0 || found != known || nullable && levels.len() != read {
            return Err(format!("column {name} ends at or after row {} of its row group", all.len()));
        }
        let mut rest = values.iter();
        for known in (0..read).map(|row| !nullable || levels[row] > 0) {
            if !known {
                all.push(null.clone().ok_or_else(|| {
                    format!("column {name} has no value at or after row {} of its row group", all.len())
                })?);
                continue;
            }
            let Some(value) = rest.next() else { break };
            let Some(converted) = convert(value.clone()) else {
                let row = all.len();
                return Err(format!(
                    "column {name} is {value} in row {row} of its row group, expected {expected}"
                ));
            };
            all.push(converted);
        }
    }
    Ok(all)
}
