//! The values of a row group.

use super::places::{is_unsigned, Places};
use super::reason;
use super::{Kind, Problem, Rows, BATCH};
use crate::history::disk::Disk;
use crate::history::Steps;
use parquet::basic::Type as Physical;
use parquet::column::reader::{get_typed_column_reader, ColumnReader};
use parquet::data_type::{BoolType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use std::sync::Arc;

/// What a value of a column of actions must be, and one of a column of booleans.
const AN_ACTION: &str = "an action, 0 to 255";
const A_BOOLEAN: &str = "true or false";

impl Places {
    pub(super) fn read_ids(
        &self,
        group: &dyn RowGroupReader,
    ) -> std::result::Result<(Vec<u32>, Vec<u32>), String> {
        Ok((ids(group, self.tasks)?, ids(group, self.histories)?))
    }

    /// Reads the rows of a row group, whose observations are of such `kinds`. Numbers and pictures go
    /// to the `disk`, where there is one.
    pub(super) fn read(
        &self,
        group: &dyn RowGroupReader,
        kinds: &[Kind],
        disk: Option<&Arc<Disk>>,
    ) -> Result<Rows, Problem> {
        let ids = |column| ids(group, column);
        let float = "a finite number in the range of f32";
        let action = |value| u8::try_from(value).ok().map(u16::from);
        let observed = self.read_observations(group, kinds, disk)?;
        Ok(Rows {
            tasks: ids(self.tasks)?,
            histories: ids(self.histories)?,
            numbers: ids(self.numbers)?,
            kinds: kinds.into(),
            steps: Steps {
                episodes: ids(self.episodes)?,
                actions: read_integers(group, self.actions, AN_ACTION, None, action)?,
                rewards: match group.metadata().column(self.rewards).column_type() {
                    Physical::FLOAT => read::<FloatType, _>(group, self.rewards, float, None, |v| {
                        v.is_finite().then_some(v)
                    })?,
                    _ => read::<DoubleType, _>(group, self.rewards, float, None, |v| {
                        Some(v as f32).filter(|reward| reward.is_finite())
                    })?,
                },
                dones: read::<BoolType, _>(group, self.dones, A_BOOLEAN, None, Some)?,
                optimal_actions: match self.optimal_actions {
                    None => Vec::new(),
                    Some(column) => read_integers(group, column, AN_ACTION, Some(u16::MAX), action)?,
                },
                truncations: match self.truncations {
                    None => Vec::new(),
                    Some(column) => {
                        read::<BoolType, _>(group, column, A_BOOLEAN, Some(None), |v| Some(Some(v)))?
                    }
                },
                ..observed
            },
        })
    }
}

fn ids(group: &dyn RowGroupReader, column: usize) -> std::result::Result<Vec<u32>, String> {
    let id = |value: i64| u32::try_from(value).ok().filter(|&id| id <= i32::MAX as u32);
    read_integers(group, column, "an integer from 0 to 2147483647", None, id)
}

/// As [`read`], of either width.
fn read_integers<U: Clone>(
    group: &dyn RowGroupReader,
    column: usize,
    expected: &str,
    null: Option<U>,
    convert: impl Fn(i64) -> Option<U>,
) -> std::result::Result<Vec<U>, String> {
    let unsigned = is_unsigned(group.metadata().column(column).column_descr().self_type());
    match group.metadata().column(column).column_type() {
        Physical::INT32 => read::<Int32Type, U>(group, column, expected, null, |value| {
            convert(if unsigned { (value as u32).into() } else { value.into() })
        }),
        _ => read::<Int64Type, U>(group, column, expected, null, |value| {
            convert(if unsigned && value < 0 { i64::MAX } else { value })
        }),
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
    let text = |e: ParquetError| format!("column {name} cannot be decoded: {}", reason(&e));
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
