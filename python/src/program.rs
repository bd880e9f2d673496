//! The command line, which comes with the package.

use pyo3::prelude::*;

/// Runs the program `algodistill` on `arguments`, its name first; the exit status.
#[pyfunction]
pub fn run_program(py: Python<'_>, arguments: Vec<String>) -> u8 {
    py.detach(|| algodistill::cli::run_program(arguments))
}
