//! `table`: the table of the documentation, measured.

use crate::arguments::{RandomModelArguments, TableArguments};
use crate::environment::{shipped_model, small_shipped_model, Environment, Folder};
use crate::host::{read_model, Run};
use crate::image::{is_too_big, Purpose};
use crate::run::measure;
use crate::target::{Target, TARGETS};
use crate::{random_model, report::Measured};
use algodistill_core::Model;
use std::path::{Path, PathBuf};

/// Enough to fill a ring of 160 steps and then count 40 more.
const EPISODES: u32 = 10;

/// For environments with numbers or a picture: an episode may be short where its task is solved.
const SEEN_EPISODES: u32 = 40;
const SEEN_TASK: u32 = 3;

/// Dimensions of the models beside the shipped one: layers, d_model, heads, heads of keys and values, d_ff.
const SMALL: [u16; 5] = [2, 32, 4, 4, 64];
const LARGE: [u16; 5] = [2, 96, 4, 4, 320];
const WINDOW: u16 = 160;

/// See [`crate::arguments::Command::Table`].
pub fn run(arguments: &TableArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    rows(arguments, &folder.0)
}

fn rows(arguments: &TableArguments, folder: &Path) -> anyhow::Result<()> {
    if !arguments.json {
        println!("| environment | target | parameters | instructions per step | of them in encoders | to show an observation | flash: code | flash: weights | RAM: static | stack |");
        println!("|---|---|---|---|---|---|---|---|---|---|");
    }
    let dark_room = Environment::dark_room();
    let small = small_shipped_model(dark_room.preset);
    let sizes = [small, random(folder, SMALL)?, shipped_model("dark-room"), random(folder, LARGE)?];
    let sizes = sizes.map(|model| (dark_room.clone(), model, 65, EPISODES));
    let seen = Environment::with_shipped_model().filter(Environment::has_encoders);
    let seen = seen.map(|environment| {
        let model = shipped_model(environment.preset);
        (environment, model, SEEN_TASK, SEEN_EPISODES)
    });
    for (environment, model, task, episodes) in &sizes.into_iter().chain(seen).collect::<Vec<_>>() {
        let (task, episodes) = (*task, *episodes);
        let run = Run { model, environment, task, episodes, seed: 7, apart: false, log: false };
        let trace = run.trace()?;
        for target in &TARGETS {
            match measure(target, &run, &trace, arguments.build, Purpose::Run) {
                Ok(measured) => print(arguments, &measured),
                // A model too big for the chip does not link; that is an entry of the table.
                Err(error) if is_too_big(&error) => too_big(arguments, target, environment, model)?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn too_big(
    arguments: &TableArguments,
    target: &Target,
    environment: &Environment,
    model: &Path,
) -> anyhow::Result<()> {
    let preset = environment.preset;
    let parameters = Model::decode(&read_model(model)?)?.parameters();
    if arguments.json {
        let json = serde_json::json!({
            "environment": preset,
            "target": target.name,
            "parameters": parameters,
            "fits": false,
        });
        println!("{json}");
    } else {
        println!(
            "| {preset} | {} | {parameters} | does not link: too big for this board | | | | | | |",
            target.name
        );
    }
    Ok(())
}

fn random(folder: &Path, [layers, d_model, heads, kv_heads, d_ff]: [u16; 5]) -> anyhow::Result<PathBuf> {
    let out = folder.join(format!("{layers}-{d_model}-{kv_heads}-{d_ff}.adw"));
    let environment = Environment::dark_room();
    let model = RandomModelArguments {
        layers,
        d_model,
        heads,
        kv_heads: Some(kv_heads),
        d_ff,
        window: WINDOW,
        final_observation: true,
        environment,
        seed: 0,
        out: out.clone(),
    };
    random_model::run(&model)?;
    Ok(out)
}

fn print(arguments: &TableArguments, measured: &Measured) {
    if arguments.json {
        return println!("{}", measured.json());
    }
    let Measured { target, preset, image, .. } = measured;
    let counts = [measured.instructions(), measured.encoding(), measured.observing()];
    let [instructions, encoders, observing] =
        counts.map(|count| count.map_or("-".into(), |count| count.to_string()));
    let (code, weights) = (image.elf.flash.saturating_sub(image.weights), image.weights);
    let (parameters, ram, stack) = (image.parameters, image.elf.ram, measured.stack());
    println!(
        "| {preset} | {} | {parameters} | {instructions} | {encoders} | {observing} | {code} | {weights} | {ram} | {stack} |",
        target.name
    );
}
