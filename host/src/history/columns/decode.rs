//! The values of a row group.

use super::places::{Place, Places};
use super::{Kind, Rows, BATCH, FINAL_OBSERVATION};
use crate::history::Steps;
use crate::source::FinalObservations;
use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{get_typed_column_reader, ColumnReader};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

/// What a value of a column of actions must be.
const AN_ACTION: &str = "an action, 0 to 255";

impl Places {
    pub(super) fn read_ids(
        &self,
        group: &dyn RowGroupReader,
    ) -> std::result::Result<(Vec<u32>, Vec<u32>), String> {
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

    pub(super) fn read(&self, group: &dyn RowGroupReader) -> std::result::Result<Rows, String> {
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
