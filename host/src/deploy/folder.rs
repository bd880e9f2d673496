//! A folder that is there whole or not at all.

use super::library::Files;
use crate::{Error, Result};
use std::io::ErrorKind;
use std::path::Path;

/// Refuses an `out` with something in it.
///
/// # Errors
/// [`Error::File`] where it is a file, a symbolic link to nothing or a folder with content,
/// [`Error::Io`].
pub(super) fn check_free(out: &Path) -> Result<()> {
    match std::fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound && out.is_symlink() => {
            Err(Error::file(out, "is a symbolic link to nothing, expected the name of a new folder"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(Error::file(out, "is a file, expected the name of a new folder"))
        }
        Err(error) => Err(Error::io(out, error)),
        Ok(mut content) => match content.next() {
            None => Ok(()),
            Some(_) => {
                Err(Error::file(out, "is not empty: nothing is overwritten; give the name of a new folder"))
            }
        },
    }
}

/// Writes `files` to a folder beside `out`, which then takes its name: where `out` is an empty
/// folder or none, another process never sees half of it.
///
/// # Errors
/// [`Error::File`] where another process was faster, [`Error::Io`]; nothing is left then.
pub(super) fn write(out: &Path, files: &Files) -> Result<()> {
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    let temporary = tempfile::Builder::new()
        .prefix(".deploy-")
        .suffix(".tmp")
        .tempdir_in(parent)
        .map_err(|e| Error::io(parent, e))?;
    // A temporary folder is its owner's alone; this one is to become an ordinary one.
    let whole = temporary.path().join("whole");
    for (path, content) in files {
        let path = whole.join(path);
        let folder = path.parent().unwrap_or(&whole);
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        std::fs::write(&path, content).map_err(|e| Error::io(&path, e))?;
    }
    std::fs::rename(&whole, out).map_err(|error| match error.kind() {
        ErrorKind::DirectoryNotEmpty => {
            Error::file(out, "another process has written to it in the meantime: nothing is overwritten")
        }
        _ => Error::io(out, error),
    })
}
