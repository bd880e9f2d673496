//! The int8 agent for programs in other languages: requests and answers are lines of JSON.
//! `docs/serve.md` is the protocol.

mod numbers;
mod request;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use numbers::Numbers;
pub use session::Session;

use crate::{Error, Result};
use std::io::{BufRead, Read, Write};

/// Longest line of a request, in bytes: an observation of pictures takes four digits and commas a
/// byte.
pub const MAX_LINE: usize = 1 << 20;

/// Answers each line of `input` by a line of `output`, after a first line that says what the model
/// is, until there are no more. A request that cannot be served is answered by an `error`, and changes
/// nothing.
///
/// # Errors
/// [`Error::Io`] where a line cannot be read or written.
pub fn serve(session: &mut Session, input: &mut dyn BufRead, output: &mut dyn Write) -> Result<()> {
    let mut say = |answer: String| {
        let written = writeln!(output, "{answer}").and_then(|()| output.flush());
        written.map_err(|error| Error::io("standard output", error))
    };
    say(session.info().to_string())?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut *input).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| Error::io("standard input", error))? == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE {
            skip_line(input)?;
            say(session::refusal(&format!("the line is longer than {MAX_LINE} bytes")).to_string())?;
        } else if !without_mark(&line).trim_ascii().is_empty() {
            say(session.answer(without_mark(&line)).to_string())?;
        }
    }
}

/// `line` without the mark of UTF-8 (BOM) that some languages begin their output with.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
}

/// Reads on to the end of the line.
fn skip_line(input: &mut dyn BufRead) -> Result<()> {
    loop {
        let read = input.fill_buf().map_err(|error| Error::io("standard input", error))?;
        let (end, used) = match read.iter().position(|byte| *byte == b'\n') {
            Some(place) => (true, place + 1),
            None => (read.is_empty(), read.len()),
        };
        input.consume(used);
        if end {
            return Ok(());
        }
    }
}
