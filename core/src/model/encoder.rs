//! The way of numbers and pictures into the residual stream: one matrix, or two with a hidden layer
//! between them.

use super::forward::{linear, residual_linear, Inputs, Scratch};
use super::kernels::{decode, Kernels, Operand};
use super::numerics::{add, rectify, rescale, Scale, FRACTION_BITS, NORMALISED_BITS, QUANTIZED_MAX};
use super::tensor::{Sections, Tensor, Tensors};
use super::weights::{Dimensions, Normaliser, NORMALISER_LEN};
use crate::Channel;

/// The encoder of a vector or pixels channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder<'a> {
    /// Of each word of a vector channel, [`NORMALISER_LEN`] bytes.
    normalisers: &'a [u8],
    /// The hidden layer, which observations and final observations share; or none.
    hidden: Option<Tensor<'a>>,
    /// To the residual stream.
    observation: Tensor<'a>,
    /// The same for the observation that ends an episode; or none.
    final_observation: Option<Tensor<'a>>,
}

/// An encoder, and what [`Room::add`] adds to and works in.
pub(super) struct Room<'r, 's, 'a> {
    pub kernels: Kernels,
    pub scratch: &'r mut Scratch<'s>,
    pub encoder: &'r Encoder<'a>,
}

/// Magnitudes up to 32767, times 128, in a sum of at most 65.
const VECTOR_DOT_BITS: u32 = 29;

/// Scale of a byte of a picture: 127 is 1.
const PIXEL_SCALE: Scale = Scale::of_maximum(1 << FRACTION_BITS);

impl<'a> Encoder<'a> {
    /// The encoder of `channel`, whose normalisers and tensors are the next.
    pub fn next(
        normalisers: &mut Sections<'a>,
        tensors: &mut Tensors<'a>,
        dimensions: &Dimensions,
        channel: &Channel,
    ) -> Self {
        let normalisers = normalisers.next(NORMALISER_LEN * channel.normalised_words());
        let (hidden, mut columns) = (dimensions.encoders.hidden(channel), channel.encoder_columns());
        let hidden = (hidden > 0).then(|| {
            let shape = [hidden, core::mem::replace(&mut columns, hidden)];
            tensors.next(shape)
        });
        let observation = tensors.next([dimensions.d_model, columns]);
        let has_final = dimensions.final_words > 0;
        let final_observation = has_final.then(|| tensors.next([dimensions.d_model, columns]));
        Self { normalisers, hidden, observation, final_observation }
    }
}

impl Room<'_, '_, '_> {
    /// Adds what `words` say on `channel` to the residual stream; `ended`: they are of a final
    /// observation.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    pub fn add(self, channel: &Channel, words: &[i32], ended: bool) {
        let Self { kernels, scratch, encoder } = self;
        let output = match ended {
            false => &encoder.observation,
            true => match &encoder.final_observation {
                Some(tensor) => tensor,
                None => return,
            },
        };
        let first = encoder.hidden.as_ref().unwrap_or(output);
        let rows = first.rows();
        let Some(outputs) = scratch.wide.get_mut(..rows) else { return };
        match channel {
            Channel::Discrete { .. } => return,
            Channel::Vector { .. } => {
                normalise(encoder.normalisers, words, scratch.operand);
                multiply(first, scratch.operand, outputs);
            }
            Channel::Pixels { .. } => {
                let Some(quantized) = scratch.quantized.get_mut(..first.columns()) else { return };
                quantize_picture(channel.inputs(), words, quantized);
                linear(kernels, first, &Operand::new(quantized, scratch.operand), PIXEL_SCALE, outputs);
            }
        }
        if encoder.hidden.is_none() {
            scratch.residual.iter_mut().zip(outputs.iter()).for_each(|(x, y)| *x = add(*x, *y));
            return;
        }
        let largest = rectify(outputs);
        residual_linear(
            kernels,
            output,
            Inputs { values: outputs, largest },
            scratch.quantized,
            scratch.operand,
            scratch.narrow,
            scratch.residual,
        );
    }
}

/// Halves the bytes of a picture, so that they are int8, and puts the constant 1 behind them.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn quantize_picture(inputs: usize, words: &[i32], quantized: &mut [i8]) {
    let (picture, rest) = quantized.split_at_mut_checked(inputs).unwrap_or((&mut [], &mut []));
    rest.fill(0);
    if let Some(constant) = rest.first_mut() {
        *constant = QUANTIZED_MAX as i8;
    }
    let bytes: &[u8] = bytemuck::try_cast_slice(words).unwrap_or(&[]);
    picture.iter_mut().zip(bytes).for_each(|(q, byte)| *q = (byte >> 1) as i8);
}

/// Writes the normalised words and the constant 1 behind them to the front of `memory`, zeros behind.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn normalise(normalisers: &[u8], words: &[i32], memory: &mut [[i16; 4]]) {
    let inputs: &mut [i16] = memory.as_flattened_mut();
    inputs.fill(0);
    let (normalisers, _) = normalisers.as_chunks::<NORMALISER_LEN>();
    let values = words.iter().zip(normalisers);
    let values = values.map(|(word, bytes)| Normaliser::from_bytes(*bytes).apply(*word));
    inputs.iter_mut().zip(values.chain([1 << NORMALISED_BITS])).for_each(|(x, value)| *x = value);
}

/// `outputs = weights . inputs`, fixed-point, for inputs with [`NORMALISED_BITS`]. They are few, and
/// more precise than int8: no SIMD.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn multiply(weights: &Tensor, inputs: &[[i16; 4]], outputs: &mut [i32]) {
    let inputs = inputs.as_flattened();
    let rows = weights.data().chunks_exact(weights.columns().max(1));
    for (output, row) in outputs.iter_mut().zip(rows) {
        let row = row.iter().enumerate().map(|(column, byte)| i32::from(decode(column, *byte)));
        *output = row.zip(inputs).map(|(w, x)| w * i32::from(*x)).sum();
    }
    rescale(
        outputs,
        VECTOR_DOT_BITS,
        weights.scales_from(0),
        weights.exponent + NORMALISED_BITS - FRACTION_BITS,
    );
}
