//! Export: float parameters to an int8 weights file (`.adw`).

mod encode;
mod quantize;

pub use encode::encode;
pub use quantize::{quantize, QuantizedModel, QuantizedTensor};

use crate::model::Parameters;

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
