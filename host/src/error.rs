//! The error type of the host library: which file or argument, what is wrong, what to do.

use std::path::{Path, PathBuf};

/// Result of the host library.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong outside the program: files, arguments, configurations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's content is not what it must be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Field, what was found, what was expected, what to do.
        problem: String,
    },
    /// An argument, or a combination of arguments, that cannot be used.
    #[error("{argument}: {problem}")]
    Argument {
        /// The configuration field (`train.batch`), or the argument; the command line says which
        /// option it is.
        argument: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A program that was started to be asked, an environment of somebody else's, did not answer or
    /// not as it should.
    #[error("{command}: {problem}")]
    Command {
        /// How it was started.
        command: String,
        /// What was asked, what was answered, what was expected, what to do.
        problem: String,
    },
    /// Whoever started the work stopped it
    /// ([`Progress::cancelled`](crate::progress::Progress::cancelled)).
    #[error("cancelled: {state}")]
    Cancelled {
        /// What was done, and how to go on.
        state: String,
    },
}

impl Error {
    /// An [`Error::Io`] of `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().into(), source }
    }

    /// An [`Error::File`] of `path`.
    pub fn file(path: impl AsRef<Path>, problem: impl std::fmt::Display) -> Self {
        Self::File { path: path.as_ref().into(), problem: problem.to_string() }
    }

    /// An [`Error::Argument`].
    pub fn argument(argument: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Argument { argument: argument.into(), problem: problem.to_string() }
    }
}

/// What serde says of a value, in words of whoever wrote the value: what was found and what was
/// expected. What it does not say itself stays as it is, line by line.
pub(crate) fn in_plain_words(error: impl std::fmt::Display) -> String {
    let lines: Vec<String> = error.to_string().lines().map(plain_line).collect();
    lines.join("\n")
}

fn plain_line(line: &str) -> String {
    // Where JSON says in which line of the file it is.
    let (said, place) = line.rfind(" at line ").map_or((line, ""), |place| line.split_at(place));
    let between = |begin: &str| said.strip_prefix(begin).and_then(|rest| rest.rsplit_once(", expected "));
    let plain = if let Some((found, expected)) = unexpected_value(said) {
        format!("is {}, expected {}", found_words(found), expected_words(expected))
    } else if let Some((count, expected)) = between("invalid length ") {
        format!("has {count} values, expected {}", expected_words(expected))
    } else if let Some((found, expected)) = between("unknown variant `") {
        format!("is {:?}, expected {}", found.trim_end_matches('`'), expected.replace('`', ""))
    } else if let Some((found, expected)) = between("unknown field `") {
        let known = expected.strip_prefix("one of ").unwrap_or(expected).replace('`', "");
        format!("{} is no field here; the fields are {known}", found.trim_end_matches('`'))
    } else if let Some(field) = said.strip_prefix("missing field `") {
        format!("{} is missing", field.trim_end_matches('`'))
    } else {
        return line.into();
    };
    plain + place
}

/// Of what serde says of a value of the wrong type or out of its range: what it found, and what it expected.
pub(crate) fn unexpected_value(said: &str) -> Option<(&str, &str)> {
    let rest = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "));
    rest?.rsplit_once(", expected ")
}

/// `string "x"`, ``integer `-1` `` and so on: the value alone.
fn found_words(found: &str) -> &str {
    match found {
        "sequence" => "a list",
        "map" => "a table",
        "null" | "unit" | "unit value" | "Option value" => "nothing",
        _ => {
            let kinds = ["string ", "integer ", "floating point ", "boolean ", "character "];
            kinds.iter().find_map(|kind| found.strip_prefix(kind)).unwrap_or(found).trim_matches('`')
        }
    }
}

fn expected_words(expected: &str) -> String {
    let range = |last: u64| format!("a whole number from 0 to {last}");
    match expected {
        "u8" => range(u8::MAX.into()),
        "u16" => range(u16::MAX.into()),
        "u32" => range(u32::MAX.into()),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        other => match (other.strip_prefix("a tuple of size "), other.strip_prefix("struct ")) {
            (Some(size), _) => format!("a list of {size} values"),
            (None, Some(_)) => "a table".into(),
            (None, None) => other.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct Sample {
        size: u16,
        start: Option<(u16, u16)>,
        rate: Option<f32>,
        word: Option<Word>,
        many: Option<Vec<bool>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Nearest,
        Any,
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said_without_the_types_of_the_program() {
        for (json, expected) in [
            (r#"{"size":"x"}"#, r#"is "x", expected a whole number from 0 to 65535 at line 1 column 11"#),
            (r#"{"size":-1}"#, "is -1, expected a whole number from 0 to 65535 at"),
            (r#"{"size":1.5}"#, "is 1.5, expected a whole number from 0 to 65535 at"),
            (r#"{"size":null}"#, "is nothing, expected a whole number from 0 to 65535 at"),
            (r#"{"size":{}}"#, "is a table, expected a whole number from 0 to 65535 at"),
            (r#"{"size":1,"start":3}"#, "is 3, expected a list of 2 values at"),
            (r#"{"size":1,"start":[3]}"#, "has 1 values, expected a list of 2 values at"),
            (r#"{"size":1,"rate":true}"#, "is true, expected a number at"),
            (r#"{"size":1,"word":"next"}"#, r#"is "next", expected nearest or any at"#),
            (r#"{"size":1,"many":[1]}"#, "is 1, expected true or false at"),
            (r#"{"sise":1}"#, "sise is no field here; the fields are size, start, rate, word, many at"),
            ("{}", "size is missing at"),
        ] {
            let error = serde_json::from_str::<Sample>(json).expect_err(json);
            let plain = in_plain_words(error);
            assert!(plain.starts_with(expected), "{plain}");
        }
    }

    #[test]
    fn a_line_of_toml_is_shown_above_what_is_wrong_with_it() {
        let error = toml::from_str::<Sample>("size = 70000").expect_err("too large");
        let plain = in_plain_words(error);
        assert!(plain.contains("1 | size = 70000"), "{plain}");
        assert!(plain.ends_with("is 70000, expected a whole number from 0 to 65535"), "{plain}");
    }
}
