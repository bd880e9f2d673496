//! Initial parameters.

use crate::model::{layout, Dimensions, Parameters, Role};
use crate::nn::random::{stream, Purpose};
use algodistill_core::{Interface, Normaliser, PortableRng};

/// Standard deviation of the embeddings: three or more are added up to a token.
const EMBEDDING_DEVIATION: f32 = 0.5;

/// Gains of 1; embeddings and matrices uniform with mean 0. A matrix has the variance `1 / inputs`,
/// divided by `2 layers` where it writes to the residual stream, so that the stream does not grow
/// with depth (Radford et al. 2019).
pub fn initial_parameters(dimensions: &Dimensions, interface: &Interface, seed: u64) -> Parameters {
    let tensors = layout(dimensions, interface);
    let mut values = vec![1.0; tensors.last().map_or(0, |tensor| tensor.range().end)];
    for (index, tensor) in tensors.iter().enumerate() {
        let deviation = match tensor.role {
            Role::Norm => continue,
            Role::Embedding => EMBEDDING_DEVIATION,
            role => {
                let branches = if role.writes_residual() { 2 * dimensions.layers } else { 1 };
                1.0 / ((tensor.inputs * branches) as f32).sqrt()
            }
        };
        let mut rng = PortableRng::new(seed, stream(Purpose::Initial, index as u64));
        for row in values[tensor.range()].chunks_exact_mut(tensor.shape[1]) {
            let (given, padding) = row.split_at_mut(tensor.inputs);
            for value in given {
                *value = (2.0 * rng.uniform() - 1.0) * 3f32.sqrt() * deviation;
            }
            padding.fill(0.0);
        }
    }
    let normalisers = vec![Normaliser::default(); interface.normalised_words()];
    Parameters { dimensions: *dimensions, interface: interface.clone(), normalisers, values }
}
