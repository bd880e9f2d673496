//! Long work: without the interpreter's lock, with a progress bar, and Ctrl-C stops it in good order.

use crate::error::{self, CancelledError};
use algodistill::cli::progress::Terminal;
use algodistill::progress::{NoProgress, Progress};
use algodistill::{Error, Result};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::time::Duration;

/// Between two looks at the signals of the process.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Does `work` in a thread of its own, while this one listens for Ctrl-C. `again` says what to do
/// after that. With `threads` it has so many, else one for each core.
pub fn run<T: Send>(
    py: Python<'_>,
    bar: bool,
    threads: Option<usize>,
    again: &str,
    work: impl FnOnce(&dyn Progress) -> Result<T> + Send,
) -> PyResult<T> {
    let watched = Watched { bar: bar.then(Terminal::default), stop: AtomicBool::new(false) };
    let mut interruption = None;
    let finished = py.detach(|| {
        let (done, outcome) = channel();
        std::thread::scope(|scope| {
            let watched = &watched;
            let worker = scope.spawn(move || {
                let found = in_pool(threads, || work(watched));
                // The other side waits until this one is done.
                let _ = done.send(());
                found
            });
            while let Err(RecvTimeoutError::Timeout) = outcome.recv_timeout(LOOK_EVERY) {
                if let Err(signal) = Python::attach(|py| py.check_signals()) {
                    watched.stop.store(true, Ordering::Relaxed);
                    interruption.get_or_insert(signal);
                }
            }
            worker.join()
        })
    });
    let found = finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match (found, interruption) {
        (Err(Error::Cancelled { state }), Some(signal)) => {
            Err(stopped(py, &format!("{state}; {again}"), signal))
        }
        // It came too late to stop anything, or the work failed for a reason of its own.
        (_, Some(signal)) => Err(signal),
        (found, None) => found.map_err(error::exception),
    }
}

/// Does `work` in a pool of its own. The one that rayon keeps for a process is without its threads in a
/// child that was forked, as `multiprocessing` does: who waits for it waits forever.
pub fn in_pool<T: Send>(threads: Option<usize>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    // 0 is as many as there are cores.
    let mut pool = Threads::new(threads.unwrap_or(0))?;
    pool.install(work)?
}

/// A pool of threads that is made anew in a child that was forked.
pub struct Threads {
    count: usize,
    /// Whose threads they are.
    process: u32,
    /// There until it is dropped.
    pool: Option<rayon::ThreadPool>,
}

impl Threads {
    pub fn new(count: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        let pool = pool.map_err(|problem| Error::argument("threads", problem))?;
        Ok(Self { count, process: std::process::id(), pool: Some(pool) })
    }

    pub fn install<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> Result<T> {
        if self.process != std::process::id() {
            *self = Self::new(self.count)?;
        }
        match &self.pool {
            Some(pool) => Ok(pool.install(work)),
            None => Ok(work()),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A child must not wait for locks of threads that it does not have.
        if self.process != std::process::id() {
            std::mem::forget(self.pool.take());
        }
    }
}

/// Python's own exception for `signal`, with what was done.
fn stopped(py: Python<'_>, state: &str, signal: PyErr) -> PyErr {
    let raised = match signal.is_instance_of::<PyKeyboardInterrupt>(py) {
        true => PyKeyboardInterrupt::new_err(state.to_owned()),
        false => signal,
    };
    raised.set_cause(py, Some(CancelledError::new_err(state.to_owned())));
    raised
}

struct Watched {
    bar: Option<Terminal>,
    stop: AtomicBool,
}

impl Watched {
    fn bar(&self) -> &dyn Progress {
        match &self.bar {
            Some(bar) => bar,
            None => &NoProgress,
        }
    }
}

impl Progress for Watched {
    fn begin(&self, stage: &str, length: u64) {
        self.bar().begin(stage, length);
    }

    fn advance(&self, count: u64, message: &dyn Fn() -> String) {
        self.bar().advance(count, message);
    }

    fn finish(&self, message: &str) {
        self.bar().finish(message);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Progress of work that is done in Python.
#[pyclass(module = "algodistill._native")]
pub struct ProgressBar {
    bar: Terminal,
}

#[pymethods]
impl ProgressBar {
    #[new]
    fn new(stage: &str, length: u64) -> Self {
        let bar = Terminal::default();
        bar.begin(stage, length);
        Self { bar }
    }

    fn advance(&self, count: u64, message: &str) {
        self.bar.advance(count, &|| message.to_owned());
    }

    fn finish(&self, message: &str) {
        self.bar.finish(message);
    }
}
