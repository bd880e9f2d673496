//! A learning curve with its baselines, apart from how it is drawn: the source of the SVG, the
//! terminal plot and the CSV.

use super::super::evaluation::{Evaluation, Measured};
use super::super::rollout::Axis;
use super::super::statistics::Estimate;
use super::figure::{Figure, Sweep, SweepLine};
use std::cmp::Ordering;
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
    /// Where each point lies on the horizontal axis, ascending.
    pub xs: Vec<f64>,
    /// Mean and confidence interval, one entry per point; references have intervals of width 0.
    pub points: Vec<Estimate>,
}

impl Line {
    /// A line whose points are numbered from 1.
    pub fn numbered(series: Series, points: Vec<Estimate>) -> Self {
        Self { series, xs: (1..=points.len()).map(|number| number as f64).collect(), points }
    }
}

/// Lines over episodes, steps, or what differs between models.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What was evaluated.
    pub title: String,
    /// Model size, tasks, runs.
    pub subtitle: String,
    /// Quantity of the horizontal axis: `episode`, `step`, `block`, `environment steps`, or the value
    /// of a sweep.
    pub x: String,
    /// Whether the horizontal axis is logarithmic.
    pub log: bool,
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

    /// First and last value of the horizontal axis; never the same.
    pub fn ends(&self) -> (f64, f64) {
        let all = || self.lines.iter().flat_map(|line| line.xs.iter().copied());
        let (first, last) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        match (first.is_finite(), first < last) {
            (false, _) => (1.0, 2.0),
            (true, false) => (first, first + 1.0),
            (true, true) => (first, last),
        }
    }

    /// How far right a value lies: 0 at the first of [`Chart::ends`], 1 at the last.
    pub fn place(&self, x: f64) -> f64 {
        let (first, last) = self.ends();
        match self.log {
            true => (x / first).ln() / (last / first).ln(),
            false => (x - first) / (last - first),
        }
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

    /// Tidy CSV: `curve,episode,mean,low,high` (or another [`Chart::x`]), one row per point; `low`
    /// and `high` are the 95 % confidence interval.
    pub fn csv(&self) -> String {
        let mut csv = format!("curve,{},mean,low,high\n", self.x.replace(',', ";"));
        for line in &self.lines {
            for (x, estimate) in line.xs.iter().zip(&line.points) {
                let Estimate { mean, low, high } = estimate;
                let row = format!("{},{x},{mean:.6},{low:.6},{high:.6}", line.series.key);
                // Writing to a string cannot fail.
                let _ = writeln!(csv, "{row}");
            }
        }
        csv
    }
}

/// The figure of an evaluation, with all baselines.
pub fn chart(evaluation: &Evaluation) -> Chart {
    match &evaluation.figure {
        Figure::Curves => curves(evaluation),
        Figure::Steps => over_steps(evaluation),
        Figure::Sweep(sweep) => swept(evaluation, sweep),
        Figure::Recorded(numbers) => of_sources(evaluation, numbers),
    }
}

/// The learning curve.
fn curves(evaluation: &Evaluation) -> Chart {
    let axis = evaluation.axis;
    let points = evaluation.measured.iter().map(|one| one.curve.len()).max().unwrap_or(0);
    let reference = |kind, values: Vec<f64>| {
        Line::numbered(Series::of(kind), values.into_iter().map(Estimate::exact).collect())
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
    lines.extend(drawn_last(evaluation).map(|one| Line::numbered(one.series.clone(), one.curve.clone())));
    let x = match axis {
        Axis::Episode => "episode",
        Axis::Step => "step",
        Axis::Block(_) => "block",
    };
    let title = format!("{}: learning in context, weights fixed", evaluation.title);
    Chart { title, subtitle: subtitle(evaluation), x: x.into(), log: false, y: height(axis), lines }
}

/// The learning curve over environment steps: where one learner is through with its first episodes
/// and another still in them, they are compared at the same experience.
fn over_steps(evaluation: &Evaluation) -> Chart {
    let chart = curves(evaluation);
    // References have no episodes of their own.
    let longest = evaluation
        .measured
        .iter()
        .max_by(|a, b| a.steps.last().partial_cmp(&b.steps.last()).unwrap_or(Ordering::Equal));
    let over = |line: Line| {
        let own = evaluation.measured.iter().find(|one| one.series == line.series);
        let xs = own.or(longest).map_or(line.xs, |one| one.steps.clone());
        Line { xs, ..line }
    };
    let lines = chart.lines.into_iter().map(over).collect();
    Chart { x: "environment steps".into(), lines, ..chart }
}

/// How sources learned, over the numbers of their episodes.
fn of_sources(evaluation: &Evaluation, numbers: &[(String, Vec<f64>)]) -> Chart {
    let chart = curves(evaluation);
    let longest = numbers.iter().max_by_key(|(_, numbers)| numbers.len());
    let numbered = |line: Line| {
        let own = numbers.iter().find(|(key, _)| *key == line.series.key).or(longest);
        Line { xs: own.map_or(line.xs, |(_, numbers)| numbers.clone()), ..line }
    };
    let title = format!("{}: how sources learn", evaluation.title);
    let subtitle = "mean of all training histories and 95 % confidence interval".into();
    let subtitle = with_note(evaluation, subtitle);
    Chart { title, subtitle, lines: chart.lines.into_iter().map(numbered).collect(), ..chart }
}

/// The summary of each model by what it differs in; baselines are level lines.
fn swept(evaluation: &Evaluation, sweep: &Sweep) -> Chart {
    let measured = |key: &String| evaluation.measured.iter().find(|one| one.series.key == *key);
    let line = |(place, line): (usize, &SweepLine)| {
        let kind = if place == 0 { Kind::Main } else { Kind::Other(place - 1) };
        let found = line.points.iter().filter_map(|(x, key)| Some((*x, measured(key)?.summary)));
        let (xs, points) = found.unzip();
        Line { series: Series { kind, key: line.key.clone(), label: line.label.clone() }, xs, points }
    };
    let models: Vec<Line> = sweep.lines.iter().enumerate().map(line).collect();
    let empty = Chart { x: sweep.x.clone(), log: sweep.log, lines: models, ..curves(evaluation) };
    let (first, last) = empty.ends();
    let level = |series: &Series, value: Estimate| Line {
        series: series.clone(),
        xs: vec![first, last],
        points: vec![value; 2],
    };
    let optimal =
        evaluation.optimal.map(|optimal| level(&Series::of(Kind::Optimal), Estimate::exact(optimal)));
    let baselines = drawn_last(evaluation)
        .filter(|one| matches!(one.series.kind, Kind::Source | Kind::Random))
        .map(|one| level(&one.series, one.summary));
    let lines = optimal.into_iter().chain(baselines).chain(empty.lines.into_iter().rev()).collect();
    let [first, last] = [evaluation.summary.start + 1, evaluation.summary.end];
    let y = match evaluation.axis {
        Axis::Episode => format!("mean return of episodes {first} to {last}"),
        Axis::Block(_) => format!("mean reward of blocks {first} to {last}"),
        Axis::Step => "total reward".into(),
    };
    let title = format!("{}: in-context learning by {}", evaluation.title, sweep.x);
    // Each point is a model of its own, of whatever size.
    let subtitle = with_note(evaluation, contexts(evaluation));
    Chart { title, subtitle, x: sweep.x.clone(), log: sweep.log, y, lines }
}

/// Quantity and unit of the vertical axis of a learning curve.
fn height(axis: Axis) -> String {
    match axis {
        Axis::Episode => "return of the episode".into(),
        Axis::Step => "mean reward of the step".into(),
        Axis::Block(steps) => format!("reward of a block of {steps} steps"),
    }
}

/// What was measured, in the order of drawing: what the plot is about last, over the others.
fn drawn_last(evaluation: &Evaluation) -> impl Iterator<Item = &Measured> {
    let mut measured: Vec<&Measured> = evaluation.measured.iter().collect();
    measured.sort_by_key(|one| std::cmp::Reverse(one.series.kind));
    measured.into_iter()
}

/// What was run, and how often.
fn subtitle(evaluation: &Evaluation) -> String {
    let model = evaluation.models.first().map_or(String::new(), |model| {
        format!(
            "int8, {:.1} k parameters, {}; ",
            model.parameters as f64 / 1e3,
            count(evaluation.models.len(), "training seed")
        )
    });
    with_note(evaluation, model + &contexts(evaluation))
}

/// Tasks and runs.
fn contexts(evaluation: &Evaluation) -> String {
    let contexts = &evaluation.contexts;
    let tasks = match evaluation.held_out {
        true => count(contexts.tasks.len(), "held-out task"),
        false => format!("{} (training may have seen them)", count(contexts.tasks.len(), "task")),
    };
    format!("{tasks} x {}; mean and 95 % confidence interval", count(contexts.runs as usize, "run"))
}

fn with_note(evaluation: &Evaluation, text: String) -> String {
    evaluation.note.iter().fold(text, |text, note| format!("{text}; {note}"))
}

pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
