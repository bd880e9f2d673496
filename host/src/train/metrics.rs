//! `metrics.jsonl`: one line per logged update, appended as the run goes.

use crate::files::{read_bytes, write_bytes};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Largest file of metrics that is read: ten million lines.
const MAX_METRICS_BYTES: u64 = 2 << 30;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Updates done.
    pub update: u64,
    /// Mean training loss since the line before, in nats per token.
    pub loss: f32,
    /// Learning rate of the last update.
    pub learning_rate: f32,
    /// Gradient norm of the last update, before clipping.
    pub gradient_norm: f32,
    /// Tokens per second of training since the line before (validation and checkpoints not
    /// counted).
    pub tokens_per_second: f64,
    /// Loss on held-out tasks, where this update was validated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f32>,
}

impl MetricsLine {
    /// The field that says how far the run was.
    pub(super) const COUNTER: &str = "update";
}

/// The open file.
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file for a run that has come to `done` of what the field `counter` of its lines
    /// counts: later lines, and a line that a kill cut short, are removed.
    pub fn open(path: &Path, counter: &str, done: u64) -> Result<Self> {
        let kept = if done > 0 && path.exists() {
            keep(&read_bytes(path, MAX_METRICS_BYTES)?, counter, done)
        } else {
            Vec::new()
        };
        write_bytes(path, &kept)?;
        let file = OpenOptions::new().append(true).open(path).map_err(|e| Error::io(path, e))?;
        Ok(Self { path: path.into(), file })
    }

    /// Appends a line.
    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line).map_err(|e| Error::file(&self.path, e))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

/// The whole lines that have come to `done` at most.
fn keep(bytes: &[u8], counter: &str, done: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let parsed: Option<Value> = serde_json::from_slice(line).ok();
        match parsed.and_then(|line| line[counter].as_u64()) {
            Some(reached) if reached <= done => kept.extend_from_slice(line),
            _ => break,
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continues_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let line = |update| MetricsLine {
            update,
            loss: 1.5,
            learning_rate: 0.1,
            gradient_norm: 2.0,
            tokens_per_second: 10.0,
            validation_loss: None,
        };
        let mut metrics = Metrics::open(&path, "update", 0).unwrap();
        for update in [10, 20, 30] {
            metrics.write(&line(update)).unwrap();
        }
        metrics.file.write_all(b"{\"update\": 40, \"lo").unwrap();
        let mut metrics = Metrics::open(&path, "update", 20).unwrap();
        metrics.write(&line(25)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let updates: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<MetricsLine>(line).unwrap().update).collect();
        assert_eq!(updates, [10, 20, 25]);
    }
}
