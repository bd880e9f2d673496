//! `algodistill inspect`: what is in a weights file and what it needs on a device.

use super::Report;
use crate::encoders::EncoderPlan;
use crate::estimate::Estimate;
use crate::export::{TrainingCard, MAX_WEIGHTS_BYTES};
use crate::memory::MemoryPlan;
use crate::{files, Error, Result};
use algodistill_core::Model;
use serde_json::json;
use std::path::PathBuf;

/// Show header, training card, memory plan and checksum of a weights file.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Weights file (.adw).
    pub file: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let bytes = files::read_bytes(&args.file, MAX_WEIGHTS_BYTES)?;
    let model = Model::decode(&bytes).map_err(|e| Error::file(&args.file, e))?;
    let card: serde_json::Value = serde_json::from_str(model.card())
        .map_err(|e| Error::file(&args.file, format!("the training card is not JSON: {e}")))?;
    let warning = TrainingCard::parse(&args.file, model.card()).ok().and_then(|card| card.never_wrapped());
    let warning = warning.map(|window| {
        format!("no training sequence was longer than the window of {window} steps: longer streams were never trained")
    });
    let plan = MemoryPlan::new(&model, bytes.len());
    let encoders = EncoderPlan::new(&model);
    let estimates = Estimate::of_all(&model);
    let dimensions = model.dimensions();
    let interface = model.interface();
    let channels: Vec<String> = interface.channels.iter().map(ToString::to_string).collect();
    let text = format!(
        "{file}\nformat     version {version}, CRC-32 {crc:08x} (matches)\n\
         trained in {environment}\n\
         model      {parameters} int8 parameters: {layers} layers, d_model {d}, {heads} heads{shared}, d_ff {ff}, window {window}\n\
         interface  observation channels {channels:?}, the final one {seen}, {actions} actions, reward levels {levels:?}, CRC-32 of channels and actions {fits:08x}\n{encoding}{warned}{plan}{estimated}\
         card       {card:#}\n",
        file = args.file.display(),
        version = model.format_version(),
        crc = model.crc(),
        environment = model.environment().unwrap_or("an environment that the card does not name"),
        parameters = model.parameters(),
        layers = dimensions.layers,
        d = dimensions.d_model,
        heads = dimensions.heads,
        shared = match dimensions.kv_heads {
            all if all == dimensions.heads => String::new(),
            some => format!(" ({some} of keys and values)"),
        },
        ff = dimensions.d_ff,
        window = dimensions.window,
        seen = if dimensions.final_words > 0 { "seen" } else { "not seen" },
        actions = interface.actions,
        levels = interface.reward_levels,
        fits = interface.crc(),
        encoding = encoders.as_ref().map(EncoderPlan::text).unwrap_or_default(),
        warned = warning.as_ref().map_or(String::new(), |warning| format!("warning    {warning}\n")),
        plan = plan.text(),
        estimated = Estimate::text(&estimates, encoders.is_some()),
    );
    let json = json!({
        "file": args.file.display().to_string(),
        "format_version": model.format_version(),
        "crc32": format!("{:08x}", model.crc()),
        "environment": model.environment(),
        "interface_crc32": format!("{:08x}", interface.crc()),
        "parameters": model.parameters(),
        "dimensions": {
            "layers": dimensions.layers, "d_model": dimensions.d_model, "heads": dimensions.heads,
            "kv_heads": dimensions.kv_heads, "d_ff": dimensions.d_ff, "window": dimensions.window,
            "final_observation": dimensions.final_words > 0,
        },
        "interface": interface,
        "encoders": encoders,
        "memory": plan,
        "estimated_instructions_per_step_full_ring": estimates,
        "card": card,
        "warnings": warning.iter().collect::<Vec<_>>(),
    });
    Ok(Report { text, json })
}
