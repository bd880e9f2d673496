//! A learning curve with its baselines, apart from how it is drawn: the source of the SVG, the
//! terminal plot and the CSV.

use super::super::evaluation::{Evaluation, Measured};
use super::super::rollout::Axis;
use super::super::statistics::Estimate;
use std::fmt::Write;

/// What kind of line it is. Those that come first are drawn over those that come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The quantized model that an evaluation is about, run by the code that firmware runs.
    Main,
    /// The same model before quantization.
    Float,
    /// Another quantized model, by its place among them; it decides the colour.
    Other(usize),
    /// The source algorithm, learning the same tasks from nothing.
    Source,
    /// Uniform random actions.
    Random,
    /// The ideal in-context learner where one is known (Dark Room: the shortest sweep of all
    /// cells).
    Ideal,
    /// An agent that knows the task.
    Optimal,
}

impl Kind {
    /// Whether the line is computed from the specification rather than measured.
    pub fn is_reference(self) -> bool {
        matches!(self, Self::Ideal | Self::Optimal)
    }
}

/// What a line of a chart shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What kind of line it is.
    pub kind: Kind,
    /// The key in JSON and CSV.
    pub key: String,
    /// The name in legends.
    pub label: String,
}

/// Keys of the lines that are there without being asked for; no further model may be called so.
pub const RESERVED_KEYS: [&str; 6] = ["int8", "float", "source", "random", "ideal", "optimal"];

impl Series {
    /// The line of a kind with its usual name.
    pub fn of(kind: Kind) -> Self {
        let (key, label) = match kind {
            Kind::Main => ("int8", "int8 model, in context"),
            Kind::Float => ("float", "float model, in context"),
            Kind::Other(_) => ("other", "another model"),
            Kind::Source => ("source", "source algorithm"),
            Kind::Random => ("random", "random actions"),
            Kind::Ideal => ("ideal", "ideal sweep"),
            Kind::Optimal => ("optimal", "optimum"),
        };
        Self { kind, key: key.into(), label: label.into() }
    }

    /// The main model under a name of its own in legends.
    pub fn main(label: &str) -> Self {
        Self { label: label.into(), ..Self::of(Kind::Main) }
    }

    /// A further model, number `place`.
    pub fn other(place: usize, name: &str, label: &str) -> Self {
        Self { kind: Kind::Other(place), key: name.into(), label: label.into() }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it shows.
    pub series: Series,
    /// Mean and confidence interval, one entry per point; references have intervals of width 0.
    pub points: Vec<Estimate>,
}

/// Lines over episodes or steps. The first point is number 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What was evaluated.
    pub title: String,
    /// Model size, tasks, runs.
    pub subtitle: String,
    /// `episode`, `step` or `block`.
    pub x: &'static str,
    /// Quantity and unit of the vertical axis.
    pub y: String,
    /// The lines; later ones are drawn over earlier ones.
    pub lines: Vec<Line>,
}

impl Chart {
    /// Number of points of the longest line.
    pub fn points(&self) -> usize {
        self.lines.iter().map(|line| line.points.len()).max().unwrap_or(0)
    }

    /// Top of the vertical axis, which begins at 0 or below: some air above the highest value.
    pub fn top(&self) -> f64 {
        let highest = self.values().map(|estimate| estimate.high).fold(0.0, f64::max);
        if highest > 0.0 {
            highest * 1.05
        } else {
            1.0
        }
    }

    /// Bottom of the vertical axis: 0 unless a value is negative.
    pub fn bottom(&self) -> f64 {
        self.values().map(|estimate| estimate.low).fold(0.0, f64::min) * 1.05
    }

    fn values(&self) -> impl Iterator<Item = &Estimate> {
        self.lines.iter().flat_map(|line| &line.points)
    }

    /// Tidy CSV: `curve,episode,mean,low,high` (or `step`, `block`), one row per point; `low` and
    /// `high` are the 95 % confidence interval.
    pub fn csv(&self) -> String {
        let mut csv = format!("curve,{},mean,low,high\n", self.x);
        for line in &self.lines {
            for (point, estimate) in line.points.iter().enumerate() {
                let Estimate { mean, low, high } = estimate;
                let row = format!("{},{},{mean:.6},{low:.6},{high:.6}", line.series.key, point + 1);
                // Writing to a string cannot fail.
                let _ = writeln!(csv, "{row}");
            }
        }
        csv
    }
}

/// The learning curve with all baselines.
pub fn chart(evaluation: &Evaluation) -> Chart {
    let contexts = &evaluation.contexts;
    let axis = contexts.axis();
    let points = evaluation.measured.iter().map(|one| one.curve.len()).max().unwrap_or(0);
    let reference = |kind, values: Vec<f64>| Line {
        series: Series::of(kind),
        points: values.into_iter().map(|mean| Estimate { mean, low: mean, high: mean }).collect(),
    };
    let optimal = match axis {
        Axis::Episode | Axis::Block(_) => evaluation.optimal,
        Axis::Step => {
            let steps = f64::from(evaluation.environment.horizon().unwrap_or(1));
            evaluation.optimal.map(|optimal| optimal / steps)
        }
    };
    let mut lines: Vec<Line> =
        optimal.map(|optimal| reference(Kind::Optimal, vec![optimal; points])).into_iter().collect();
    if !evaluation.ideal.is_empty() {
        lines.push(reference(Kind::Ideal, evaluation.ideal.clone()));
    }
    // Drawn last, over the others: what the plot is about.
    let mut measured: Vec<&Measured> = evaluation.measured.iter().collect();
    measured.sort_by_key(|one| std::cmp::Reverse(one.series.kind));
    lines.extend(measured.iter().map(|one| Line { series: one.series.clone(), points: one.curve.clone() }));
    let (x, y) = match axis {
        Axis::Episode => ("episode", "return of the episode".into()),
        Axis::Step => ("step", "mean reward of the step".into()),
        Axis::Block(steps) => ("block", format!("reward of a block of {steps} steps")),
    };
    let title = format!("{}: learning in context, weights fixed", evaluation.environment.describe());
    Chart { title, subtitle: subtitle(evaluation), x, y, lines }
}

fn subtitle(evaluation: &Evaluation) -> String {
    let contexts = &evaluation.contexts;
    let model = evaluation.models.first().map_or(String::new(), |model| {
        format!(
            "int8, {:.1} k parameters, {}; ",
            model.parameters as f64 / 1e3,
            count(evaluation.models.len(), "training seed")
        )
    });
    let tasks = match evaluation.held_out {
        true => count(contexts.tasks.len(), "held-out task"),
        false => format!("{} (training may have seen them)", count(contexts.tasks.len(), "task")),
    };
    format!("{model}{tasks} x {}; mean and 95 % confidence interval", count(contexts.runs as usize, "run"))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
