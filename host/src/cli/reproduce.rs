//! `reproduce NAME`: an experiment of this repository, or of a file, from nothing.

use super::progress::Terminal;
use super::quickstart::Overrides;
use super::{experiment_report, Report};
use crate::experiment::{names, run as run_experiment, Experiment};
use crate::{Error, Result};
use clap::value_parser;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `reproduce`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of an experiment, or a FILE.toml.
    #[arg(value_name = "EXPERIMENT", required_unless_present = "list")]
    experiment: Option<String>,
    /// Say what each experiment makes, how long it takes, and what it stands beside.
    #[arg(long, conflicts_with_all = ["experiment", "seeds", "out"])]
    list: bool,
    /// Training seeds of every model [default: those of the experiment].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000))]
    seeds: Option<u32>,
    /// Folder of the run; a run that was interrupted goes on [default: runs/NAME].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let Some(name) = args.experiment.as_deref().filter(|_| !args.list) else { return list() };
    let path = Path::new(name);
    let experiment = match path.extension().is_some_and(|extension| extension == "toml") {
        true => Experiment::read(path)?,
        false => Experiment::named(name)?,
    };
    // Before its name becomes that of a folder, and while what is wrong can only be the file.
    experiment.validate().map_err(|error| in_file(path, error))?;
    let mut experiment = args.overrides.apply(experiment)?;
    for model in &mut experiment.models {
        model.seeds = args.seeds.unwrap_or(model.seeds);
    }
    let folder = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    Ok(experiment_report(&run_experiment(&experiment, &folder, &Terminal::default())?))
}

/// `error` about a field of the experiment in the file `path`.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Argument { argument, problem } => {
            Error::argument(format!("{}: {argument}", path.display()), problem)
        }
        other => other,
    }
}

fn list() -> Result<Report> {
    let experiments = names().into_iter().map(Experiment::named).collect::<Result<Vec<_>>>()?;
    let paragraph = |one: &Experiment| {
        format!(
            "{}\n    makes   {}\n    takes   {} on 2 cores\n    beside  {}\n",
            one.name, one.makes, one.takes, one.beside
        )
    };
    let entry = |one: &Experiment| json!({"name": one.name, "makes": one.makes, "takes": one.takes, "beside": one.beside});
    Ok(Report {
        text: experiments.iter().map(paragraph).collect(),
        json: json!({"experiments": experiments.iter().map(entry).collect::<Vec<_>>()}),
    })
}
