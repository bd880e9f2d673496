//! Errors of the Rust library as the exceptions of `algodistill/errors.py`.

use algodistill_core::Error as CoreError;
use pyo3::PyErr;

pyo3::import_exception!(algodistill.errors, ArgumentError);
pyo3::import_exception!(algodistill.errors, CancelledError);
pyo3::import_exception!(algodistill.errors, FileError);
pyo3::import_exception!(algodistill.errors, OrderError);

/// Tables of the TOML that a field is in; in Python it is a keyword argument.
const TABLES: [&str; 3] = ["evaluate.", "histories.", "train."];

/// The exception that says what `error` says.
pub fn exception(error: algodistill::Error) -> PyErr {
    let message = error.to_string();
    match error {
        algodistill::Error::Argument { argument: name, problem } => {
            let keyword = TABLES.iter().find_map(|table| name.strip_prefix(table)).unwrap_or(&name);
            argument(keyword, problem)
        }
        algodistill::Error::Cancelled { .. } => CancelledError::new_err(message),
        _ => FileError::new_err(message),
    }
}

/// The exception about the argument called `name`.
pub fn argument(name: &str, problem: impl std::fmt::Display) -> PyErr {
    ArgumentError::new_err(format!("{name}: {problem}"))
}

/// What the agent refused, and what to do.
pub fn of_agent(error: CoreError) -> PyErr {
    match error {
        CoreError::FeedbackMissing => OrderError::new_err(
            "act was called again before feedback: call feedback(reward, done, next_observation) for the last action, \
             or reset() to forget everything",
        ),
        CoreError::FeedbackUnexpected => OrderError::new_err(
            "feedback was called before act: call act(observation) first, and feedback once for each action",
        ),
        CoreError::Reward => argument("reward", "is NaN, expected a number"),
        other => ArgumentError::new_err(other.to_string()),
    }
}
