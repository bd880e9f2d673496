//! A norm and the matrix behind it: `matrix (rms_norm(x) * gain)`, of the queries, keys and values,
//! and of the logits.

use super::{blocks, rows, ROWS};
use crate::nn::kernels::elementwise::{add, rms_norm, rms_norm_backward};
use crate::nn::kernels::product::PANEL;
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::matrix::Matrix;
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

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

/// Gradients, to be added to.
pub struct Gradients<'a> {
    /// `[tokens, inputs]`
    pub input: &'a mut [f32],
    /// `[inputs]`
    pub gain: &'a mut [f32],
    /// `[outputs, inputs]`
    pub matrix: &'a mut [f32],
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

    /// Adds to the gradients of the input, the gain and the matrix. `normed_gradient`, `[tokens,
    /// inputs]`, is what came to the normed rows from elsewhere than the matrix; `scratch` holds a
    /// block, `[ROWS, inputs]`.
    pub fn backward(
        &self,
        input: &[f32],
        normed: &Normed,
        output_gradient: &[f32],
        normed_gradient: Option<&[f32]>,
        gradients: Gradients,
        scratch: &mut [f32],
    ) {
        let (width, stride) = (self.matrix.inputs(), self.matrix.stride());
        let tokens = input.len() / width;
        for block in blocks(tokens) {
            let place = rows(&block, width);
            let gradient = &mut scratch[..place.len()];
            self.matrix.backward(&output_gradient[rows(&block, stride)], block.len(), gradient);
            if let Some(elsewhere) = normed_gradient {
                add(gradient, &elsewhere[place.clone()]);
            }
            let reciprocals = &normed.reciprocals[block];
            let (input, input_gradient) = (&input[place.clone()], &mut gradients.input[place]);
            rms_norm_backward(gradient, input, self.gain, reciprocals, input_gradient, gradients.gain);
        }
        self.matrix.accumulate(output_gradient, &normed.values, tokens, gradients.matrix);
    }
}

/// `matrix (rms_norm(input) * gain)` as one operation on dfdx's tape: `[tokens, outputs]` from
/// `[tokens, inputs]`, `[1, inputs]` and `[outputs, inputs]`.
///
/// # Panics
/// Where `inputs` is not a multiple of 16.
pub fn on_tape<T: Tape<f32, Cpu>>(
    input: tape::Matrix<T>,
    gain: tape::Matrix<T>,
    matrix: tape::Matrix<T>,
) -> tape::Matrix<T> {
    let ((tokens, width), (outputs, _)) = (*input.shape(), *matrix.shape());
    assert!(width % PANEL == 0, "{width} inputs are not a multiple of {PANEL}");
    tape::apply(
        [input, gain, matrix],
        (tokens, outputs),
        move |[input, gain, matrix]| {
            let matrix = Matrix::packed([outputs, width], matrix);
            let mut normed = Normed::new(tokens, width);
            let mut output = vec![0.0; tokens * matrix.stride()];
            NormLinear { gain, matrix: &matrix }.forward(input, &mut normed, &mut output);
            (tape::with_stride(&output, matrix.stride(), outputs), (matrix, normed))
        },
        move |[input, gain, _], (matrix, normed), gradient| {
            let gradient = tape::with_stride(gradient, outputs, matrix.stride());
            let mut gradients = [vec![0.0; input.len()], vec![0.0; width], vec![0.0; outputs * width]];
            let [input_gradient, gain_gradient, matrix_gradient] = &mut gradients;
            let added = Gradients { input: input_gradient, gain: gain_gradient, matrix: matrix_gradient };
            let mut scratch = vec![0.0; ROWS * width];
            let linear = NormLinear { gain, matrix: &matrix };
            linear.backward(input, &normed, &gradient, None, added, &mut scratch);
            gradients
        },
    )
}
