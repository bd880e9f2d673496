//! How whoever started a piece of work hears how far it has come, and stops it.

/// Progress of work in stages, one after the other. Passed into everything that takes long.
pub trait Progress: Sync {
    /// A stage of `length` units begins.
    fn begin(&self, stage: &str, length: u64);

    /// `count` more units are done; `message` says what a reader wants to know now (a loss, a
    /// rate).
    fn advance(&self, count: u64, message: &dyn Fn() -> String);

    /// The stage has ended; `message` says with what.
    fn finish(&self, message: &str);

    /// Whether the work should stop: it is asked between two units, leaves what it has in good
    /// order, and ends with [`Error::Cancelled`](crate::Error::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Tells nobody, and is never cancelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _stage: &str, _length: u64) {}

    fn advance(&self, _count: u64, _message: &dyn Fn() -> String) {}

    fn finish(&self, _message: &str) {}
}
