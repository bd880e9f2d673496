//! Errors of the Rust library as the exceptions of `algodistill/errors.py`.

use pyo3::PyErr;

pyo3::import_exception!(algodistill.errors, ArgumentError);
pyo3::import_exception!(algodistill.errors, CancelledError);
pyo3::import_exception!(algodistill.errors, FileError);

/// The exception that says what `error` says.
pub fn exception(error: algodistill::Error) -> PyErr {
    let message = error.to_string();
    match error {
        algodistill::Error::Argument { .. } => ArgumentError::new_err(message),
        algodistill::Error::Cancelled { .. } => CancelledError::new_err(message),
        _ => FileError::new_err(message),
    }
}
