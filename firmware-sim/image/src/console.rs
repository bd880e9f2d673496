//! The link to the host.

use crate::semihosting::Stream;
use firmware_session::link::Line;

/// Both directions of the link.
#[derive(Clone, Copy)]
pub struct Console {
    input: Stream,
    output: Stream,
}

impl Console {
    /// Opens the link. `None` where the host refuses.
    pub fn open() -> Option<Self> {
        Some(Self { input: Stream::input()?, output: Stream::output()? })
    }

    /// Sends a line. A host that does not listen is not the device's concern.
    pub fn send(&mut self, line: &mut Line) {
        self.write(line.end());
    }

    /// Sends bytes of the log of steps.
    pub fn send_log(&mut self, bytes: &[u8]) {
        self.send(Line::new("log").number(bytes.len() as u32));
        self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rest.len().checked_sub(self.output.write(rest)).filter(|written| *written > 0);
            rest = written.and_then(|written| rest.get(written..)).unwrap_or(&[]);
        }
    }

    /// Fills `bytes`; `None` where the host has closed the link.
    pub fn receive(&mut self, bytes: &mut [u8]) -> Option<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let read = rest.len().checked_sub(self.input.read(rest)).filter(|read| *read > 0)?;
            rest = rest.get_mut(read..)?;
        }
        Some(())
    }
}
