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
