//! Files written whole or not at all, by one process at a time; files read whole, if they can be
//! what they should.

use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Largest file of text: cards, configurations, recipes.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Writes `path` through the temporary file `.NAME.tmp` in the same folder, which replaces `path`
/// only when `write` succeeded and the data is on disk. Folders that are missing are made. What a
/// killed process left of the temporary file is overwritten.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] where another process is writing `path`; those of `write`.
pub fn write_atomically<T>(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<T>) -> Result<T> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let Some(name) = path.file_name() else { return Err(Error::file(path, "is not the name of a file")) };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".tmp");
    let temporary = folder.join(hidden);
    let file = lock_temporary(path, &temporary)?;
    let written = write_whole(path, &file, write)
        .and_then(|value| std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e)).map(|()| value));
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The temporary file of `path`, empty, and locked for as long as it is open.
fn lock_temporary(path: &Path, temporary: &Path) -> Result<File> {
    let failed = |e| Error::io(temporary, e);
    loop {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(temporary)
            .map_err(failed)?;
        if !try_lock(&file).map_err(failed)? {
            return Err(Error::file(
                path,
                "is being written by another process; wait for it, or write to another file",
            ));
        }
        // Whoever held the lock before may have renamed the file just now: then it is no longer ours to
        // write.
        if is_at(&file, temporary).map_err(failed)? {
            file.set_len(0).map_err(failed)?;
            return Ok(file);
        }
    }
}

/// Whether `path` leads to the open file.
fn is_at(open: &File, path: &Path) -> std::io::Result<bool> {
    let ours = open.metadata()?;
    Ok(std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

fn write_whole<T>(
    path: &Path,
    file: &File,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T>,
) -> Result<T> {
    let mut buffer = BufWriter::with_capacity(1 << 20, file);
    let value = write(&mut buffer)?;
    buffer.flush().map_err(|e| Error::io(path, e))?;
    file.sync_all().map_err(|e| Error::io(path, e))?;
    Ok(value)
}

/// Whether this process now has the only lock on `file`; a file system without locks has nobody
/// else's either.
pub(crate) fn try_lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// A folder that this process alone works in, until this is dropped or the process ends, however it
/// ends.
#[derive(Debug)]
pub struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Makes `folder` where it is missing, and locks it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] where another process works in it.
    pub fn take(folder: &Path) -> Result<Self> {
        let failed = |e| Error::io(folder, e);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let opened = File::open(folder).map_err(failed)?;
        if !try_lock(&opened).map_err(failed)? {
            return Err(Error::file(
                folder,
                "another process is working in this folder; wait for it, or choose another --out",
            ));
        }
        Ok(Self { _folder: opened })
    }

    /// As [`FolderLock::take`], but waits for another process: for work of moments.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn wait(folder: &Path) -> Result<Self> {
        let failed = |e| Error::io(folder, e);
        loop {
            std::fs::create_dir_all(folder).map_err(failed)?;
            let opened = File::open(folder).map_err(failed)?;
            match opened.lock() {
                Err(e) if e.kind() != std::io::ErrorKind::Unsupported => return Err(failed(e)),
                _ => {}
            }
            // Whoever held the lock before may have removed the folder.
            if is_at(&opened, folder).map_err(failed)? {
                return Ok(Self { _folder: opened });
            }
        }
    }
}

/// [`write_atomically`] for content that is already in memory.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(bytes).map_err(|e| Error::io(path, e)))
}

/// Reads a whole file of at most `limit` bytes. A device or a pipe is refused: it may have no end.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |e| Error::io(path, e);
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(Error::file(path, "is not a regular file"));
    }
    let too_long = |bytes: u64| Error::file(path, format!("has {bytes} bytes, expected at most {limit}"));
    if found.len() > limit {
        return Err(too_long(found.len()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    match bytes.len() as u64 {
        // It grew meanwhile.
        len if len > limit => Err(too_long(len)),
        _ => Ok(bytes),
    }
}

/// Reads a whole UTF-8 file.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_bytes(path, MAX_TEXT_BYTES)?).map_err(|e| {
        Error::file(path, format!("is not UTF-8 text from byte {} on", e.utf8_error().valid_up_to()))
    })
}

/// Lower-case hexadecimal digits of a digest, as cards, checkpoints and models store them.
pub(crate) fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_has_one_writer_and_a_dead_one_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(folder.path().join(".a.tmp"), "what a killed process left behind").unwrap();
        write_atomically(&path, |_| {
            let refused = write_bytes(&path, b"second").unwrap_err().to_string();
            assert!(refused.contains("another process"), "{refused}");
            Ok(())
        })
        .unwrap();
        write_bytes(&path, b"third").unwrap();
        assert_eq!(read_text(&path).unwrap(), "third");
        let failed: Result<()> = write_atomically(&path, |_| Err(Error::argument("x", "y")));
        assert!(failed.is_err());
        assert_eq!(read_text(&path).unwrap(), "third");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let owner = FolderLock::take(&path).unwrap();
        assert!(FolderLock::take(&path).unwrap_err().to_string().contains("another --out"));
        drop(owner);
        FolderLock::take(&path).unwrap();
        assert!(names(&path).is_empty());
    }

    #[test]
    fn what_cannot_be_a_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        std::fs::write(&path, [0; 9]).unwrap();
        assert_eq!(read_bytes(&path, 9).unwrap().len(), 9);
        assert!(read_bytes(&path, 8).unwrap_err().to_string().contains("at most 8"));
        for endless in [Path::new("/dev/zero"), folder.path()] {
            assert!(read_bytes(endless, 8).unwrap_err().to_string().contains("regular file"));
        }
    }
}
