//! Shared by the tests that cross crates: models without training.

pub mod int8;
pub mod oracle;

use algodistill::model::{layout, Dimensions, Parameters};
use algodistill_core::{Interface, Normaliser, PortableRng};

/// Random parameters at the scale of a trained model: logits of a few units, attention neither flat
/// nor one-hot.
pub fn random_parameters(dimensions: Dimensions, interface: Interface, seed: u64) -> Parameters {
    let mut rng = PortableRng::new(seed, 0);
    let mut values = Vec::new();
    for tensor in layout(&dimensions, &interface) {
        let spread =
            if tensor.name.starts_with("embed") { 1.0 } else { 2.0 / (tensor.shape[1] as f32).sqrt() };
        let centre = if tensor.name.ends_with("norm") { 1.0 } else { 0.0 };
        values.extend(tensor.range().map(|_| centre + spread * gaussian(&mut rng)));
    }
    // Of numbers of any 32 bits.
    let normalisers =
        vec![Normaliser { offset: 0, mantissa: 0x4000, exponent: 44 }; interface.normalised_words()];
    Parameters { dimensions, interface, normalisers, values }
}

/// Sum of twelve uniforms: close enough to a normal deviate.
fn gaussian(rng: &mut PortableRng) -> f32 {
    (0..12).map(|_| rng.uniform()).sum::<f32>() - 6.0
}

/// Interface of Dark Room 9x9.
pub fn dark_room_interface() -> Interface {
    Interface::discrete(&[9, 9], 5, &[0.0, 1.0]).expect("valid")
}

/// The reference model: 2 layers, d 64, 4 heads, FF 256, W 160.
pub const REFERENCE: Dimensions = Dimensions {
    layers: 2,
    d_model: 64,
    heads: 4,
    d_ff: 256,
    window: 160,
    final_observation: true,
    ..Dimensions::DEFAULT
};

/// A model small enough for exhaustive tests.
pub const TINY: Dimensions = Dimensions {
    layers: 2,
    d_model: 16,
    heads: 2,
    d_ff: 32,
    window: 7,
    final_observation: true,
    ..Dimensions::DEFAULT
};
