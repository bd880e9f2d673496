//! int8 models with random weights, as the oracle reads them and as a weights file.

use algodistill_core::model::weights::{shapes, write, TensorParts};
use algodistill_core::{Dimensions, Interface, PortableRng};

/// A model small enough for exhaustive tests, in Dark Room, with tables for the final observation.
pub const TINY: Dimensions =
    Dimensions { layers: 2, d_model: 16, heads: 2, d_ff: 32, window: 7, actions: 5, final_words: 2 };

/// The reference model, in Dark Room, with tables for the final observation.
pub const REFERENCE: Dimensions =
    Dimensions { layers: 2, d_model: 64, heads: 4, d_ff: 256, window: 160, actions: 5, final_words: 2 };

/// An int8 model.
#[derive(Clone, Debug)]
pub struct Int8Model {
    /// Of the transformer.
    pub dimensions: Dimensions,
    /// What it sees and does.
    pub interface: Interface,
    /// In the order of the weights file.
    pub tensors: Vec<Int8Tensor>,
}

/// The real value of element (i, j) is `data[i, j] * scales[i] * 2^-exponent`.
#[derive(Clone, Debug)]
pub struct Int8Tensor {
    /// `[rows, columns]`.
    pub shape: [usize; 2],
    /// One per row.
    pub scales: Vec<u16>,
    /// Row-major, -127 to 127.
    pub data: Vec<i8>,
    /// Binary exponent of the scales.
    pub exponent: i8,
}

impl Int8Model {
    /// Weights at the scale of a trained model: logits of a few units, attention neither flat nor
    /// one-hot.
    pub fn random(dimensions: Dimensions, interface: Interface, seed: u64) -> Self {
        let mut rng = PortableRng::new(seed, 0);
        let shapes = shapes(&dimensions, &interface);
        let tables = shapes.len() - 4 * dimensions.layers - 1;
        let tensors = shapes.iter().enumerate().map(|(index, &shape)| {
            let [rows, columns] = shape;
            // An element has a deviation of about 40, a scale a mean of 49152.
            let spread = if index < tables { 1.0 } else { 2.0 / (columns as f64).sqrt() };
            let exponent = (40.0 * 49_152.0 / spread).log2().round() as i8;
            let scales = (0..rows).map(|_| 0x8000 | rng.below(0x8000) as u16).collect();
            let data = (0..rows * columns).map(|_| element(&mut rng)).collect();
            Int8Tensor { shape, scales, data, exponent }
        });
        Self { tensors: tensors.collect(), dimensions, interface }
    }

    /// The weights file.
    pub fn file(&self) -> Vec<u8> {
        let parts = self.tensors.iter().map(|Int8Tensor { scales, data, exponent, .. }| TensorParts {
            scales,
            data,
            exponent: *exponent,
        });
        let parts: Vec<_> = parts.collect();
        write(&self.dimensions, &self.interface, &parts, "{}").expect("within the limits")
    }
}

/// Sum of four uniforms, rounded: close enough to a normal deviate, and never beyond 127.
fn element(rng: &mut PortableRng) -> i8 {
    let sum: f32 = (0..4).map(|_| rng.uniform()).sum();
    (69.0 * (sum - 2.0)).round().clamp(-127.0, 127.0) as i8
}

/// The weights file of random weights.
pub fn random_weights(dimensions: Dimensions, interface: Interface, seed: u64) -> Vec<u8> {
    Int8Model::random(dimensions, interface, seed).file()
}
