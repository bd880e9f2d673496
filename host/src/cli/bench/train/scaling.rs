//! How the cost of a step of the fused engine grows with the sequence, the model and the threads.

use super::contestant::{Absent, Contestant, Process};
use super::problem::{Problem, Shape};
use super::race::{self, median, Rounds};
use crate::cli::progress::Bar;
use crate::cli::Report;
use crate::model::Dimensions;
use crate::{Error, Result};
use serde_json::{json, Value};

/// The model and the window of the first series, and the smallest of the second.
const BASE: Shape = Shape {
    dimensions: Dimensions {
        layers: 2,
        d_model: 64,
        heads: 4,
        d_ff: 256,
        window: 128,
        final_observation: false,
        ..Dimensions::DEFAULT
    },
    sequence_length: 128,
    batch: 128,
};
/// Sequence lengths at a fixed window.
const LENGTHS: [usize; 6] = [128, 256, 512, 1024, 2048, 4096];
/// Widths and depths of growing models; the feed-forward width is four times the model's.
const WIDTHS: [usize; 4] = [32, 64, 96, 128];
const DEPTHS: [usize; 3] = [2, 4, 8];

/// One measured configuration.
struct Point {
    shape: Shape,
    threads: usize,
    parameters: usize,
    microseconds_per_token: f64,
}

/// Measures the three series.
pub fn run(rounds: Rounds, threads: usize) -> Result<Report> {
    // The tokens of a batch stay the same, and are enough to keep all threads at work.
    let lengths = LENGTHS.map(|length| {
        let batch = BASE.tokens() / length;
        (Shape { sequence_length: length, batch, ..BASE }, threads)
    });
    let sizes = DEPTHS.iter().flat_map(|&layers| {
        let shape = move |&d_model| Shape {
            dimensions: Dimensions { layers, d_model, d_ff: 4 * d_model, ..BASE.dimensions },
            batch: 32,
            ..BASE
        };
        WIDTHS.iter().map(move |d_model| (shape(d_model), threads))
    });
    let counts =
        std::iter::successors(Some(1), |count| Some(2 * count)).take_while(|&count| count <= threads);
    let counts = counts.map(|count| {
        (Shape { dimensions: Dimensions { layers: 4, ..BASE.dimensions }, batch: 32, ..BASE }, count)
    });

    let lengths = series("sequence length", &lengths, rounds)?;
    let sizes = series("model size", &sizes.collect::<Vec<_>>(), rounds)?;
    let counts = series("threads", &counts.collect::<Vec<_>>(), rounds)?;
    let json = json!({
        "threads": threads,
        "by_length": lengths.iter().map(|point| point.json(&lengths[0])).collect::<Vec<_>>(),
        "by_parameters": sizes.iter().map(|point| point.json(&sizes[0])).collect::<Vec<_>>(),
        "by_threads": counts.iter().map(|point| point.json(&counts[0])).collect::<Vec<_>>(),
    });
    Ok(Report { text: text(&lengths, &sizes, &counts, rounds, threads), json })
}

/// Measures all configurations in alternation.
fn series(name: &str, configurations: &[(Shape, usize)], rounds: Rounds) -> Result<Vec<Point>> {
    let (mut processes, mut points) = (Vec::new(), Vec::new());
    let progress = Bar::new("warm-up", configurations.len() as u64);
    for &(shape, threads) in configurations {
        let problem = Problem::new(shape)?;
        // Our own contestant makes its batch itself.
        match Process::start(Contestant::Algodistill, &problem, threads, "".as_ref())? {
            Ok(process) => processes.push(process),
            Err(Absent(reason)) => return Err(Error::file(Contestant::Algodistill.program()?, reason)),
        }
        let parameters = problem.parameters.len();
        points.push(Point { shape, threads, parameters, microseconds_per_token: 0.0 });
        progress.advance(1, || shape.to_string());
    }
    progress.finish(name);
    let rates = race::run(&mut processes, rounds)?;
    for (point, rates) in points.iter_mut().zip(rates) {
        point.microseconds_per_token = 1e6 / median(&rates);
    }
    Ok(points)
}

impl Point {
    fn nanoseconds_per_token_and_parameter(&self) -> f64 {
        1e3 * self.microseconds_per_token / self.parameters as f64
    }

    /// How many times as fast as `other`.
    fn speedup(&self, other: &Self) -> f64 {
        other.microseconds_per_token / self.microseconds_per_token
    }

    fn json(&self, first: &Self) -> Value {
        json!({
            "shape": self.shape,
            "threads": self.threads,
            "parameters": self.parameters,
            "microseconds_per_token": self.microseconds_per_token,
            "nanoseconds_per_token_and_parameter": self.nanoseconds_per_token_and_parameter(),
            "speedup": self.speedup(first),
        })
    }
}

fn text(lengths: &[Point], sizes: &[Point], counts: &[Point], rounds: Rounds, threads: usize) -> String {
    let mut text = format!(
        "Medians of {} rounds of {} s in alternation, {threads} threads\n\nT at W {}, {} tokens per batch    us per token\n",
        rounds.count,
        rounds.seconds,
        BASE.dimensions.window,
        BASE.tokens()
    );
    for Point { shape, microseconds_per_token: cost, .. } in lengths {
        text += &format!("{:>32} {cost:>13.3}\n", shape.sequence_length);
    }
    text += "\nparameters    layers    d   us per token   ns per token and parameter\n";
    for point in sizes {
        let Point { shape, parameters, microseconds_per_token: cost, .. } = point;
        let each = point.nanoseconds_per_token_and_parameter();
        text += &format!(
            "{parameters:>10} {:>9} {:>4} {cost:>12.3} {each:>26.4}\n",
            shape.dimensions.layers, shape.dimensions.d_model
        );
    }
    text += "\nthreads   us per token   speed-up\n";
    for point in counts {
        let (count, cost) = (point.threads, point.microseconds_per_token);
        text += &format!("{count:>7} {cost:>12.3} {:>10.2}\n", point.speedup(&counts[0]));
    }
    text
}
