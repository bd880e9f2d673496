//! The encoder of numbers or pixels: `x + output d` or `x + output relu(hidden d)` for the tokens
//! that have something to encode.

use super::{blocks, rows, ROWS};
use crate::model::DensePart;
use crate::nn::kernels::elementwise::{add, relu, relu_backward};
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::masks::SequenceMasks;
use crate::nn::matrix::Matrix;
use std::ops::Range;

/// The matrices of an encoder, and what they are given.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// `[units, width]`, where there is a hidden layer.
    pub hidden: Option<&'a Matrix>,
    /// `[d_model, units]`, or `[d_model, width]` without a hidden layer.
    pub output: &'a Matrix,
    /// What is encoded.
    pub inputs: DensePart<'a>,
    /// Token masking, if any: to a masked token nothing is added.
    pub masks: Option<&'a SequenceMasks>,
}

/// Working memory of an [`Encoder`], for a block of tokens.
pub struct Scratch {
    /// `[ROWS, d_model]`
    output: Buffer,
    /// `[ROWS, units]`
    hidden: Buffer,
    /// `[ROWS, units]`
    hidden_gradient: Buffer,
}

impl Scratch {
    /// Room for hidden layers of up to `units`.
    pub fn new(d_model: usize, units: usize) -> Self {
        Self {
            output: zeros(ROWS * d_model),
            hidden: zeros(ROWS * units),
            hidden_gradient: zeros(ROWS * units),
        }
    }
}

impl Encoder<'_> {
    fn width(&self) -> usize {
        self.hidden.unwrap_or(self.output).inputs()
    }

    /// The tokens of a block that are not masked: their number in the block, and in the sequence.
    fn shown<'s>(&'s self, block: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + 's {
        let positions = self.inputs.positions[block.clone()].iter();
        let positions = positions.map(|position| (position - self.inputs.first) as usize).enumerate();
        positions.filter(|(_, position)| !self.masks.is_some_and(|masks| masks.hides(*position)))
    }

    /// Adds to the stream, `[tokens, d_model]`.
    pub fn forward(&self, stream: &mut [f32], scratch: &mut Scratch) {
        let d = self.output.stride();
        for block in blocks(self.inputs.positions.len()) {
            let inputs = &self.inputs.values[rows(&block, self.width())];
            let output = &mut scratch.output[..block.len() * d];
            match self.hidden {
                None => self.output.forward(inputs, block.len(), output),
                Some(matrix) => {
                    let hidden = &mut scratch.hidden[..block.len() * matrix.stride()];
                    matrix.forward(inputs, block.len(), hidden);
                    relu(hidden);
                    self.output.forward(hidden, block.len(), output);
                }
            }
            for (row, position) in self.shown(&block) {
                add(&mut stream[position * d..][..d], &output[row * d..]);
            }
        }
    }

    /// Adds to the gradients of the matrices, from that of the stream. The hidden layer is computed
    /// again: that costs less than to keep it.
    pub fn backward(
        &self,
        stream_gradient: &[f32],
        hidden_matrix_gradient: Option<&mut [f32]>,
        output_matrix_gradient: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let d = self.output.stride();
        let mut hidden_matrix_gradient = hidden_matrix_gradient;
        for block in blocks(self.inputs.positions.len()) {
            let count = block.len();
            let inputs = &self.inputs.values[rows(&block, self.width())];
            let output = &mut scratch.output[..count * d];
            output.fill(0.0);
            for (row, position) in self.shown(&block) {
                output[row * d..(row + 1) * d].copy_from_slice(&stream_gradient[position * d..][..d]);
            }
            let (Some(matrix), Some(own)) = (self.hidden, &mut hidden_matrix_gradient) else {
                self.output.accumulate(output, inputs, count, output_matrix_gradient);
                continue;
            };
            let hidden = &mut scratch.hidden[..count * matrix.stride()];
            let gradient = &mut scratch.hidden_gradient[..count * matrix.stride()];
            matrix.forward(inputs, count, hidden);
            relu(hidden);
            self.output.accumulate(output, hidden, count, output_matrix_gradient);
            self.output.backward(output, count, gradient);
            relu_backward(gradient, hidden);
            matrix.accumulate(gradient, inputs, count, own);
        }
    }
}
