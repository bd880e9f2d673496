//! `profile`: instructions of each part of a step with a full ring.

use crate::arguments::{BuildArguments, DrawnArguments, ProfileArguments};
use crate::environment::Folder;
use crate::host::Run;
use crate::image::{self, Purpose};
use crate::report::Measured;
use crate::run::{measure, or_small};
use crate::target::Target;
use crate::trace::Trace;
use crate::{device, fit};
use anyhow::{bail, Context};
use serde_json::json;
use std::time::Duration;

/// What the sum of all parts may be off from the instructions of a step that nobody looks into.
const TOLERANCE: f64 = 0.02;

/// Name and instructions of each part of a step, in the order of a step.
pub type Parts = Vec<(String, u64)>;

/// See [`crate::arguments::Command::Profile`].
pub fn run(arguments: &ProfileArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    if arguments.fit {
        return fit::run(arguments, &folder);
    }
    let ProfileArguments { environment, episodes, drawn: DrawnArguments { task, seed }, build, .. } =
        arguments;
    let model = environment.model(arguments.model.as_deref(), &folder)?;
    let task = environment.task(*task, *seed)?;
    let run =
        Run { model: &model, environment, task, episodes: *episodes, seed: *seed, apart: false, log: false };
    let trace = run.trace()?;
    let mut columns = Vec::new();
    for target in &arguments.target.bare {
        let profile = |run: &Run, trace: &Trace| {
            let measured = measure(target, run, trace, *build, Purpose::Run)?;
            let parts = parts(&measured, run, trace, *build)?;
            Ok((measured, parts))
        };
        let (measured, parts) = match arguments.model {
            Some(_) => profile(&run, &trace)?,
            None => or_small(target, &run, &trace, &folder, profile)?,
        };
        if arguments.json {
            println!("{}", to_json(&measured, &parts));
        }
        columns.push((measured, parts));
    }
    if !arguments.json {
        print!("{}", table(&columns));
    }
    Ok(())
}

/// The parts of a step of `run`, which was measured as a whole before: they must make up the whole.
pub fn parts(
    measured: &Measured,
    run: &Run,
    trace: &Trace,
    arguments: BuildArguments,
) -> anyhow::Result<Parts> {
    let target = measured.target;
    let parts = count(target, run, trace, arguments)?;
    let (sum, whole) = (sum(&parts), measured.instructions().unwrap_or(0));
    if sum.abs_diff(whole) as f64 > TOLERANCE * whole as f64 {
        let problem = format!(
            "the parts make up {sum} instructions, a step takes {whole}: expected 2 % at most between them"
        );
        bail!("{}: {problem}\n{parts:?}", target.name);
    }
    Ok(parts)
}

/// The parts alone.
pub fn count(
    target: &'static Target,
    run: &Run,
    trace: &Trace,
    arguments: BuildArguments,
) -> anyhow::Result<Parts> {
    let image = image::build(target, run.model, arguments, Purpose::Profile)?;
    let report = device::run(target, &image, run, Duration::from_secs(arguments.timeout))?;
    if let Some(difference) = trace.difference(&report.steps, report.observations_crc) {
        bail!("{}: with its parts counted {difference}", target.name);
    }
    let (steps, window) = (report.steps.len(), image.window);
    report.parts(steps.saturating_sub(window)).with_context(|| {
        format!("the run has {steps} steps, but the ring is full after {window}: expected more --episodes")
    })
}

fn sum(parts: &Parts) -> u64 {
    parts.iter().map(|(_, instructions)| instructions).sum()
}

fn to_json(measured: &Measured, parts: &Parts) -> serde_json::Value {
    let Measured { target, preset, model, task, image, report, .. } = measured;
    let by_name: serde_json::Map<_, _> =
        parts.iter().map(|(name, instructions)| (name.clone(), (*instructions).into())).collect();
    json!({
        "target": target.name,
        "machine": target.machine,
        "compiler": image.compiler,
        "kernels": report.kernels,
        "environment": preset,
        "model": model.display().to_string(),
        "task": task,
        "parameters": image.parameters,
        "instructions_per_step_full_ring": measured.instructions(),
        "instructions_of_all_parts": sum(parts),
        "instructions_by_part": by_name,
    })
}

/// A row for each part, a column for each target.
fn table(columns: &[(Measured, Parts)]) -> String {
    let row = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
    let of_all = |cell: &dyn Fn(&Measured, &Parts) -> String| {
        columns.iter().map(|(measured, parts)| cell(measured, parts)).collect::<Vec<_>>()
    };
    let mut text = row("instructions (not cycles)", of_all(&|measured, _| measured.target.name.into()));
    text += &format!("|{}\n", "---|".repeat(1 + columns.len()));
    let names = columns.first().map_or(&[][..], |(_, parts)| parts);
    for (index, (name, _)) in names.iter().enumerate() {
        text +=
            &row(name, of_all(&|_, parts| parts.get(index).map_or("-".into(), |part| part.1.to_string())));
    }
    text += &row("all parts", of_all(&|_, parts| sum(parts).to_string()));
    let whole = |measured: &Measured, _: &Parts| {
        measured.instructions().map_or("-".into(), |whole| whole.to_string())
    };
    text += &row("a step without counting", of_all(&whole));
    text += &row("parameters", of_all(&|measured, _| measured.image.parameters.to_string()));
    text
}
