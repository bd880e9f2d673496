//! Which columns there are, and how each of them is written.

use super::{FINAL_OBSERVATION, OPTIMAL_ACTION, TRUNCATED};
use algodistill_core::{Channel, Interface};
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use std::io::Write;
use std::sync::Arc;

/// How the columns of one interface are written.
pub struct Layout {
    pub(super) schema: SchemaDescriptor,
    pub(super) properties: WriterPropertiesPtr,
    pub(super) channels: Vec<Channel>,
    pub(super) optimal_actions: Presence,
    pub(super) truncations: Presence,
}

/// Which steps have a value of a column that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// None: there is no such column.
    Absent,
    /// All.
    Everywhere,
    /// Some: it is null in the other rows.
    Somewhere,
}

impl Presence {
    /// That of a column, empty or of a value a step, in which `unknown` stands for none.
    pub fn of<T: PartialEq>(column: &[T], unknown: &T) -> Self {
        match column.contains(unknown) {
            true => Self::Somewhere,
            false if column.is_empty() => Self::Absent,
            false => Self::Everywhere,
        }
    }

    /// Whether its column may have nulls, if there is one.
    fn repetition(self) -> Option<Repetition> {
        match self {
            Self::Absent => None,
            Self::Everywhere => Some(Repetition::REQUIRED),
            Self::Somewhere => Some(Repetition::OPTIONAL),
        }
    }
}

impl Layout {
    /// Columns for the observations of `interface`, and one each for `optimal_actions` and
    /// `truncations` unless they are absent.
    pub fn new(interface: &Interface, optimal_actions: Presence, truncations: Presence) -> Result<Self> {
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
        for (name, kind, presence) in
            [(OPTIMAL_ACTION, Physical::INT32, optimal_actions), (TRUNCATED, Physical::BOOLEAN, truncations)]
        {
            if let Some(repetition) = presence.repetition() {
                fields.push(primitive(name, kind, repetition, None)?);
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
            .set_column_encoding(column(TRUNCATED), Encoding::PLAIN)
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
        let properties = Arc::new(properties.build());
        Ok(Self { schema, properties, channels, optimal_actions, truncations })
    }

    /// A file into which row groups can be spliced.
    pub fn file_writer<W: Write + Send>(&self, sink: W) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(sink, self.schema.root_schema_ptr(), self.properties.clone())
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
