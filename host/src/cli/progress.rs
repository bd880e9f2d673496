//! Progress on stderr: a bar on a terminal, elsewhere a log line every few seconds.

use crate::progress::Progress;
use crate::ranks::Ranks;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(5);

/// Stages, one after the other.
#[derive(Default)]
pub struct Terminal {
    silent: bool,
    stage: Mutex<Option<Bar>>,
}

impl Terminal {
    /// Says everything on rank 0; the other ranks say nothing.
    pub fn of_rank(ranks: &Ranks) -> Self {
        Self { silent: !ranks.is_first(), stage: Mutex::default() }
    }

    fn stage(&self) -> MutexGuard<'_, Option<Bar>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Terminal {
    fn begin(&self, stage: &str, length: u64) {
        *self.stage() = (!self.silent).then(|| Bar::new(stage, length));
    }

    fn advance(&self, count: u64, message: &dyn Fn() -> String) {
        if let Some(bar) = &*self.stage() {
            bar.advance(count, message);
        }
    }

    fn finish(&self, message: &str) {
        if let Some(bar) = self.stage().take() {
            bar.finish(message);
        }
    }
}

/// Progress of one stage of known length.
pub struct Bar {
    bar: ProgressBar,
    stage: String,
    last_log: Option<Mutex<Instant>>,
}

impl Bar {
    /// A stage of `length` units.
    pub fn new(stage: &str, length: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>10} [{bar:32}] {pos}/{len} {eta} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(stage.to_owned());
        Self { bar, stage: stage.into(), last_log: (!terminal).then(|| Mutex::new(Instant::now())) }
    }

    /// `count` more units are done; `message` says what a reader wants to know now (a loss, a
    /// rate).
    pub fn advance(&self, count: u64, message: impl FnOnce() -> String) {
        self.bar.inc(count);
        match &self.last_log {
            None => self.bar.set_message(message()),
            Some(last) => {
                let Ok(mut last) = last.lock() else { return };
                if last.elapsed() >= LOG_EVERY {
                    *last = Instant::now();
                    let length = self.bar.length().unwrap_or(0);
                    self.say(&format!("{}/{length} {}", self.bar.position(), message()));
                }
            }
        }
    }

    /// Ends the stage with one line on stderr.
    pub fn finish(&self, message: &str) {
        self.bar.finish_and_clear();
        self.say(message);
    }

    /// Where nobody can be told, the work goes on.
    fn say(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "{}: {message}", self.stage);
    }
}
