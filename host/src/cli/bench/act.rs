//! `algodistill bench act`: microseconds per step of the int8 agent with a full ring.

use crate::cli::fields::DimensionArgs;
use crate::cli::Report;
use crate::environment::EnvironmentConfig;
use crate::export::{encode, quantize};
use crate::model::FloatAgent;
use crate::nn::transformer::initial_parameters;
use crate::{Error, Result};
use algodistill_core::{Agent, Kernels, Model, PortableRng};
use serde_json::json;
use std::time::Instant;

/// Time one step of the int8 agent on this machine with each set of kernels that it has, and of the
/// float agent.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model; its weights are random, which does not change the time.
    #[command(flatten)]
    pub dimensions: DimensionArgs,
    /// Steps timed for each agent.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=100_000_000))]
    pub steps: u32,
}

/// Steps of one timed batch; the reported time is that of the median batch.
const BATCH: u32 = 100;

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let DimensionArgs(dimensions) = args.dimensions;
    dimensions.validate()?;
    let interface = EnvironmentConfig::preset("dark-room")?.interface()?;
    let parameters = initial_parameters(&dimensions, &interface, 0);
    let file = encode(&quantize(&parameters)?, "{}")?;
    let model = Model::decode(&file).map_err(|e| Error::argument("model", e))?;

    let int8 = |kernels: Kernels| -> Result<f64> {
        let mut workspace = vec![0; model.workspace_words()];
        let mut agent = Agent::new(model.clone(), &mut workspace).map_err(|e| Error::argument("agent", e))?;
        agent.set_kernels(kernels);
        Ok(median_microseconds(args, |observation, rng| {
            // The observation is within the interface and feedback follows every action: neither can fail.
            let _ = agent.act(&observation, rng);
            let _ = agent.feedback(0.0, None);
        }))
    };
    let mut peer = FloatAgent::new(&parameters);
    let float = median_microseconds(args, |observation, rng| {
        peer.act(&observation, 1.0, rng);
        peer.feedback(0.0, None);
    });
    let available = Kernels::ALL.iter().filter(|kernels| kernels.is_available());
    let sets = available.map(|kernels| Ok((kernels.name(), int8(*kernels)?))).collect::<Result<Vec<_>>>()?;
    // Every processor has the scalar kernels, which are listed first, and the fastest last.
    let (scalar, (fastest, microseconds)) = (sets[0].1, sets[sets.len() - 1]);

    let mut text = format!(
        "{} int8 parameters, window {}, full ring, one thread; microseconds per act\n\
         float agent               {float:8.2}\n",
        model.parameters(),
        args.dimensions.0.window,
    );
    for (name, microseconds) in &sets {
        let ratio = scalar / microseconds;
        text += &format!("int8, {name:<12} kernels {microseconds:8.2}  scalar / {ratio:.2}\n");
    }
    let sets: Vec<_> = sets
        .iter()
        .map(|(name, microseconds)| {
            let ratio = scalar / microseconds;
            json!({"kernels": name, "microseconds_per_act": microseconds, "scalar_over_this": ratio})
        })
        .collect();
    let json = json!({
        "microseconds_per_act": microseconds,
        "kernels": fastest,
        "scalar_microseconds_per_act": scalar,
        "float_microseconds_per_act": float,
        "sets": sets,
        "parameters": model.parameters(),
        "steps": args.steps,
    });
    Ok(Report { text, json })
}

/// Fills the context, then times `step` in batches.
fn median_microseconds(args: &Args, mut step: impl FnMut([i32; 2], &mut PortableRng)) -> f64 {
    let mut rng = PortableRng::new(0, 0);
    let mut run = |steps: usize| {
        for _ in 0..steps {
            let observation = [rng.below(9) as i32, rng.below(9) as i32];
            step(observation, &mut rng);
        }
    };
    run(args.dimensions.0.window);
    let mut times: Vec<f64> = (0..args.steps.div_ceil(BATCH))
        .map(|_| {
            let start = Instant::now();
            run(BATCH as usize);
            start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
