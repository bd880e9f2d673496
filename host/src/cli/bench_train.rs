//! `algodistill bench train`: tokens a second of training.

use super::dimensions::DimensionArgs;
use super::Report;
use crate::environment::EnvironmentConfig;
use crate::history::{Histories, History, Steps};
use crate::model::Dimensions;
use crate::train::{initial_parameters, Composed, Engine, LossOptions, Purpose, TrainConfig, Windows};
use crate::{Error, Result};
use algodistill_core::{Interface, PortableRng};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time loss and gradient of one batch in the fused engine, and in the same run in the network composed from dfdx's operations.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model; its weights are random, which does not change the time.
    #[command(flatten)]
    pub dimensions: DimensionArgs,
    /// Tokens of a sequence.
    #[arg(long, default_value_t = 160)]
    pub sequence_length: usize,
    /// Sequences of a batch.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Seconds that each of the two is timed for.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
}

/// Most attention scores of a batch: a gigabyte for each matrix of them in the composed network.
const MAX_SCORES: usize = 1 << 28;

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let Dimensions { layers, d_model, heads, d_ff, window } = args.dimensions.dimensions();
    let config = TrainConfig {
        layers,
        d_model,
        heads,
        d_ff,
        window,
        sequence_length: args.sequence_length,
        batch: args.batch,
        ..TrainConfig::default()
    };
    config.validate()?;
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        return Err(Error::argument(
            "--seconds",
            format!("is {}, must be above 0 and at most 3600", args.seconds),
        ));
    }
    // dfdx keeps several matrices of all scores of a batch.
    let scores = args.batch * heads * args.sequence_length * args.sequence_length;
    if scores > MAX_SCORES {
        let problem = format!(
            "is {}, expected such that batch * heads * sequence_length^2 = {scores} is at most {MAX_SCORES}",
            args.batch
        );
        return Err(Error::argument("--batch", problem));
    }
    let interface = EnvironmentConfig::preset("dark-room")?.interface()?;
    let histories = synthetic(interface.clone(), args.sequence_length);
    let batch = Windows::new(&histories, &config)?.batch(Purpose::Batch, 0, config.batch);
    let parameters = initial_parameters(&config.dimensions(), &interface, config.seed);
    let options = LossOptions::default();
    let mut gradient = vec![0.0; parameters.values.len()];

    let mut engine = Engine::new(&config.dimensions(), &interface, config.resolved_threads())?;
    let tokens = batch.targets.len();
    let fused = tokens_per_second(args.seconds, tokens, || {
        engine.loss_and_gradient(&parameters.values, &batch, &options, &mut gradient);
        Ok(())
    })?;
    let composed = Composed::new(dfdx::prelude::Cpu::default(), &config.dimensions(), &interface);
    let composed = tokens_per_second(args.seconds, tokens, || {
        composed.loss_and_gradient(&parameters.values, &batch, &options, &mut gradient).map(|_| ())
    })?;

    let ratio = fused / composed;
    let text = format!(
        "{} parameters, batch {} x {} tokens, {} threads\n\
         fused engine      {fused:10.0} tokens/s\n\
         composed in dfdx  {composed:10.0} tokens/s (the fused engine is {ratio:.1} times as fast)\n",
        parameters.values.len(),
        args.batch,
        args.sequence_length,
        config.resolved_threads(),
    );
    let json = json!({
        "tokens_per_second": fused,
        "composed_tokens_per_second": composed,
        "ratio": ratio,
        "parameters": parameters.values.len(),
        "threads": config.resolved_threads(),
    });
    Ok(Report { text, json })
}

/// The median of runs over `seconds`, after one that is not counted.
fn tokens_per_second(seconds: f64, tokens: usize, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    run()?;
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.is_empty() || begun.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(tokens as f64 / times[times.len() / 2])
}

/// Histories of random steps, each as long as one sequence: the values do not change the time.
fn synthetic(interface: Interface, length: usize) -> Histories {
    const HISTORIES: usize = 8;
    let mut rng = PortableRng::new(0, 0);
    let mut steps = Steps::new(interface.observation_len());
    for step in 0..HISTORIES * length {
        steps.episodes.push((step / 20) as u32);
        steps.observations.iter_mut().for_each(|column| column.push(rng.below(9) as i32));
        steps.actions.push(rng.below(5) as u16);
        steps.rewards.push(rng.below(2) as f32);
        steps.dones.push(step % length == length - 1);
    }
    let index = (0..HISTORIES)
        .map(|id| History { task: id as u32, id: id as u32, steps: id * length..(id + 1) * length })
        .collect();
    Histories { interface, index, steps }
}
