//! `algodistill export`: a trained float model to an int8 weights file.

use super::Report;
use crate::evaluate::TrainingCard;
use crate::export::{encode, errors, quantize};
use crate::files::write_bytes;
use crate::history::Mixture;
use crate::memory::MemoryPlan;
use crate::train::{histories_digest, load_parameters};
use crate::{Error, Result};
use algodistill_core::Model;
use serde_json::json;
use std::path::PathBuf;

/// Quantize a trained model to int8 and write its weights file. Prints the error of each tensor and the memory that a device needs.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Trained model: model.safetensors, or the folder of the training run that holds it.
    pub model: PathBuf,
    /// Weights file to write (.adw).
    #[arg(long)]
    pub out: PathBuf,
    /// Learning histories that it was trained on, NAME.parquet, all files in the order of the training: their cards go into the weights file, and with them
    /// the environments, the sources and the held-out tasks that `evaluate` needs.
    #[arg(long, required = true, num_args = 1.., value_name = "HISTORIES")]
    pub histories: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    // The other files of a training must not be overwritten by mistake.
    if args.out.extension().is_none_or(|extension| extension != "adw") {
        return Err(Error::argument(
            "--out",
            format!("{}: expected a name that ends in .adw", args.out.display()),
        ));
    }
    let path = if args.model.is_dir() { args.model.join("model.safetensors") } else { args.model.clone() };
    let (parameters, training) = load_parameters(&path)?;
    let histories = Mixture::read(&args.histories)?;
    if histories_digest(&histories.training) != training.dataset {
        let problem = match args.histories.len() {
            1 => format!("{} was trained on other histories", path.display()),
            _ => format!(
                "{} was trained on other histories, or on these files in another order",
                path.display()
            ),
        };
        return Err(Error::file(&args.histories[0], problem));
    }
    let quantized = quantize(&parameters)?;
    let tensors = errors(&parameters, &quantized);
    let generations = histories.files.into_iter().map(|file| file.card.generation).collect();
    let card = TrainingCard { generations, training, evaluation: None };
    let bytes = encode(&quantized, &card.to_json())?;
    write_bytes(&args.out, &bytes)?;

    let model = Model::decode(&bytes).map_err(|e| Error::file(&args.out, e))?;
    let plan = MemoryPlan::new(&model, bytes.len());
    let mut text = format!("{:<32} {:>12} {:>14} {:>12}\n", "tensor", "shape", "relative error", "largest");
    for tensor in &tensors {
        let shape = format!("{}x{}", tensor.shape[0], tensor.shape[1]);
        text += &format!(
            "{:<32} {shape:>12} {:>14.5} {:>12.6}\n",
            tensor.name, tensor.relative_rms, tensor.largest
        );
    }
    text += &format!("{}: {} int8 parameters\n{}", args.out.display(), model.parameters(), plan.text());
    let json = json!({
        "file": args.out.display().to_string(),
        "parameters": model.parameters(),
        "tensors": tensors,
        "memory": plan,
    });
    Ok(Report { text, json })
}
