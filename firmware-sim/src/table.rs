//! `table`: the table of the documentation, measured.

use crate::arguments::{RandomModelArguments, TableArguments};
use crate::environment::{shipped_model, Environment, Folder};
use crate::host::{read_model, Run};
use crate::image::is_too_big;
use crate::run::measure;
use crate::target::{Target, TARGETS};
use crate::{random_model, report::Measured};
use algodistill_core::Model;
use std::path::{Path, PathBuf};

/// Enough to fill a ring of 160 steps and then count 40 more.
const EPISODES: u32 = 10;

/// Dimensions of the models beside the shipped one: layers, d_model, heads, d_ff.
const SMALL: [u16; 4] = [2, 32, 4, 64];
const LARGE: [u16; 4] = [2, 96, 4, 320];
const WINDOW: u16 = 160;

/// See [`crate::arguments::Command::Table`].
pub fn run(arguments: &TableArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    rows(arguments, &folder.0)
}

fn rows(arguments: &TableArguments, folder: &Path) -> anyhow::Result<()> {
    if !arguments.json {
        println!("| target | parameters | instructions per step | flash: code | flash: weights | RAM: static | stack |");
        println!("|---|---|---|---|---|---|---|");
    }
    let models = [random(folder, SMALL)?, shipped_model("dark-room"), random(folder, LARGE)?];
    for model in &models {
        let run = Run {
            model,
            environment: &Environment::dark_room(),
            task: 65,
            episodes: EPISODES,
            seed: 7,
            apart: false,
        };
        let trace = run.trace()?;
        for target in &TARGETS {
            match measure(target, &run, &trace, arguments.build) {
                Ok(measured) => print(arguments, &measured),
                // A model too big for the chip does not link; that is an entry of the table.
                Err(error) if is_too_big(&error) => too_big(arguments, target, model)?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn too_big(arguments: &TableArguments, target: &Target, model: &Path) -> anyhow::Result<()> {
    let parameters = Model::decode(&read_model(model)?)?.parameters();
    if arguments.json {
        let json = serde_json::json!({ "target": target.name, "parameters": parameters, "fits": false });
        println!("{json}");
    } else {
        println!("| {} | {parameters} | does not link: too big for this board | | | | |", target.name);
    }
    Ok(())
}

fn random(folder: &Path, [layers, d_model, heads, d_ff]: [u16; 4]) -> anyhow::Result<PathBuf> {
    let out = folder.join(format!("{layers}-{d_model}-{d_ff}.adw"));
    let environment = Environment::dark_room();
    let model = RandomModelArguments {
        layers,
        d_model,
        heads,
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
    let Measured { target, image, .. } = measured;
    let instructions = measured.instructions().map_or("-".into(), |count| count.to_string());
    let (code, weights) = (image.elf.flash.saturating_sub(image.weights), image.weights);
    let (parameters, ram, stack) = (image.parameters, image.elf.ram, measured.stack());
    println!("| {} | {parameters} | {instructions} | {code} | {weights} | {ram} | {stack} |", target.name);
}
