//! The link to the host, over semihosting.

use firmware_image::link::Line;
use semihosting::io::{self, Read, Stdin, Stdout, Write};

/// Both directions of the link.
pub struct Console {
    input: Stdin,
    output: Stdout,
}

impl Console {
    /// Opens the link. `None` where no debugger or emulator answers.
    pub fn open() -> Option<Self> {
        Some(Self { input: io::stdin().ok()?, output: io::stdout().ok()? })
    }

    /// Sends a line. A host that does not listen is not the device's concern.
    pub fn send(&mut self, mut line: Line) {
        let _ = self.output.write_all(line.end());
    }

    /// Fills `bytes`; `None` where the host has closed the link.
    pub fn receive(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.input.read_exact(bytes).ok()
    }
}

/// The last line of a run that failed.
pub fn report_error(stage: &str) {
    if let Some(mut console) = Console::open() {
        console.send(Line::new("error").word(stage));
    }
}
