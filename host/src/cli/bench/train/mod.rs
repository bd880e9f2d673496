//! `algodistill bench train`: tokens per second of training, beside other trainings of the same
//! model.

mod compare;
mod contestant;
mod peak;
mod problem;
mod race;
mod scaling;
mod worker;

use crate::cli::fields::DimensionArgs;
use crate::cli::Report;
use crate::{Error, Result};
use problem::Shape;
use race::Rounds;
use serde_json::json;

/// The options that give a shape.
const SHAPE: [&str; 8] =
    ["layers", "d_model", "heads", "kv_heads", "d_ff", "window", "sequence_length", "batch"];

/// Time training steps (forward, backward and AdamW) of the fused engine, and in alternation those
/// of other trainings of the same model. The weights, tokens and targets are random, which does not
/// change the time.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Sizes of the model.
    #[command(flatten)]
    pub dimensions: DimensionArgs,
    /// Tokens of a sequence.
    #[arg(long, default_value_t = 160)]
    pub sequence_length: usize,
    /// Sequences of a batch.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Whom to compare with, separated by commas. All but `composed` and `cuda` are installed by
    /// benches/peers/install.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "composed")]
    pub against: Vec<Peer>,
    /// Measure at the four shapes of the published table.
    #[arg(long, conflicts_with_all = SHAPE)]
    pub table: bool,
    /// Measure instead how the cost grows with the sequence, the model and the threads.
    #[arg(long, conflicts_with_all = SHAPE, conflicts_with_all = ["table", "against"])]
    pub scaling: bool,
    /// Turns that each takes; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Be a contestant: train as this JSON object says, in turns that standard input gives.
    #[arg(long, hide = true, value_name = "SPECIFICATION", exclusive = true)]
    pub worker: Option<String>,
}

/// Whom the fused engine is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// Our network composed from dfdx's own operations.
    Composed,
    /// The same on an NVIDIA GPU; needs a build with the feature cuda.
    Cuda,
    /// PyTorch, eager and compiled.
    Pytorch,
    /// PyTorch, eager, on an NVIDIA GPU.
    PytorchCuda,
    /// burn on its CPU backend.
    Burn,
    /// candle.
    Candle,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    if let Some(specification) = &args.worker {
        worker::run(specification)?;
        return Ok(Report { text: String::new(), json: json!({}) });
    }
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        let problem = format!("is {}, must be above 0 and at most 3600", args.seconds);
        return Err(Error::argument("--seconds", problem));
    }
    let rounds = Rounds { count: args.rounds.into(), seconds: args.seconds };
    let threads = rayon::current_num_threads();
    if args.scaling {
        return scaling::run(rounds, threads);
    }
    let (sequence_length, batch) = (args.sequence_length, args.batch);
    let own = [Shape { dimensions: args.dimensions.0, sequence_length, batch }];
    let shapes = if args.table { &compare::TABLE[..] } else { &own };
    compare::run(shapes, &args.against, rounds, threads)
}
