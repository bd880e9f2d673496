//! TOML that a user wrote.

use crate::error::{in_plain_words, unexpected_value};
use serde::de::{DeserializeOwned, Unexpected};
use toml::Value;

/// Longest text in which a field is looked for by leaving it out: many times that of any experiment.
const MOST_BYTES: usize = 100_000;

/// What `text` says, or what is wrong with it, with the line and the field.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let plain = in_plain_words(&error);
        match plain.rsplit_once('\n').zip(culprit::<T>(text, error.message())) {
            Some(((place, said), field)) => format!("{place}\n{field} {said}"),
            None => plain,
        }
    })
}

/// The field that `message` is about. Where a table is part of another in the program only
/// (`#[serde(flatten)]`), serde does not know it: it is the one with the value that the message has, and of
/// several the one without which the error is another, or none.
fn culprit<T: DeserializeOwned>(text: &str, message: &str) -> Option<String> {
    let (found, _) = unexpected_value(message)?;
    let all: Value = Value::Table(text.parse().ok().filter(|_| text.len() <= MOST_BYTES)?);
    let mut paths = Vec::new();
    collect_paths(&all, found, &mut Vec::new(), &mut paths);
    if paths.len() > 1 {
        paths.retain(|path| {
            let mut rest = all.clone();
            remove(&mut rest, path);
            T::deserialize(rest).err().is_none_or(|error| error.message() != message)
        });
    }
    match paths.as_slice() {
        [path] => Some(name(path)),
        _ => None,
    }
}

/// As serde names a value that it did not expect.
fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::String(text) => Unexpected::Str(text),
        Value::Integer(number) => Unexpected::Signed(*number),
        Value::Float(number) => Unexpected::Float(*number),
        Value::Boolean(truth) => Unexpected::Bool(*truth),
        Value::Array(_) => Unexpected::Seq,
        Value::Table(_) | Value::Datetime(_) => Unexpected::Map,
    }
}

/// A step of the way to a value.
#[derive(Clone)]
enum Key {
    Field(String),
    Place(usize),
}

/// The ways to all values that serde calls `found`.
fn collect_paths(value: &Value, found: &str, here: &mut Vec<Key>, paths: &mut Vec<Vec<Key>>) {
    let inside: Vec<(Key, &Value)> = match value {
        Value::Table(table) => table.iter().map(|(key, value)| (Key::Field(key.clone()), value)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().map(|(place, value)| (Key::Place(place), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inside {
        here.push(key);
        if unexpected(value).to_string() == found {
            paths.push(here.clone());
        }
        collect_paths(value, found, here, paths);
        here.pop();
    }
}

fn remove(value: &mut Value, path: &[Key]) {
    let Some((last, way)) = path.split_last() else { return };
    let inside = way.iter().try_fold(value, |inside, key| match key {
        Key::Field(field) => inside.get_mut(field),
        Key::Place(place) => inside.get_mut(*place),
    });
    match (last, inside) {
        (Key::Field(field), Some(Value::Table(table))) => drop(table.remove(field)),
        (Key::Place(place), Some(Value::Array(values))) => drop(values.remove(*place)),
        _ => {}
    }
}

/// As a user writes it: `models[1].train.window`, counted from 0.
fn name(path: &[Key]) -> String {
    let mut name = String::new();
    for key in path {
        match key {
            Key::Field(field) if name.is_empty() => name += field,
            Key::Field(field) => name += &format!(".{field}"),
            Key::Place(place) => name += &format!("[{place}]"),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Experiment;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct Sample {
        #[serde(flatten)]
        size: Size,
        rate: f32,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct Size {
        #[serde(default)]
        width: u16,
        #[serde(default)]
        heights: Vec<u16>,
    }

    #[test]
    fn the_field_that_is_wrong_is_named_in_a_flattened_table_too() {
        for (toml, line, expected) in [
            ("rate = true", "1 | rate = true", "rate is true, expected a number"),
            ("rate = 1\nwidth = -1", "line 1", "width is -1, expected a whole number from 0 to 65535"),
            ("rate = 2.5\nwidth = 1.5", "line 1", "width is 1.5, expected a whole number from 0 to 65535"),
            ("rate = 1\nwidth = [1]", "line 1", "width is a list, expected a whole number from 0 to 65535"),
            (
                "rate = 1\nheights = [1, 2, \"x\"]",
                "line 1",
                "heights[2] is \"x\", expected a whole number from 0 to 65535",
            ),
            // Two of a kind: which one it is cannot be told.
            ("rate = 1\nheights = [-1, -1]", "line 1", "is -1, expected a whole number from 0 to 65535"),
            ("width = 1", "line 1", "rate is missing"),
            ("rate = ", "1 | rate = ", "string values must be quoted, expected literal string"),
        ] {
            let problem = from_toml::<Sample>(toml).expect_err(toml);
            assert!(problem.contains(line), "{problem}");
            assert_eq!(problem.lines().last(), Some(expected), "{problem}");
        }
    }

    #[test]
    fn no_other_field_of_an_experiment_is_blamed() {
        let wrong = |path: &str, value: Value| {
            let mut experiment: Value =
                Value::Table(include_str!("../experiments/kv-heads.toml").parse().unwrap());
            let place = path.split('.').fold(&mut experiment, |inside, key| match key.parse::<usize>() {
                Ok(place) => &mut inside[place],
                Err(_) => &mut inside[key],
            });
            *place = value;
            from_toml::<Experiment>(&toml::to_string(&experiment).unwrap()).expect_err(path)
        };
        for (path, expected) in [
            ("name", "name is 3, expected a text"),
            ("models.0.name", "models[0].name is 3, expected a text"),
            ("histories.0.source", "histories[0].source is 3, expected a text"),
            ("claims.1.episodes", "claims[1].episodes is 3, expected a list of 2 values"),
        ] {
            let problem = wrong(path, Value::Integer(3));
            let said = problem.lines().last().unwrap();
            assert!(said == expected || expected.ends_with(said), "{path}: {problem}");
        }
        let problem = wrong("models.1.seeds", "three".into());
        assert!(problem.contains("models[1].seeds is \"three\", expected a whole number"), "{problem}");
    }

    #[test]
    fn a_large_file_is_refused_at_once() {
        let text = format!("rate = 1\nheights = [{}]\nwidth = 0.5", "1, ".repeat(1_000_000));
        let problem = from_toml::<Sample>(&text).expect_err("a width");
        assert!(problem.ends_with("is 0.5, expected a whole number from 0 to 65535"), "{problem}");
    }
}
