//! Attention of one head over the ring: integer softmax and weighted sum.

use super::kernels::Kernels;
use super::numerics::{exp2_negative, maximum, quantize, rescale, Scale, FRACTION_BITS};

/// Binary places of the scales of keys and values in the ring.
pub const RING_SCALE_BITS: i32 = 8;

/// Quantizes a key or a value of one head for the ring and returns its scale: the largest magnitude in units of 2^-8, rounded up,
/// at most 65535 (a magnitude of 256 and more saturates).
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn quantize_for_ring(values: &[i32], quantized: &mut [i8]) -> u16 {
    let shift = (FRACTION_BITS - RING_SCALE_BITS) as u32;
    let scale = maximum(values).div_ceil(1 << shift).min(u32::from(u16::MAX));
    quantize(values, scale << shift, quantized);
    scale as u16
}

/// Keys and values of one head: slot `s` starts at `s * stride`, scales are contiguous.
pub struct HeadRing<'a> {
    pub keys: &'a [i8],
    pub values: &'a [i8],
    pub key_scales: &'a [u16],
    pub value_scales: &'a [u16],
    pub stride: usize,
}

/// Working memory of one head: the query in int8, and one element for each slot.
pub struct HeadScratch<'a> {
    pub quantized_query: &'a mut [i8],
    pub scores: &'a mut [i32],
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
    let HeadScratch { quantized_query, scores, weights } = scratch;
    let query_maximum = maximum(query);
    quantize(query, query_maximum, quantized_query);
    kernels.query_keys(quantized_query, ring.keys, ring.stride, scores);

    // Scores in units of log2, fixed-point: dot * (query maximum * key scale) * constant.
    let scale = Scale::new(u64::from(query_maximum) * u64::from(score_scale.mantissa), score_scale.exponent);
    let shift = scale.exponent + RING_SCALE_BITS;
    rescale(scores, ring.key_scales.iter().map(|key_scale| scale.mantissa * u32::from(*key_scale)), shift);
    let largest = scores.iter().copied().max().unwrap_or(0);

    // Powers (Q15), then times the value's scale, so that the weighted sum is of plain int8.
    let mut total = 0u32;
    let mut largest_weight = 0u32;
    for (score, value_scale) in scores.iter_mut().zip(ring.value_scales) {
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
    for (weight, score) in weights.iter_mut().zip(scores.iter()) {
        let rounded =
            ((*score as u32 >> drop.saturating_sub(1)) + u32::from(drop > 0)) >> u32::from(drop > 0);
        *weight = rounded.min(limit) as i16;
    }
    kernels.weighted_values(weights, ring.values, ring.stride, output);

    // acc * 2^drop * 2^-8 / (127 * total), to fixed-point.
    let inverse = Scale::new((1 << 62) / (127 * u64::from(total.max(1))), 62);
    let shift = inverse.exponent + RING_SCALE_BITS - FRACTION_BITS - drop as i32;
    rescale(output, core::iter::repeat(inverse.mantissa), shift);
}
