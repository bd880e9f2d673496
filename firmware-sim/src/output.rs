//! Data on stdout. Whoever closes it, as `head` does, has seen enough: the program ends there
//! without a word.

use std::fmt::Arguments;
use std::io::{stdout, Error, ErrorKind, Write};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// As the standard one, which panics when stdout is closed.
macro_rules! print {
    ($($arguments:tt)*) => { $crate::output::write(format_args!($($arguments)*)) };
}

/// As the standard one, which panics when stdout is closed.
macro_rules! println {
    ($($arguments:tt)*) => { print!("{}\n", format_args!($($arguments)*)) };
}

/// What unwinds from [`write`] to [`until_closed`]. Not a panic: no message is printed.
struct Unwritten(Error);

/// See [`print!`].
pub fn write(arguments: Arguments) {
    if let Err(error) = stdout().write_fmt(arguments) {
        resume_unwind(Box::new(Unwritten(error)));
    }
}

/// Runs the program as long as somebody reads what it says.
pub fn until_closed(program: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|payload| match payload.downcast::<Unwritten>() {
        Ok(closed) if closed.0.kind() == ErrorKind::BrokenPipe => Ok(()),
        Ok(full) => Err(anyhow::Error::new(full.0).context("stdout")),
        Err(panic) => resume_unwind(panic),
    })
}
