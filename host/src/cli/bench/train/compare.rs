//! The fused engine against other trainings of the same model, in one call.

use super::contestant::{Absent, Contestant, Process};
use super::problem::{Problem, Shape};
use super::race::{self, median, Rounds};
use super::{peak, Peer};
use crate::cli::progress::Bar;
use crate::cli::Report;
use crate::model::Dimensions;
use crate::{Error, Result};
use serde_json::{json, Value};

/// The shapes of the published table.
pub const TABLE: [Shape; 4] = [
    shape([4, 64, 128], 128, 32),
    shape([2, 64, 160], 160, 32),
    shape([4, 64, 100], 200, 64),
    shape([2, 32, 100], 100, 64),
];

/// A shape with 4 heads and four times as many hidden units as its width.
const fn shape([layers, d_model, window]: [usize; 3], sequence_length: usize, batch: usize) -> Shape {
    let d_ff = 4 * d_model;
    let dimensions = Dimensions {
        layers,
        d_model,
        heads: 4,
        d_ff,
        window,
        final_observation: false,
        ..Dimensions::DEFAULT
    };
    Shape { dimensions, sequence_length, batch }
}

/// Most attention scores of a batch: a gigabyte for each matrix of them in the composed network.
const MAX_SCORES: usize = 1 << 28;
/// Relative difference of two first losses above which the models are not the same.
const LOSS_TOLERANCE: f32 = 1e-3;

/// One line of the table.
struct Row {
    contestant: Contestant,
    /// Tokens per second of each round, and the rest of what was measured, or why there is nothing.
    result: std::result::Result<Measured, Absent>,
}

struct Measured {
    rounds: Vec<f64>,
    median: f64,
    peak_megabytes: Option<f64>,
    about: String,
}

/// A table of all contestants at one shape.
struct Comparison {
    shape: Shape,
    parameters: usize,
    loss: f32,
    gigaflops: f64,
    ours: f64,
    rows: Vec<Row>,
}

/// Compares at every shape.
pub fn run(shapes: &[Shape], against: &[Peer], rounds: Rounds, threads: usize) -> Result<Report> {
    let contestants = contestants(against);
    for contestant in &contestants {
        contestant.program()?;
    }
    if [Contestant::Composed, Contestant::Cuda].iter().any(|one| contestants.contains(one)) {
        shapes.iter().try_for_each(composed_fits)?;
    }
    let problems = shapes.iter().map(|&shape| Problem::new(shape)).collect::<Result<Vec<_>>>()?;
    let mut machine = peak::gigaflops(threads);
    let mut comparisons = Vec::new();
    for problem in &problems {
        comparisons.push(compare(problem, &contestants, rounds, threads)?);
        // Whatever slowed the machine for a moment must not make us look better.
        machine = machine.max(peak::gigaflops(threads));
    }
    let mut text = format!(
        "Medians of {} rounds of {} s in alternation, {threads} threads; a large product does {machine:.0} GFLOP/s\n",
        rounds.count, rounds.seconds
    );
    comparisons.iter().for_each(|comparison| text += &comparison.text(machine));
    let first = &comparisons[0];
    let mut json = json!({
        "tokens_per_second": first.ours,
        "parameters": first.parameters,
        "threads": threads,
        "machine_gigaflops": machine,
        "shapes": comparisons.iter().map(|comparison| comparison.json(machine)).collect::<Vec<_>>(),
    });
    if let Some(composed) = first.median(Contestant::Composed) {
        json["composed_tokens_per_second"] = json!(composed);
        json["ratio"] = json!(first.ours / composed);
    }
    Ok(Report { text, json })
}

/// We come first.
fn contestants(against: &[Peer]) -> Vec<Contestant> {
    let mut all = vec![Contestant::Algodistill];
    for peer in against {
        let more: &[Contestant] = match peer {
            Peer::Composed => &[Contestant::Composed],
            Peer::Cuda => &[Contestant::Cuda],
            Peer::Pytorch => &[Contestant::PytorchEager, Contestant::PytorchCompiled],
            Peer::PytorchCuda => &[Contestant::PytorchCuda],
            Peer::Burn => &[Contestant::Burn],
            Peer::Candle => &[Contestant::Candle],
        };
        all.extend(more.iter().filter(|contestant| !all.contains(contestant)).collect::<Vec<_>>());
    }
    all
}

/// dfdx keeps several matrices of all scores of a batch.
fn composed_fits(shape: &Shape) -> Result<()> {
    let Shape { dimensions: Dimensions { heads, .. }, sequence_length, batch } = *shape;
    let factors = [heads, sequence_length, sequence_length];
    let scores = factors.iter().fold(batch, |product, &factor| product.saturating_mul(factor));
    if scores <= MAX_SCORES {
        return Ok(());
    }
    let problem = format!(
        "is {batch}, expected such that batch * heads * sequence_length^2 = {scores} is at most {MAX_SCORES}"
    );
    Err(Error::argument("--batch", problem))
}

fn compare(
    problem: &Problem,
    contestants: &[Contestant],
    rounds: Rounds,
    threads: usize,
) -> Result<Comparison> {
    let data = problem.write_data()?;
    let (mut processes, mut absent) = (Vec::new(), Vec::new());
    let progress = Bar::new("warm-up", contestants.len() as u64);
    for &contestant in contestants {
        match Process::start(contestant, problem, threads, data.path())? {
            Ok(process) => processes.push(process),
            Err(reason) => absent.push(Row { contestant, result: Err(reason) }),
        }
        progress.advance(1, || contestant.name().into());
    }
    progress.finish(&problem.shape.to_string());
    let loss = processes[0].ready.loss;
    for process in &mut processes {
        let other = process.ready.loss;
        let same_model = (other - loss).abs() <= LOSS_TOLERANCE * loss;
        if !same_model {
            let problem = format!("its first loss is {other}, ours {loss}: it is another model");
            return Err(process.error(problem));
        }
    }
    let rates = race::run(&mut processes, rounds)?;
    let mut rows: Vec<Row> = processes
        .iter()
        .zip(rates)
        .map(|(process, rounds)| {
            let measured = Measured {
                median: median(&rounds),
                rounds,
                peak_megabytes: process.peak_megabytes(),
                about: process.ready.about.clone(),
            };
            Row { contestant: process.contestant, result: Ok(measured) }
        })
        .collect();
    rows.append(&mut absent);
    let mut comparison = Comparison {
        shape: problem.shape,
        parameters: problem.parameters.len(),
        loss,
        gigaflops: 0.0,
        ours: 0.0,
        rows,
    };
    comparison.ours = comparison.median(Contestant::Algodistill).unwrap_or(f64::NAN);
    let operations = problem.shape.operations_per_token(usize::from(problem.interface.actions));
    comparison.gigaflops = comparison.ours * operations / 1e9;
    Ok(comparison)
}

impl Comparison {
    /// Tokens per second of a contestant that took part.
    fn median(&self, contestant: Contestant) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.contestant == contestant)?;
        row.result.as_ref().ok().map(|measured| measured.median)
    }

    /// How many times as fast as PyTorch's best we are.
    fn ratio_to_pytorch(&self) -> Option<f64> {
        let both = [Contestant::PytorchEager, Contestant::PytorchCompiled];
        let best = both.into_iter().filter_map(|contestant| self.median(contestant)).max_by(f64::total_cmp);
        best.map(|best| self.ours / best)
    }

    fn text(&self, machine: f64) -> String {
        let mut text = format!(
            "\n{}: {} parameters\n{:<17} {:>9} {:>12} {:>9}\n",
            self.shape, self.parameters, "", "tokens/s", "ours/theirs", "peak MB"
        );
        for Row { contestant, result } in &self.rows {
            let name = contestant.name();
            text += &match result {
                Err(Absent(reason)) => format!("{name:<17} did not run: {reason}\n"),
                Ok(Measured { median, peak_megabytes, about, .. }) => {
                    let memory = peak_megabytes.map_or("-".into(), |megabytes| format!("{megabytes:.0}"));
                    format!("{name:<17} {median:>9.0} {:>12.2} {memory:>9}  {about}\n", self.ours / median)
                }
            };
        }
        text += &format!(
            "{:.1} GFLOP/s, {:.0} % of a large product's",
            self.gigaflops,
            100.0 * self.gigaflops / machine
        );
        if let Some(ratio) = self.ratio_to_pytorch() {
            text += &format!("; {ratio:.2} times PyTorch's best");
        }
        text + "\n"
    }

    fn json(&self, machine: f64) -> Value {
        let contestants: Vec<Value> = self.rows.iter().map(|row| row.json(self.ours)).collect();
        json!({
            "shape": self.shape,
            "parameters": self.parameters,
            "loss": self.loss,
            "contestants": contestants,
            "ratio_to_pytorch": self.ratio_to_pytorch(),
            "gigaflops": self.gigaflops,
            "peak_fraction": self.gigaflops / machine,
        })
    }
}

impl Row {
    fn json(&self, ours: f64) -> Value {
        let name = self.contestant.name();
        match &self.result {
            Err(Absent(reason)) => json!({ "name": name, "failed": reason }),
            Ok(measured) => json!({
                "name": name,
                "about": measured.about,
                "tokens_per_second": measured.median,
                "rounds": measured.rounds,
                "ratio": ours / measured.median,
                "peak_megabytes": measured.peak_megabytes,
            }),
        }
    }
}
