//! The Rust half of the Python package `algodistill`: one file a class or a group of functions.

use pyo3::prelude::*;

mod agent;
mod arguments;
mod batch;
mod environment;
mod error;
mod evaluation;
mod histories;
mod model;
mod observation;
mod program;
mod recorder;
mod training;
mod work;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(program::run_program, module)?)?;
    module.add_class::<agent::Agent>()?;
    module.add_class::<batch::AgentBatch>()?;
    module.add_class::<evaluation::Report>()?;
    module.add_class::<work::ProgressBar>()?;
    module.add_function(wrap_pyfunction!(training::generate, module)?)?;
    module.add_function(wrap_pyfunction!(training::train, module)?)?;
    module.add_function(wrap_pyfunction!(training::export, module)?)?;
    module.add_function(wrap_pyfunction!(training::inspect_model, module)?)?;
    module.add_function(wrap_pyfunction!(training::reproduce, module)?)?;
    module.add_function(wrap_pyfunction!(evaluation::measured, module)?)?;
    module.add_function(wrap_pyfunction!(evaluation::evaluate_here, module)?)?;
    module.add_class::<recorder::Journal>()?;
    module.add_function(wrap_pyfunction!(recorder::merge, module)?)?;
    module.add_function(wrap_pyfunction!(recorder::is_recorded, module)?)?;
    module.add_class::<environment::Task>()?;
    module.add_function(wrap_pyfunction!(environment::presets, module)?)?;
    module.add_function(wrap_pyfunction!(histories::read_histories, module)?)
}
