//! `algodistill histories import`: histories of the logs of steps that devices write.

use super::super::EnvironmentParameters;
use super::Report;
use crate::environment::EnvironmentConfig;
use crate::history::card::card_path;
use crate::history::steps_log::{import, Importing, Origin, Skipped};
use crate::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

/// Which logs, and what is known beyond what they say.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Logs of steps (docs/steps-log.md).
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// File to write, NAME.parquet; NAME.card.json appears beside it.
    #[arg(long)]
    out: PathBuf,
    /// Name of a preset, where the devices were [default: the one that the logs name, if it has their
    /// interface].
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    parameters: EnvironmentParameters,
    /// Number of the task of every run [default: as the logs say; a number of its own of each run
    /// where they do not, and the environment is none of `algodistill list`].
    #[arg(long)]
    task: Option<u32>,
    /// Tasks held out from training [default: one in ten].
    #[arg(long)]
    held_out: Option<u32>,
    /// Seed of the split into training and held-out tasks.
    #[arg(long, default_value_t = 0)]
    split_seed: u64,
    /// Refuse a log of which anything cannot be read.
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let parameters = args.parameters.collect();
    let environment = match &args.environment {
        Some(name) => Some(EnvironmentConfig::preset(name)?.with(&parameters)?),
        None if parameters.is_empty() => None,
        None => return Err(Error::argument("environment", "is missing, of which --set changes parameters")),
    };
    let importing = Importing {
        environment,
        task: args.task,
        held_out: args.held_out,
        split_seed: args.split_seed,
        strict: args.strict,
    };
    let imported = import(&importing, &args.logs, &args.out)?;
    let card = &imported.card;
    let mut text = format!(
        "{}: {} histories, {} steps, environment {}\n",
        args.out.display(),
        card.histories,
        card.steps,
        card.environment.name()
    );
    imported.origins.iter().for_each(|origin| text += &line(origin));
    for (log, skipped) in &imported.skipped {
        for Skipped { byte, bytes, problem } in skipped {
            text += &format!("{}: {bytes} bytes from byte {byte} on left out: {problem}\n", log.display());
        }
    }
    let skipped: Vec<_> = imported
        .skipped
        .iter()
        .flat_map(|(log, all)| all.iter().map(move |one| (log, one)))
        .map(|(log, Skipped { byte, bytes, problem })| {
            json!({ "log": log.display().to_string(), "byte": byte, "bytes": bytes, "problem": problem })
        })
        .collect();
    Ok(Report {
        text,
        json: json!({
            "file": args.out.display().to_string(),
            "card": card_path(&args.out).display().to_string(),
            "sha256": card.sha256,
            "environment": card.environment.name(),
            "histories": card.histories,
            "steps": card.steps,
            "runs": imported.origins,
            "skipped": skipped,
        }),
    })
}

fn line(origin: &Origin) -> String {
    let Origin { log, history, task, device, episodes, steps, lost_episodes, unfinished_steps, .. } = origin;
    let mut text = match (history, task) {
        (Some(history), Some(task)) => format!("history {history}, task {task}"),
        _ => "no history".into(),
    };
    text += &format!(": device {device} in {}, {episodes} episodes, {steps} steps", log.display());
    if *lost_episodes > 0 {
        text += &format!("; {lost_episodes} episodes of which steps are missing were left out");
    }
    if *unfinished_steps > 0 {
        text += &format!("; the last episode is not over after {unfinished_steps} steps");
    }
    text + "\n"
}
