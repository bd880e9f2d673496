//! `algodistill inspect`: what is in a weights file and what it needs on a device.

use super::Report;
use crate::evaluate::models::MAX_WEIGHTS_BYTES;
use crate::{files, Error, Result};
use algodistill_core::{Channel, Model};
use serde_json::json;
use std::path::PathBuf;

/// Show header, training card, memory plan and checksum of a weights file.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Weights file (.adw).
    pub file: PathBuf,
}

/// What a model needs on a device, in bytes.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct MemoryPlan {
    /// The weights file in flash.
    pub flash: usize,
    /// Keys and values of the context.
    pub ring: usize,
    /// Working memory of one step.
    pub scratch: usize,
    /// A context snapshot in storage.
    pub snapshot: usize,
}

impl MemoryPlan {
    /// Of a decoded model whose file has `flash` bytes.
    pub fn new(model: &Model, flash: usize) -> Self {
        let dimensions = model.dimensions();
        let ring = dimensions.ring_bytes();
        let scratch = 4 * model.workspace_words() - ring;
        Self { flash, ring, scratch, snapshot: algodistill_core::context::snapshot_len(&dimensions) }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { flash, ring, scratch, snapshot } = self;
        let ram = ring + scratch;
        format!(
            "memory     flash {flash} bytes (weights), RAM {ram} bytes (ring {ring}, scratch {scratch}), \
             snapshot {snapshot} bytes\n"
        )
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let bytes = files::read_bytes(&args.file, MAX_WEIGHTS_BYTES)?;
    let model = Model::decode(&bytes).map_err(|e| Error::file(&args.file, e))?;
    let card: serde_json::Value = serde_json::from_str(model.card())
        .map_err(|e| Error::file(&args.file, format!("the training card is not JSON: {e}")))?;
    let plan = MemoryPlan::new(&model, bytes.len());
    let dimensions = model.dimensions();
    let interface = model.interface();
    let channels: Vec<u16> = interface
        .channels
        .iter()
        .map(|channel| match channel {
            Channel::Discrete { size } => *size,
            _ => 0,
        })
        .collect();
    let text = format!(
        "{file}\nformat     version {version}, CRC-32 {crc:08x} (matches)\n\
         model      {parameters} int8 parameters: {layers} layers, d_model {d}, {heads} heads, d_ff {ff}, window {window}\n\
         interface  observation channels {channels:?}, {actions} actions, reward levels {levels:?}\n{plan}\
         card       {card:#}\n",
        file = args.file.display(),
        version = algodistill_core::model::FORMAT_VERSION,
        crc = model.crc(),
        parameters = model.parameters(),
        layers = dimensions.layers,
        d = dimensions.d_model,
        heads = dimensions.heads,
        ff = dimensions.d_ff,
        window = dimensions.window,
        actions = interface.actions,
        levels = interface.reward_levels,
        plan = plan.text(),
    );
    let json = json!({
        "file": args.file.display().to_string(),
        "format_version": algodistill_core::model::FORMAT_VERSION,
        "crc32": format!("{:08x}", model.crc()),
        "parameters": model.parameters(),
        "dimensions": {
            "layers": dimensions.layers, "d_model": dimensions.d_model, "heads": dimensions.heads,
            "d_ff": dimensions.d_ff, "window": dimensions.window,
        },
        "interface": interface,
        "memory": plan,
        "card": card,
    });
    Ok(Report { text, json })
}
