//! `algodistill train`: the transformer on learning histories.

use super::Report;
use crate::history::Mixture;
use crate::ranks::Ranks;
use crate::train::config::DEFAULT_EXPERT_FRACTION;
use crate::train::{read_config, Device, TrainConfig};
use crate::{train, Error, Result};
use serde_json::{json, Value};
use std::path::PathBuf;

/// Train a transformer on learning histories. Writes config.toml, metrics.jsonl, checkpoint.safetensors and at the end
/// model.safetensors. A run that was stopped goes on with --resume and ends with the same bytes.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Learning histories, NAME.parquet. Several files, such as of several environments, train one model; their observations, actions and reward levels
    /// must agree. Sequences are drawn evenly from all histories, so a file with twice the histories has twice the share.
    #[arg(required = true)]
    pub histories: Vec<PathBuf>,
    /// Folder of the run.
    #[arg(long)]
    pub out: PathBuf,
    /// TOML file with a [train] table, such as the config.toml of another run; the options below override it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Go on from the run's last checkpoint, with the run's own config.toml unless --config is given.
    #[arg(long)]
    pub resume: bool,
    /// The configuration's fields.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// Fields of [`TrainConfig`] that differ from the file or the defaults.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Overrides {
    /// Transformer blocks [default: 2].
    #[arg(long)]
    pub layers: Option<usize>,
    /// Width of the residual stream, a multiple of 16 [default: 64].
    #[arg(long)]
    pub d_model: Option<usize>,
    /// Attention heads [default: 4].
    #[arg(long)]
    pub heads: Option<usize>,
    /// Hidden width of the feed-forward network, a multiple of 16 [default: 256].
    #[arg(long)]
    pub d_ff: Option<usize>,
    /// Context window in steps [default: 160].
    #[arg(long)]
    pub window: Option<usize>,
    /// Tokens of a training sequence [default: 160].
    #[arg(long)]
    pub sequence_length: Option<usize>,
    /// Sequences of a batch [default: 32].
    #[arg(long)]
    pub batch: Option<usize>,
    /// Parameter updates [default: 1500].
    #[arg(long)]
    pub updates: Option<u64>,
    /// Highest learning rate [default: 0.003].
    #[arg(long)]
    pub learning_rate: Option<f32>,
    /// Updates of linear warm-up [default: 100].
    #[arg(long)]
    pub warm_up: Option<u64>,
    /// Learning rate at the end, as a fraction of the highest one [default: 0].
    #[arg(long)]
    pub final_learning_rate_fraction: Option<f32>,
    /// Decoupled weight decay [default: 0.01].
    #[arg(long)]
    pub weight_decay: Option<f32>,
    /// Largest norm of the gradient, 0 for no clipping [default: 1].
    #[arg(long)]
    pub clip: Option<f32>,
    /// Share of the target probability spread over all actions [default: 0].
    #[arg(long)]
    pub label_smoothing: Option<f32>,
    /// Probability that an attention weight is dropped [default: 0].
    #[arg(long)]
    pub dropout: Option<f32>,
    /// Probability that an element of a block's output is dropped [default: 0].
    #[arg(long)]
    pub residual_dropout: Option<f32>,
    /// Probability that a token's whole embedding is zero [default: 0].
    #[arg(long)]
    pub token_masking: Option<f32>,
    /// Share of the training sequences that begin where a history begins [default: 0.25].
    #[arg(long)]
    pub history_start_fraction: Option<f32>,
    /// Expert distillation: train on the last tenth of the episodes of each history only.
    #[arg(long, conflicts_with = "expert_fraction")]
    pub expert: bool,
    /// Expert distillation with another fraction.
    #[arg(long)]
    pub expert_fraction: Option<f32>,
    /// Seed of the initial parameters, the batches and the masks [default: 0].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Updates between two lines of metrics.jsonl [default: 10].
    #[arg(long)]
    pub log_every: Option<u64>,
    /// Updates between two validations on held-out tasks, 0 for none [default: 250].
    #[arg(long)]
    pub validation_every: Option<u64>,
    /// Sequences of a validation [default: 64].
    #[arg(long)]
    pub validation_windows: Option<usize>,
    /// Updates between two checkpoints, 0 for one at the end only [default: 250].
    #[arg(long)]
    pub checkpoint_every: Option<u64>,
    /// Where the network runs [default: cpu].
    #[arg(long, value_enum)]
    pub device: Option<Device>,
}

impl Overrides {
    /// Puts the given options in place of the configuration's fields.
    pub fn apply(&self, config: &mut TrainConfig) {
        macro_rules! replace {
            ($($field:ident),*) => {
                $(if let Some(value) = self.$field { config.$field = value; })*
            };
        }
        replace!(layers, d_model, heads, d_ff, window, sequence_length, batch, updates);
        replace!(learning_rate, warm_up, final_learning_rate_fraction, weight_decay, clip);
        replace!(label_smoothing, dropout, residual_dropout, token_masking, history_start_fraction);
        replace!(seed, log_every, validation_every, validation_windows, checkpoint_every, device);
        if let Some(fraction) = self.expert_fraction.or(self.expert.then_some(DEFAULT_EXPERT_FRACTION)) {
            config.expert_fraction = Some(fraction);
        }
    }
}

/// The configuration that the arguments ask for, validated, as rank 0 finds it: other ranks may not have the run's folder.
fn config(args: &Args, ranks: &Ranks) -> Result<TrainConfig> {
    let own = args.out.join("config.toml");
    let mut config = match &args.config {
        _ if !ranks.is_first() => TrainConfig::default(),
        Some(path) => read_config(path)?,
        None if args.resume && own.exists() => read_config(&own)?,
        None => TrainConfig::default(),
    };
    args.overrides.apply(&mut config);
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
    let histories = Mixture::read_share(&args.histories, ranks, &train::share(ranks, &config))?;
    let held_out = (!histories.held_out.index.is_empty()).then_some(&histories.held_out);
    let outcome = train::train_on(ranks, &histories.training, held_out, &config, &args.out, args.resume)?;

    let count = outcome.parameters.values.len();
    let number = |value: Option<f32>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let mut text = format!(
        "{}\nparameters       {count}\nupdates          {}\ntraining loss    {} nats a token\nvalidation loss  {}\n\
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
    });
    Ok(Report { text, json })
}
