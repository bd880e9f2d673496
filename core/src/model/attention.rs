//! Attention of one head over the ring: integer softmax and weighted sum.

use super::kernels::{Kernels, Operand};
use super::numerics::{dot_bits, exp2_negative, maximum, quantize, rescale, Scale, FRACTION_BITS};

/// Binary places of the scales of keys and values in the ring.
pub const RING_SCALE_BITS: i32 = 8;

/// Quantizes a key or a value of one head for the ring and returns its scale: the largest magnitude
/// in units of 2^-8, rounded up, at most 65535 (a magnitude of 256 and more saturates).
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn quantize_for_ring(values: &mut [i32], quantized: &mut [i8]) -> u16 {
    let shift = (FRACTION_BITS - RING_SCALE_BITS) as u32;
    let largest = maximum(values).div_ceil(1 << shift);
    let scale = largest.min(u32::from(u16::MAX));
    if largest > scale {
        let limit = (scale << shift) as i32;
        for value in values.iter_mut() {
            *value = (*value).clamp(-limit, limit);
        }
    }
    quantize(values, scale << shift, quantized);
    scale as u16
}

/// Keys and values of one head; all slots of the ring that are attended to.
pub struct HeadRing<'a> {
    /// Coded rows: slot `s` starts at `s * d_kv`.
    pub keys: &'a [u8],
    /// See [`super::kernels::value_index`], with rows of `d_kv`; the last group is whole.
    pub values: &'a [i8],
    /// One per slot.
    pub key_scales: &'a [u16],
    /// One per slot.
    pub value_scales: &'a [u16],
    pub d_kv: usize,
}

/// Working memory of one head.
pub struct HeadScratch<'a> {
    /// The query in int8.
    pub quantized: &'a mut [i8],
    /// One element for four of the query.
    pub operand: &'a mut [[i16; 4]],
    /// One element for each slot.
    pub scores: &'a mut [i32],
    /// One element for each slot, and up to three more for the rest of the last group.
    pub weights: &'a mut [i16],
}

/// `softmax(query . keys / sqrt(d_head)) values` of one head over `scores.len()` slots.
///
/// `query` and `output` are fixed-point, `[d_head]`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn attend(
    kernels: Kernels,
    score_scale: Scale,
    query: &[i32],
    ring: &HeadRing,
    scratch: HeadScratch,
    output: &mut [i32],
) {
    let HeadScratch { quantized, operand, scores, weights } = scratch;
    let query_maximum = maximum(query);
    quantize(query, query_maximum, quantized);
    kernels.dots(&Operand::new(quantized, operand), ring.keys, ring.d_kv, scores);

    // Scores in units of log2, fixed-point: dot * (query maximum * key scale) * constant.
    let scale = Scale::new(u64::from(query_maximum) * u64::from(score_scale.mantissa), score_scale.exponent);
    let multipliers = ring.key_scales.iter().map(|key_scale| scale.mantissa * u32::from(*key_scale));
    rescale(scores, dot_bits(query.len()), multipliers, scale.exponent + RING_SCALE_BITS);

    let Weights { total, drop } = softmax(scores, ring.value_scales, weights);
    kernels.weighted_values(weights, ring.values, ring.d_kv, output);

    // acc * 2^drop * 2^-8 / (127 * total), to fixed-point. The mantissa of 15 bits has room for 16
    // more, the sum for none.
    let inverse = Scale::new((1 << 62) / (127 * u64::from(total.max(1))), 62);
    let shift = inverse.exponent + RING_SCALE_BITS - FRACTION_BITS - drop as i32;
    rescale(output, 31, core::iter::repeat(inverse.mantissa << 16), shift + 16);
}

/// What [`softmax`] leaves to be done to the weighted sum: times `2^drop / total`.
struct Weights {
    total: u32,
    drop: u32,
}

/// Powers of two of the scores (Q15) times the scale of the slot's value, so that the weighted sum
/// is of plain int8; as many bits of them as the sum has room for. `scores` are overwritten.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn softmax(scores: &mut [i32], value_scales: &[u16], weights: &mut [i16]) -> Weights {
    let largest = scores.iter().copied().max().unwrap_or(0);
    let mut total = 0u32;
    let mut largest_weight = 0u32;
    for (score, value_scale) in scores.iter_mut().zip(value_scales) {
        let power = exp2_negative(largest.abs_diff(*score));
        total += power;
        let weight = power * u32::from(*value_scale);
        largest_weight = largest_weight.max(weight);
        *score = weight as i32;
    }
    // At most `bits` bits a weight: slots * 2^bits * 128 stays within 31 bits.
    let bits = 15.min((scores.len().max(1) as u32).leading_zeros().saturating_sub(9)).max(1);
    let drop = (u32::BITS - largest_weight.leading_zeros()).saturating_sub(bits);
    let limit = (1u32 << bits) - 1;
    let (before, after) = (drop.saturating_sub(1), u32::from(drop > 0));
    for (weight, score) in weights.iter_mut().zip(scores.iter()) {
        let rounded = ((*score as u32 >> before) + after) >> after;
        *weight = rounded.min(limit) as i16;
    }
    for weight in weights.iter_mut().skip(scores.len()) {
        *weight = 0;
    }
    Weights { total, drop }
}
