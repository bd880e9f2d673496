//! `quickstart`: everything, once, on Dark Room.

use super::{pipeline_report, Report};
use crate::pipeline::{run as run_recipe, Recipe};
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

/// Departures from a recipe: for a quick look, not for results.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Parameter updates of the training.
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
    /// `recipe` with these departures.
    pub fn apply(&self, mut recipe: Recipe) -> Recipe {
        recipe.train.updates = self.updates.unwrap_or(recipe.train.updates);
        recipe.train.warm_up = recipe.train.warm_up.min(recipe.train.updates / 4);
        recipe.train.seed = self.seed.unwrap_or(recipe.train.seed);
        recipe.generate.histories_per_task = self.histories.unwrap_or(recipe.generate.histories_per_task);
        for evaluate in &mut recipe.evaluate {
            if let Some(episodes) = self.episodes {
                evaluate.episodes = Some(episodes);
                evaluate.mean_over = None;
            }
            evaluate.runs = self.runs.or(evaluate.runs);
        }
        recipe
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let recipe = args.overrides.apply(Recipe::quickstart()?);
    let folder = args.out.as_deref().unwrap_or(Path::new("runs/quickstart"));
    Ok(pipeline_report(&run_recipe(&recipe, folder)?))
}
