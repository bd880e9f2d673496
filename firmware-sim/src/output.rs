//! Data on stdout. Whoever closes it, as `head` does, has seen enough: the program ends there without a word.

use std::fmt::Arguments;
use std::io::{stdout, ErrorKind, Write};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// As the standard one, which panics when stdout is closed.
macro_rules! print {
    ($($arguments:tt)*) => { $crate::output::write(format_args!($($arguments)*)) };
}

/// As the standard one, which panics when stdout is closed.
macro_rules! println {
    ($($arguments:tt)*) => { print!("{}\n", format_args!($($arguments)*)) };
}

/// What unwinds from [`write`] to [`until_closed`].
struct Closed;

/// See [`print!`].
pub fn write(arguments: Arguments) {
    match stdout().write_fmt(arguments) {
        Ok(()) => {}
        // Not a panic: no message is printed.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => resume_unwind(Box::new(Closed)),
        Err(error) => panic!("stdout: {error}"),
    }
}

/// Runs the program as long as somebody reads what it says.
pub fn until_closed(program: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|payload| match payload.downcast::<Closed>() {
        Ok(_) => Ok(()),
        Err(panic) => resume_unwind(panic),
    })
}
