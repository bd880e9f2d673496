//! The Rust half of the Python package `algodistill`: one file a class or a group of functions.

use pyo3::prelude::*;

mod agent;
mod arguments;
mod error;
mod model;
mod observation;
mod program;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(program::run_program, module)?)?;
    module.add_class::<agent::Agent>()?;
    Ok(())
}
