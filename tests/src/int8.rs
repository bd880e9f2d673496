//! int8 models with random weights, as the oracle reads them and as a weights file.

use algodistill_core::model::weights::{shapes, write, TensorParts};
use algodistill_core::{Channel, Dimensions, Encoders, Interface, Normaliser, PortableRng};

/// A model small enough for exhaustive tests, in Dark Room, with tables for the final observation.
pub const TINY: Dimensions = Dimensions {
    layers: 2,
    d_model: 16,
    heads: 2,
    kv_heads: 2,
    d_ff: 32,
    window: 7,
    actions: 5,
    final_words: 2,
    encoders: Encoders::NONE,
};

/// The reference model, in Dark Room, with tables for the final observation.
pub const REFERENCE: Dimensions = Dimensions {
    layers: 2,
    d_model: 64,
    heads: 4,
    kv_heads: 4,
    d_ff: 256,
    window: 160,
    actions: 5,
    final_words: 2,
    encoders: Encoders::NONE,
};

/// [`TINY`] for an interface of every kind of channel, the pictures through a hidden layer.
pub fn tiny_with_encoders() -> (Dimensions, Interface) {
    let channels = [
        Channel::Vector { size: 3 },
        Channel::Discrete { size: 4 },
        Channel::Pixels { height: 3, width: 5, colours: 3 },
    ];
    let interface = Interface {
        channels: channels.into_iter().collect(),
        actions: 5,
        reward_levels: [0.0, 1.0].into_iter().collect(),
    };
    let encoders = Encoders::new(&interface, 16, 0);
    (Dimensions { final_words: interface.observation_len(), encoders, ..TINY }, interface)
}

/// An int8 model.
#[derive(Clone, Debug)]
pub struct Int8Model {
    /// Of the transformer.
    pub dimensions: Dimensions,
    /// What it sees and does.
    pub interface: Interface,
    /// Of the words of all vector channels.
    pub normalisers: Vec<Normaliser>,
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
        let discrete = interface.channels.iter().filter(|channel| channel.table_rows() > 0).count();
        let tables = discrete * if dimensions.final_words > 0 { 2 } else { 1 } + 2;
        let tensors = shapes.iter().enumerate().map(|(index, &shape)| {
            let [rows, columns] = shape;
            // An element has a deviation of about 40, a scale a mean of 49152.
            let spread = if index < tables { 1.0 } else { 2.0 / (columns as f64).sqrt() };
            let exponent = (40.0 * 49_152.0 / spread).log2().round() as i8;
            let scales = (0..rows).map(|_| 0x8000 | rng.below(0x8000) as u16).collect();
            let data = (0..rows * columns).map(|_| element(&mut rng)).collect();
            Int8Tensor { shape, scales, data, exponent }
        });
        let tensors = tensors.collect();
        let normalisers = (0..interface.normalised_words()).map(|_| normaliser(&mut rng)).collect();
        Self { tensors, normalisers, dimensions, interface }
    }

    /// The weights file.
    pub fn file(&self) -> Vec<u8> {
        let parts = self.tensors.iter().map(|Int8Tensor { scales, data, exponent, .. }| TensorParts {
            scales,
            data,
            exponent: *exponent,
        });
        let parts: Vec<_> = parts.collect();
        write(&self.dimensions, &self.interface, &self.normalisers, &parts, "{}").expect("within the limits")
    }
}

/// For words of any 32 bits, of 16 and of few, and one that makes every word 0.
fn normaliser(rng: &mut PortableRng) -> Normaliser {
    let offset = (rng.next_u32() as i32) >> rng.below(32);
    let exponent = 15 + rng.below(32) as i16;
    Normaliser {
        offset,
        mantissa: if rng.below(8) == 0 { 0 } else { 0x4000 | rng.below(0x4000) as u16 },
        exponent,
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
