//! The JSON object of an evaluation: what programs read. Fields are only added.

use super::chart::{Kind, Series};
use super::figure::{Figure, Sweep, SweepLine};
use crate::evaluate::evaluation::{Evaluation, Measured, ModelSummary};
use crate::evaluate::rollout::Axis;
use crate::evaluate::statistics::Estimate;
use serde_json::{json, Map, Value};

/// What a run counted in `never_solved` is.
pub const NEVER_SOLVED: &str =
    "runs of the int8 model whose rewards are all 0, in every episode of the context (a task: all its runs)";

/// The JSON object of `evaluate`.
pub fn json(evaluation: &Evaluation) -> Value {
    let mut object = Map::new();
    let mut add = |key: &str, value: Value| object.insert(key.into(), value);
    add("environment", evaluation.name.clone().into());
    add("environment_config", json!(evaluation.environment));
    add("models", evaluation.models.iter().map(|model| model.file.clone()).collect());
    if !evaluation.others.is_empty() {
        add("other_models", evaluation.others.iter().map(other_models).collect::<Map<_, _>>().into());
        let of_each = |bytes: fn(&ModelSummary) -> usize| -> Map<String, Value> {
            let of = |(name, models): &(String, Vec<ModelSummary>)| {
                (name.clone(), models.first().map(bytes).into())
            };
            evaluation.others.iter().map(of).collect()
        };
        add("other_model_bytes", of_each(|model| model.bytes).into());
        add("other_ring_bytes", of_each(|model| model.ring_bytes).into());
    }
    add("parameters", evaluation.models.first().map(|model| model.parameters).into());
    add("model_bytes", evaluation.models.first().map(|model| model.bytes).into());
    add("ring_bytes", evaluation.models.first().map(|model| model.ring_bytes).into());
    add("sampling", evaluation.sampling.clone().into());
    add("tasks", evaluation.contexts.tasks.len().into());
    add("tasks_held_out", evaluation.held_out.into());
    add("task_numbers", json!(evaluation.contexts.tasks));
    if !evaluation.task_names.is_empty() {
        add("task_names", json!(evaluation.task_names));
    }
    add("runs", evaluation.contexts.runs.into());
    add("episodes", evaluation.contexts.episodes.into());
    add("seed", evaluation.contexts.seed.into());
    add("demonstration", json!(evaluation.contexts.demonstration));
    if let Some(int8) = evaluation.of(Kind::Main) {
        let counted = int8.never_solved;
        add("never_solved", counted.runs.into());
        add("never_solved_share", (counted.runs as f64 / counted.of_runs.max(1) as f64).into());
        add("never_solved_tasks", counted.tasks.into());
        add("never_solved_definition", NEVER_SOLVED.into());
    }
    let axis = evaluation.axis;
    let by_key = |value: &dyn Fn(&Measured) -> Value| -> Map<String, Value> {
        evaluation.measured.iter().map(|one| (one.series.key.clone(), value(one))).collect()
    };
    let mut curves = by_key(&|one| match axis {
        Axis::Episode | Axis::Block(_) => means(&one.curve),
        Axis::Step => json!([one.summary.mean]),
    });
    if matches!(axis, Axis::Block(_)) {
        add("reward_per_block", curves.clone().into());
    }
    curves.insert(Series::of(Kind::Optimal).key, evaluation.optimal.into());
    if !evaluation.ideal.is_empty() {
        curves.insert(Series::of(Kind::Ideal).key, json!(evaluation.ideal));
    }
    add("curves", curves.into());
    add("intervals", by_key(&|one| interval(one, axis)).into());
    if axis == Axis::Step {
        add("step_rewards", by_key(&|one| means(&one.curve)).into());
    }
    let [first, last] = [evaluation.summary.start + 1, evaluation.summary.end];
    match evaluation.contexts.stream {
        None => add("mean_over_episodes", json!([first, last])),
        Some(stream) => {
            add("steps", stream.steps.into());
            add("steps_per_block", stream.block.into());
            add("mean_over_blocks", json!([first, last]))
        }
    };
    add("mean_return", by_key(&|one| estimate(&one.summary)).into());
    add("labels", by_key(&|one| one.series.label.clone().into()).into());
    add("steps_to_90_percent", by_key(&|one| json!(evaluation.steps_to_90_percent(one))).into());
    match &evaluation.figure {
        Figure::Curves => {}
        Figure::Steps => {
            add("environment_steps", by_key(&|one| json!(one.steps)).into());
        }
        Figure::Recorded(numbers) => {
            add(
                "episode_numbers",
                numbers.iter().map(|(key, at)| (key.clone(), json!(at))).collect::<Map<_, _>>().into(),
            );
        }
        Figure::Sweep(sweep) => {
            add("sweep", swept(evaluation, sweep));
        }
    }
    if let Some(ratio) = ratio_to_source(evaluation) {
        add("ratio_to_source", ratio.into());
    }
    if let Some(fidelity) = &evaluation.fidelity {
        add("kl_nats", fidelity.kl_nats.into());
        add("top1_agreement", fidelity.top1_agreement.into());
        add("compared_steps", fidelity.steps.into());
        let mean_return = |kind| evaluation.of(kind).map(|one: &Measured| one.summary.mean);
        add("float_return", mean_return(Kind::Float).into());
        add("int8_return", mean_return(Kind::Main).into());
    }
    add("per_task", per_task(evaluation));
    add("warnings", json!(evaluation.warnings));
    object.into()
}

/// The lines of a sweep.
fn swept(evaluation: &Evaluation, sweep: &Sweep) -> Value {
    let summary = |key: &String| {
        let found = evaluation.measured.iter().find(|one| one.series.key == *key);
        found.map(|one| estimate(&one.summary))
    };
    let point = |(x, key): &(f64, String)| json!({"x": x, "curve": key, "return": summary(key)});
    let line = |line: &SweepLine| {
        let points: Vec<Value> = line.points.iter().map(point).collect();
        (line.key.clone(), json!({"label": line.label, "points": points}))
    };
    json!({"x": sweep.x, "lines": sweep.lines.iter().map(line).collect::<Map<_, _>>()})
}

fn other_models((name, models): &(String, Vec<ModelSummary>)) -> (String, Value) {
    (name.clone(), models.iter().map(|model| model.file.clone()).collect())
}

/// Return of the int8 model as a share of the source algorithm's on the same tasks.
pub fn ratio_to_source(evaluation: &Evaluation) -> Option<f64> {
    let source = evaluation.of(Kind::Source)?.summary.mean;
    let int8 = evaluation.of(Kind::Main)?.summary.mean;
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
        Axis::Episode | Axis::Block(_) => measured.curve.as_slice(),
        Axis::Step => std::slice::from_ref(&measured.summary),
    };
    let low: Vec<f64> = episodes.iter().map(|episode| episode.low).collect();
    let high: Vec<f64> = episodes.iter().map(|episode| episode.high).collect();
    json!({"low": low, "high": high})
}

/// One row per task: mean return of every learner over the summary's episodes.
fn per_task(evaluation: &Evaluation) -> Value {
    let row = |task: &u32| -> Value {
        let mut row = Map::from_iter([("task".into(), Value::from(*task))]);
        for one in &evaluation.measured {
            row.insert(one.series.key.clone(), evaluation.task_return(one, *task).into());
        }
        row.into()
    };
    evaluation.contexts.tasks.iter().map(row).collect()
}
