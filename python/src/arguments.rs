//! Arguments whose errors Python's own conversions would not explain.

use crate::error;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use std::ops::RangeInclusive;

/// A whole number within `range`.
pub fn whole(name: &str, value: &Bound<'_, PyAny>, range: RangeInclusive<i64>) -> PyResult<i64> {
    let outside = || {
        let problem =
            format!("is {}, expected a whole number from {} to {}", shown(value), range.start(), range.end());
        error::argument(name, problem)
    };
    let number = value.extract::<i64>().map_err(|problem| match is_too_large(&problem, value.py()) {
        true => outside(),
        false => expected_type(name, value, "a whole number"),
    })?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(outside())
    }
}

/// A seed: any whole number of 64 bits without a sign.
pub fn seed(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value.extract::<u64>().map_err(|problem| match is_too_large(&problem, value.py()) {
        true => error::argument(
            "seed",
            format!("is {}, expected a whole number from 0 to {}", shown(value), u64::MAX),
        ),
        false => expected_type("seed", value, "a whole number"),
    })
}

/// A reward; NaN is refused by whoever takes it.
pub fn reward(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    match value.extract::<f64>() {
        Ok(reward) => Ok(reward as f32),
        Err(problem) if is_too_large(&problem, value.py()) => {
            Err(error::argument("reward", "is too large for a number of 32 bits"))
        }
        Err(_) => Err(expected_type("reward", value, "a number")),
    }
}

/// The temperature, where one is given.
pub fn temperature(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    value.extract().map_err(|_| expected_type("temperature", value, "a number"))
}

/// A flag; NumPy has its own.
pub fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract().map_err(|_| expected_type(name, value, "True or False"))
}

/// A value in a message: no more of it than fits.
pub fn shown(value: &Bound<'_, PyAny>) -> String {
    let shown = value.repr().map_or_else(|_| value.get_type().to_string(), |text| text.to_string());
    match shown.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

fn is_too_large(problem: &PyErr, py: Python<'_>) -> bool {
    problem.is_instance_of::<PyOverflowError>(py)
}

fn expected_type(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    error::argument(name, format!("is {}, expected {expected}", shown(value)))
}
