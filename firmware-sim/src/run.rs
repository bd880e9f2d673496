//! `run`: the agent on the host and on targets, and the comparison.

use crate::arguments::{BuildArguments, DrawnArguments, RunArguments};
use crate::environment::Folder;
use crate::host::Run;
use crate::image::{is_too_big, Purpose};
use crate::report::{host_json, Measured};
use crate::target::Target;
use crate::trace::Trace;
use crate::usage::Wrong;
use crate::{device, gates, image};
use algodistill::files;
use algodistill_core::log::HEADER_MARKER;
use anyhow::bail;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// See [`crate::arguments::Command::Run`].
pub fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut objects = Vec::new();
    let mut different = Vec::new();
    // The first one: the others are equal, where the same model runs.
    let mut log = None;
    if arguments.log.is_some() && arguments.environment.0.len() > 1 {
        bail!(Wrong("--log: a log is of one environment; name it with --environment".into()));
    }
    if arguments.brown_outs && arguments.target.bare.is_empty() {
        bail!(Wrong(
            "--brown-outs: is of a device: name it with --target; of the host, `faults` shows them".into()
        ));
    }
    if let Some(path) = &arguments.log {
        check_log(path)?;
    }
    let purpose = if arguments.brown_outs { Purpose::BrownOuts } else { Purpose::Run };
    for environment in &arguments.environment.0 {
        let model = environment.model(arguments.model.as_deref(), &folder)?;
        let RunArguments { episodes, drawn: DrawnArguments { task, seed }, feed, .. } = *arguments;
        let task = environment.task(task, seed)?;
        let is_logged = arguments.log.is_some();
        let run = Run { model: &model, environment, task, episodes, seed, apart: feed, log: is_logged };
        let trace = run.trace()?;
        if !arguments.json {
            println!("{}, task {task}, with {}:", environment.preset, model.display());
        }
        if arguments.target.host {
            log = Some(trace.log.clone());
            objects.push(host_json(&run, &trace));
            if !arguments.json {
                print_host(&trace);
            }
        }
        for target in &arguments.target.bare {
            let measured = match arguments.model {
                Some(_) => measure(target, &run, &trace, arguments.build, purpose)?,
                None => or_small(target, &run, &trace, &folder, |run, trace| {
                    measure(target, run, trace, arguments.build, purpose)
                })?,
            };
            log.get_or_insert_with(|| measured.report.log.clone());
            if !arguments.json {
                print!("{measured}");
            }
            if measured.difference.is_some() {
                different.push(format!("{} on {}", environment.preset, target.name));
            }
            objects.push(measured.json());
        }
    }
    if let (Some(path), Some(log)) = (&arguments.log, &log) {
        files::write_bytes(path, log)?;
    }
    if arguments.json {
        match objects.as_slice() {
            [one] => println!("{one}"),
            all => println!("{}", serde_json::json!(all)),
        }
    }
    if !different.is_empty() {
        bail!("not as on the host: {}", different.join(", "));
    }
    Ok(())
}

/// A log is written where there is nothing yet, or in the place of another one.
fn check_log(path: &Path) -> anyhow::Result<()> {
    let is_empty = path.metadata().map_or(true, |found| found.is_file() && found.len() == 0);
    let mut front = [0; HEADER_MARKER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut front));
    if !is_empty && (read.is_err() || front != HEADER_MARKER) {
        let problem = "is there already and no log of steps; give another name, or remove it";
        bail!(Wrong(format!("--log: {} {problem}", path.display())));
    }
    Ok(())
}

/// What `measure` says of `run`, whose trace on the host is `trace`; where the model does not fit the
/// board, of the same run with a small one: the environment is still compared there.
pub fn or_small<T>(
    target: &'static Target,
    run: &Run,
    trace: &Trace,
    folder: &Folder,
    measure: impl Fn(&Run, &Trace) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match measure(run, trace) {
        Err(error) if is_too_big(&error) => {
            let (model, name) = (run.model.display(), target.name);
            let small = run.environment.small_model(folder)?;
            eprintln!("{model} does not fit {name}: {} runs there instead", small.display());
            let run = Run { model: &small, ..*run };
            measure(&run, &run.trace()?)
        }
        measured => measured,
    }
}

/// Builds the image, looks into it, runs it, and compares it with the host's `trace`.
pub fn measure(
    target: &'static Target,
    run: &Run,
    trace: &Trace,
    arguments: BuildArguments,
    purpose: Purpose,
) -> anyhow::Result<Measured> {
    let image = image::build(target, run.model, arguments, purpose)?;
    gates::symbols(&image)?;
    let report = device::run(target, &image, run, Duration::from_secs(arguments.timeout))?;
    let difference = trace.difference(&report.steps, report.observations_crc);
    Ok(Measured {
        target,
        preset: run.environment.preset,
        model: run.model.into(),
        task: run.task,
        apart: run.apart,
        difference: difference.or_else(|| trace.log_difference(&report.log)),
        image,
        report,
    })
}

fn print_host(trace: &Trace) {
    let Trace { total_return, last_episode_return, actions_crc, logits_crc, observations_crc, .. } = trace;
    println!("steps {}, return {total_return}, of the last episode {last_episode_return}", trace.steps.len());
    println!("CRC-32 of actions {actions_crc:08x}, of logits {logits_crc:08x}, of observations {observations_crc:08x}");
}
