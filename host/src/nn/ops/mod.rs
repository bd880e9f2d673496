//! The fused operations: each file has one, forward and backward side by side.
//!
//! They work on one sequence, row-major `[tokens, width]`, in blocks of [`ROWS`] tokens that stay
//! in the first-level cache from the norm before a product to the sum after it. A backward pass
//! *adds* to the gradients of parameters and of the residual stream.

pub mod action_values;
pub mod attention;
pub mod cross_entropy;
pub mod embedding;
pub mod encoder;
pub mod feed_forward;
pub mod norm_linear;
pub mod projection;
#[cfg(test)]
mod tests;

use crate::nn::kernels::elementwise::mask_row;
use crate::nn::masks::{SequenceMasks, Site};
use std::ops::Range;

/// Tokens that go through an operation together: whole register tiles of the products.
pub const ROWS: usize = 24;

/// The blocks of a sequence.
fn blocks(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    (0..tokens).step_by(ROWS).map(move |first| first..tokens.min(first + ROWS))
}

/// The part of a matrix with rows of `width` that belongs to these tokens.
fn rows(tokens: &Range<usize>, width: usize) -> Range<usize> {
    tokens.start * width..tokens.end * width
}

/// Drops elements of these tokens' output, or of its gradient.
fn drop_outputs(values: &mut [f32], tokens: &Range<usize>, masks: Option<&SequenceMasks>, site: Site) {
    let Some(masks) = masks.filter(|masks| !masks.residual.is_zero()) else { return };
    let width = values.len() / tokens.len();
    for (row, position) in values.chunks_exact_mut(width).zip(tokens.clone()) {
        mask_row(row, masks.key(site, position), masks.residual);
    }
}
