//! `expected`: golden results of every target, reviewed as a diff.
//!
//! `expected/TARGET.run` has traces and instruction counts, `expected/TARGET.size` has sizes, both
//! of the shipped models, or of a small one where they do not fit the board;
//! `expected/TARGET.profile` has the instructions of each part of a step of the first of them. With the
//! compiler that wrote them they must be equal, but for the padding between functions; another
//! compiler may make other code, so its sizes and counts may differ by a tenth, and nothing else may.

use crate::arguments::ExpectedArguments;
use crate::environment::{Environment, Folder};
use crate::host::Run;
use crate::image::Purpose;
use crate::profile;
use crate::run::{measure, or_small};
use crate::target::Target;
use anyhow::{bail, Context};
use serde_json::Value;
use std::path::{Path, PathBuf};

const RUN_KEYS: [&str; 9] = [
    "steps",
    "total_return",
    "actions_crc32",
    "logits_crc32",
    "observations_crc32",
    "kernels",
    "instructions_per_step_full_ring",
    "instructions_encoders_per_step_full_ring",
    "instructions_observing_per_step_full_ring",
];
const SIZE_KEYS: [&str; 5] = [
    "flash_code_bytes",
    "flash_weights_bytes",
    "ram_static_bytes",
    "stack_start_up_bytes",
    "stack_act_bytes",
];
/// What depends on the compiler.
const COMPILED: [&str; 4] =
    ["per_step_full_ring", "flash_code_bytes", "stack_start_up_bytes", "stack_act_bytes"];

/// What depends on the folder of the sources: symbols are named after it, and with their names the order
/// of functions and the padding between them change.
const PADDED: [&str; 1] = ["flash_code_bytes"];
/// Bytes of that, at most.
const PADDING: f64 = 64.0;

/// Preset, task and episodes of the golden runs: 800 steps of Dark Room, 300 pulls of the bandit, 20
/// searches in the pictures of Watermaze, 400 steps of a motor.
const RUNS: [(&str, u32, u32); 4] =
    [("dark-room", 65, 40), ("bandit", 3, 3), ("watermaze", 3, 20), ("servo", 13_000, 10)];

/// See [`crate::arguments::Command::Expected`].
pub fn run(arguments: &ExpectedArguments) -> anyhow::Result<()> {
    let mut differences = Vec::new();
    for target in &arguments.target.bare {
        for (extension, found) in measured(target, arguments)? {
            let path = folder().join(target.name).with_extension(extension);
            if arguments.overwrite_expected {
                std::fs::write(&path, &found).with_context(|| path.display().to_string())?;
            }
            let expected = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            if !agree(&expected, &found) {
                differences.push(format!("{}:\n{expected}\nfound:\n{found}", path.display()));
            }
        }
        eprintln!("{}: done", target.name);
    }
    if !differences.is_empty() {
        bail!("not as expected (`expected --overwrite-expected` refreshes):\n{}", differences.join("\n"));
    }
    Ok(())
}

/// Of the golden files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("expected")
}

/// The extension and the text of each file.
fn measured(
    target: &'static Target,
    arguments: &ExpectedArguments,
) -> anyhow::Result<[(&'static str, String); 3]> {
    let [mut run_text, mut size_text, mut profile_text] = [(); 3].map(|()| String::new());
    let folder = Folder::new()?;
    for (preset, task, episodes) in RUNS {
        let environment = Environment::find(preset).context(preset)?;
        let model = environment.model(None, &folder)?;
        let environment = &environment;
        let run = Run { model: &model, environment, task, episodes, seed: 7, apart: false, log: false };
        let is_profiled = profile_text.is_empty();
        let (measured, parts) = or_small(target, &run, &run.trace()?, &folder, |run, trace| {
            let measured = measure(target, run, trace, arguments.build, Purpose::Run)?;
            let parts = match is_profiled {
                true => profile::parts(&measured, run, trace, arguments.build)?,
                false => Vec::new(),
            };
            Ok((measured, parts))
        })?;
        if let Some(difference) = measured.difference {
            bail!("{}: {difference}", target.name);
        }
        let json = measured.json();
        if is_profiled {
            line(&mut profile_text, "compiler", &json["compiler"]);
        }
        for (part, instructions) in parts {
            let key = format!("{preset}.instructions_{part}_per_step_full_ring");
            line(&mut profile_text, &key, &instructions.into());
        }
        for (text, keys) in [(&mut run_text, &RUN_KEYS[..]), (&mut size_text, &SIZE_KEYS[..])] {
            if text.is_empty() {
                line(text, "compiler", &json["compiler"]);
            }
            // Nothing is counted where there is no encoder.
            for key in keys.iter().filter(|key| !json[*key].is_null()) {
                line(text, &format!("{preset}.{key}"), &json[key]);
            }
        }
    }
    Ok([("run", run_text), ("size", size_text), ("profile", profile_text)])
}

fn line(text: &mut String, key: &str, value: &Value) {
    let value = value.as_str().map_or_else(|| value.to_string(), String::from);
    text.push_str(&format!("{key} = {value}\n"));
}

/// Whether two texts say the same, as far as their compilers allow.
fn agree(expected: &str, found: &str) -> bool {
    let is_same_compiler = expected.lines().next() == found.lines().next();
    let near = |a: &str, b: &str| match is_same_compiler {
        true => are_near(a, b, &PADDED, |_| PADDING),
        false => are_near(a, b, &COMPILED, |expected| 0.1 * expected),
    };
    let mut lines = expected.lines().zip(found.lines()).skip(1);
    expected.lines().count() == found.lines().count() && lines.all(|(a, b)| a == b || near(a, b))
}

/// Whether two lines have the same key, which ends with one of `keys`, and values that differ by no more
/// than `most`, given the expected one.
fn are_near(expected: &str, found: &str, keys: &[&str], most: impl Fn(f64) -> f64) -> bool {
    let parse = |line: &str| {
        let (key, value) = line.split_once(" = ")?;
        let is_meant = keys.iter().any(|name| key.ends_with(name));
        Some((key.to_string(), value.parse::<f64>().ok().filter(|_| is_meant)?))
    };
    match (parse(expected), parse(found)) {
        (Some((a, x)), Some((b, y))) => a == b && (x - y).abs() <= most(x),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_folder_may_move_code_and_another_compiler_all_that_is_compiled() {
        let text = |compiler, crc, code| {
            format!("compiler = {compiler}\na.actions_crc32 = {crc}\na.flash_code_bytes = {code}\n")
        };
        let expected = text("one", "00c0ffee", 1000);
        assert!(agree(&expected, &text("one", "00c0ffee", 1000)));
        assert!(agree(&expected, &text("one", "00c0ffee", 1064)));
        assert!(!agree(&expected, &text("one", "00c0ffee", 1065)));
        assert!(!agree(&expected, &text("one", "00c0ffef", 1000)));
        assert!(agree(&expected, &text("two", "00c0ffee", 1099)));
        assert!(!agree(&expected, &text("two", "00c0ffee", 1101)));
        assert!(!agree(&expected, &text("two", "00c0ffef", 1000)));
    }
}
