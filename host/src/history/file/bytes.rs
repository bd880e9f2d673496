//! The bytes of a Parquet file, read where they are needed.

use crate::{files, Error, Result};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest Parquet file that is read.
const MAX_PARQUET_BYTES: u64 = 16 << 30;

/// An open Parquet file. Several threads may read it.
pub(super) struct ParquetFile {
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
}

impl ParquetFile {
    /// Opens a file. A device or a pipe is refused: it may have no end.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::io(path, e);
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::file(path, "is not a regular file"));
        }
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes > MAX_PARQUET_BYTES {
            let problem = format!("has {bytes} bytes, expected at most {MAX_PARQUET_BYTES}");
            return Err(Error::file(path, problem));
        }
        Ok(Self { path: path.into(), file: Arc::new(file), bytes })
    }

    /// SHA-256 of the whole file, in lower-case hexadecimal.
    pub fn digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        let mut block = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.bytes {
            let read = self.file.read_at(&mut block, at).map_err(|e| Error::io(&self.path, e))?;
            if read == 0 {
                return Err(Error::file(&self.path, "became shorter while it was read"));
            }
            digest.update(&block[..read]);
            at += read as u64;
        }
        Ok(files::hexadecimal(digest.finalize()))
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(From { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} of {}", self.bytes)));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Reads from a place on.
pub(super) struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
