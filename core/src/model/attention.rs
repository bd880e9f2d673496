//! Attention of one head over the ring: integer softmax and weighted sum.

use super::kernels::{Kernels, Operand};
use super::numerics::{maximum, quantize, rescale_by, Scale, FRACTION_BITS};
use super::probe::{Part, Probe};
use crate::context::HeadRing;

/// Binary places of the scales of keys and values in the ring.
const RING_SCALE_BITS: i32 = 8;
/// Largest scale of a key or value.
const RING_SCALE_MAX: u32 = i16::MAX as u32;
/// Binary places of a score, which is in binary logarithms.
const SCORE_BITS: i32 = 8;
/// Places that the two steps of a score drop behind the binary point.
const DROPPED_BITS: i32 = 8 + 32;

/// Quantizes a key or a value of one head for the ring and returns its scale: the largest magnitude
/// in units of 2^-8, rounded up, at most 32767 (a magnitude of 128 and more saturates).
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn quantize_for_ring(values: &mut [i32], quantized: &mut [i8]) -> u16 {
    let shift = (FRACTION_BITS - RING_SCALE_BITS) as u32;
    let largest = maximum(values).div_ceil(1 << shift);
    let scale = largest.min(RING_SCALE_MAX);
    if largest > scale {
        let limit = (scale << shift) as i32;
        for value in values.iter_mut() {
            *value = (*value).clamp(-limit, limit);
        }
    }
    quantize(values, scale << shift, quantized);
    scale as u16
}

/// Working memory of one head.
pub struct HeadScratch<'a, P> {
    /// The query in int8.
    pub quantized: &'a mut [i8],
    /// One element for four of the query.
    pub operand: &'a mut [[i16; 4]],
    /// One element for each slot that is attended to: scores, then weights; and zeros up to whole fours
    /// of slots.
    pub weights: &'a mut [i16],
    /// Told where the parts begin.
    pub probe: P,
}

/// `softmax(query . keys / sqrt(d_head)) values` of one head over the first `attended` slots of the
/// ring.
///
/// `query` and `output` are fixed-point, `[d_head]`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
pub fn attend(
    kernels: Kernels,
    score_scale: Scale,
    query: &[i32],
    ring: &HeadRing,
    attended: usize,
    scratch: HeadScratch<impl Probe>,
    output: &mut [i32],
) {
    let HeadScratch { quantized, operand, weights, probe } = scratch;
    probe.begins(Part::Scores);
    let (scores, rest) = weights.split_at_mut_checked(attended).unwrap_or_default();
    let [key_scales, value_scales] =
        [&ring.key_scales, &ring.value_scales].map(|scales| scales.get(..attended).unwrap_or(&[]));
    let query_maximum = maximum(query);
    quantize(query, query_maximum, quantized);
    let factor = score_factor(query_maximum, score_scale);
    kernels.scores(&Operand::new(quantized, operand), ring.keys, key_scales, factor, scores);
    probe.begins(Part::Softmax);
    let softmax = kernels.softmax(scores, value_scales);
    rest.fill(0);
    probe.begins(Part::WeightedSum);
    kernels.weighted_values(weights, ring.values, output);

    // sum * 2^-exponent * 2^(16 - 8) / (127 * total), to fixed-point. The mantissa of 15 bits has room
    // for 16 more, the sum for none.
    let inverse = Scale::of_inverse(softmax.total);
    let shift = inverse.exponent + RING_SCALE_BITS - FRACTION_BITS - 16 + softmax.exponent;
    rescale_by(output, 31, inverse.mantissa << 16, shift + 16);
}

/// What dots of a query times the scales of their keys are multiplied by, times 2^40, to be scores. A
/// factor that would not fit 31 bits is limited to those.
fn score_factor(query_maximum: u32, score_scale: Scale) -> i32 {
    let scale = Scale::new(u64::from(query_maximum) * u64::from(score_scale.mantissa), score_scale.exponent);
    // The maximum is in units of 2^-16, the scales of keys of 2^-8.
    let shift = SCORE_BITS + DROPPED_BITS - FRACTION_BITS - RING_SCALE_BITS - scale.exponent;
    let factor = match shift {
        0.. => scale.mantissa << shift.min(16),
        _ => scale.mantissa.checked_shr(shift.unsigned_abs()).unwrap_or(0),
    };
    factor as i32
}
