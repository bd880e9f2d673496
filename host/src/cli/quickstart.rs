//! `quickstart`: everything, once, on Dark Room.

use super::progress::Terminal;
use super::{experiment_report, Report};
use crate::experiment::{run as run_experiment, Experiment};
use crate::Result;
use clap::value_parser;
use std::path::{Path, PathBuf};

/// Arguments of `quickstart`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Folder of the run; a run that was interrupted goes on [default: runs/quickstart].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Departures from an experiment: for a quick look, not for results.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Parameter updates of the training; of RL2, as many iterations as have no more of them, one at
    /// least.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    updates: Option<u64>,
    /// Histories of each training task.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    histories: Option<u32>,
    /// Episodes of each evaluation context.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    episodes: Option<u32>,
    /// Evaluation contexts of each task.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// First seed of the training.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Overrides {
    /// `experiment` with these departures.
    pub fn apply(&self, mut experiment: Experiment) -> Result<Experiment> {
        for model in &mut experiment.models {
            if let Some(seed) = self.seed {
                model.set("seed", seed);
            }
        }
        if let Some(updates) = self.updates {
            experiment = experiment.with_updates(updates)?;
        }
        for histories in &mut experiment.histories {
            histories.histories_per_task = self.histories.or(histories.histories_per_task);
        }
        for evaluation in experiment.evaluations.iter_mut().map(|evaluation| &mut evaluation.config) {
            if self.episodes.is_some() && evaluation.steps.is_none() {
                (evaluation.episodes, evaluation.mean_over) = (self.episodes, None);
            }
            evaluation.runs = self.runs.or(evaluation.runs);
        }
        Ok(experiment)
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let experiment = args.overrides.apply(Experiment::named("quickstart")?)?;
    let folder = args.out.as_deref().unwrap_or(Path::new("runs/quickstart"));
    Ok(experiment_report(&run_experiment(&experiment, folder, &Terminal::default())?))
}
