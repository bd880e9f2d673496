//! `algodistill train-rl2`: the transformer by reinforcement learning, over whole trials.

use super::fields::Rl2Overrides;
use super::progress::Terminal;
use super::run_folder::{configuration, in_options};
use super::{EnvironmentParameters, Report};
use crate::environment::EnvironmentConfig;
use crate::rl2::{self, MetricsLine, Rl2Config};
use crate::Result;
use serde_json::json;
use std::path::PathBuf;

/// Train a transformer by RL2: reinforcement learning (PPO) over whole trials, some episodes of one
/// hidden task each. Needs no histories. Writes config.toml, metrics.jsonl, checkpoint.safetensors
/// and at the end model.safetensors, which `export` takes. A run that was stopped goes on with
/// --resume and ends with the same bytes.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Name of an environment: `algodistill list` [default: dark-room].
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    pub parameters: EnvironmentParameters,
    /// Folder of the run.
    #[arg(long)]
    pub out: PathBuf,
    /// TOML file with an [rl2] table, such as the config.toml of another run; the options override
    /// it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Go on from the run's last checkpoint, or begin where there is none, with the run's own
    /// config.toml unless --config is given.
    #[arg(long)]
    pub resume: bool,
    /// The configuration's fields.
    #[command(flatten)]
    pub overrides: Rl2Overrides,
}

impl Args {
    /// The configuration that the arguments ask for, validated.
    fn config(&self) -> Result<Rl2Config> {
        let mut config = configuration(self.config.as_deref(), &self.out, self.resume, rl2::read_config)?;
        if let Some(name) = &self.environment {
            config.environment = EnvironmentConfig::preset(name)?;
        }
        config.environment = config.environment.with(&self.parameters.collect())?;
        self.overrides.apply(&mut config)?;
        config.validate()?;
        Ok(config)
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let config = args.config()?;
    let outcome = rl2::train(&config, &args.out, args.resume, &Terminal::default()).map_err(in_options)?;
    let count = outcome.parameters.values.len();
    let mut text = format!("{}\nparameters       {count}\n", outcome.model.display());
    match &outcome.last {
        None => {
            let iterations = outcome.record.iteration;
            text += &format!("all {iterations} iterations were done before: nothing was left to train\n");
        }
        Some(line) => {
            text += &format!(
                "iterations       {}\nsteps            {}\nspeed            {:.0} steps/s\ntime             {:.1} s\n\n{}",
                outcome.record.iteration,
                outcome.record.steps,
                outcome.steps_per_second,
                outcome.seconds,
                table(line)
            );
        }
    }
    let json = json!({
        "model": outcome.model.display().to_string(),
        "parameters": count,
        "iterations": outcome.record.iteration,
        "steps": outcome.record.steps,
        "steps_per_second": outcome.steps_per_second,
        "train_seconds": outcome.seconds,
        "last": outcome.last,
        "rl2": outcome.record.config,
    });
    Ok(Report { text, json })
}

/// Mean return by episode.
fn table(line: &MetricsLine) -> String {
    let of = |returns: &Option<Vec<f32>>, episode: usize| match returns {
        Some(returns) => format!("{:.3}", returns[episode]),
        None => "-".into(),
    };
    let mut table = format!("{:>8} {:>14} {:>14}\n", "episode", "training", "held-out");
    for episode in 0..line.returns.len() {
        let (training, held_out) = (of(&line.training, episode), of(&line.held_out, episode));
        table += &format!("{:>8} {training:>14} {held_out:>14}\n", episode + 1);
    }
    table
}
