//! The transformer of [`crate::model`]: its loss and gradient on a batch.
//!
//! - [`engine`]: the fused engine, which trains on a CPU; `network`: the operations in the order of
//!   the model, on the workspace of a worker (`plan`)
//! - `loss`: what is wanted of it, sequence by sequence
//! - [`contexts`]: many contexts that take their steps together, to act and not to learn
//! - [`composed`]: the same network of dfdx's own operations, for a GPU and for tests

mod batch;
pub mod composed;
pub mod contexts;
#[cfg(test)]
mod encoder_tests;
pub mod engine;
mod initial;
mod loss;
mod network;
mod plan;

pub use batch::{ActionValueOptions, Batch, LossOptions, Outcome, NO_ROW, NO_TARGET};
pub use composed::Composed;
pub use contexts::{Contexts, Packed};
pub use engine::{forward_logits, Engine};
pub use initial::initial_parameters;
pub use loss::{Loss, Passed};

use super::AdamW;
use crate::model::{layout, Dimensions};
use algodistill_core::Interface;

/// AdamW for the parameters of a model, told by each tensor's role whether it decays.
pub fn optimizer(dimensions: &Dimensions, interface: &Interface) -> AdamW {
    let tensors = layout(dimensions, interface);
    let count = tensors.last().map_or(0, |tensor| tensor.range().end);
    let decaying = tensors.iter().filter(|tensor| tensor.role.decays());
    AdamW::new(count, decaying.map(|tensor| tensor.range()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Hyperparameters;

    #[test]
    fn the_first_step_moves_by_the_rate_and_decays_matrices_only() {
        let dimensions = Dimensions {
            layers: 1,
            d_model: 16,
            heads: 1,
            d_ff: 16,
            window: 4,
            final_observation: true,
            ..Dimensions::default()
        };
        let interface = Interface::discrete(&[3], 2, &[0.0, 1.0]).unwrap();
        let mut optimizer = optimizer(&dimensions, &interface);
        let mut values = vec![1.0; optimizer.first.len()];
        let gradient = vec![0.5; values.len()];
        let hyperparameters = Hyperparameters { weight_decay: 0.1, ..Hyperparameters::default() };
        optimizer.step(&hyperparameters, 0, 0.01, &gradient, &mut values);
        for tensor in layout(&dimensions, &interface) {
            let matrix = !(tensor.name.starts_with("embed.") || tensor.name.contains("norm"));
            let expected = if matrix { 0.989 } else { 0.99 };
            for value in &values[tensor.range()] {
                assert!((value - expected).abs() < 1e-6, "{}: {value}", tensor.name);
            }
        }
    }
}
