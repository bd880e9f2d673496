//! Our own contestants: the child process's side of the line protocol (see
//! `benches/peers/README.md`).

use super::contestant::Contestant;
use super::problem::{Problem, Specification};
use crate::nn::clip;
use crate::nn::transformer::{optimizer, Composed, Engine, LossOptions};
use crate::{Error, Result};
use serde_json::{json, Value};
use std::io::{BufRead, Write};
use std::time::Instant;

/// Steps before the first one that is timed.
const WARM_UP: usize = 3;

/// Trains as `specification` says for as long as each line of standard input says.
pub fn run(specification: &str) -> Result<()> {
    let specification: Specification =
        serde_json::from_str(specification).map_err(|error| Error::argument("--worker", error))?;
    let problem = Problem::new(specification.shape)?;
    let options = LossOptions::default();
    let (dimensions, interface, batch) = (problem.shape.dimensions, &problem.interface, &problem.batch);
    match specification.contestant {
        Contestant::Algodistill => {
            let mut engine = Engine::new(&dimensions, interface, specification.threads)?;
            serve(
                &problem,
                |values, gradient| Ok(engine.loss_and_gradient(values, batch, &options, gradient)),
            )
        }
        Contestant::Composed => {
            let composed = Composed::new(dfdx::prelude::Cpu::default(), &dimensions, interface);
            serve(&problem, |values, gradient| composed.loss_and_gradient(values, batch, &options, gradient))
        }
        Contestant::Cuda => on_gpu(&problem, &options),
        other => Err(Error::argument("--worker", format!("{} is another program", other.name()))),
    }
}

/// The composed network on a GPU, gradient and optimizer on the CPU, as `train --device cuda` has it.
#[cfg(feature = "cuda")]
fn on_gpu(problem: &Problem, options: &LossOptions) -> Result<()> {
    use dfdx::prelude::Cuda;
    let device = match Cuda::try_seed_from_u64(0) {
        Ok(device) => device,
        Err(error) => return say(&json!({ "failed": format!("no CUDA device: {error:?}") })),
    };
    let composed = Composed::new(device, &problem.shape.dimensions, &problem.interface);
    serve(problem, |values, gradient| composed.loss_and_gradient(values, &problem.batch, options, gradient))
}

/// Says that this program has no GPU in it.
#[cfg(not(feature = "cuda"))]
fn on_gpu(_: &Problem, _: &LossOptions) -> Result<()> {
    say(&json!({ "failed": "this program was built without the feature cuda" }))
}

/// A step is loss and gradient, clipping, and AdamW.
fn serve(problem: &Problem, mut loss: impl FnMut(&[f32], &mut [f32]) -> Result<f32>) -> Result<()> {
    let config = &problem.config;
    let mut values = problem.parameters.clone();
    let mut gradient = vec![0.0; values.len()];
    let mut optimizer = optimizer(&problem.shape.dimensions, &problem.interface);
    let mut update = 0;
    let mut step = || -> Result<f32> {
        let loss = loss(&values, &mut gradient)?;
        clip(&mut gradient, config.clip);
        optimizer.step(&config.hyperparameters(), update, config.learning_rate, &gradient, &mut values);
        update += 1;
        Ok(loss)
    };
    let first = step()?;
    for _ in 1..WARM_UP {
        step()?;
    }
    let about = concat!("algodistill ", env!("CARGO_PKG_VERSION"));
    say(&json!({ "ready": true, "parameters": problem.parameters.len(), "loss": first, "about": about }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::io("standard input", error))?;
        let seconds: f64 =
            line.trim().parse().map_err(|error| Error::file("standard input", format!("{line}: {error}")))?;
        let begun = Instant::now();
        let mut steps = 0;
        while steps == 0 || begun.elapsed().as_secs_f64() < seconds {
            step()?;
            steps += 1;
        }
        let rate = (steps * problem.shape.tokens()) as f64 / begun.elapsed().as_secs_f64();
        say(&json!({ "tokens_per_second": rate, "steps": steps }))?;
    }
    Ok(())
}

fn say(line: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|error| Error::io("standard output", error))
}
