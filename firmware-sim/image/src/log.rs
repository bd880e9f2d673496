//! The log of steps, over the link. Its functions stand for themselves: a run without a log has no
//! stack for them.

use crate::console::Console;
use algodistill_core::log::{About, Ended, StepLog};
use algodistill_core::{Error, Interface};

/// Writes the log.
pub struct Log {
    console: Console,
    steps: StepLog<'static>,
    outcome: Result<(), Error>,
}

impl Log {
    /// From the beginning of a run.
    pub fn new(console: Console, about: About<'static>) -> Self {
        Self { console, steps: StepLog::new(about), outcome: Ok(()) }
    }

    /// See [`StepLog::acted`].
    #[inline(never)]
    pub fn acted(&mut self, interface: &Interface, observation: &[i32], action: usize) {
        let mut pieces = Pieces::new(self.console);
        let done = self.steps.acted(interface, observation, action, &mut |piece| pieces.put(piece));
        self.outcome = self.outcome.and(done);
        pieces.send();
    }

    /// See [`StepLog::fed_back`]; nobody here knows what ended an episode.
    #[inline(never)]
    pub fn fed_back(&mut self, interface: &Interface, reward: f32, seen: Option<&[i32]>) {
        let mut pieces = Pieces::new(self.console);
        let ended = seen.map(|seen| Ended { seen, cut_off: None });
        let done = self.steps.fed_back(interface, reward, ended, &mut |piece| pieces.put(piece));
        self.outcome = self.outcome.and(done);
        pieces.send();
    }

    /// Whether all of it could be written.
    pub fn outcome(&self) -> Result<(), Error> {
        self.outcome
    }
}

/// Collects pieces of the log: a line of the link for each byte would be longer than the log.
struct Pieces {
    console: Console,
    bytes: [u8; 32],
    len: usize,
}

impl Pieces {
    fn new(console: Console) -> Self {
        Self { console, bytes: [0; 32], len: 0 }
    }

    fn put(&mut self, piece: &[u8]) {
        for byte in piece {
            if self.len == self.bytes.len() {
                self.send();
            }
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }

    fn send(&mut self) {
        self.console.send_log(self.bytes.get(..self.len).unwrap_or(&[]));
        self.len = 0;
    }
}
