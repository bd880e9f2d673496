//! Learning histories as Parquet columns: one row a step, see `docs/histories-format.md`.

use super::{Histories, Steps};
use algodistill_core::interface::MAX_CHANNELS;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::reader::{get_typed_column_reader, ColumnReader};
use parquet::column::writer::{get_column_writer, ColumnCloseResult, ColumnWriter};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use rayon::prelude::*;
use std::io::Write;
use std::sync::Arc;

/// Most rows of a file that is read: what 32-bit steps of a training run, and some gigabytes of memory, can hold.
pub const MAX_ROWS: i64 = 1 << 28;
/// Values handed to a column writer, or taken from a column reader, at a time.
const BATCH: usize = 1 << 13;

/// How the columns of one interface are written.
pub struct Layout {
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    words: usize,
}

/// A row group in memory, ready to be spliced into a file.
pub struct EncodedRows {
    columns: Vec<(Bytes, ColumnCloseResult)>,
}

impl Layout {
    /// Columns for observations of `words` words.
    pub fn new(words: usize) -> Result<Self> {
        let observations = (0..words).map(|word| (format!("observation_{word}"), Physical::INT32));
        let named = |name: &str, kind| (name.to_owned(), kind);
        let fields: Vec<TypePtr> = ["task_id", "history_id", "episode", "step"]
            .map(|name| named(name, Physical::INT32))
            .into_iter()
            .chain(observations)
            .chain([
                named("action", Physical::INT32),
                named("reward", Physical::FLOAT),
                named("done", Physical::BOOLEAN),
                named("source", Physical::BYTE_ARRAY),
            ])
            .map(|(name, kind)| {
                let text = (kind == Physical::BYTE_ARRAY).then_some(LogicalType::String);
                let field = Type::primitive_type_builder(&name, kind).with_logical_type(text);
                field.with_repetition(Repetition::REQUIRED).build().map(Arc::new)
            })
            .collect::<Result<_>>()?;
        let root = Type::group_type_builder("step").with_fields(fields).build()?;
        // Integers change little from row to row, so their differences take a few bits; a dictionary would cost a hash a value.
        // It pays for the rewards, mostly a few levels, and for the constant name of the source.
        let column = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
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
            .set_offset_index_disabled(true)
            .build();
        Ok(Self { schema: SchemaDescriptor::new(Arc::new(root)), properties: Arc::new(properties), words })
    }

    /// A file into which row groups can be spliced.
    pub fn file_writer<W: Write + Send>(&self, sink: W) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(sink, self.schema.root_schema_ptr(), self.properties.clone())
    }

    /// Encodes the steps of `histories`, whose ranges cover them in order.
    pub fn encode(&self, histories: &Histories, source: &str) -> Result<EncodedRows> {
        let steps = &histories.steps;
        let per_history = |value: fn(&super::History) -> u32| {
            histories
                .index
                .iter()
                .flat_map(move |history| history.steps.clone().map(move |_| value(history) as i32))
        };
        let mut columns = Vec::with_capacity(self.schema.num_columns());
        columns.push(self.encode_column::<Int32Type>(0, per_history(|history| history.task))?);
        columns.push(self.encode_column::<Int32Type>(1, per_history(|history| history.id))?);
        columns
            .push(self.encode_column::<Int32Type>(2, steps.episodes.iter().map(|&episode| episode as i32))?);
        columns.push(self.encode_column::<Int32Type>(3, step_numbers(steps))?);
        for (word, column) in steps.observations.iter().enumerate() {
            columns.push(self.encode_column::<Int32Type>(4 + word, column.iter().copied())?);
        }
        let next = 4 + self.words;
        columns.push(self.encode_column::<Int32Type>(next, steps.actions.iter().map(|&a| i32::from(a)))?);
        columns.push(self.encode_column::<FloatType>(next + 1, steps.rewards.iter().copied())?);
        columns.push(self.encode_column::<BoolType>(next + 2, steps.dones.iter().copied())?);
        let source = ByteArray::from(source);
        columns
            .push(self.encode_column::<ByteArrayType>(next + 3, std::iter::repeat_n(source, steps.len()))?);
        Ok(EncodedRows { columns })
    }

    fn encode_column<T: DataType>(
        &self,
        column: usize,
        mut values: impl Iterator<Item = T::T>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut sink = TrackedWrite::new(Vec::new());
        let pages = Box::new(SerializedPageWriter::new(&mut sink));
        let mut writer = get_column_writer(self.schema.column(column), self.properties.clone(), pages);
        let typed = T::get_column_writer_mut(&mut writer)
            .ok_or_else(|| ParquetError::General(format!("column {column} has another type")))?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            batch.extend(values.by_ref().take(BATCH));
            if batch.is_empty() {
                break;
            }
            typed.write_batch(&batch, None, None)?;
        }
        let closed = close(writer)?;
        Ok((sink.into_inner()?.into(), closed))
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

/// Number of each step within its episode.
fn step_numbers(steps: &Steps) -> impl Iterator<Item = i32> + '_ {
    steps.dones.iter().scan(0, |next, &done| {
        let number = *next;
        *next = if done { 0 } else { number + 1 };
        Some(number)
    })
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

/// The columns of a file, their types checked but not yet their values.
#[derive(Debug, Default)]
pub struct Rows {
    /// `task_id`.
    pub tasks: Vec<u32>,
    /// `history_id`.
    pub histories: Vec<u32>,
    /// `step`.
    pub numbers: Vec<u32>,
    /// The other columns.
    pub steps: Steps,
}

/// Decodes a file. An `Err` says which column is wrong and how.
///
/// The Parquet library may panic on malformed bytes: the caller catches that.
pub fn decode(bytes: Bytes) -> std::result::Result<Vec<Rows>, String> {
    let text = |e: ParquetError| format!("is not a Parquet file that can be read: {e}");
    let file = SerializedFileReader::new(bytes).map_err(text)?;
    let metadata = file.metadata();
    let rows = metadata.row_groups().iter().try_fold(0_i64, |rows, group| {
        rows.checked_add(group.num_rows()).filter(|sum| group.num_rows() >= 0 && *sum <= MAX_ROWS)
    });
    if rows.is_none() {
        return Err(format!("has more than {MAX_ROWS} rows; split it into several files"));
    }
    let places = Places::find(metadata.file_metadata().schema_descr())?;
    (0..metadata.num_row_groups())
        .into_par_iter()
        .map(|index| {
            let group = file.get_row_group(index).map_err(text)?;
            places.read(group.as_ref())
        })
        .collect()
}

/// Where the columns lie in a file, which may have them in any order and others beside them.
struct Places {
    tasks: usize,
    histories: usize,
    episodes: usize,
    numbers: usize,
    observations: Vec<usize>,
    actions: usize,
    rewards: usize,
    dones: usize,
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
        let mut observations = Vec::new();
        while place(&format!("observation_{}", observations.len())).is_some() {
            observations.push(integer(&format!("observation_{}", observations.len()))?);
        }
        if observations.len() > MAX_CHANNELS {
            return Err(format!(
                "has {} observation columns, at most {MAX_CHANNELS} are possible",
                observations.len()
            ));
        }
        let stray = schema.columns().iter().map(|column| column.name()).find(|name| {
            name.strip_prefix("observation_").is_some_and(|number| {
                number.parse().map_or(true, |number: usize| number >= observations.len())
            })
        });
        if let Some(name) = stray {
            return Err(format!(
                "has a column {name} but not all before it; expected observation_0, observation_1, ..."
            ));
        }
        Ok(Self {
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

    fn read(&self, group: &dyn RowGroupReader) -> std::result::Result<Rows, String> {
        let id = |value: i64| u32::try_from(value).ok().filter(|&id| id <= i32::MAX as u32);
        let ids = |column| read_integers(group, column, "an integer from 0 to 2147483647", id);
        let float = "a finite number in the range of f32";
        Ok(Rows {
            tasks: ids(self.tasks)?,
            histories: ids(self.histories)?,
            numbers: ids(self.numbers)?,
            steps: Steps {
                episodes: ids(self.episodes)?,
                observations: self
                    .observations
                    .iter()
                    .map(|&column| {
                        read_integers(group, column, "a 32-bit integer", |v| i32::try_from(v).ok())
                    })
                    .collect::<std::result::Result<_, _>>()?,
                actions: read_integers(group, self.actions, "an action, 0 to 255", |value| {
                    u8::try_from(value).ok().map(u16::from)
                })?,
                rewards: match group.metadata().column(self.rewards).column_type() {
                    Physical::FLOAT => {
                        read::<FloatType, _>(group, self.rewards, float, |v| v.is_finite().then_some(v))?
                    }
                    _ => read::<DoubleType, _>(group, self.rewards, float, |v| {
                        Some(v as f32).filter(|reward| reward.is_finite())
                    })?,
                },
                dones: read::<BoolType, _>(group, self.dones, "true or false", Some)?,
            },
        })
    }
}

fn read_integers<U>(
    group: &dyn RowGroupReader,
    column: usize,
    expected: &str,
    convert: impl Fn(i64) -> Option<U>,
) -> std::result::Result<Vec<U>, String> {
    match group.metadata().column(column).column_type() {
        Physical::INT32 => read::<Int32Type, U>(group, column, expected, |value| convert(value.into())),
        _ => read::<Int64Type, U>(group, column, expected, convert),
    }
}

/// Reads a column. Memory grows with what was decoded, not with what the file says there is.
fn read<T: DataType, U>(
    group: &dyn RowGroupReader,
    column: usize,
    expected: &str,
    convert: impl Fn(T::T) -> Option<U>,
) -> std::result::Result<Vec<U>, String> {
    let rows = group.metadata().num_rows() as usize;
    let description = group.metadata().column(column).column_descr();
    let name = description.name();
    let text = |e: ParquetError| format!("column {name} cannot be decoded: {e}");
    let reader: ColumnReader = group.get_column_reader(column).map_err(text)?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let mut all = Vec::new();
    let (mut values, mut present) = (Vec::new(), Vec::new());
    while all.len() < rows {
        values.clear();
        present.clear();
        let levels = (description.max_def_level() > 0).then_some(&mut present);
        let (read, _, _) =
            reader.read_records(BATCH.min(rows - all.len()), levels, None, &mut values).map_err(text)?;
        if read == 0 || values.len() != read {
            let problem = if read == 0 { "ends" } else { "has no value" };
            return Err(format!("column {name} {problem} at or after row {} of its row group", all.len()));
        }
        for value in &values {
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
