//! `reproduce NAME`: a published figure from nothing.

use super::quickstart::Overrides;
use super::{pipeline_report, Report};
use crate::pipeline::{run as run_recipe, Recipe, FIGURES};
use crate::Result;
use clap::builder::PossibleValuesParser;
use clap::value_parser;
use std::path::{Path, PathBuf};

/// Arguments of `reproduce`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The figure.
    #[arg(value_parser = PossibleValuesParser::new(FIGURES))]
    name: String,
    /// Training seeds [default: 3].
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
    let mut recipe = args.overrides.apply(Recipe::named(&args.name)?);
    recipe.seeds = args.seeds.unwrap_or(recipe.seeds);
    let folder = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&args.name));
    Ok(pipeline_report(&run_recipe(&recipe, &folder)?))
}
