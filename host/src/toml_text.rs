//! TOML that a user wrote.

use crate::error::in_plain_words;
use serde::de::DeserializeOwned;
use toml::Value;

/// Most fields that are left out to find the one that is wrong: no experiment has a tenth of them.
const MOST_TRIED: usize = 2000;

/// What `text` says, or what is wrong with it, with the line and the field.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let plain = in_plain_words(&error);
        let about_a_value =
            plain.rsplit_once('\n').filter(|(_, said)| said.starts_with("is ") || said.starts_with("has "));
        match about_a_value.zip(culprit::<T>(text, error.message())) {
            Some(((place, said), field)) => format!("{place}\n{field} {said}"),
            None => plain,
        }
    })
}

/// The field that `message` is about. Where a table is part of another in the program only
/// (`#[serde(flatten)]`), serde does not know it: it is the one without which the error is another, or none.
fn culprit<T: DeserializeOwned>(text: &str, message: &str) -> Option<String> {
    let all: Value = Value::Table(text.parse().ok()?);
    let mut paths = Vec::new();
    collect_paths(&all, &mut Vec::new(), &mut paths);
    paths.truncate(MOST_TRIED);
    let said_without = |path: &[Key]| {
        let mut rest = all.clone();
        remove(&mut rest, path);
        T::deserialize(rest).err().map(|error| error.message().to_owned())
    };
    let mut changed = None;
    for path in paths {
        match said_without(&path) {
            None => return Some(name(&path)),
            Some(other) if other != message && !other.starts_with("missing field") => {
                changed.get_or_insert(path);
            }
            Some(_) => {}
        }
    }
    changed.map(|path| name(&path))
}

/// A step of the way to a value.
#[derive(Clone)]
enum Key {
    Field(String),
    Place(usize),
}

/// The ways to all values, to those inside of others first.
fn collect_paths(value: &Value, here: &mut Vec<Key>, paths: &mut Vec<Vec<Key>>) {
    let inside: Vec<(Key, &Value)> = match value {
        Value::Table(table) => table.iter().map(|(key, value)| (Key::Field(key.clone()), value)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().map(|(place, value)| (Key::Place(place), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inside {
        here.push(key);
        collect_paths(value, here, paths);
        paths.push(here.clone());
        here.pop();
    }
}

fn remove(value: &mut Value, path: &[Key]) {
    match (path, value) {
        ([Key::Field(key)], Value::Table(table)) => drop(table.remove(key)),
        ([Key::Place(place)], Value::Array(values)) => drop(values.remove(*place)),
        ([Key::Field(key), rest @ ..], Value::Table(table)) => {
            if let Some(value) = table.get_mut(key) {
                remove(value, rest);
            }
        }
        ([Key::Place(place), rest @ ..], Value::Array(values)) => {
            if let Some(value) = values.get_mut(*place) {
                remove(value, rest);
            }
        }
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
            ("rate = true", "1 | rate = true", "is true, expected a number"),
            ("rate = 1\nwidth = -1", "line 1", "width is -1, expected a whole number from 0 to 65535"),
            (
                "rate = 1\nheights = [1, 2, \"x\"]",
                "line 1",
                "heights[2] is \"x\", expected a whole number from 0",
            ),
            ("rate = 1\nwidth = -1\nheights = 3", "line 1", " is "),
            ("width = 1", "line 1", "rate is missing"),
            ("rate = ", "1 | rate = ", "expected"),
        ] {
            let problem = from_toml::<Sample>(toml).expect_err(toml);
            assert!(problem.contains(line), "{problem}");
            assert!(problem.lines().last().is_some_and(|said| said.contains(expected)), "{problem}");
        }
        let mut experiment: toml::Table = include_str!("../experiments/kv-heads.toml").parse().unwrap();
        let models = experiment["models"].as_array_mut().unwrap();
        models[1].as_table_mut().unwrap().insert("seeds".into(), "three".into());
        let problem = from_toml::<Experiment>(&experiment.to_string()).expect_err("a text");
        assert!(problem.contains("models[1].seeds is \"three\", expected a whole number"), "{problem}");
    }
}
