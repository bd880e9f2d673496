//! `profile --fit`: what `algodistill inspect` estimates from.

use crate::arguments::{ProfileArguments, RandomModelArguments};
use crate::environment::{Environment, Folder};
use crate::host::Run;
use crate::image::is_too_big;
use crate::target::Target;
use crate::{expected, profile, random_model};
use anyhow::Context;

/// Preset, layers, d_model, heads, heads of keys and values, d_ff, window: every dimension has several
/// values, in changing company, and as many models as costs are fitted fit the smallest board.
const MODELS: [(&str, [u16; 6]); 9] = [
    ("bandit", [1, 32, 4, 4, 64, 40]),
    ("dark-room", [2, 32, 4, 1, 128, 64]),
    ("key-to-door", [1, 48, 2, 1, 96, 80]),
    ("dark-room", [1, 64, 4, 2, 256, 48]),
    ("dark-room", [2, 16, 2, 1, 32, 32]),
    ("bandit", [1, 32, 2, 2, 128, 56]),
    ("dark-room", [2, 64, 4, 4, 192, 120]),
    ("bandit", [2, 64, 2, 2, 256, 160]),
    ("key-to-door", [1, 96, 4, 4, 320, 100]),
];

/// Steps behind those that fill the ring.
const COUNTED: u32 = 100;

/// Writes `expected/TARGET.fit` of each target.
pub fn run(arguments: &ProfileArguments, folder: &Folder) -> anyhow::Result<()> {
    for target in &arguments.target.bare {
        let mut text = String::new();
        for (preset, dimensions) in MODELS {
            match line(target, arguments, folder, preset, dimensions) {
                Ok(line) => text += &line,
                Err(error) if is_too_big(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let path = expected::folder().join(target.name).with_extension("fit");
        std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
        eprintln!("{}: done", target.name);
    }
    Ok(())
}

/// Names and numbers by turns: the model's dimensions, and the instructions of each part.
fn line(
    target: &'static Target,
    arguments: &ProfileArguments,
    folder: &Folder,
    preset: &str,
    [layers, d_model, heads, kv_heads, d_ff, window]: [u16; 6],
) -> anyhow::Result<String> {
    let environment = Environment::find(preset).context("no such preset")?;
    let out = folder.0.join("fit.adw");
    random_model::run(&RandomModelArguments {
        layers,
        d_model,
        heads,
        kv_heads: Some(kv_heads),
        d_ff,
        window,
        final_observation: true,
        environment: environment.clone(),
        seed: arguments.drawn.seed,
        out: out.clone(),
    })?;
    let (family, seed) = (&environment.family, arguments.drawn.seed);
    let interface = family.interface();
    let run = Run {
        model: &out,
        environment: &environment,
        task: environment.task(None, seed)?,
        // Some end before their time.
        episodes: 2 * (u32::from(window) + COUNTED).div_ceil(family.horizon()),
        seed,
        apart: false,
        log: false,
    };
    let parts = profile::count(target, &run, &run.trace()?, arguments.build)?;
    let words = interface.channels.iter().filter(|channel| channel.table_rows() > 0).count();
    let mut line = format!(
        "layers {layers} d_model {d_model} heads {heads} kv_heads {kv_heads} d_ff {d_ff} window {window} actions {} words {words}",
        interface.actions
    );
    for (part, instructions) in parts {
        line += &format!(" {part} {instructions}");
    }
    Ok(line + "\n")
}
