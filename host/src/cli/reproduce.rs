//! `reproduce NAME`: an experiment of this repository, of a file, or all of them, from nothing.

use super::progress::Terminal;
use super::quickstart::Overrides;
use super::{experiment_report, Report};
use crate::experiment::{all, run as run_experiment, Estimate, Experiment, Results, Scale};
use crate::{Error, Result};
use clap::value_parser;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// What stands for all experiments.
const ALL: &str = "all";

/// Arguments of `reproduce`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of an experiment, a FILE.toml, or all: every experiment of this repository and one page
    /// of results.
    #[arg(value_name = "EXPERIMENT", required_unless_present = "list")]
    experiment: Option<String>,
    /// Say what each experiment makes, about how long it takes, and what it stands beside.
    #[arg(long, conflicts_with_all = ["experiment", "seeds", "out"])]
    list: bool,
    /// How much of it is run: what is not full is marked as such everywhere.
    #[arg(long, value_name = "SCALE", value_enum, default_value_t = Scale::Full)]
    scale: Scale,
    /// Training seeds of every model [default: those of the experiment].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000))]
    seeds: Option<u32>,
    /// Folder of the run; a run that was interrupted goes on [default: runs/NAME; of all, which have
    /// a folder each in it: runs; of another scale: runs/SCALE/NAME and runs/SCALE].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    /// `experiment` as it was asked for.
    fn asked(&self, experiment: Experiment) -> Result<Experiment> {
        let mut experiment = self.overrides.apply(experiment.at_scale(self.scale)?)?;
        for model in &mut experiment.models {
            model.seeds = self.seeds.unwrap_or(model.seeds);
        }
        Ok(experiment)
    }

    /// Where experiments are run unless it is said.
    fn usual_folder(&self) -> &'static Path {
        Path::new(match self.scale {
            Scale::Full => "runs",
            Scale::Small => "runs/small",
            Scale::Toy => "runs/toy",
        })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let name = match args.experiment.as_deref().filter(|_| !args.list) {
        None => return list(args),
        Some(ALL) => return run_all(args),
        Some(name) => name,
    };
    let path = Path::new(name);
    let experiment = Experiment::find(name)?;
    // Before its name becomes that of a folder, and while what is wrong can only be the file.
    experiment.validate().map_err(|error| in_file(path, error))?;
    let experiment = args.asked(experiment)?;
    let folder = args.out.clone().unwrap_or_else(|| args.usual_folder().join(&experiment.name));
    Ok(experiment_report(&run_experiment(&experiment, &folder, &Terminal::default())?))
}

fn run_all(args: &Args) -> Result<Report> {
    let experiments =
        all::experiments().into_iter().map(|one| args.asked(one)).collect::<Result<Vec<_>>>()?;
    let folder = args.out.clone().unwrap_or_else(|| args.usual_folder().to_owned());
    let outcome = all::run_all(&experiments, &folder, &Terminal::default())?;
    let line = |one: &Results| {
        let holding = one.claims.iter().filter(|claim| claim.holds).count();
        format!("{:<40} {holding} of {} claims hold\n", one.name, one.claims.len())
    };
    let lines: String = outcome.results.iter().map(line).collect();
    Ok(Report {
        text: format!("{lines}{}\n", outcome.page.display()),
        json: json!({"results": outcome.results, "page": outcome.page}),
    })
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

fn list(args: &Args) -> Result<Report> {
    let experiments =
        all::experiments().into_iter().map(|one| args.asked(one)).collect::<Result<Vec<_>>>()?;
    let estimates = experiments.iter().map(Experiment::estimate).collect::<Result<Vec<_>>>()?;
    let paragraph = |(one, estimate): (&Experiment, &Estimate)| {
        format!(
            "{}\n    makes   {}\n    takes   {} on 2 cores ({})\n    beside  {}\n",
            one.name,
            one.makes,
            estimate.in_words(),
            work(estimate),
            one.beside
        )
    };
    let entry = |(one, estimate): (&Experiment, &Estimate)| {
        json!({
            "name": one.name, "makes": one.makes, "takes": estimate.in_words(), "beside": one.beside,
            "shows": one.shows, "estimate": in_numbers(estimate),
        })
    };
    let all: Estimate = estimates.iter().copied().sum();
    let pairs = || experiments.iter().zip(&estimates);
    let last = format!("all of them\n    takes   {} on 2 cores ({})\n", all.in_words(), work(&all));
    Ok(Report {
        text: pairs().map(paragraph).chain([last]).collect(),
        json: json!({
            "experiments": pairs().map(entry).collect::<Vec<_>>(), "estimate": in_numbers(&all),
        }),
    })
}

/// What takes the time.
fn work(estimate: &Estimate) -> String {
    let Estimate { trainings, training_tokens, source_steps, rl2_steps, evaluation_steps, .. } = estimate;
    let of_rl2 = match rl2_steps {
        0 => String::new(),
        steps => format!(", of RL2 {}", in_millions(*steps)),
    };
    format!(
        "trainings {trainings}, tokens {}, steps of sources {}{of_rl2}, of models {}",
        in_millions(*training_tokens),
        in_millions(*source_steps),
        in_millions(*evaluation_steps)
    )
}

fn in_millions(number: u64) -> String {
    format!("{:.1} M", number as f64 / 1e6)
}

fn in_numbers(estimate: &Estimate) -> Value {
    let Estimate { trainings, training_tokens, source_steps, rl2_steps, evaluation_steps, seconds } =
        estimate;
    json!({
        "trainings": trainings, "training_tokens": training_tokens, "source_steps": source_steps,
        "rl2_steps": rl2_steps, "evaluation_steps": evaluation_steps, "seconds": seconds.round(),
    })
}
