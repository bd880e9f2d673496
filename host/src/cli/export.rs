//! `algodistill export`: a trained float model to an int8 weights file.

use super::Report;
use crate::export::{export, Exported};
use crate::Result;
use serde_json::json;
use std::path::PathBuf;

/// Quantize a trained model to int8 and write its weights file. Prints the error of each tensor and
/// the memory that a device needs.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Trained model: model.safetensors, or the folder of the training run that holds it.
    pub model: PathBuf,
    /// Weights file to write (.adw).
    #[arg(long)]
    pub out: PathBuf,
    /// Learning histories that it was trained on, NAME.parquet, all files in the order of the
    /// training: their cards go into the weights file, and with them the environments, the
    /// sources and the held-out tasks that `evaluate` needs. A model of `train-rl2` has none.
    #[arg(long, num_args = 1.., value_name = "HISTORIES")]
    pub histories: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let Exported { parameters, tensors, memory } = export(&args.model, &args.histories, &args.out)?;
    let mut text = format!("{:<32} {:>12} {:>14} {:>12}\n", "tensor", "shape", "relative error", "largest");
    for tensor in &tensors {
        let shape = format!("{}x{}", tensor.shape[0], tensor.shape[1]);
        text += &format!(
            "{:<32} {shape:>12} {:>14.5} {:>12.6}\n",
            tensor.name, tensor.relative_rms, tensor.largest
        );
    }
    text += &format!("{}: {parameters} int8 parameters\n{}", args.out.display(), memory.text());
    let json = json!({
        "file": args.out.display().to_string(),
        "parameters": parameters,
        "tensors": tensors,
        "memory": memory,
    });
    Ok(Report { text, json })
}
