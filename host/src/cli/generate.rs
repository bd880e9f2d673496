//! `algodistill generate`: learning histories of a source algorithm, as Parquet with a card.

use super::Report;
use crate::environment::{replace, EnvironmentConfig, Parameters};
use crate::history::card::{card_path, ReturnWindow};
use crate::history::{generate_on, GenerateConfig};
use crate::progress::Bar as Progress;
use crate::ranks::Ranks;
use crate::source::{psrl, q_learning, ucb, SourceConfig};
use crate::Result;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Generate learning histories: a source algorithm learns every task from nothing, and each step is written down.
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
    /// Training tasks [default: all that are not held out; 20000 of a bandit].
    #[arg(long)]
    tasks: Option<u32>,
    /// Tasks held out from training [default: 16; 500 of a bandit].
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
    /// Write every K-th episode only, so that progress shows within a context window [default: 5 for q-learning, else 1].
    #[arg(long, value_name = "K")]
    keep_every: Option<u32>,
}

/// Choice of an environment: a preset, and parameters that differ from it.
#[derive(clap::Args, Clone, Debug)]
pub struct EnvironmentArgs {
    /// dark-room, dark-room-hard, bandit (95 % odd arms good), bandit-odd, bandit-even, bandit-uniform or bandit-one-good-arm.
    #[arg(long, default_value = "dark-room")]
    pub environment: String,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    pub parameters: Parameters,
}

/// Choice of a source algorithm: its defaults, and parameters that differ from them.
#[derive(clap::Args, Clone, Debug)]
pub struct SourceArgs {
    /// psrl, q-learning or noise in dark-room; ucb, thompson, epsilon-greedy or noise in bandit [default: psrl, ucb].
    #[arg(long)]
    pub source: Option<String>,
    /// Width of the confidence bound of ucb.
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Which of several arms with the largest bound ucb pulls.
    #[arg(long)]
    pub ties: Option<ucb::Ties>,
    /// Probability of a random arm of epsilon-greedy.
    #[arg(long)]
    pub epsilon: Option<f32>,
    /// Step size of q-learning.
    #[arg(long)]
    pub learning_rate: Option<f32>,
    /// Discount of q-learning.
    #[arg(long)]
    pub discount: Option<f32>,
    /// Fraction of the episodes over which the epsilon of q-learning falls from 1 to 0.
    #[arg(long)]
    pub exploration: Option<f32>,
    /// Initial value of q-learning: above 0 it is optimistic.
    #[arg(long)]
    pub initial_value: Option<f32>,
    /// Which possible goal psrl goes to.
    #[arg(long)]
    pub psrl_target: Option<psrl::Target>,
    /// Fraction of the history over which noise falls from 1 to 0.
    #[arg(long)]
    pub decay: Option<f32>,
}

impl EnvironmentArgs {
    /// The environment chosen, validated.
    pub fn config(&self) -> Result<EnvironmentConfig> {
        self.parameters.apply(&self.environment)
    }
}

impl SourceArgs {
    /// The source chosen for `environment`, validated.
    pub fn config(&self, environment: &EnvironmentConfig) -> Result<SourceConfig> {
        let default = crate::source::possible_sources(environment).first();
        let name = self.source.as_deref().or(default.copied()).unwrap_or("psrl");
        let mut config = SourceConfig::preset(name)?;
        let mut q = None;
        let (mut bound, mut epsilon, mut target, mut decay) = (None, None, None, None);
        match &mut config {
            SourceConfig::Ucb { alpha, ties } => bound = Some((alpha, ties)),
            SourceConfig::EpsilonGreedy { epsilon: parameter } => epsilon = Some(parameter),
            SourceConfig::QLearning(parameters) => q = Some(parameters),
            SourceConfig::Psrl { target: parameter } => target = Some(parameter),
            SourceConfig::Noise { decay: parameter } => decay = Some(parameter),
            SourceConfig::Thompson {} => {}
        }
        let (rate, discount, exploration, initial) = match q {
            Some(q_learning::Parameters { learning_rate, discount, exploration, initial_value }) => {
                (Some(learning_rate), Some(discount), Some(exploration), Some(initial_value))
            }
            None => (None, None, None, None),
        };
        let (alpha, ties) = bound.unzip();
        replace("--alpha", self.alpha, alpha, name)?;
        replace("--ties", self.ties, ties, name)?;
        replace("--epsilon", self.epsilon, epsilon, name)?;
        replace("--learning-rate", self.learning_rate, rate, name)?;
        replace("--discount", self.discount, discount, name)?;
        replace("--exploration", self.exploration, exploration, name)?;
        replace("--initial-value", self.initial_value, initial, name)?;
        replace("--psrl-target", self.psrl_target, target, name)?;
        replace("--decay", self.decay, decay, name)?;
        config.validate(environment)?;
        Ok(config)
    }
}

impl Args {
    /// What these arguments ask for, with every default filled in.
    pub fn config(&self) -> Result<GenerateConfig> {
        let environment = self.environment.config()?;
        let source = self.source.config(&environment)?;
        let defaults = GenerateConfig::recommended(environment, source);
        let config = GenerateConfig {
            seed: self.seed,
            split_seed: self.split_seed,
            tasks: self.tasks.or(defaults.tasks),
            held_out: self.held_out.unwrap_or(defaults.held_out),
            histories_per_task: self.histories.unwrap_or(defaults.histories_per_task),
            held_out_histories_per_task: self
                .held_out_histories
                .unwrap_or(defaults.held_out_histories_per_task),
            episodes: self.episodes.unwrap_or(defaults.episodes),
            keep_every: self.keep_every.unwrap_or(defaults.keep_every),
            ..defaults
        };
        config.validate()?;
        Ok(config)
    }
}

/// Runs the command.
pub fn run(args: &Args, ranks: &Ranks) -> Result<Report> {
    let config = args.config()?;
    let source_steps = config.source_steps()?;
    let progress = Progress::of_rank(ranks, "generate", source_steps);
    let start = Instant::now();
    let card = generate_on(ranks, &config, &args.out, &progress)?;
    let seconds = start.elapsed().as_secs_f64();
    let rate = source_steps as f64 / seconds;
    progress.finish(&format!("{source_steps} steps in {seconds:.1} s, {:.1} million a second", rate / 1e6));
    let text = format!(
        "{}: {} histories, {} steps of {} in {}, {} training and {} held-out tasks\n\n{}",
        args.out.display(),
        card.histories,
        card.steps,
        config.source.name(),
        config.environment.name(),
        card.split.training.len(),
        card.split.held_out.len(),
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
            "seconds": seconds,
            "steps_per_second": rate,
        }),
    })
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
    use crate::environment::GoalReward;
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
        let bandit = config("--environment bandit --alpha 2 --ties first --horizon 50 --arms 5").unwrap();
        assert_eq!(bandit.source, SourceConfig::Ucb { alpha: 2.0, ties: ucb::Ties::First });
        assert_eq!((bandit.environment.horizon(), bandit.tasks), (Some(50), Some(20_000)));
        let room =
            config("--size 5 --reward once --source q-learning --discount 0.5 --keep-every 2").unwrap();
        assert!(matches!(
            room.environment,
            EnvironmentConfig::DarkRoom { start: (2, 2), reward: GoalReward::Once, .. }
        ));
        assert_eq!(room.keep_every, 2);
        let nearest = config("--psrl-target nearest --start 0,0").unwrap();
        assert_eq!(nearest.source, SourceConfig::Psrl { target: psrl::Target::Nearest });
        assert!(matches!(nearest.environment, EnvironmentConfig::DarkRoom { start: (0, 0), .. }));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        for (arguments, expected) in [
            ("--environment moon", "known are dark-room"),
            ("--source thompson", "possible there: psrl, q-learning, noise"),
            ("--source sarsa", "known are ucb"),
            ("--arms 3", "--arms: is not a parameter of dark-room"),
            ("--alpha 3", "--alpha: is not a parameter of psrl"),
            ("--source q-learning --learning-rate 0", "source.learning_rate"),
            ("--episodes 0", "--episodes: is 0"),
            ("--start 9", "expected ROW,COLUMN"),
            ("--start 9,9", "outside the 9x9 room"),
        ] {
            let problem = config(arguments).unwrap_err();
            assert!(problem.contains(expected), "{arguments}: {problem}");
        }
    }
}
