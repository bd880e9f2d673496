//! A weight matrix, packed for the products of both passes.

use super::kernels::product::{pack, pack_transposed, product, Left, Right, Size, PANEL};
use super::kernels::{zeros, Buffer};

/// One weight matrix `[outputs, inputs]`.
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    forward: Buffer,
    backward: Buffer,
}

impl Matrix {
    /// All zero.
    pub fn new([outputs, inputs]: [usize; 2]) -> Self {
        Self {
            outputs,
            inputs,
            forward: zeros(inputs * outputs.next_multiple_of(PANEL)),
            backward: zeros(outputs * inputs.next_multiple_of(PANEL)),
        }
    }

    /// With these values, row-major.
    pub fn packed(shape: [usize; 2], values: &[f32]) -> Self {
        let mut matrix = Self::new(shape);
        matrix.pack(values);
        matrix
    }

    /// Takes new values, row-major.
    pub fn pack(&mut self, values: &[f32]) {
        pack_transposed(values, self.inputs, &mut self.forward);
        pack(values, self.inputs, &mut self.backward);
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Distance between two output rows: `outputs`, rounded up to whole panels.
    pub fn stride(&self) -> usize {
        self.outputs.next_multiple_of(PANEL)
    }

    /// `output = input * matrix^T`, for `tokens` rows. Columns of padding become zero.
    pub fn forward(&self, input: &[f32], tokens: usize, output: &mut [f32]) {
        let size = Size { rows: tokens, columns: self.stride(), inner: self.inputs };
        let right = Right::packed(&self.forward, self.inputs);
        product(output, self.stride(), Left::rows(input, self.inputs), right, size, false);
    }

    /// `input_gradient = output_gradient * matrix`
    pub fn backward(&self, output_gradient: &[f32], tokens: usize, input_gradient: &mut [f32]) {
        let size = Size { rows: tokens, columns: self.inputs, inner: self.outputs };
        let right = Right::packed(&self.backward, self.outputs);
        product(input_gradient, self.inputs, Left::rows(output_gradient, self.stride()), right, size, false);
    }

    /// `gradient += output_gradient^T * input`, row-major as the matrix.
    pub fn accumulate(&self, output_gradient: &[f32], input: &[f32], tokens: usize, gradient: &mut [f32]) {
        let size = Size { rows: self.outputs, columns: self.inputs, inner: tokens };
        let left = Left::transposed(output_gradient, self.stride());
        product(gradient, self.inputs, left, Right::rows(input, self.inputs), size, true);
    }
}
