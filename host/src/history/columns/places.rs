//! Where the columns lie in a file, and whether they are of the right types.

use super::{Kind, FINAL_OBSERVATION, OPTIMAL_ACTION};
use algodistill_core::interface::MAX_CHANNELS;
use parquet::basic::Type as Physical;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

/// Where the columns lie in a file, which may have them in any order and others beside them.
pub(super) struct Places {
    pub tasks: usize,
    pub histories: usize,
    pub episodes: usize,
    pub numbers: usize,
    pub observations: Vec<Place>,
    pub actions: usize,
    pub rewards: usize,
    pub dones: usize,
    /// As many as observations, or none.
    pub final_observations: Vec<Place>,
    pub optimal_actions: Option<usize>,
}

/// A column of observations.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub column: usize,
    /// What it holds, but not how many.
    pub kind: Kind,
}

impl Places {
    pub(super) fn find(schema: &SchemaDescriptor) -> std::result::Result<Self, String> {
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
}
