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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run_program;
    use algodistill_core::log::{About, Ended, StepLog};
    use algodistill_core::Model;
    use std::path::Path;

    /// Episodes of a Dark Room that calls itself `environment`, in a log.
    fn write_log(path: &Path, environment: &str, task: u32) {
        let interface = EnvironmentConfig::preset("dark-room").unwrap().interface().unwrap();
        let about = About { environment, task: Some(task), ..About::default() };
        let (mut log, mut bytes) = (StepLog::new(about), Vec::new());
        let sink = &mut |piece: &[u8]| bytes.extend_from_slice(piece);
        for step in 1..=60 {
            log.acted(&interface, &[4, 4], step % 5, sink).unwrap();
            let ended = (step % 20 == 0).then_some(Ended { seen: &[], cut_off: Some(true) });
            log.fed_back(&interface, f32::from(u8::from(step % 7 == 0)), ended, sink).unwrap();
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_model_of_logs_names_their_environment_and_is_evaluated_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let run =
            |arguments: &[&str]| run_program(std::iter::once("algodistill").chain(arguments.iter().copied()));
        for (environment, status) in [("dark-room", 0), ("pump", 2)] {
            let [log, histories, trained, model, report] = ["a.adl", "a.parquet", "run", "a.adw", "report"]
                .map(|name| path(&format!("{environment}-{name}")));
            write_log(Path::new(&log), environment, 3);
            assert_eq!(run(&["histories", "import", &log, "--out", &histories]), 0);
            let small = ["--layers", "1", "--window", "16", "--batch", "2", "--updates", "2"];
            assert_eq!(run(&[&["train", &histories, "--out", &trained], &small[..]].concat()), 0);
            assert_eq!(run(&["export", &trained, "--histories", &histories, "--out", &model]), 0);
            let bytes = std::fs::read(&model).unwrap();
            assert_eq!(Model::decode(&bytes).unwrap().environment(), Some(environment));
            assert_eq!(run(&["play", &model, "--episodes", "1"]), status);
            let short = ["--episodes", "1", "--runs", "1", "--out", &report];
            assert_eq!(run(&[&["evaluate", &model], &short[..]].concat()), status);
        }
        let report = std::fs::read_to_string(path("dark-room-report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["environment"], "dark-room");
    }
}
