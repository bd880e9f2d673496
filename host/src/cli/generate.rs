//! `algodistill generate`: learning histories of a source algorithm, as Parquet with a card.

use super::progress::Terminal;
use super::{EnvironmentParameters, Report};
use crate::environment::EnvironmentConfig;
use crate::experiment::HistoriesConfig;
use crate::history::card::{card_path, Card, ReturnWindow};
use crate::history::{check_replaceable, generate_on, GenerateConfig, TasksPerHistory};
use crate::parameters::Assignment;
use crate::ranks::Ranks;
use crate::source::SourceConfig;
use crate::Result;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Generate learning histories: a source algorithm learns every task from nothing, and each step is
/// written down.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// File to write, NAME.parquet; NAME.card.json appears beside it.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the histories.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seed of the split into training and held-out tasks.
    #[arg(long, default_value_t = 0)]
    split_seed: u64,
    /// Training tasks [default: all that are not held out; 20000 of a bandit, 2500 of the restless
    /// one].
    #[arg(long)]
    tasks: Option<u32>,
    /// Tasks held out from training [default: 16; 64 in Key-to-Door; 500 of a bandit, 100 of the
    /// restless one].
    #[arg(long)]
    held_out: Option<u32>,
    /// Histories of each training task [default: what distills well].
    #[arg(long)]
    histories: Option<u32>,
    /// Histories of each held-out task, for the validation loss [default: 4; 1 of a bandit].
    #[arg(long)]
    held_out_histories: Option<u32>,
    /// Episodes of a history [default: what distills well].
    #[arg(long)]
    episodes: Option<u32>,
    /// Write every K-th episode only, so that progress shows within a context window [default: 5
    /// for q-learning and a3c, 2 for q-lambda, 10 for dqn and sac, else 1].
    #[arg(long, value_name = "K")]
    keep_every: Option<u32>,
    /// Write the optimal action of every step, too: what `train --objective decision-pretrained`
    /// learns from.
    #[arg(long)]
    optimal_actions: bool,
    /// Tasks of a history, or `all`: above 1, one agent meets a task drawn anew in every episode,
    /// and --histories counts those of each group of so many tasks.
    #[arg(long, value_name = "N", default_value_t)]
    tasks_per_history: TasksPerHistory,
}

/// Choice of an environment: a preset, and parameters that differ from it.
#[derive(clap::Args, Clone, Debug)]
pub struct EnvironmentArgs {
    /// Name of a preset: `algodistill list`.
    #[arg(long, default_value = "dark-room", value_name = "NAME")]
    pub environment: String,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    pub parameters: EnvironmentParameters,
}

/// Choice of a source algorithm: its defaults, and parameters that differ from them.
#[derive(clap::Args, Clone, Debug)]
pub struct SourceArgs {
    /// Name of a source algorithm: `algodistill list` [default: the first that can learn there].
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Parameter of the source that differs from its default, for example target=nearest; may be
    /// repeated.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub source_set: Vec<Assignment>,
}

impl EnvironmentArgs {
    /// The environment chosen, validated.
    pub fn config(&self) -> Result<EnvironmentConfig> {
        EnvironmentConfig::preset(&self.environment)?.with(&self.parameters.collect())
    }
}

impl SourceArgs {
    /// The source chosen for `environment`, validated.
    pub fn config(&self, environment: &EnvironmentConfig) -> Result<SourceConfig> {
        let parameters = self.source_set.iter().cloned().collect();
        SourceConfig::chosen(self.source.as_deref(), &parameters, environment)
    }
}

impl Args {
    /// What these arguments ask for, with every default filled in.
    pub fn config(&self) -> Result<GenerateConfig> {
        let asked = HistoriesConfig {
            name: String::new(),
            environment: self.environment.environment.clone(),
            parameters: self.environment.parameters.collect(),
            source: self.source.source.clone(),
            source_parameters: self.source.source_set.iter().cloned().collect(),
            seed: Some(self.seed),
            split_seed: Some(self.split_seed),
            tasks: self.tasks,
            held_out: self.held_out,
            histories_per_task: self.histories,
            held_out_histories_per_task: self.held_out_histories,
            episodes: self.episodes,
            keep_every: self.keep_every,
            optimal_actions: self.optimal_actions.then_some(true),
            tasks_per_history: Some(self.tasks_per_history),
            ..HistoriesConfig::default()
        };
        asked.resolve()
    }
}

/// Runs the command.
pub fn run(args: &Args, ranks: &Ranks) -> Result<Report> {
    let config = args.config()?;
    check_replaceable(&args.out)?;
    let start = Instant::now();
    let card = generate_on(ranks, &config, &args.out, &Terminal::of_rank(ranks))?;
    let seconds = start.elapsed().as_secs_f64();
    let taken = card.source_steps.unwrap_or(0);
    let rate = taken as f64 / seconds;
    let text = format!(
        "{}: {} histories, {} steps of {} in {}, {} training and {} held-out tasks\n{}\n\n{}",
        args.out.display(),
        card.histories,
        card.steps,
        config.source.name(),
        config.environment.name(),
        card.split.training.len(),
        card.split.held_out.len(),
        outcome(&card, rate),
        returns_table(&card.returns)
    );
    Ok(Report {
        text,
        json: json!({
            "file": args.out.display().to_string(),
            "card": card_path(&args.out).display().to_string(),
            "sha256": card.sha256,
            "histories": card.histories,
            "steps": card.steps,
            "training_tasks": card.split.training.len(),
            "held_out_tasks": card.split.held_out.len(),
            "generation": config,
            "returns": card.returns,
            "source_steps": taken,
            "solved_share": card.solved_share,
            "median_steps_to_solve": card.median_steps_to_solve,
            "seconds": seconds,
            "steps_per_second": rate,
        }),
    })
}

/// How fast the source ran and how well it did, in a line.
fn outcome(card: &Card, rate: f64) -> String {
    let speed = format!("{} steps taken, {rate:.0} per second", card.source_steps.unwrap_or(0));
    let Some(share) = card.solved_share else { return speed };
    let solved = format!("{speed}; {:.1} % of the histories solved their task", 100.0 * share);
    match card.median_steps_to_solve {
        Some(steps) => format!("{solved}, half of them within {steps} steps"),
        None => solved,
    }
}

/// The learning progress as a small table.
pub(super) fn returns_table(returns: &[ReturnWindow]) -> String {
    let number = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.3}"));
    let mut table = format!("{:>15} {:>14} {:>14}\n", "episodes", "training", "held-out");
    for window in returns {
        let episodes = format!("{} to {}", window.first_episode, window.last_episode);
        let (training, held_out) = (number(window.training), number(window.held_out));
        table += &format!("{episodes:>15} {training:>14} {held_out:>14}\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::psrl::{Psrl, Target};
    use crate::source::ucb::{Ties, Ucb};
    use algodistill_core::env::dark_room::{DarkRoom, GoalReward};
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn config(arguments: &str) -> std::result::Result<GenerateConfig, String> {
        let words = ["generate", "--out", "x.parquet"].into_iter().chain(arguments.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|e| e.to_string())?;
        command.args.config().map_err(|e| e.to_string())
    }

    #[test]
    fn arguments_replace_the_defaults_they_belong_to() {
        let default = config("").unwrap();
        assert_eq!((default.source.name(), default.episodes, default.histories_per_task), ("psrl", 14, 50));
        let words = "--environment bandit --source-set alpha=2 --source-set ties=first --set horizon=50";
        let bandit = config(&format!("{words} --set arms=5")).unwrap();
        assert_eq!(bandit.source, SourceConfig::from(Ucb { alpha: 2.0, ties: Ties::First }));
        assert_eq!((bandit.environment.horizon(), bandit.tasks), (Some(50), Some(20_000)));
        let words = "--set size=5 --set reward=once --source q-learning --source-set discount=0.5";
        let room = config(&format!("{words} --keep-every 2")).unwrap();
        let family = room.environment.family::<DarkRoom>().unwrap();
        assert_eq!((family.size, family.reward), (5, GoalReward::Once));
        assert_eq!(room.keep_every, 2);
        let nearest = config("--source-set target=nearest --set start=0,0").unwrap();
        assert_eq!(nearest.source, SourceConfig::from(Psrl { target: Target::Nearest }));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        for (arguments, expected) in [
            ("--environment moon", "known are dark-room"),
            ("--source thompson", "possible there: psrl, "),
            ("--source sarsa", "known are "),
            ("--set arms=3", "environment.arms: is not a parameter of dark-room"),
            ("--source-set alpha=3", "source.alpha: is not a parameter of psrl"),
            ("--source q-learning --source-set learning_rate=0", "source.learning_rate"),
            ("--episodes 0", "episodes: is 0"),
            ("--set start=9", "expected \"centre\", \"random\" or [row, column]"),
            ("--set start=9,9", "expected a cell of the room"),
        ] {
            let problem = config(arguments).unwrap_err();
            assert!(problem.contains(expected), "{arguments}: {problem}");
        }
    }
}
