//! A matrix that writes to the residual stream: `x + dropout(matrix y)`, of the attention's output.

use super::{blocks, drop_outputs, rows};
use crate::train::fused::kernels::elementwise::add;
use crate::train::fused::matrix::Matrix;
use crate::train::masks::{SequenceMasks, Site};

/// The matrix, and the dropout of what it writes.
#[derive(Clone, Copy)]
pub struct Projection<'a> {
    /// `[width, inputs]`
    pub matrix: &'a Matrix,
    /// Residual dropout, if any.
    pub masks: Option<&'a SequenceMasks>,
    /// What is dropped.
    pub site: Site,
}

impl Projection<'_> {
    /// `output = stream + dropout(matrix input)`: `[tokens, width]` from `[tokens, width]` and `[tokens, inputs]`.
    pub fn forward(&self, stream: &[f32], input: &[f32], output: &mut [f32]) {
        let (inputs, width) = (self.matrix.inputs(), self.matrix.stride());
        for block in blocks(stream.len() / width) {
            let place = rows(&block, width);
            let output = &mut output[place.clone()];
            self.matrix.forward(&input[rows(&block, inputs)], block.len(), output);
            drop_outputs(output, &block, self.masks, self.site);
            add(output, &stream[place]);
        }
    }

    /// The gradient of `input` takes the place of `input_gradient`'s content; adds to the matrix's. The stream's own gradient is that of the
    /// output. `scratch` is as large as `output_gradient`.
    pub fn backward(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        input_gradient: &mut [f32],
        matrix_gradient: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (inputs, width) = (self.matrix.inputs(), self.matrix.stride());
        let tokens = output_gradient.len() / width;
        scratch.copy_from_slice(output_gradient);
        for block in blocks(tokens) {
            let gradient = &mut scratch[rows(&block, width)];
            drop_outputs(gradient, &block, self.masks, self.site);
            self.matrix.backward(gradient, block.len(), &mut input_gradient[rows(&block, inputs)]);
        }
        self.matrix.accumulate(scratch, input, tokens, matrix_gradient);
    }
}
