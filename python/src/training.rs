//! From an environment to a weights file: what `algodistill/training.py` calls. Configurations come,
//! and results go, as JSON.

use crate::error::exception;
use crate::evaluation::Report;
use crate::work;
use algodistill::cli::inspect;
use algodistill::experiment::{self, Experiment, HistoriesConfig, Scale};
use algodistill::history::card::card_path;
use algodistill::history::{check_replaceable, generate_on, Mixture, Storage};
use algodistill::parameters::{fields, replace, Parameters};
use algodistill::ranks::Ranks;
use algodistill::train::{read_config, share, train_on, TrainConfig};
use algodistill::{Error, Result};
use pyo3::prelude::*;
use serde_json::{json, Map, Value};
use std::path::{Path, PathBuf};

/// Fields of histories that only an experiment can use.
const OF_EXPERIMENTS: [&str; 3] = ["name", "filter", "vary"];
/// What a file of histories may say of its environment and source, beside names.
const TABLES: [&str; 2] = ["parameters", "source_parameters"];

/// JSON of `json.dumps` of a dict.
fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|problem| Error::argument("fields", problem))
}

fn histories_config(given: Map<String, Value>) -> Result<HistoriesConfig> {
    let usual = HistoriesConfig { environment: "dark-room".into(), ..HistoriesConfig::default() };
    let mut known = fields(&usual);
    OF_EXPERIMENTS.iter().for_each(|field| drop(known.remove(*field)));
    TABLES.iter().for_each(|table| drop(known.insert((*table).to_owned(), json!({}))));
    replace("histories", "learning histories", known, &Parameters(given))
}

#[pyfunction]
pub fn generate(
    py: Python<'_>,
    out: PathBuf,
    fields: &str,
    threads: Option<usize>,
    progress: bool,
) -> PyResult<String> {
    let again = "the same call begins again";
    let card = work::run(py, progress, threads, again, |progress| {
        let config = histories_config(object(fields)?)?.resolve()?;
        check_replaceable(&out)?;
        generate_on(&Ranks::alone(), &config, &out, progress)
    })?;
    Ok(json!(card).to_string())
}

#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "called by training.py only, by name")]
pub fn train(
    py: Python<'_>,
    histories: Vec<PathBuf>,
    out: PathBuf,
    config: Option<PathBuf>,
    fields: &str,
    resume: bool,
    observation_memory: u64,
    threads: Option<usize>,
    progress: bool,
) -> PyResult<(String, Vec<String>)> {
    let again = "the same call goes on from there";
    work::run(py, progress, threads, again, |progress| {
        let mut training = config.as_deref().map_or(Ok(TrainConfig::default()), read_config)?;
        for (field, value) in object(fields)? {
            training.set(&field, value)?;
        }
        training.validate()?;
        histories.iter().try_for_each(|path| refuse_without_card(path))?;
        let storage = Storage {
            in_memory: observation_memory.saturating_mul(1 << 20),
            advice: "make room, choose a folder of a larger disk with out=, or keep them in memory with \
                     observation_memory=MB",
            ..Storage::beside(&out)
        };
        let ranks = Ranks::alone();
        let read = Mixture::read_share(&histories, &ranks, &share(&ranks, &training), &storage)?;
        let warnings = training.warnings(&read.training);
        let held_out = (!read.held_out.index.is_empty()).then_some(&read.held_out);
        let outcome = train_on(&ranks, &read.training, held_out, &training, &out, resume, progress);
        let outcome = outcome.map_err(in_keywords)?;
        let json = json!({
            "model": outcome.model,
            "parameters": outcome.parameters.values.len(),
            "updates": outcome.training.update,
            "loss": outcome.loss,
            "validation_loss": outcome.validation_loss,
            "tokens_per_second": outcome.tokens_per_second,
            "seconds": outcome.seconds,
        });
        Ok((json.to_string(), warnings))
    })
}

fn refuse_without_card(histories: &Path) -> Result<()> {
    if histories.exists() && !card_path(histories).exists() {
        let problem = format!(
            "has no card beside it; where another program wrote it, let `algodistill histories check {} --write-card` \
             check it and write one",
            histories.display()
        );
        return Err(Error::file(histories, problem));
    }
    Ok(())
}

/// The library names its arguments; a user knows them as keywords.
fn in_keywords(error: Error) -> Error {
    match error {
        Error::Argument { argument, problem } if argument == "run_dir" => {
            Error::argument("out", problem.replace("resume it", "leave resume=True"))
        }
        other => other,
    }
}

#[pyfunction]
pub fn export(py: Python<'_>, model: PathBuf, histories: Vec<PathBuf>, out: PathBuf) -> PyResult<String> {
    let exported = py.detach(|| algodistill::export::export(&model, &histories, &out)).map_err(exception)?;
    let json = json!({
        "path": out,
        "parameters": exported.parameters,
        "tensors": exported.tensors,
        "memory": exported.memory,
    });
    Ok(json.to_string())
}

#[pyfunction]
pub fn inspect_model(path: PathBuf) -> PyResult<String> {
    let report = inspect::run(&inspect::Args { file: path }).map_err(exception)?;
    Ok(report.json.to_string())
}

#[pyfunction]
pub fn reproduce(
    py: Python<'_>,
    name: &str,
    out: PathBuf,
    scale: &str,
    seeds: Option<u32>,
    threads: Option<usize>,
    progress: bool,
) -> PyResult<(String, Vec<Report>)> {
    let scale: Scale = serde_json::from_value(json!(scale)).map_err(|_| {
        exception(Error::argument("scale", format!("is {scale:?}, expected \"full\", \"small\" or \"toy\"")))
    })?;
    let again = "the same call goes on from there";
    let outcome = work::run(py, progress, threads, again, |progress| {
        let experiment = Experiment::find(name)?;
        experiment.validate()?;
        let mut experiment = experiment.at_scale(scale)?;
        for model in &mut experiment.models {
            model.seeds = seeds.unwrap_or(model.seeds);
        }
        experiment::run(&experiment, &out, progress)
    })?;
    let json = json!({
        "claims": outcome.verdicts,
        "stages": outcome.stages,
        "made_before": outcome.made_before,
        "files": outcome.files,
    });
    Ok((json.to_string(), outcome.evaluations.into_iter().map(Report::from).collect()))
}
