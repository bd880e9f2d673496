//! Parameters by name: `field=value` on the command line, a table in TOML, an object in a card. The
//! names are those of the fields of the struct that has the parameters.

use crate::error::in_plain_words;
use crate::{Error, Result};
use algodistill_core::env::ParameterError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Values in place of those of a preset or a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Parameters(pub Map<String, Value>);

impl TryFrom<Map<String, Value>> for Parameters {
    type Error = String;

    /// TOML has `inf` and `nan`, which become null here: it would pass for a parameter that is
    /// absent.
    fn try_from(fields: Map<String, Value>) -> std::result::Result<Self, String> {
        match fields.iter().find(|(_, value)| value.is_null()) {
            Some((field, _)) => Err(format!("{field} is no finite number")),
            None => Ok(Self(fields)),
        }
    }
}

impl Parameters {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Assignment> for Parameters {
    fn from_iter<I: IntoIterator<Item = Assignment>>(assignments: I) -> Self {
        Self(assignments.into_iter().map(|one| (one.field, one.value)).collect())
    }
}

/// One `field=value` of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Name of the field.
    pub field: String,
    /// JSON where the text is JSON; `1,2` is an array; anything else is a string.
    pub value: Value,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (field, value) = text
            .split_once('=')
            .filter(|(field, _)| !field.trim().is_empty())
            .ok_or("expected FIELD=VALUE, for example size=5")?;
        let value = value.trim();
        if value.parse().is_ok_and(f64::is_infinite) && value.contains(|digit: char| digit.is_ascii_digit()) {
            return Err(format!("{value} is too large for a number"));
        }
        Ok(Self { field: field.trim().replace('-', "_"), value: read_value(value) })
    }
}

fn read_value(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    // `.5` is no JSON.
    if let Some(number) = text.parse().ok().and_then(serde_json::Number::from_f64) {
        return Value::Number(number);
    }
    match text.contains(',') {
        true => text.split(',').map(|part| read_value(part.trim())).collect(),
        false => Value::String(text.into()),
    }
}

/// The fields of `value`, by name.
pub fn fields(value: &impl Serialize) -> Map<String, Value> {
    // Through text, so that an f32 becomes the number that a person would write.
    let text = serde_json::to_string(value).unwrap_or_default();
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The error of a parameter of `value` that is out of its limits; `of` as in [`replace`].
pub fn refused(of: &str, value: &impl Serialize, error: ParameterError) -> Error {
    let found = fields(value).remove(error.field).unwrap_or_default();
    let problem = format!("is {found}, expected {}", error.expected);
    Error::argument(format!("{of}.{}", error.field), problem)
}

/// `base` with `parameters` in place of its fields. `of` says whose fields they are in an error
/// (`environment`), `what` what has them (`dark-room`).
///
/// # Errors
/// [`Error::Argument`] that names the field `of.field`.
pub fn replace<T: DeserializeOwned + Serialize>(
    of: &str,
    what: &str,
    mut base: Map<String, Value>,
    parameters: &Parameters,
) -> Result<T> {
    for (field, value) in &parameters.0 {
        let Some(place) = base.get_mut(field) else {
            let known: Vec<&str> = base.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "it has none".to_owned(),
                known => format!("it has {}", known.join(", ")),
            };
            return Err(Error::argument(
                format!("{of}.{field}"),
                format!("is not a parameter of {what}; {known}"),
            ));
        };
        *place = value.clone();
        // One at a time, so that the error is about this field.
        read::<T>(&base, field).map_err(|problem| Error::argument(format!("{of}.{field}"), problem))?;
    }
    serde_json::from_value(Value::Object(base))
        .map_err(|problem| Error::argument(of, in_plain_words(problem)))
}

/// Refuses what cannot be read, and a number in `changed` that the type of the field cannot hold.
fn read<T: DeserializeOwned + Serialize>(
    base: &Map<String, Value>,
    changed: &str,
) -> std::result::Result<(), String> {
    let made: T = serde_json::from_value(Value::Object(base.clone())).map_err(in_plain_words)?;
    let (given, kept) = (&base[changed], fields(&made).remove(changed).unwrap_or_default());
    match is_lost(given, &kept) {
        true => Err(format!("is {given}, expected a number of at most 3.4e38")),
        false => Ok(()),
    }
}

/// An `f32` reads a number beyond its range as infinity, for which JSON has no word.
fn is_lost(given: &Value, kept: &Value) -> bool {
    match (given, kept) {
        (Value::Number(_), Value::Null) => true,
        (Value::Array(given), Value::Array(kept)) => {
            given.iter().zip(kept).any(|(given, kept)| is_lost(given, kept))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    struct Sample {
        size: u16,
        start: (u16, u16),
        rate: f32,
        name: String,
    }

    fn sample(assignments: &[&str]) -> Result<Sample> {
        let base = Sample { size: 9, start: (4, 4), rate: 0.1, name: "a".into() };
        let given = assignments.iter().map(|text| text.parse::<Assignment>().expect("an assignment"));
        replace("sample", "a sample", fields(&base), &given.collect())
    }

    #[test]
    fn fields_are_replaced_by_name() {
        let found = sample(&["size=5", "start=1, 2", "rate=.25", "name=once"]).expect("valid");
        assert_eq!(found, Sample { size: 5, start: (1, 2), rate: 0.25, name: "once".into() });
        assert_eq!(sample(&["start=[0,3]"]).expect("valid").start, (0, 3));
        assert_eq!(sample(&[]).expect("valid").rate, 0.1);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_the_field() {
        for (assignment, expected) in [
            ("sise=5", "sample.sise: is not a parameter of a sample; it has name, rate, size, start"),
            ("size=x", "sample.size: is \"x\", expected a whole number from 0 to 65535"),
            ("size=-1", "sample.size: is -1, expected a whole number from 0 to 65535"),
            ("start=1", "sample.start: is 1, expected a list of 2 values"),
            ("rate=1e39", "sample.rate: is 1e+39, expected a number of at most 3.4e38"),
            ("rate=inf", "sample.rate: is \"inf\", expected a number"),
        ] {
            let problem = sample(&[assignment]).expect_err(assignment).to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert!("size".parse::<Assignment>().is_err());
        assert!("=5".parse::<Assignment>().is_err());
        assert!("rate=-1e400".parse::<Assignment>().is_err());
    }
}
