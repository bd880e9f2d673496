//! A whole feed-forward block: `x + dropout(down relu(up (rms_norm(x) * gain)))`.

use super::norm_linear::Normed;
use super::{blocks, drop_outputs, rows, ROWS};
use crate::nn::kernels::elementwise::{add, relu, relu_backward, rms_norm, rms_norm_backward};
use crate::nn::kernels::product::PANEL;
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::masks::{SequenceMasks, Site};
use crate::nn::matrix::Matrix;
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

/// Gain and matrices of one layer.
#[derive(Clone, Copy)]
pub struct FeedForward<'a> {
    /// `[d_model]`
    pub gain: &'a [f32],
    /// `[d_ff, d_model]`
    pub up: &'a Matrix,
    /// `[d_model, d_ff]`
    pub down: &'a Matrix,
    /// Residual dropout, if any.
    pub masks: Option<&'a SequenceMasks>,
    /// Number of the layer.
    pub layer: usize,
}

/// What the backward pass needs.
pub struct Saved {
    normed: Normed,
    /// After the activation, `[tokens, d_ff]`.
    hidden: Buffer,
}

impl Saved {
    /// Room for `tokens` rows.
    pub fn new(tokens: usize, d_model: usize, d_ff: usize) -> Self {
        Self { normed: Normed::new(tokens, d_model), hidden: zeros(tokens * d_ff) }
    }
}

/// Gradients of the parameters, to be added to.
pub struct Gradients<'a> {
    /// `[d_model]`
    pub gain: &'a mut [f32],
    /// `[d_ff, d_model]`
    pub up: &'a mut [f32],
    /// `[d_model, d_ff]`
    pub down: &'a mut [f32],
}

impl FeedForward<'_> {
    /// `output` `[tokens, d_model]` from `stream` `[tokens, d_model]`.
    pub fn forward(&self, stream: &[f32], saved: &mut Saved, output: &mut [f32]) {
        let (d, d_ff) = (self.up.inputs(), self.down.inputs());
        for block in blocks(stream.len() / d) {
            let place = rows(&block, d);
            let normed = &mut saved.normed.values[place.clone()];
            let hidden = &mut saved.hidden[rows(&block, d_ff)];
            let output = &mut output[place.clone()];
            rms_norm(&stream[place.clone()], self.gain, normed, &mut saved.normed.reciprocals[block.clone()]);
            self.up.forward(normed, block.len(), hidden);
            relu(hidden);
            self.down.forward(hidden, block.len(), output);
            drop_outputs(output, &block, self.masks, Site::FeedForward(self.layer));
            add(output, &stream[place]);
        }
    }

    /// The gradient of the output becomes that of the stream, in place; adds to the gradients of
    /// the parameters. `scratch` holds `[tokens, d_model]`, the hidden gradient `[tokens, d_ff]`,
    /// then `[tokens, d_model]` of a block.
    pub fn backward(
        &self,
        stream: &[f32],
        saved: &Saved,
        stream_gradient: &mut [f32],
        gradients: Gradients,
        scratch: [&mut [f32]; 3],
    ) {
        let (d, d_ff) = (self.up.inputs(), self.down.inputs());
        let tokens = stream.len() / d;
        let [output_gradient, hidden_gradient, normed_gradient] = scratch;
        output_gradient[..stream.len()].copy_from_slice(stream_gradient);
        for block in blocks(tokens) {
            let place = rows(&block, d);
            let gradient = &mut output_gradient[place.clone()];
            let hidden = &mut hidden_gradient[rows(&block, d_ff)];
            let normed = &mut normed_gradient[..place.len()];
            drop_outputs(gradient, &block, self.masks, Site::FeedForward(self.layer));
            self.down.backward(gradient, block.len(), hidden);
            relu_backward(hidden, &saved.hidden[rows(&block, d_ff)]);
            self.up.backward(hidden, block.len(), normed);
            let reciprocals = &saved.normed.reciprocals[block];
            let (stream, stream_gradient) = (&stream[place.clone()], &mut stream_gradient[place]);
            rms_norm_backward(normed, stream, self.gain, reciprocals, stream_gradient, gradients.gain);
        }
        self.down.accumulate(output_gradient, &saved.hidden, tokens, gradients.down);
        self.up.accumulate(hidden_gradient, &saved.normed.values, tokens, gradients.up);
    }
}

/// A feed-forward block as one operation on dfdx's tape: `[tokens, d_model]` from the stream
/// `[tokens, d_model]`, gain `[1, d_model]`, up `[d_ff, d_model]` and down `[d_model, d_ff]`.
///
/// # Panics
/// Where `d_model` or `d_ff` is not a multiple of 16.
pub fn on_tape<T: Tape<f32, Cpu>>(
    stream: tape::Matrix<T>,
    [gain, up, down]: [tape::Matrix<T>; 3],
    layer: usize,
    masks: Option<SequenceMasks>,
) -> tape::Matrix<T> {
    let ((tokens, d), (d_ff, _)) = (*stream.shape(), *up.shape());
    assert!(d % PANEL == 0 && d_ff % PANEL == 0, "{d}, {d_ff}: not multiples of {PANEL}");
    tape::apply(
        [stream, gain, up, down],
        (tokens, d),
        move |[stream, gain, up, down]| {
            let (up, down) = (Matrix::packed([d_ff, d], up), Matrix::packed([d, d_ff], down));
            let mut saved = Saved::new(tokens, d, d_ff);
            let mut output = vec![0.0; stream.len()];
            let block = FeedForward { gain, up: &up, down: &down, masks: masks.as_ref(), layer };
            block.forward(stream, &mut saved, &mut output);
            (output, (up, down, saved))
        },
        move |[stream, gain, _, _], (up, down, saved), gradient| {
            let weights = || vec![0.0; d_ff * d];
            let mut gradients = [gradient.to_vec(), vec![0.0; d], weights(), weights()];
            let [stream_gradient, gain_gradient, up_gradient, down_gradient] = &mut gradients;
            let added = Gradients { gain: gain_gradient, up: up_gradient, down: down_gradient };
            let mut scratch = [vec![0.0; tokens * d], vec![0.0; tokens * d_ff], vec![0.0; ROWS * d]];
            let block = FeedForward { gain, up: &up, down: &down, masks: masks.as_ref(), layer };
            block.backward(stream, &saved, stream_gradient, added, scratch.each_mut().map(Vec::as_mut_slice));
            gradients
        },
    )
}
