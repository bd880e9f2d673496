//! `algodistill deploy`: a folder that builds for a microcontroller.

use super::Report;
use crate::deploy::{deploy, Deployed, Memory};
use crate::Result;
use serde_json::json;
use std::path::PathBuf;

/// Write a folder that builds as it is: the library for the cores, header, model, a main loop with
/// sensor and actuator left as two functions, and the manifests of the build system.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Weights file.
    #[arg(value_name = "MODEL.adw")]
    pub model: PathBuf,
    /// What the folder is for: arduino, platformio, esp-idf, zephyr, cmsis-pack or rust.
    #[arg(long = "for", value_name = "ECOSYSTEM")]
    pub ecosystem: String,
    /// Folder to write; there is none of this name, or it is empty.
    #[arg(long)]
    pub out: PathBuf,
    /// Core that the library is built for; may be repeated [default: all that the ecosystem has; for
    /// rust cortex-m4]. cortex-m0plus, cortex-m3, cortex-m4, cortex-m7, cortex-m33, rv32imc, rv32imac.
    #[arg(long = "core", value_name = "CORE")]
    pub cores: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let Args { model, ecosystem, out, cores } = args;
    let Deployed { cores, files, memory } = deploy(model, ecosystem, cores, out)?;
    let mut text = format!("{}: {} files for {}\n", out.display(), files.len(), cores.join(", "));
    for Memory { core, flash, ram, .. } in &memory {
        text += &format!("{core:<13} flash {flash:>7} bytes, RAM {ram:>7} bytes\n");
    }
    text += &format!("next: {}\n", out.join("README.md").display());
    let json = json!({
        "folder": out.display().to_string(),
        "for": ecosystem,
        "cores": cores,
        "memory": memory,
        "files": files,
    });
    Ok(Report { text, json })
}
