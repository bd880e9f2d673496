//! A norm and the matrix behind it: `matrix (rms_norm(x) * gain)`, of the queries, keys and values, and of the logits.

use super::{blocks, rows};
use crate::train::fused::kernels::elementwise::{rms_norm, rms_norm_backward};
use crate::train::fused::kernels::{zeros, Buffer};
use crate::train::fused::matrix::Matrix;

/// Gain and matrix.
#[derive(Clone, Copy)]
pub struct NormLinear<'a> {
    /// `[inputs]`
    pub gain: &'a [f32],
    /// `[outputs, inputs]`
    pub matrix: &'a Matrix,
}

/// What the backward pass of a norm needs.
pub struct Normed {
    /// `[tokens, inputs]`
    pub values: Buffer,
    /// Reciprocal root of the mean square of each token.
    pub reciprocals: Vec<f32>,
}

impl Normed {
    /// Room for `tokens` rows.
    pub fn new(tokens: usize, width: usize) -> Self {
        Self { values: zeros(tokens * width), reciprocals: vec![0.0; tokens] }
    }
}

impl NormLinear<'_> {
    /// `output` `[tokens, matrix.stride()]` from `input` `[tokens, inputs]`.
    pub fn forward(&self, input: &[f32], normed: &mut Normed, output: &mut [f32]) {
        let (width, stride) = (self.matrix.inputs(), self.matrix.stride());
        for block in blocks(input.len() / width) {
            let place = rows(&block, width);
            let values = &mut normed.values[place.clone()];
            rms_norm(&input[place], self.gain, values, &mut normed.reciprocals[block.clone()]);
            self.matrix.forward(values, block.len(), &mut output[rows(&block, stride)]);
        }
    }

    /// Adds to the gradients of the input, the gain and the matrix.
    pub fn backward(
        &self,
        input: &[f32],
        normed: &Normed,
        output_gradient: &[f32],
        input_gradient: &mut [f32],
        gain_gradient: &mut [f32],
        matrix_gradient: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (width, stride) = (self.matrix.inputs(), self.matrix.stride());
        let tokens = input.len() / width;
        for block in blocks(tokens) {
            let place = rows(&block, width);
            let gradient = &mut scratch[..place.len()];
            self.matrix.backward(&output_gradient[rows(&block, stride)], block.len(), gradient);
            let reciprocals = &normed.reciprocals[block];
            let (input, input_gradient) = (&input[place.clone()], &mut input_gradient[place]);
            rms_norm_backward(gradient, input, self.gain, reciprocals, input_gradient, gain_gradient);
        }
        self.matrix.accumulate(output_gradient, &normed.values, tokens, matrix_gradient);
    }
}
