//! A contestant as a child process: how it is started, asked and stopped, and what may go wrong
//! with it.

use super::problem::{Problem, Specification};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Who takes part. Each is a process of its own, so that threads, allocators and peak memory are
/// their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// The fused engine.
    Algodistill,
    /// Our network composed from dfdx's own operations.
    Composed,
    /// The same on an NVIDIA GPU.
    Cuda,
    /// PyTorch, operation by operation.
    PytorchEager,
    /// PyTorch with `torch.compile`.
    PytorchCompiled,
    /// PyTorch, operation by operation, on an NVIDIA GPU.
    PytorchCuda,
    /// burn.
    Burn,
    /// candle.
    Candle,
}

impl Contestant {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Algodistill => "algodistill",
            Self::Composed => "composed",
            Self::Cuda => "cuda",
            Self::PytorchEager => "pytorch-eager",
            Self::PytorchCompiled => "pytorch-compiled",
            Self::PytorchCuda => "pytorch-cuda",
            Self::Burn => "burn",
            Self::Candle => "candle",
        }
    }

    /// The peer that the install script makes it of; `None` for this program itself.
    fn peer(self) -> Option<&'static str> {
        match self {
            Self::Algodistill | Self::Composed | Self::Cuda => None,
            Self::PytorchEager | Self::PytorchCompiled | Self::PytorchCuda => Some("pytorch"),
            Self::Burn => Some("burn"),
            Self::Candle => Some("candle"),
        }
    }

    /// Where its program is.
    ///
    /// # Errors
    /// [`Error::File`] where the peer is not installed.
    pub fn program(self) -> Result<PathBuf> {
        let Some(peer) = self.peer() else {
            return std::env::current_exe().map_err(|error| Error::io("this program", error));
        };
        let program = peers().join(peer);
        if !program.is_file() {
            let problem = format!(
                "no such program: run benches/peers/install {peer}, which makes it in target/peers \
                 (ALGODISTILL_PEERS names another folder)"
            );
            return Err(Error::file(program, problem));
        }
        Ok(program)
    }
}

/// The folder of the installed peers.
fn peers() -> PathBuf {
    std::env::var_os("ALGODISTILL_PEERS").map_or_else(|| "target/peers".into(), PathBuf::from)
}

/// What a contestant says when it can begin.
#[derive(Debug, Deserialize)]
pub struct Ready {
    /// Parameters of its model.
    pub parameters: usize,
    /// Mean cross-entropy of the batch at the initial parameters.
    pub loss: f32,
    /// Name and version.
    #[serde(default)]
    pub about: String,
}

/// The first line of a contestant.
#[derive(Deserialize)]
#[serde(untagged)]
enum First {
    Ready(Ready),
    Failed { failed: String },
}

#[derive(Deserialize)]
struct Turn {
    tokens_per_second: f64,
}

/// A contestant that is warm and waits for its turn.
pub struct Process {
    /// Who it is.
    pub contestant: Contestant,
    /// What it said about itself.
    pub ready: Ready,
    pipes: Pipes,
}

/// Why a contestant does not take part, in its own words.
pub struct Absent(pub String);

impl Process {
    /// Starts a contestant and waits until it is warm.
    ///
    /// # Errors
    /// [`Error::File`] with the program's name where it cannot be started, dies, does not keep to
    /// the protocol, or trains another model.
    pub fn start(
        contestant: Contestant,
        problem: &Problem,
        threads: usize,
        data: &Path,
    ) -> Result<std::result::Result<Self, Absent>> {
        let dimensions = &problem.shape.dimensions;
        if contestant.peer().is_some() && dimensions.kv_heads() < dimensions.heads {
            return Ok(Err(Absent("it has no heads of keys and values that others share".into())));
        }
        let specification = Specification::new(contestant, problem, threads, data.into());
        let specification = serde_json::to_string(&specification)
            .map_err(|error| Error::file(data, format!("the temporary folder's path: {error}")))?;
        let mut pipes = Pipes::open(contestant, threads, &specification)?;
        let ready = match pipes.read("that it is ready")? {
            First::Ready(ready) => ready,
            First::Failed { failed } => return Ok(Err(Absent(failed))),
        };
        let expected = problem.parameters.len();
        if ready.parameters != expected {
            let problem = format!("its model has {} parameters, ours {expected}", ready.parameters);
            return Err(pipes.error(problem));
        }
        Ok(Ok(Self { contestant, ready, pipes }))
    }

    /// Lets it train for about `seconds`; tokens per second.
    pub fn turn(&mut self, seconds: f64) -> Result<f64> {
        self.pipes.write(&format!("{seconds}\n"))?;
        let Turn { tokens_per_second } = self.pipes.read("its tokens per second")?;
        if !(tokens_per_second.is_finite() && tokens_per_second > 0.0) {
            return Err(self.pipes.error(format!("it reported {tokens_per_second} tokens per second")));
        }
        Ok(tokens_per_second)
    }

    /// Largest resident memory so far, in 10^6 bytes, where the system tells.
    pub fn peak_megabytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pipes.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024.0 / 1e6)
    }

    /// The error that it is not what it should be.
    pub fn error(&mut self, problem: impl std::fmt::Display) -> Error {
        self.pipes.error(problem)
    }
}

/// The child process and what leads to it. It is ended when this is dropped.
struct Pipes {
    name: &'static str,
    program: PathBuf,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// What it wrote to stderr: shown if it fails.
    stderr: File,
}

impl Pipes {
    fn open(contestant: Contestant, threads: usize, specification: &str) -> Result<Self> {
        let program = contestant.program()?;
        let stderr = tempfile::tempfile().map_err(|error| Error::io(std::env::temp_dir(), error))?;
        let copy = stderr.try_clone().map_err(|error| Error::io(std::env::temp_dir(), error))?;
        let mut command = Command::new(&program);
        if contestant.peer().is_none() {
            command.args(["--threads", &threads.to_string(), "bench", "train", "--worker"]);
        }
        command.arg(specification).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(copy);
        let mut child = command.spawn().map_err(|error| Error::io(&program, error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for")
        };
        let stdout = BufReader::new(stdout);
        Ok(Self { name: contestant.name(), program, child, stdin, stdout, stderr })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.stdin.write_all(text.as_bytes()).and_then(|()| self.stdin.flush());
        written.map_err(|_| self.died("its turn began"))
    }

    fn read<T: serde::de::DeserializeOwned>(&mut self, expected: &str) -> Result<T> {
        let mut line = Vec::new();
        // A program that prints without end is no peer.
        let read = self.stdout.by_ref().take(1 << 20).read_until(b'\n', &mut line);
        match read {
            Ok(count) if count > 0 => {}
            _ => return Err(self.died(&format!("it said {expected}"))),
        }
        serde_json::from_slice(&line).map_err(|_| {
            let line: String = String::from_utf8_lossy(&line).trim_end().chars().take(200).collect();
            self.error(format!("printed {line:?} where the protocol wants {expected}"))
        })
    }

    fn died(&mut self, before: &str) -> Error {
        // Its pipe is closed, so it is about to end by itself, with a status that tells more than
        // that of being killed.
        let deadline = Instant::now() + Duration::from_secs(1);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        self.error(format!("ended before {before} ({status})"))
    }

    fn error(&mut self, problem: impl std::fmt::Display) -> Error {
        const LINES: usize = 5;
        let mut bytes = Vec::new();
        let _ = self.stderr.rewind().and_then(|()| self.stderr.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
        let last = if last.is_empty() { last } else { format!("; its last messages:\n  {last}") };
        Error::file(&self.program, format!("the contestant {}: {problem}{last}", self.name))
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        // Both fail only where it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
