//! Evaluations as Python asks for them, and their reports: what `algodistill/evaluation.py` calls.

use crate::agent::Agent;
use crate::error::exception;
use crate::work;
use algodistill::evaluate::evaluation::{Evaluation, ModelSummary};
use algodistill::evaluate::{
    evaluate, outside, report, Contestant, Contestants, EvaluateConfig, Outside, OutsideLine, Returns,
};
use algodistill::parameters::{fields, replace, Parameters};
use algodistill::{Error, Result};
use pyo3::prelude::*;
use serde_json::{json, Map, Value};
use std::path::PathBuf;

/// One evaluation, to be told in any form.
#[pyclass(module = "algodistill._native", frozen)]
pub struct Report {
    evaluation: Evaluation,
}

impl From<Evaluation> for Report {
    fn from(evaluation: Evaluation) -> Self {
        Self { evaluation }
    }
}

#[pymethods]
impl Report {
    fn json(&self) -> String {
        report::json(&self.evaluation).to_string()
    }

    fn text(&self, width: usize) -> String {
        report::text(&self.evaluation, width)
    }

    /// The text without the curve.
    fn summary(&self) -> String {
        report::summary_text(&self.evaluation)
    }

    fn csv(&self) -> String {
        report::chart(&self.evaluation).csv()
    }

    fn svg(&self) -> String {
        report::svg::render(&report::chart(&self.evaluation))
    }

    fn write_files(&self, stem: PathBuf) -> PyResult<Vec<PathBuf>> {
        let mut files = report::write_files(&self.evaluation, &stem).map_err(exception)?;
        let page = report::html::of_evaluation(&self.evaluation, "");
        files.push(report::write_file(&stem, "html", &page).map_err(exception)?);
        Ok(files)
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.evaluation.warnings.clone()
    }
}

/// Returns of every task, run and episode, and the steps that these took.
type Measured = (Vec<Vec<Vec<f32>>>, Vec<Vec<Vec<u32>>>);

/// The evaluation of what was measured in Python: each line has a key, the models that it is of, one
/// for each training seed, and as many times what was measured.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "called by evaluation.py only, by name")]
pub fn measured(
    py: Python<'_>,
    name: String,
    tasks: Vec<String>,
    held_out: bool,
    optimal: Option<Vec<f64>>,
    mean_over: Option<(u32, u32)>,
    seed: u64,
    sampling: String,
    lines: Vec<(String, Vec<Bound<'_, Agent>>, Vec<Measured>)>,
) -> PyResult<Report> {
    let first = lines.iter().find_map(|(_, agents, _)| agents.first());
    let Some(first) = first else {
        return Err(exception(Error::argument("model", "at least one is needed")));
    };
    let interface = first.borrow().weights.interface.clone();
    let lines = lines.into_iter().map(|(key, agents, seeds)| {
        let models = agents.iter().map(|agent| agent.borrow().summary()).collect();
        let returns = |(returns, steps)| Returns { returns, steps: Some(steps) };
        OutsideLine { key, label: None, models, seeds: seeds.into_iter().map(returns).collect() }
    });
    let lines = lines.collect();
    let warnings = Vec::new();
    let measured =
        Outside { name, interface, tasks, held_out, optimal, mean_over, seed, sampling, warnings, lines };
    py.detach(|| outside(measured)).map(Report::from).map_err(exception)
}

impl Agent {
    fn summary(&self) -> ModelSummary {
        ModelSummary {
            file: self.weights.name.clone(),
            parameters: self.weights.parameters,
            bytes: self.weights.bytes.len(),
            ring_bytes: self.weights.ring_bytes,
        }
    }
}

/// An evaluation in an environment of this program: the engine of `algodistill evaluate`.
#[pyfunction]
pub fn evaluate_here(
    py: Python<'_>,
    models: Vec<PathBuf>,
    others: Vec<(String, Vec<PathBuf>)>,
    fields: &str,
    threads: Option<usize>,
    progress: bool,
) -> PyResult<Report> {
    let contestant = |(name, models): (String, Vec<PathBuf>)| Contestant {
        label: name.clone(),
        name,
        models,
        prompt: None,
    };
    let others = others.into_iter().map(contestant).collect();
    let contestants = Contestants { models, others, ..Contestants::default() };
    let again = "the same call begins again";
    let found = work::run(py, progress, threads, again, |progress| {
        evaluate(&evaluate_config(fields)?, &contestants, progress)
    });
    found.map(Report::from)
}

fn evaluate_config(given: &str) -> Result<EvaluateConfig> {
    let given: Map<String, Value> =
        serde_json::from_str(given).map_err(|problem| Error::argument("fields", problem))?;
    let mut known = fields(&EvaluateConfig::default());
    known.insert("parameters".into(), json!({}));
    known.insert("wanted_return".into(), Value::Null);
    replace("evaluate", "an evaluation", known, &Parameters(given))
}
