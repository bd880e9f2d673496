//! What an [`Evaluation`] is told as: JSON, chart, text, and the files of all three.

use super::chart::{Chart, Line, Series};
use super::evaluation::{Evaluation, Measured};
use super::fidelity::Fidelity;
use super::rollout::Axis;
use super::statistics::Estimate;
use super::{svg, terminal};
use crate::files::write_bytes;
use crate::Result;
use serde_json::{json, Map, Value};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What a run counted in `never_solved` is.
pub const NEVER_SOLVED: &str =
    "runs of the int8 model whose rewards are all 0, in every episode of the context (a task: all its runs)";

/// Episodes (from 1) that get a column in the text.
const SHOWN_EPISODES: [usize; 9] = [1, 2, 3, 5, 8, 15, 20, 40, 100];

/// The JSON object of `evaluate`.
pub fn json(evaluation: &Evaluation) -> Value {
    let mut object = Map::new();
    let mut add = |key: &str, value: Value| object.insert(key.into(), value);
    add("environment", evaluation.name.clone().into());
    add("environment_config", json!(evaluation.environment));
    add("models", evaluation.models.iter().map(|model| model.file.clone()).collect());
    add("parameters", evaluation.models.first().map(|model| model.parameters).into());
    add("model_bytes", evaluation.models.first().map(|model| model.bytes).into());
    add("sampling", evaluation.sampling.clone().into());
    add("tasks", evaluation.contexts.tasks.len().into());
    add("tasks_held_out", evaluation.held_out.into());
    add("task_numbers", json!(evaluation.contexts.tasks));
    add("runs", evaluation.contexts.runs.into());
    add("episodes", evaluation.contexts.episodes.into());
    add("seed", evaluation.contexts.seed.into());
    add("demonstration", json!(evaluation.contexts.demonstration));
    if let Some(int8) = evaluation.of(Series::Int8) {
        let counted = int8.never_solved;
        add("never_solved", counted.runs.into());
        add("never_solved_share", (counted.runs as f64 / counted.of_runs.max(1) as f64).into());
        add("never_solved_tasks", counted.tasks.into());
        add("never_solved_definition", NEVER_SOLVED.into());
    }
    let axis = evaluation.contexts.axis();
    let by_key = |value: &dyn Fn(&Measured) -> Value| -> Map<String, Value> {
        evaluation.measured.iter().map(|one| (one.series.key().into(), value(one))).collect()
    };
    let mut curves = by_key(&|one| match axis {
        Axis::Episode => means(&one.curve),
        Axis::Step => json!([one.summary.mean]),
    });
    curves.insert(Series::Optimal.key().into(), evaluation.optimal.into());
    if !evaluation.ideal.is_empty() {
        curves.insert(Series::Ideal.key().into(), json!(evaluation.ideal));
    }
    add("curves", curves.into());
    add("intervals", by_key(&|one| interval(one, axis)).into());
    if axis == Axis::Step {
        add("step_rewards", by_key(&|one| means(&one.curve)).into());
    }
    let [first, last] = [evaluation.summary.start + 1, evaluation.summary.end];
    add("mean_over_episodes", json!([first, last]));
    add("mean_return", by_key(&|one| estimate(&one.summary)).into());
    if let Some(ratio) = ratio_to_source(evaluation) {
        add("ratio_to_source", ratio.into());
    }
    if let Some(fidelity) = &evaluation.fidelity {
        add("kl_nats", fidelity.kl_nats.into());
        add("top1_agreement", fidelity.top1_agreement.into());
        add("compared_steps", fidelity.steps.into());
        let mean_return = |series| evaluation.of(series).map(|one: &Measured| one.summary.mean);
        add("float_return", mean_return(Series::Float).into());
        add("int8_return", mean_return(Series::Int8).into());
    }
    add("per_task", per_task(evaluation));
    object.into()
}

/// Return of the int8 model as a share of the source algorithm's on the same tasks.
pub fn ratio_to_source(evaluation: &Evaluation) -> Option<f64> {
    let source = evaluation.of(Series::Source)?.summary.mean;
    let int8 = evaluation.of(Series::Int8)?.summary.mean;
    (source > 0.0).then(|| int8 / source)
}

fn means(curve: &[Estimate]) -> Value {
    curve.iter().map(|estimate| estimate.mean).collect()
}

fn estimate(estimate: &Estimate) -> Value {
    let Estimate { mean, low, high } = estimate;
    json!({"mean": mean, "low": low, "high": high})
}

/// 95 % confidence interval of each episode.
fn interval(measured: &Measured, axis: Axis) -> Value {
    let episodes = match axis {
        Axis::Episode => measured.curve.as_slice(),
        Axis::Step => std::slice::from_ref(&measured.summary),
    };
    let low: Vec<f64> = episodes.iter().map(|episode| episode.low).collect();
    let high: Vec<f64> = episodes.iter().map(|episode| episode.high).collect();
    json!({"low": low, "high": high})
}

/// One row a task: mean return of every learner over the summary's episodes.
fn per_task(evaluation: &Evaluation) -> Value {
    let row = |task: &u32| -> Value {
        let mut row = Map::from_iter([("task".into(), Value::from(*task))]);
        for one in &evaluation.measured {
            row.insert(one.series.key().into(), evaluation.task_return(one, *task).into());
        }
        row.into()
    };
    evaluation.contexts.tasks.iter().map(row).collect()
}

/// The learning curve with all baselines.
pub fn chart(evaluation: &Evaluation) -> Chart {
    let contexts = &evaluation.contexts;
    let axis = contexts.axis();
    let points = evaluation.measured.iter().map(|one| one.curve.len()).max().unwrap_or(0);
    let reference = |series, values: Vec<f64>| Line {
        series,
        points: values.into_iter().map(|mean| Estimate { mean, low: mean, high: mean }).collect(),
    };
    let optimal = match axis {
        Axis::Episode => evaluation.optimal,
        Axis::Step => {
            let steps = f64::from(evaluation.environment.horizon().unwrap_or(1));
            evaluation.optimal.map(|optimal| optimal / steps)
        }
    };
    let mut lines: Vec<Line> =
        optimal.map(|optimal| reference(Series::Optimal, vec![optimal; points])).into_iter().collect();
    if !evaluation.ideal.is_empty() {
        lines.push(reference(Series::Ideal, evaluation.ideal.clone()));
    }
    // Drawn last, over the others: what the plot is about.
    let mut measured: Vec<&Measured> = evaluation.measured.iter().collect();
    measured.sort_by_key(|one| std::cmp::Reverse(one.series));
    lines.extend(measured.iter().map(|one| Line { series: one.series, points: one.curve.clone() }));
    let (x, y) = match axis {
        Axis::Episode => ("episode", "return of the episode"),
        Axis::Step => ("step", "mean reward of the step"),
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
    format!("{model}{tasks} x {}; mean and 95 % confidence interval", count(contexts.runs as usize, "run"),)
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The summary table and the plot for the terminal, `width` columns wide.
pub fn text(evaluation: &Evaluation, width: usize) -> String {
    let chart = chart(evaluation);
    let mut text = format!("{}\n{}\n\n", chart.title, chart.subtitle);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "{}", table(evaluation));
    if let Some(int8) = evaluation.of(Series::Int8) {
        let counted = int8.never_solved;
        let _ = writeln!(
            text,
            "never solved (no reward in any episode): {} of {} runs, {} of {} tasks",
            counted.runs, counted.of_runs, counted.tasks, counted.of_tasks
        );
    }
    if let Some(ratio) = ratio_to_source(evaluation) {
        let _ = writeln!(text, "int8 model / source algorithm: {ratio:.3}");
    }
    if let Some(Fidelity { kl_nats, top1_agreement, steps }) = evaluation.fidelity {
        let _ = writeln!(
            text,
            "int8 against float over {steps} steps: KL {kl_nats:.5} nats, the same preferred action in {:.2} %",
            100.0 * top1_agreement
        );
    }
    let _ = write!(text, "\n{}:\n{}", chart.y, terminal::render(&chart, width));
    text
}

/// Returns by episode, one line a learner.
fn table(evaluation: &Evaluation) -> String {
    let episodes = evaluation.contexts.episodes as usize;
    let shown: Vec<usize> = match evaluation.contexts.axis() {
        Axis::Episode => SHOWN_EPISODES.into_iter().filter(|episode| *episode <= episodes).collect(),
        Axis::Step => Vec::new(),
    };
    let summary = match evaluation.contexts.axis() {
        Axis::Episode => format!("episodes {}-{}", evaluation.summary.start + 1, evaluation.summary.end),
        Axis::Step => "total reward".into(),
    };
    let heading = if shown.is_empty() { "" } else { "return of episode" };
    let mut table = row(heading, shown.iter().map(|episode| episode.to_string()));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(table, "   {summary} [95 % interval]");
    for one in &evaluation.measured {
        let Estimate { mean, low, high } = one.summary;
        let curve = shown.iter().map(|episode| format!("{:.2}", one.curve[episode - 1].mean));
        let _ = writeln!(table, "{}   {mean:.2} [{low:.2}, {high:.2}]", row(one.series.label(), curve));
    }
    if !evaluation.ideal.is_empty() {
        let curve = shown.iter().map(|episode| format!("{:.2}", evaluation.ideal[episode - 1]));
        let _ = writeln!(table, "{}", row(Series::Ideal.label(), curve));
    }
    let blank = shown.iter().map(|_| String::new());
    if let Some(optimal) = evaluation.optimal {
        let _ = write!(table, "{}   {optimal:.2}", row(Series::Optimal.label(), blank));
    }
    table
}

/// A label and its cells, in columns.
fn row(label: &str, cells: impl Iterator<Item = String>) -> String {
    cells.fold(format!("{label:<24}"), |row, cell| format!("{row}{cell:>7}"))
}

/// Writes `{stem}.json`, `{stem}.csv` and `{stem}.svg`; returns their paths.
pub fn write_files(evaluation: &Evaluation, stem: &Path) -> Result<Vec<PathBuf>> {
    let chart = chart(evaluation);
    let json = format!("{:#}\n", json(evaluation));
    let contents = [("json", json), ("csv", chart.csv()), ("svg", svg::render(&chart))];
    let write = |(extension, content): (&str, String)| {
        // Not `with_extension`: a stem may contain a dot.
        let mut path = stem.as_os_str().to_owned();
        path.push(format!(".{extension}"));
        write_bytes(Path::new(&path), content.as_bytes()).map(|()| path.into())
    };
    contents.into_iter().map(write).collect()
}
