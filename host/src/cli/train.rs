//! `algodistill train`: the transformer on learning histories.

use super::fields::Overrides;
use super::progress::Terminal;
use super::run_folder::{configuration, in_options};
use super::Report;
use crate::history::{Mixture, Storage, IN_MEMORY};
use crate::ranks::Ranks;
use crate::train::{read_config, TrainConfig};
use crate::{train, Error, Result};
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;

/// Train a transformer on learning histories. Writes config.toml, metrics.jsonl,
/// checkpoint.safetensors and at the end model.safetensors. A run that was stopped goes on with
/// --resume and ends with the same bytes.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Learning histories, NAME.parquet. Several files, such as of several environments, train one
    /// model; their observations, actions and reward levels must agree. Sequences are drawn evenly
    /// from all histories, so a file with twice the histories has twice the share.
    #[arg(required = true)]
    pub histories: Vec<PathBuf>,
    /// Folder of the run.
    #[arg(long)]
    pub out: PathBuf,
    /// TOML file with a [train] table, such as the config.toml of another run; the options below
    /// override it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Go on from the run's last checkpoint, or begin where there is none, with the run's own
    /// config.toml unless --config is given.
    #[arg(long)]
    pub resume: bool,
    /// Megabytes of numbers and pictures of observations that are kept in memory. Where there are more,
    /// they are kept in a file without a name, in or above the folder of the run, that is gone when
    /// the run ends. The model is the same.
    #[arg(long, value_name = "MB", default_value_t = IN_MEMORY >> 20)]
    pub observation_memory: u64,
    /// The configuration's fields.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// The configuration that the arguments ask for, validated, as rank 0 finds it: other ranks may not
/// have the run's folder.
fn config(args: &Args, ranks: &Ranks) -> Result<TrainConfig> {
    let own = args.out.join("config.toml");
    let mut config = match ranks.is_first() {
        true => configuration(args.config.as_deref(), &args.out, args.resume, read_config)?,
        false => TrainConfig::default(),
    };
    args.overrides.apply(&mut config)?;
    if ranks.is_first() {
        // Before JSON, which has no words for NaN.
        config.validate()?;
    }
    let text = serde_json::to_vec(&config).map_err(|e| Error::file(&own, e))?;
    serde_json::from_slice(&ranks.broadcast_bytes(text)).map_err(|e| Error::file(&own, e))
}

/// Runs the command.
pub fn run(args: &Args, ranks: &Ranks) -> Result<Report> {
    let config = config(args, ranks)?;
    let storage = Storage {
        in_memory: args.observation_memory.saturating_mul(1 << 20),
        advice: "make room, choose a folder of a larger disk with --out, or keep them in memory with \
                 --observation-memory MB",
        ..Storage::beside(&args.out)
    };
    let share = train::share(ranks, &config);
    let histories = Mixture::read_share(&args.histories, ranks, &share, &storage)?;
    let warnings = config.warnings(&histories.training);
    for warning in warnings.iter().filter(|_| ranks.is_first()) {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let held_out = (!histories.held_out.index.is_empty()).then_some(&histories.held_out);
    let outcome = train::train_on(
        ranks,
        &histories.training,
        held_out,
        &config,
        &args.out,
        args.resume,
        &Terminal::of_rank(ranks),
    )
    .map_err(in_options)?;

    let count = outcome.parameters.values.len();
    let number = |value: Option<f32>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let mut text = format!(
        "{}\nparameters       {count}\nupdates          {}\ntraining loss    {} nats per token\nvalidation loss  {}\n\
         speed            {:.0} tokens/s\ntime             {:.1} s\n",
        outcome.model.display(),
        outcome.training.update,
        number(outcome.loss),
        number(outcome.validation_loss),
        outcome.tokens_per_second,
        outcome.seconds,
    );
    if outcome.loss.is_none() {
        let updates = outcome.training.update;
        text = format!(
            "{}\nparameters       {count}\nall {updates} updates were done before: nothing was left to train\n",
            outcome.model.display()
        );
    }
    for file in histories.files.iter().filter(|_| histories.files.len() > 1) {
        let (path, environment) = (file.path.display(), file.card.environment.name());
        let (training, held_out) = (file.training.len(), file.held_out.len());
        text += &format!("{path}: {environment}, {training} histories, {held_out} of held-out tasks\n");
    }
    let files: Vec<Value> = histories
        .files
        .iter()
        .map(|file| {
            json!({
                "file": file.path.display().to_string(),
                "environment": file.card.environment,
                "histories": file.training.len(),
                "held_out_histories": file.held_out.len(),
            })
        })
        .collect();
    let json = json!({
        "model": outcome.model.display().to_string(),
        "parameters": count,
        "updates": outcome.training.update,
        "loss": outcome.loss,
        "validation_loss": outcome.validation_loss,
        "tokens_per_second": outcome.tokens_per_second,
        "train_seconds": outcome.seconds,
        "dataset": outcome.training.dataset,
        "histories": files,
        "warnings": warnings,
    });
    Ok(Report { text, json })
}
