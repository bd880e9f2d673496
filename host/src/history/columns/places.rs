//! Where the columns lie in a file, and whether they are of the right types.

use super::{Kind, FINAL_OBSERVATION, OPTIMAL_ACTION, TRUNCATED};
use algodistill_core::interface::MAX_CHANNELS;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type};

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
    pub truncations: Option<usize>,
}

/// A column of observations.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub column: usize,
    /// What it holds, but not how many.
    pub kind: Kind,
    /// Whether its integers have no sign.
    pub unsigned: bool,
}

/// What a column of observations of this type holds, if it is one.
fn kind_of(field: &Type) -> Option<Kind> {
    let repeated = |field: &Type| field.get_basic_info().repetition() == Repetition::REPEATED;
    if field.is_primitive() {
        let physical = field.get_physical_type();
        let plain = field.get_basic_info().logical_type_ref().is_none()
            && field.get_basic_info().converted_type() == ConvertedType::NONE;
        return match physical {
            Physical::INT32 | Physical::INT64 if is_number(field) => {
                Some(if repeated(field) { Kind::List(0) } else { Kind::Integer })
            }
            Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY if plain && !repeated(field) => {
                Some(Kind::Bytes(0))
            }
            _ => None,
        };
    }
    let only = |field: &Type| match field.get_fields() {
        [only] => Some(only.clone()),
        _ => None,
    };
    // A group that is named a list: of a repeated number, or of a repeated group of one number.
    let inner = only(field).filter(|inner| {
        field.get_basic_info().converted_type() == ConvertedType::LIST && !repeated(field) && repeated(inner)
    })?;
    let element =
        if inner.is_primitive() { inner } else { only(&inner).filter(|element| !repeated(element))? };
    let integers = element.is_primitive()
        && matches!(element.get_physical_type(), Physical::INT32 | Physical::INT64)
        && is_number(&element);
    integers.then_some(Kind::List(0))
}

/// Whether a value is a number as it stands, and not a date, a decimal fraction or a text.
fn is_number(field: &Type) -> bool {
    use ConvertedType::*;
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), None | Some(LogicalType::Integer(_)))
        && matches!(
            info.converted_type(),
            NONE | INT_8 | INT_16 | INT_32 | INT_64 | UINT_8 | UINT_16 | UINT_32 | UINT_64
        )
}

/// Whether the integers of a column have no sign.
pub(super) fn is_unsigned(field: &Type) -> bool {
    use ConvertedType::*;
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed)
        || matches!(info.converted_type(), UINT_8 | UINT_16 | UINT_32 | UINT_64)
}

/// A type for people.
fn type_in_words(field: &Type) -> String {
    let info = field.get_basic_info();
    let meaning = match (info.logical_type_ref(), info.converted_type()) {
        (_, converted) if converted != ConvertedType::NONE => converted.to_string(),
        (Some(logical), _) => format!("{logical:?}"),
        (None, _) => String::new(),
    };
    let joined = |what: String| if meaning.is_empty() { what } else { format!("{what} ({meaning})") };
    match field.is_primitive() {
        true => joined(field.get_physical_type().to_string()),
        false => {
            let inner: Vec<String> = field.get_fields().iter().map(|field| type_in_words(field)).collect();
            joined(format!("group of {}", inner.join(", ")))
        }
    }
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
                || !is_number(column.self_type())
            {
                return Err(format!(
                    "column {name} has type {}, expected {types:?}",
                    type_in_words(column.self_type())
                ));
            }
            Ok(index)
        };
        let integer = |name: &str| checked(name, &[Physical::INT32, Physical::INT64]);
        let fields = schema.root_schema().get_fields();
        let field = |name: &str| fields.iter().find(|field| field.name() == name);
        let observation = |name: &str| {
            let field = field(name).ok_or_else(|| format!("has no column {name}"))?;
            let kind = kind_of(field).ok_or_else(|| {
                format!(
                    "column {name} has type {}, expected an integer, a list of integers, or bytes",
                    type_in_words(field)
                )
            })?;
            // A list goes on behind its name, down to a single leaf.
            let is_it =
                |column: &ColumnDescPtr| column.path().parts().first().is_some_and(|part| part == name);
            let column = schema.columns().iter().position(is_it).unwrap_or_default();
            Ok::<_, String>(Place { column, kind, unsigned: is_unsigned(schema.column(column).self_type()) })
        };
        let mut observations = Vec::new();
        while field(&format!("observation_{}", observations.len())).is_some() {
            observations.push(observation(&format!("observation_{}", observations.len()))?);
        }
        if observations.len() > MAX_CHANNELS {
            return Err(format!(
                "has {} observation columns, at most {MAX_CHANNELS} are possible",
                observations.len()
            ));
        }
        let names = || fields.iter().map(|field| field.name());
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
        while field(&format!("{FINAL_OBSERVATION}_{}", final_observations.len())).is_some() {
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
        let boolean = |name: &str| checked(name, &[Physical::BOOLEAN]);
        let truncations = place(TRUNCATED).map(|_| boolean(TRUNCATED)).transpose()?;
        Ok(Self {
            final_observations,
            optimal_actions,
            truncations,
            tasks: integer("task_id")?,
            histories: integer("history_id")?,
            episodes: integer("episode")?,
            numbers: integer("step")?,
            observations,
            actions: integer("action")?,
            rewards: checked("reward", &[Physical::FLOAT, Physical::DOUBLE])?,
            dones: boolean("done")?,
        })
    }
}
