//! int8 quantization: symmetric, one scale per row, the gains of the norms folded into the matrices
//! that follow them.

use crate::model::{Dimensions, Parameters, Role};
use crate::{Error, Result};
use algodistill_core::{Interface, Normaliser};

/// A float matrix `[rows, columns]` ready to be quantized.
pub(super) struct Folded {
    pub name: String,
    pub shape: [usize; 2],
    pub values: Vec<f32>,
}

/// An int8 matrix: the real value of element (i, j) is `data[i, j] * scales[i] * 2^-exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantizedTensor {
    /// `[rows, columns]`.
    pub shape: [usize; 2],
    /// One per row.
    pub scales: Vec<u16>,
    /// Row-major, -127 to 127.
    pub data: Vec<i8>,
    /// Binary exponent of the scales.
    pub exponent: i8,
}

impl QuantizedTensor {
    /// The real values, row-major.
    pub fn dequantize(&self) -> Vec<f32> {
        let unit = f64::from(-i32::from(self.exponent)).exp2();
        let rows = self.data.chunks(self.shape[1].max(1)).zip(&self.scales);
        rows.flat_map(|(row, scale)| {
            row.iter().map(move |q| (f64::from(*q) * f64::from(*scale) * unit) as f32)
        })
        .collect()
    }
}

/// A quantized model, tensors in the order of the weights file.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedModel {
    /// Dimensions of the transformer.
    pub dimensions: Dimensions,
    /// What the model sees and does.
    pub interface: Interface,
    /// Of the words of all vector channels.
    pub normalisers: Vec<Normaliser>,
    /// Tensors in the order of `algodistill_core::model::weights::shapes`.
    pub tensors: Vec<QuantizedTensor>,
}

/// Quantizes a model. Fails where a parameter is not finite (training diverged).
pub fn quantize(parameters: &Parameters) -> Result<QuantizedModel> {
    let tensors = folded(parameters).iter().map(quantize_tensor).collect::<Result<_>>()?;
    let Parameters { dimensions, interface, normalisers, .. } = parameters;
    let (interface, normalisers) = (interface.clone(), normalisers.clone());
    Ok(QuantizedModel { dimensions: *dimensions, interface, normalisers, tensors })
}

/// The matrices of the weights file: `norm(x) * gain` before a matrix is the same as the matrix
/// with its columns times the gain, so the device has no gains.
pub(super) fn folded(parameters: &Parameters) -> Vec<Folded> {
    let mut gain: Option<&[f32]> = None;
    let mut matrices = Vec::new();
    for tensor in parameters.layout() {
        let values = &parameters.values[tensor.range()];
        if tensor.role == Role::Norm {
            gain = Some(values);
            continue;
        }
        let values = match gain.take() {
            None => values.to_vec(),
            Some(gain) => {
                values.chunks(gain.len()).flat_map(|row| row.iter().zip(gain).map(|(w, g)| w * g)).collect()
            }
        };
        matrices.push(Folded { name: tensor.name, shape: tensor.shape, values });
    }
    matrices
}

/// The scales are rounded up to 16 bits first and the weights quantized with the rounded scales, so
/// their rounding costs nothing.
fn quantize_tensor(matrix: &Folded) -> Result<QuantizedTensor> {
    if let Some(index) = matrix.values.iter().position(|v| !v.is_finite()) {
        return Err(Error::argument(
            format!("tensor {}", matrix.name),
            format!("value {index} is not finite: training diverged; train again with a lower learning rate"),
        ));
    }
    let columns = matrix.shape[1];
    let maxima: Vec<f64> = matrix
        .values
        .chunks(columns)
        .map(|row| f64::from(row.iter().fold(0.0f32, |m, v| m.max(v.abs()))))
        .collect();
    let largest = maxima.iter().copied().fold(0.0, f64::max) / 127.0;
    // The largest scale takes all 16 bits; the exponent is limited to what the file stores.
    let exponent = if largest > 0.0 { (65_535.0 / largest).log2().floor().clamp(-127.0, 127.0) } else { 0.0 };
    let unit = (-exponent).exp2();
    let scales: Vec<u16> = maxima.iter().map(|m| (m / 127.0 / unit).ceil().min(65_535.0) as u16).collect();
    let data = matrix
        .values
        .chunks(columns)
        .zip(&scales)
        .flat_map(|(row, scale)| {
            let scale = f64::from(*scale).max(1.0) * unit;
            row.iter().map(move |v| (f64::from(*v) / scale).round().clamp(-127.0, 127.0) as i8)
        })
        .collect();
    Ok(QuantizedTensor { shape: matrix.shape, scales, data, exponent: exponent as i8 })
}
