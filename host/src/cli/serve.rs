//! `serve`: the agent for programs in other languages, a line of JSON a request.

use super::Report;
use crate::serve::{serve, Session};
use crate::Result;
use algodistill_core::Sampling;
use serde_json::json;
use std::io::{stdin, stdout};
use std::path::PathBuf;

/// Arguments of `serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Weights file.
    #[arg(value_name = "MODEL.adw")]
    model: PathBuf,
    /// Seed of the actions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Choose the likeliest action in place of sampling.
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// Sampling temperature, .01 to 100 [default: 1].
    #[arg(long, value_name = "T", value_parser = super::evaluate::temperature)]
    temperature: Option<f32>,
}

/// Runs the command: until standard input ends.
pub fn run(args: &Args) -> Result<Report> {
    let sampling = match args.greedy {
        true => Sampling::Greedy,
        false => Sampling::Temperature(args.temperature.unwrap_or(1.0)),
    };
    let mut session = Session::open(&args.model, sampling, args.seed)?;
    serve(&mut session, &mut stdin().lock(), &mut stdout().lock())?;
    Ok(Report { text: String::new(), json: json!({}) })
}
