//! A learning curve with its baselines, apart from how it is drawn: the source of the SVG, the terminal plot and the CSV.

use super::statistics::Estimate;
use std::fmt::Write;

/// What a line of a chart shows. The name is the same in JSON, CSV and legends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// The quantized model, run by the code that firmware runs.
    Int8,
    /// The model before quantization.
    Float,
    /// The same model and budget, trained on the end of the histories only.
    Expert,
    /// The source algorithm, learning the same tasks from nothing.
    Source,
    /// Uniform random actions.
    Random,
    /// The ideal in-context learner where one is known (Dark Room: the shortest sweep of all cells).
    Ideal,
    /// An agent that knows the task.
    Optimal,
}

impl Series {
    /// The key in JSON and CSV.
    pub fn key(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Float => "float",
            Self::Expert => "expert",
            Self::Source => "source",
            Self::Random => "random",
            Self::Ideal => "ideal",
            Self::Optimal => "optimal",
        }
    }

    /// The name in legends.
    pub fn label(self) -> &'static str {
        match self {
            Self::Int8 => "int8 model, in context",
            Self::Float => "float model, in context",
            Self::Expert => "expert distillation",
            Self::Source => "source algorithm",
            Self::Random => "random actions",
            Self::Ideal => "ideal sweep",
            Self::Optimal => "optimum",
        }
    }

    /// Whether the line is computed from the specification rather than measured.
    pub fn is_reference(self) -> bool {
        matches!(self, Self::Ideal | Self::Optimal)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it shows.
    pub series: Series,
    /// Mean and confidence interval, one entry a point; references have intervals of width 0.
    pub points: Vec<Estimate>,
}

/// Lines over episodes or steps. The first point is number 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What was evaluated.
    pub title: String,
    /// Model size, tasks, runs.
    pub subtitle: String,
    /// `episode` or `step`.
    pub x: &'static str,
    /// Quantity and unit of the vertical axis.
    pub y: &'static str,
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

    /// Tidy CSV: `curve,episode,mean,low,high` (or `step`), one row a point; `low` and `high` are the 95 % confidence interval.
    pub fn csv(&self) -> String {
        let mut csv = format!("curve,{},mean,low,high\n", self.x);
        for line in &self.lines {
            for (point, estimate) in line.points.iter().enumerate() {
                let Estimate { mean, low, high } = estimate;
                let row = format!("{},{},{mean:.6},{low:.6},{high:.6}", line.series.key(), point + 1);
                // Writing to a string cannot fail.
                let _ = writeln!(csv, "{row}");
            }
        }
        csv
    }
}
