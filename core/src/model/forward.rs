//! The forward pass of one token.

use super::attention::{attend, quantize_for_ring, HeadScratch};
use super::embedding::{self, Token};
use super::kernels::{store_key, store_value, Kernels, Operand, Work};
use super::numerics::{add, dot_bits, maximum, quantize, rectify, rescale, sum_of_squares};
use super::numerics::{Scale, FRACTION_BITS};
use super::probe::{Part, Probe};
use super::tensor::Tensor;
use super::{Dimensions, Layer, Model};
use crate::context::{context_words, Ring};

/// Working memory of the forward pass, lent by the caller. Sizes in elements.
pub(crate) struct Scratch<'a> {
    /// Residual stream, fixed-point, `[d_model]`.
    pub residual: &'a mut [i32],
    /// Outputs of a matrix, `[widest_output]`.
    pub wide: &'a mut [i32],
    /// Outputs of attention or of the second matrix of a block, `[d_model]`.
    pub narrow: &'a mut [i32],
    /// Logits, fixed-point, `[actions]`.
    pub logits: &'a mut [i32],
    /// Attention scores, then weights, `[slots]`.
    weights: &'a mut [i16],
    /// Quantized input of a matrix, `[widest_input]`.
    pub quantized: &'a mut [i8],
    /// The same as the kernels want it, `[widest_input / 4]`.
    pub operand: &'a mut [[i16; 4]],
}

const fn max(a: usize, b: usize) -> usize {
    if a > b {
        a
    } else {
        b
    }
}

/// Words of 32 bits of context and scratch.
pub(crate) const fn workspace_words(dimensions: &Dimensions) -> usize {
    context_words(dimensions) + scratch_words(dimensions)
}

/// Words of 32 bits of the scratch.
pub(crate) const fn scratch_words(dimensions: &Dimensions) -> usize {
    let Dimensions { d_model, actions, .. } = *dimensions;
    let (input, output) = (widest_input(dimensions), widest_output(dimensions));
    2 * d_model + output + actions + dimensions.slots() / 2 + input / 4 + input / 2
}

/// Most columns of a matrix.
const fn widest_input(dimensions: &Dimensions) -> usize {
    let Dimensions { d_model, d_ff, encoders, .. } = dimensions;
    max(max(*d_model, *d_ff), max(encoders.columns, widest_hidden(dimensions)))
}

/// Most outputs of a matrix.
const fn widest_output(dimensions: &Dimensions) -> usize {
    max(max(dimensions.d_model + 2 * dimensions.d_kv(), dimensions.d_ff), widest_hidden(dimensions))
}

/// Most hidden units of an encoder.
const fn widest_hidden(dimensions: &Dimensions) -> usize {
    max(dimensions.encoders.pixels_hidden, dimensions.encoders.vector_hidden)
}

/// Cuts the words of the context and the scratch out of a workspace. `None` where it is too small.
pub(crate) fn split_workspace<'a>(
    dimensions: &Dimensions,
    workspace: &'a mut [u32],
) -> Option<(&'a mut [u32], Scratch<'a>)> {
    let Dimensions { d_model, actions, .. } = *dimensions;
    let (input, output) = (widest_input(dimensions), widest_output(dimensions));
    let mut rest = workspace;
    let mut take = |words| take(&mut rest, words);
    let context = take(context_words(dimensions))?;
    let scratch = Scratch {
        residual: bytemuck::try_cast_slice_mut(take(d_model)?).ok()?,
        wide: bytemuck::try_cast_slice_mut(take(output)?).ok()?,
        narrow: bytemuck::try_cast_slice_mut(take(d_model)?).ok()?,
        logits: bytemuck::try_cast_slice_mut(take(actions)?).ok()?,
        weights: bytemuck::try_cast_slice_mut(take(dimensions.slots() / 2)?).ok()?,
        quantized: bytemuck::try_cast_slice_mut(take(input / 4)?).ok()?,
        operand: bytemuck::try_cast_slice_mut(take(input / 2)?).ok()?,
    };
    Some((context, scratch))
}

/// One token's way through the model: its keys and values enter the ring, its logits are in
/// `scratch.logits`.
///
/// On x86-64 everything below is inlined into [`Work::run`], which [`Kernels::run`] compiles once
/// for AVX2 and once without, the elementwise loops included.
pub(crate) struct Step<'s, 'a, P> {
    pub model: &'s Model<'a>,
    pub kernels: Kernels,
    pub ring: &'s mut Ring<'a>,
    pub scratch: &'s mut Scratch<'a>,
    pub token: Token<'s>,
    pub probe: P,
}

impl<P: Probe> Work for Step<'_, '_, P> {
    #[inline(always)]
    fn run(self) {
        let Step { model, kernels, ring, scratch, token, probe } = self;
        probe.begins(Part::Embedding);
        let mut tensors = model.tensors.clone();
        embedding::embed(model, kernels, &mut tensors, &token, ring.final_observation(), scratch);
        for index in 0..model.dimensions.layers {
            let layer = Layer::next(&mut tensors, &model.dimensions);
            attention_block(model, kernels, &layer, index, ring, scratch, probe);
            probe.begins(Part::FeedForward);
            feed_forward_block(model, kernels, &layer, scratch);
        }
        probe.begins(Part::Head);
        let head = tensors.next([model.dimensions.actions, model.dimensions.d_model]);
        let input = front(scratch.quantized, model.dimensions.d_model);
        let scale = normalize(scratch.residual, input);
        linear(kernels, &head, &Operand::new(input, scratch.operand), scale, scratch.logits);
        ring.advance();
    }
}

/// `x += attention_output . attention(norm(x))`.
///
/// A function of its own, as the other block is: in one, what they keep would lie on a device's stack side
/// by side.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn attention_block(
    model: &Model,
    kernels: Kernels,
    layer: &Layer,
    index: usize,
    ring: &mut Ring,
    scratch: &mut Scratch,
    probe: impl Probe,
) {
    probe.begins(Part::QueryKeyValue);
    let Dimensions { d_model, heads, kv_heads, .. } = model.dimensions;
    let d_head = model.dimensions.d_head();
    let d_kv = d_head * kv_heads;
    // Query heads that share keys and values.
    let Some(shared) = heads.checked_div(kv_heads) else { return };
    let input = front(scratch.quantized, d_model);
    let scale = normalize(scratch.residual, input);
    let projected = front(scratch.wide, d_model + 2 * d_kv);
    linear(kernels, &layer.query_key_value, &Operand::new(input, scratch.operand), scale, projected);
    let (mut queries, rest) = projected.split_at_mut_checked(d_model).unwrap_or_default();
    let (mut keys, mut values) = rest.split_at_mut_checked(d_kv).unwrap_or_default();
    let mut outputs = &mut *scratch.narrow;

    let (slot, attended) = (ring.slot(), ring.attended());
    let slots = front(scratch.weights, attended.div_ceil(4) * 4);
    for head in 0..kv_heads {
        probe.begins(Part::QueryKeyValue);
        let ring = ring.head(index * kv_heads + head);
        let quantized = front(scratch.quantized, d_head);
        let (Some(key), Some(value)) = (take(&mut keys, d_head), take(&mut values, d_head)) else { return };
        store(ring.key_scales, slot, quantize_for_ring(key, quantized));
        store_key(quantized, slot, ring.keys);
        store(ring.value_scales, slot, quantize_for_ring(value, quantized));
        store_value(quantized, slot, ring.values);
        for _ in 0..shared {
            let (query, output) = (take(&mut queries, d_head), take(&mut outputs, d_head));
            let (Some(query), Some(output)) = (query, output) else { return };
            let scratch = HeadScratch { quantized, operand: scratch.operand, weights: slots, probe };
            attend(kernels, model.score_scale, query, &ring, attended, scratch, output);
        }
    }
    probe.begins(Part::Output);
    residual_linear(
        kernels,
        &layer.attention_output,
        Inputs { values: scratch.narrow, largest: maximum(scratch.narrow) },
        scratch.quantized,
        scratch.operand,
        scratch.wide,
        scratch.residual,
    );
}

fn store(scales: &mut [u16], slot: usize, scale: u16) {
    if let Some(stored) = scales.get_mut(slot) {
        *stored = scale;
    }
}

/// `x += down . relu(up . norm(x))`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn feed_forward_block(model: &Model, kernels: Kernels, layer: &Layer, scratch: &mut Scratch) {
    let Dimensions { d_model, d_ff, .. } = model.dimensions;
    let input = front(scratch.quantized, d_model);
    let scale = normalize(scratch.residual, input);
    let hidden = front(scratch.wide, d_ff);
    linear(kernels, &layer.feed_forward_up, &Operand::new(input, scratch.operand), scale, hidden);
    let largest = rectify(hidden);
    residual_linear(
        kernels,
        &layer.feed_forward_down,
        Inputs { values: hidden, largest },
        scratch.quantized,
        scratch.operand,
        scratch.narrow,
        scratch.residual,
    );
}

/// Fixed-point values.
pub(super) struct Inputs<'a> {
    pub values: &'a [i32],
    /// The largest magnitude of them.
    pub largest: u32,
}

/// `residual += weights . inputs`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn residual_linear(
    kernels: Kernels,
    weights: &Tensor,
    Inputs { values, largest }: Inputs,
    quantized: &mut [i8],
    operand: &mut [[i16; 4]],
    outputs: &mut [i32],
    residual: &mut [i32],
) {
    let quantized = front(quantized, values.len());
    quantize(values, largest, quantized);
    let outputs = front(outputs, residual.len());
    linear(kernels, weights, &Operand::new(quantized, operand), Scale::of_maximum(largest), outputs);
    for (x, output) in residual.iter_mut().zip(outputs.iter()) {
        *x = add(*x, *output);
    }
}

/// RMS norm and quantization in one: `norm(x) ~ quantized * scale`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn normalize(residual: &[i32], quantized: &mut [i8]) -> Scale {
    quantize(residual, maximum(residual), quantized);
    Scale::of_rms_norm(quantized.len(), sum_of_squares(quantized))
}

/// `outputs = weights . (inputs * scale)`, fixed-point.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn linear(
    kernels: Kernels,
    weights: &Tensor,
    inputs: &Operand,
    scale: Scale,
    outputs: &mut [i32],
) {
    let (rows, columns) = (weights.data(), weights.columns());
    let shift = weights.exponent + scale.exponent - FRACTION_BITS;
    let done = kernels.linear(inputs, rows, weights.scale_bytes(), scale.mantissa, shift, outputs);
    let rest = outputs.get_mut(done..).unwrap_or(&mut []);
    if rest.is_empty() {
        return;
    }
    kernels.dots(inputs, rows.get(done * columns..).unwrap_or(&[]), columns, rest);
    // 16 bits times 15 bits.
    let multipliers = weights.scales_from(done).map(|row_scale| row_scale * scale.mantissa);
    rescale(rest, dot_bits(columns), multipliers, shift);
}

/// The first `len` elements; the workspace was checked when it was lent.
fn front<T>(slice: &mut [T], len: usize) -> &mut [T] {
    slice.get_mut(..len).unwrap_or(&mut [])
}

/// Takes `len` elements off the front of `rest`. Chunks of a length that is not a constant would divide by
/// it, which is a subroutine on some microcontrollers.
fn take<'s, T>(rest: &mut &'s mut [T], len: usize) -> Option<&'s mut [T]> {
    let (part, after) = core::mem::take(rest).split_at_mut_checked(len)?;
    *rest = after;
    Some(part)
}
