//! Writing the weights file of a quantized model.

use super::QuantizedModel;
use crate::{Error, Result};
use algodistill_core::model::weights::{self, TensorParts};
use algodistill_core::{Dimensions, Encoders};

/// The bytes of the weights file of `model`, with `card` (JSON text) as its training card.
///
/// # Errors
/// What the device would refuse is refused here.
pub fn encode(model: &QuantizedModel, card: &str) -> Result<Vec<u8>> {
    let resolved = model.dimensions.resolved(&model.interface);
    let dimensions = Dimensions {
        layers: model.dimensions.layers,
        d_model: model.dimensions.d_model,
        heads: model.dimensions.heads,
        kv_heads: model.dimensions.kv_heads(),
        d_ff: model.dimensions.d_ff,
        window: model.dimensions.window,
        actions: usize::from(model.interface.actions),
        final_words: match model.dimensions.final_observation {
            true => model.interface.observation_len(),
            false => 0,
        },
        encoders: Encoders::new(
            &model.interface,
            resolved.pixels_hidden.unwrap_or(0),
            resolved.vector_hidden.unwrap_or(0),
        ),
    };
    let tensors: Vec<_> = model
        .tensors
        .iter()
        .map(|tensor| TensorParts { scales: &tensor.scales, data: &tensor.data, exponent: tensor.exponent })
        .collect();
    weights::write(&dimensions, &model.interface, &model.normalisers, &tensors, card)
        .map_err(|e| Error::argument("model", e))
}
