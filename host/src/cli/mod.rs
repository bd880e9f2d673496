//! The command line: one file a command. Each has `Args` and `run(&Args) -> Result<Report>`.

use crate::evaluate::report;
use crate::experiment;
use crate::parameters::{Assignment, Parameters};
use crate::ranks::{self, Ranks};
use crate::{Error, Result};
use clap::error::ContextKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::{json, Value};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};
use std::process::ExitCode;

pub mod bench;
pub mod deploy;
pub mod evaluate;
pub mod export;
pub mod fields;
pub mod generate;
pub mod histories;
pub mod inspect;
pub mod list;
mod options;
pub mod play;
pub mod progress;
pub mod quickstart;
pub mod reproduce;
mod run_folder;
pub mod serve;
pub mod train;
pub mod train_rl2;

/// What a command prints on stdout: `text`, or with `--json` the one object `json`. Everything else
/// goes to stderr.
#[derive(Clone, Debug)]
pub struct Report {
    /// For people; free to change.
    pub text: String,
    /// For machines; fields are only added.
    pub json: serde_json::Value,
}

/// Algorithm Distillation for microcontrollers: distil the learning histories of an RL algorithm
/// into a small int8 transformer that learns new tasks in context, on a device that cannot train.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Without a command: quickstart.\nExit status: 0 done, 1 failed, 2 wrong usage (arguments, or the file \
                  of an experiment)."
)]
struct Cli {
    /// Print one JSON object on stdout in place of text.
    #[arg(long, global = true)]
    json: bool,
    /// Threads to use, of each rank where there are several, 1 to 1024 [default: one per core].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate, train, export and evaluate on Dark Room: all in a few minutes.
    Quickstart(quickstart::Args),
    /// Let a source algorithm learn many tasks, and write its learning histories.
    Generate(generate::Args),
    /// Look at learning histories, or check those that another program wrote.
    Histories(histories::Args),
    /// Train a transformer on learning histories.
    Train(train::Args),
    /// Train a transformer by reinforcement learning over whole trials (RL2), without histories.
    TrainRl2(train_rl2::Args),
    /// Quantize a trained model to int8 and write its weights file.
    Export(export::Args),
    /// Show what is in a weights file, and what it needs on a device.
    Inspect(inspect::Args),
    /// Write a folder that builds for a microcontroller: library, model, main loop, manifests
    /// (docs/deploy.md).
    Deploy(deploy::Args),
    /// Run models in context on held-out tasks, against their baselines.
    Evaluate(evaluate::Args),
    /// Watch a model learn in the terminal.
    Play(play::Args),
    /// Let a program in any language use a model: requests and answers are lines of JSON on standard
    /// input and output (docs/serve.md).
    Serve(serve::Args),
    /// Run an experiment from nothing: one of this repository, or your own file.
    Reproduce(reproduce::Args),
    /// List environments, sources, objectives and experiments.
    List,
    /// Measure speed.
    #[command(subcommand)]
    Bench(bench::Command),
}

/// Parameters of an environment that differ from those of its preset.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EnvironmentParameters {
    /// Parameter of the environment that differs from the preset's, for example size=5; may be
    /// repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<Assignment>,
}

impl EnvironmentParameters {
    /// By name; the last one counts where one is given twice.
    pub fn collect(&self) -> Parameters {
        self.set.iter().cloned().collect()
    }
}

/// Exit status of wrong usage, the same as clap's.
const WRONG_USAGE: u8 = 2;

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::from(run_program(std::env::args_os()))
}

/// Runs the program on `arguments`, the first of which is its name; the exit status.
pub fn run_program(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let root = accept_negative_numbers(Cli::command());
    let matches = root.clone().try_get_matches_from(&arguments);
    let parsed =
        matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, options::chosen(&root, &matches))));
    let (cli, chosen) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if ranks::leaves_word_to_first() => return error.exit_code() as u8,
        Err(error) => {
            let error = say_what_was_expected(error);
            let _ = error.print();
            return error.exit_code() as u8;
        }
    };
    let command = cli.command.unwrap_or_default();
    let ranks = match start(&command) {
        Ok(ranks) => ranks,
        Err(error) if ranks::leaves_word_to_first() => return status(&error),
        Err(error) => return fail(&error),
    };
    let done = set_threads(cli.threads.map_or(ranks.threads(), |threads| Some(threads.into())))
        .and_then(|()| run(command, cli.json, &ranks, &arguments))
        .and_then(|report| if ranks.is_first() { print(&report, cli.json) } else { Ok(()) });
    match done.map_err(|error| options::in_options(error, &chosen)) {
        Ok(()) => 0,
        // Whoever read the output has seen enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => 0,
        Err(error) => {
            ranks.fail(&error.to_string(), status(&error));
            fail(&error)
        }
    }
}

/// Meets the other ranks, where there are any and the command can share its work with them.
fn start(command: &Command) -> Result<Ranks> {
    match command {
        Command::Train(_) => {
            Ranks::start("start the same command with --resume: it goes on from the last checkpoint")
        }
        Command::Generate(_) => Ranks::start("start the same command again: no file was changed"),
        _ => ranks::refuse_several("mpirun").map(|()| Ranks::alone()),
    }
}

/// A full disk or a closed terminal changes nothing about the exit status.
fn fail(error: &Error) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    status(error)
}

/// 2 where what the user wrote is wrong, arguments or the file of an experiment, 1 for what failed
/// on the way: data files, the system.
fn status(error: &Error) -> u8 {
    match error {
        Error::Argument { .. } => WRONG_USAGE,
        _ => 1,
    }
}

/// Every option takes `-1`, so that its own parser says what it expects in place of "unexpected
/// argument".
fn accept_negative_numbers(command: clap::Command) -> clap::Command {
    let option = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_positional();
    command
        .mut_args(|arg| if option(&arg) { arg.allow_negative_numbers(true) } else { arg })
        .mut_subcommands(accept_negative_numbers)
}

/// The standard library says what is wrong with a number; a user wants to know what would be right.
fn say_what_was_expected(error: clap::Error) -> clap::Error {
    let source = std::error::Error::source(&error);
    let integer = source.and_then(|source| source.downcast_ref::<ParseIntError>());
    let expected = match integer.map(ParseIntError::kind) {
        Some(IntErrorKind::PosOverflow) => "is too large",
        Some(_) => "expected a whole number, 0 or more",
        None if source.is_some_and(|source| source.is::<ParseFloatError>()) => "expected a number",
        None => return error,
    };
    let text = |kind| error.get(kind).map_or(String::new(), ToString::to_string);
    let (option, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let message = format!("invalid value '{value}' for '{option}': {expected}\n");
    clap::Error::raw(error.kind(), message)
}

impl Default for Command {
    fn default() -> Self {
        Self::Quickstart(quickstart::Args::default())
    }
}

fn run(command: Command, json: bool, ranks: &Ranks, arguments: &[OsString]) -> Result<Report> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Generate(args) => generate::run(&args, ranks),
        Command::Histories(args) => histories::run(&args),
        Command::Train(args) => train::run(&args, ranks),
        Command::TrainRl2(args) => train_rl2::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Deploy(args) => deploy::run(&args),
        Command::Evaluate(args) => evaluate::run(&args, arguments),
        Command::Play(args) if json => play::run(&args, None),
        Command::Play(args) => play::run(&args, Some(&mut std::io::stdout())),
        Command::Serve(args) => serve::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::List => list::run(),
        Command::Bench(command) => bench::run(&command),
    }
}

fn set_threads(threads: Option<usize>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if threads > cores {
        let warning =
            format!("warning: --threads {threads} on {cores} cores is no faster than --threads {cores}");
        let _ = writeln!(std::io::stderr(), "{warning}");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().map_err(|error| Error::argument("--threads", error))
}

fn print(report: &Report, json: bool) -> Result<()> {
    if report.text.is_empty() {
        // `serve` has said everything.
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let written = match json {
        true => writeln!(out, "{}", report.json),
        false => writeln!(out, "{}", report.text.trim_end()),
    };
    written.and_then(|()| out.flush()).map_err(|error| Error::io("standard output", error))
}

/// Where nobody can be warned, the work goes on.
fn warn(warning: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {warning}");
}

/// Columns of the terminal on standard output; 100 where there is none.
fn terminal_width() -> usize {
    console::Term::stdout().size_checked().map_or(100, |(_rows, columns)| usize::from(columns))
}

/// The report of an experiment: the object of its first evaluation, with times and files added; all
/// of them under `evaluations`.
fn experiment_report(outcome: &experiment::Outcome) -> Report {
    let mut said = HashSet::new();
    for warning in outcome.evaluations.iter().flat_map(|one| &one.warnings) {
        if said.insert(warning) {
            warn(warning);
        }
    }
    let evaluations: Vec<Value> = outcome.evaluations.iter().map(report::json).collect();
    let mut json = evaluations.first().cloned().unwrap_or_else(|| json!({}));
    let training = outcome.stages.training.values();
    let runs = training.len().max(1) as f64;
    json["generate_seconds"] = json!(outcome.stages.generation.values().sum::<f64>());
    json["train_seconds"] = json!(training.clone().map(|run| run.seconds).sum::<f64>() / runs);
    json["tokens_per_second"] = json!(training.map(|run| run.tokens_per_second).sum::<f64>() / runs);
    json["training"] = json!(outcome.stages.training);
    json["claims"] = json!(outcome.verdicts);
    json["made_before"] = json!(outcome.made_before);
    json["files"] = json!(outcome.files);
    if evaluations.len() > 1 {
        json["evaluations"] = evaluations.into();
    }
    let width = terminal_width();
    let mut text: String = outcome.evaluations.iter().map(|one| report::text(one, width) + "\n").collect();
    for verdict in &outcome.verdicts {
        let word = if verdict.holds { "holds" } else { "does not hold" };
        text.push_str(&format!("{word}: {}: {}\n", verdict.text, verdict.measured()));
    }
    if outcome.made_before {
        text.push_str("histories and models were made before: only the evaluation was run again\n");
    }
    for path in &outcome.files {
        text.push_str(&format!("{}\n", path.display()));
    }
    Report { text, json }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        accept_negative_numbers(Cli::command()).debug_assert();
    }

    #[test]
    fn without_a_command_it_is_the_quickstart() {
        let cli = Cli::try_parse_from(["algodistill", "--json"]).expect("parsed");
        assert!(cli.json && matches!(cli.command.unwrap_or_default(), Command::Quickstart(_)));
    }
}
