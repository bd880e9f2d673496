//! A matrix that writes to the residual stream: `x + dropout(matrix y)`, of the attention's output.

use super::{blocks, drop_outputs, rows};
use crate::nn::kernels::elementwise::add;
use crate::nn::kernels::product::PANEL;
use crate::nn::masks::{SequenceMasks, Site};
use crate::nn::matrix::Matrix;
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

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
    /// `output = stream + dropout(matrix input)`: `[tokens, width]` from `[tokens, width]` and
    /// `[tokens, inputs]`.
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

    /// The gradient of `input` takes the place of `input_gradient`'s content; adds to the matrix's.
    /// The stream's own gradient is that of the output. `scratch` is as large as `output_gradient`.
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

/// `stream + dropout(matrix input)` as one operation on dfdx's tape: `[tokens, width]` from
/// `[tokens, width]`, `[tokens, inputs]` and `[width, inputs]`.
///
/// # Panics
/// Where `width` or `inputs` is not a multiple of 16.
pub fn on_tape<T: Tape<f32, Cpu>>(
    stream: tape::Matrix<T>,
    input: tape::Matrix<T>,
    matrix: tape::Matrix<T>,
    masks: Option<SequenceMasks>,
    site: Site,
) -> tape::Matrix<T> {
    let ((tokens, width), (_, inputs)) = (*stream.shape(), *input.shape());
    assert!(width % PANEL == 0 && inputs % PANEL == 0, "{width}, {inputs}: not multiples of {PANEL}");
    tape::apply(
        [stream, input, matrix],
        (tokens, width),
        move |[stream, input, matrix]| {
            let matrix = Matrix::packed([width, inputs], matrix);
            let mut output = vec![0.0; stream.len()];
            Projection { matrix: &matrix, masks: masks.as_ref(), site }.forward(stream, input, &mut output);
            (output, matrix)
        },
        move |[_, input, _], matrix, gradient| {
            let mut input_gradient = vec![0.0; input.len()];
            let mut matrix_gradient = vec![0.0; width * inputs];
            let mut scratch = vec![0.0; gradient.len()];
            let projection = Projection { matrix: &matrix, masks: masks.as_ref(), site };
            projection.backward(input, gradient, &mut input_gradient, &mut matrix_gradient, &mut scratch);
            [gradient.to_vec(), input_gradient, matrix_gradient]
        },
    )
}
