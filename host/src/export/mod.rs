//! Export: float parameters to an int8 weights file (`.adw`).

mod agent;
pub mod card;
mod encode;
mod quantize;

pub use agent::{split_snapshot, OwnedAgent, MAX_WEIGHTS_BYTES};
pub use card::{Training, TrainingCard};
pub use encode::encode;
pub use quantize::{quantize, QuantizedModel, QuantizedTensor};

use crate::files::write_bytes;
use crate::history::card::Card;
use crate::history::Mixture;
use crate::memory::MemoryPlan;
use crate::model::Parameters;
use crate::train::{histories_digest, load_parameters};
use crate::{Error, Result};
use algodistill_core::Model;
use std::path::{Path, PathBuf};

/// What an export came to.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Number of int8 parameters.
    pub parameters: usize,
    /// What quantization cost, tensor by tensor.
    pub tensors: Vec<TensorError>,
    /// What a device needs.
    pub memory: MemoryPlan,
}

/// Quantizes a trained model and writes its weights file `out`, NAME.adw, with the cards of its
/// learning histories, which say where it may be evaluated; a model of RL2 has none. `model` is a
/// `model.safetensors` or the folder of the training run that holds it.
///
/// # Errors
/// [`Error::Argument`] `out` for another kind of name, `histories` where they are missing, or are
/// there without having been trained on; [`Error::File`] where the model was trained on other
/// histories, or on the same files in another order; those of reading and writing.
pub fn export(model: &Path, histories: &[PathBuf], out: &Path) -> Result<Exported> {
    // The other files of a training must not be overwritten by mistake.
    if out.extension().is_none_or(|extension| extension != "adw") {
        let problem = format!("{}: expected a name that ends in .adw", out.display());
        return Err(Error::argument("out", problem));
    }
    let path = if model.is_dir() { model.join("model.safetensors") } else { model.to_path_buf() };
    let (parameters, training) = load_parameters(&path)?;
    let cards = cards(&path, &training, histories)?;
    let quantized = quantize(&parameters)?;
    let tensors = errors(&parameters, &quantized);
    let card = TrainingCard::of_histories(&cards, training);
    let bytes = encode(&quantized, &card.to_json())?;
    write_bytes(out, &bytes)?;
    let model = Model::decode(&bytes).map_err(|error| Error::file(out, error))?;
    Ok(Exported { parameters: model.parameters(), tensors, memory: MemoryPlan::new(&model, bytes.len()) })
}

/// The cards of the histories that the model `path` was trained on.
fn cards(path: &Path, training: &Training, histories: &[PathBuf]) -> Result<Vec<Card>> {
    match (training, histories.is_empty()) {
        (Training::Rl2(_), true) => Ok(Vec::new()),
        (Training::Rl2(_), false) => {
            let problem = format!("{} was trained by RL2, on no histories: leave them out", path.display());
            Err(Error::argument("histories", problem))
        }
        (Training::Histories(_), true) => {
            let problem = format!("are needed: those that {} was trained on", path.display());
            Err(Error::argument("histories", problem))
        }
        (Training::Histories(record), false) => {
            let mixture = Mixture::read(histories)?;
            if histories_digest(&mixture.training)? != record.dataset {
                let order = if histories.len() == 1 { "" } else { ", or on these files in another order" };
                let problem = format!("{} was trained on other histories{order}", path.display());
                return Err(Error::file(&histories[0], problem));
            }
            Ok(mixture.files.into_iter().map(|file| file.card).collect())
        }
    }
}

/// Relative quantization error of one tensor.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TensorError {
    /// Name as in [`crate::model::layout`].
    pub name: String,
    /// `[rows, columns]`.
    pub shape: [usize; 2],
    /// Root of the mean squared difference over the root of the mean square.
    pub relative_rms: f64,
    /// Largest absolute difference.
    pub largest: f32,
}

/// What quantization cost, tensor by tensor, against the parameters with the norms folded in.
pub fn errors(parameters: &Parameters, quantized: &QuantizedModel) -> Vec<TensorError> {
    quantize::folded(parameters)
        .into_iter()
        .zip(&quantized.tensors)
        .map(|(folded, tensor)| {
            let restored = tensor.dequantize();
            let differences = folded.values.iter().zip(&restored).map(|(a, b)| a - b);
            let (mut squares, mut largest) = (0.0f64, 0.0f32);
            for difference in differences {
                squares += f64::from(difference) * f64::from(difference);
                largest = largest.max(difference.abs());
            }
            let energy: f64 = folded.values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let relative_rms = if energy > 0.0 { (squares / energy).sqrt() } else { 0.0 };
            TensorError { name: folded.name, shape: folded.shape, relative_rms, largest }
        })
        .collect()
}
