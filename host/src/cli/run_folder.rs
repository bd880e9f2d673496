//! What the commands that train have in common: the folder of a run.

use crate::{Error, Result};
use std::path::Path;

/// The configuration that a run begins with, before the options: that of the file `config`; where
/// none is given and the run is resumed, the folder's own; else the default.
pub(super) fn configuration<T: Default>(
    config: Option<&Path>,
    out: &Path,
    resume: bool,
    read: impl Fn(&Path) -> Result<T>,
) -> Result<T> {
    let own = out.join("config.toml");
    match config {
        Some(path) => read(path),
        None if resume && own.exists() => read(&own),
        None => Ok(T::default()),
    }
}

/// The library names its arguments; a user knows them as options.
pub(super) fn in_options(error: Error) -> Error {
    match error {
        Error::Argument { argument, problem } if argument == "run_dir" => {
            Error::argument("--out", problem.replace("resume it", "add --resume"))
        }
        other => other,
    }
}
