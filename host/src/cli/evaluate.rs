//! `evaluate`: models in context on held-out tasks, against their baselines.

use super::progress::Terminal;
use super::{terminal_width, warn, EnvironmentParameters, Report};
use crate::evaluate::{
    evaluate, evaluate_command, report, CommandConfig, Contestant, Contestants, EvaluateConfig,
};
use crate::Result;
use clap::builder::NonEmptyStringValueParser;
use clap::value_parser;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Weights files; several are training seeds of one configuration.
    #[arg(required = true, value_name = "MODEL.adw")]
    models: Vec<PathBuf>,
    /// Environment [default: the one that the first model was trained in].
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    parameters: EnvironmentParameters,
    /// Evaluate in the environment of another program in place of one of ours: started by sh -c, it is
    /// asked by lines of JSON on its standard input and answers on its standard output (docs/serve.md).
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    #[arg(conflicts_with_all = ["environment", "set", "steps", "prompt", "compare_float"])]
    environment_command: Option<String>,
    /// So many of it at the same time; the result is the same.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "environment_command")]
    #[arg(value_parser = value_parser!(u32).range(1..=1_024))]
    environment_processes: u32,
    /// Seconds that it may take for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "environment_command")]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    environment_timeout: u32,
    /// Steps after which an episode of it must have ended.
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "environment_command")]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000_000))]
    max_episode_steps: u32,
    /// Held-out tasks to use; of --environment-command the first N [default: all; of a
    /// model of logs of devices as many as are usual].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    tasks: Option<u32>,
    /// Contexts of each task [default: 4; bandits 1].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// Episodes of each context [default: 40; 10 of the restless bandit, 1 of other bandits].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    episodes: Option<u32>,
    /// In place of episodes: one unbroken stream of N steps per context, reported in blocks as long
    /// as an episode, or nearly so where N is no multiple of that.
    #[arg(long, value_name = "N", conflicts_with = "episodes")]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000_000))]
    steps: Option<u32>,
    /// Seed of the evaluation.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Choose the likeliest action in place of sampling.
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// Sampling temperature, .01 to 100 [default: 1].
    #[arg(long, value_name = "T", value_parser = temperature)]
    temperature: Option<f32>,
    /// Begin each context with one episode of a demonstrator whose actions are optimal with this
    /// probability.
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    prompt: Option<u8>,
    /// Return that Decision Transformers are asked for [default: the optimum of each task].
    #[arg(long, value_name = "RETURN", allow_negative_numbers = true)]
    wanted_return: Option<f32>,
    /// Model of expert distillation, on the same axes; may be repeated.
    #[arg(long, value_name = "MODEL.adw")]
    expert: Vec<PathBuf>,
    /// Any other model on the same axes; may be repeated, with the same NAME for other training
    /// seeds of one configuration.
    #[arg(long, value_name = "NAME=MODEL.adw", value_parser = named_model)]
    also: Vec<(String, PathBuf)>,
    /// Float model of the first weights file: adds its curve.
    #[arg(long, value_name = "MODEL.safetensors")]
    float: Option<PathBuf>,
    /// As --float, and compares the action distributions step by step.
    #[arg(long, value_name = "MODEL.safetensors", conflicts_with = "float")]
    compare_float: Option<PathBuf>,
    /// Episodes of the summary, with --steps blocks [default: the second half].
    #[arg(long, value_name = "FIRST-LAST", value_parser = episodes, allow_hyphen_values = true)]
    mean_over: Option<(u32, u32)>,
    /// Write STEM.json, STEM.csv, STEM.svg and the page STEM.html, and STEM.trajectories.svg of an
    /// environment that can be drawn from above.
    #[arg(long, value_name = "STEM")]
    out: Option<PathBuf>,
}

/// Runs the command, which was typed as `arguments`, the program's name first.
pub fn run(args: &Args, arguments: &[OsString]) -> Result<Report> {
    let config = EvaluateConfig {
        environment: args.environment.clone(),
        parameters: args.parameters.collect(),
        tasks: args.tasks,
        runs: args.runs,
        episodes: args.episodes,
        steps: args.steps,
        seed: args.seed,
        temperature: if args.greedy { Some(0.0) } else { args.temperature },
        prompt: args.prompt,
        wanted_return: args.wanted_return,
        mean_over: args.mean_over,
    };
    let contestants = Contestants {
        models: args.models.clone(),
        label: None,
        others: others(args),
        float: args.float.clone().or(args.compare_float.clone()),
        compare_float: args.compare_float.is_some(),
    };
    let progress = Terminal::default();
    let evaluation = match &args.environment_command {
        None => evaluate(&config, &contestants, &progress)?,
        Some(command) => {
            let command = CommandConfig {
                command: command.clone(),
                processes: args.environment_processes,
                timeout: Duration::from_secs(args.environment_timeout.into()),
                max_episode_steps: args.max_episode_steps,
            };
            evaluate_command(&command, &config, &contestants, &progress)?
        }
    };
    evaluation.warnings.iter().for_each(|warning| warn(warning));
    let mut text = report::text(&evaluation, terminal_width());
    if let Some(stem) = &args.out {
        let page = report::html::of_evaluation(&evaluation, &as_typed(arguments));
        let mut paths = report::write_files(&evaluation, stem)?;
        paths.push(report::write_file(stem, "html", &page)?);
        for path in paths {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
    }
    Ok(Report { text, json: report::json(&evaluation) })
}

/// The command for a shell that has the program on its path.
fn as_typed(arguments: &[OsString]) -> String {
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let words: Vec<_> = ["algodistill".into()].into_iter().chain(words).collect();
    // No word of a command line has a zero in it.
    shlex::try_join(words.iter().map(|word| &**word)).unwrap_or_default()
}

/// The lines beside the main one, in the order in which they are first named.
fn others(args: &Args) -> Vec<Contestant> {
    let mut others: Vec<Contestant> = Vec::new();
    let experts = args.expert.iter().map(|model| ("expert", "expert distillation", model));
    let also = args.also.iter().map(|(name, model)| (name.as_str(), name.as_str(), model));
    for (name, label, model) in experts.chain(also) {
        match others.iter_mut().find(|other| other.name == name) {
            Some(other) => other.models.push(model.clone()),
            None => {
                let models = vec![model.clone()];
                others.push(Contestant { name: name.into(), label: label.into(), models, prompt: None });
            }
        }
    }
    others
}

fn named_model(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let parts = text.split_once('=').filter(|(name, model)| !name.is_empty() && !model.is_empty());
    parts.map(|(name, model)| (name.into(), model.into())).ok_or_else(|| "expected NAME=MODEL.adw".into())
}

pub(super) fn temperature(text: &str) -> std::result::Result<f32, String> {
    let parsed = text.parse().ok().filter(|temperature| (0.01..=100.0).contains(temperature));
    parsed.ok_or_else(|| "expected a number from .01 to 100".into())
}

pub(super) fn episodes(text: &str) -> std::result::Result<(u32, u32), String> {
    let parsed =
        text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    parsed.ok_or_else(|| "expected FIRST-LAST, such as 21-40".into())
}
