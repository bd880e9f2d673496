//! Arguments that clap alone cannot find wrong.

use std::fmt;

/// Exit status of wrong usage, the same as clap's; what fails on the way ends with 1.
pub const STATUS: u8 = 2;

/// What is wrong with the arguments, and what was expected.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}
