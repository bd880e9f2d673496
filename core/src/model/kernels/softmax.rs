//! The elementwise arithmetic between the two products of attention; `docs/numerics.md` is the
//! specification. 16 bits suffice for scores and weights, so that SIMD has many lanes and an agent
//! needs one buffer for both.

#[cfg(any(not(paired_ring), test))]
use crate::model::numerics::high_product;

/// The score of a slot, in units of 2^-8 of a binary logarithm: `dot * key_scale * factor * 2^-40`, in
/// two steps that each keep the upper half of a product.
#[cfg(any(not(paired_ring), test))]
#[inline(always)]
pub(super) fn score(dot: i32, key_scale: u16, factor: i32) -> i16 {
    // A dot has 23 bits, a scale 15.
    let scaled = high_product(dot << 8, i32::from(key_scale) << 16);
    high_product(scaled, factor).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The factor of [`score`], of at most 15 bits before zeros, for processors whose products have 32 bits.
#[cfg(any(arm_thumb1, test))]
#[derive(Clone, Copy)]
pub(super) struct Factor {
    mantissa: i32,
    /// Places that a product with the mantissa drops, beside 16.
    drop: u32,
}

#[cfg(any(arm_thumb1, test))]
impl Factor {
    pub fn new(factor: i32) -> Self {
        let excess = (u32::BITS - factor.leading_zeros()).saturating_sub(15).min(16);
        Self { mantissa: factor >> excess, drop: 16 - excess }
    }

    /// As [`score`]: both products in parts of at most 16 bits, of which the lower ones only carry.
    #[inline(always)]
    pub fn score(self, dot: i32, key_scale: u16) -> i16 {
        let scale = i32::from(key_scale);
        let scaled = (dot >> 8) * scale + (((dot & 0xff) * scale) >> 8);
        let high = (scaled >> 16) * self.mantissa + (((scaled & 0xffff) * self.mantissa) >> 16);
        (high >> self.drop).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

/// `2^-(below / 256)` in Q15, 32767 for 0: of the fraction a parabola through both ends, whose relative
/// error is below 0.27 %.
#[inline(always)]
pub(super) const fn power(below: u32) -> u32 {
    // The places are 16 more; of 31 bits, 31 places leave nothing.
    const NOTHING: u32 = 31 << 8 | 0xff;
    let places = below + (16 << 8);
    let places = if places < NOTHING { places } else { NOTHING };
    fraction_power(places & 0xff) >> (places >> 8)
}

/// Of the square of the fraction in [`fraction_power`].
pub(super) const POWER_SQUARE: u32 = 5567;
/// Of the fraction.
pub(super) const POWER_LINEAR: u32 = (1 << 22) + 256 * POWER_SQUARE;

/// `2^-(fraction / 256)` in Q31 for a fraction of 8 bits.
#[inline(always)]
pub(super) const fn fraction_power(fraction: u32) -> u32 {
    i32::MAX as u32 - fraction * (POWER_LINEAR - fraction * POWER_SQUARE)
}

/// What is left to be done to a weighted sum: times `2^-exponent / total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Sum of the powers of all slots, Q15.
    pub total: u32,
    /// Binary places by which the scales of the values were shifted left.
    pub exponent: i32,
}

impl Softmax {
    /// Of slots whose values have these scales, before the first of them.
    pub(super) fn new(value_scales: &[u16]) -> Self {
        let (quads, rest) = value_scales.as_chunks::<4>();
        let all = quads.iter().fold(0, |all, [a, b, c, d]| all | a | b | c | d);
        Self::of(rest.iter().fold(all, |all, scale| all | scale).into(), value_scales.len())
    }

    /// Of so many slots, whose values have scales with bits in the lower half of `all`.
    #[inline(always)]
    pub(super) fn of(all: u32, slots: usize) -> Self {
        // Weights have one bit less: slots * 2^(bits - 1) * 127 stays within 31 bits.
        let slots = slots.max(1).next_power_of_two();
        let bits = 15.min(25 - slots.ilog2() as i32);
        Self { total: 0, exponent: bits - (u16::BITS - (all as u16).leading_zeros()) as i32 }
    }

    /// Adds a slot and returns the weight of its value, which the value's scale is part of, so that the
    /// weighted sum is of plain int8.
    #[inline(always)]
    pub(super) fn weight(&mut self, power: u32, value_scale: u16) -> i16 {
        self.total += power;
        let scale = u32::from(value_scale);
        let scale = if self.exponent < 0 { scale >> -self.exponent } else { scale << self.exponent };
        ((power * scale) >> 16) as i16
    }
}

/// See [`super::Kernels::softmax`], four slots a turn of the loops: for processors without vectors.
#[cfg(coded_keys)]
pub(super) fn softmax_in_fours(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
    let largest = largest(scores);
    let mut softmax = Softmax::new(value_scales);
    let mut weigh = |(score, value_scale): (&mut i16, &u16)| {
        *score = softmax.weight(power((largest - i32::from(*score)) as u32), *value_scale);
    };
    let slots = scores.len().min(value_scales.len());
    let (quads, rest) = scores.get_mut(..slots).unwrap_or(&mut []).as_chunks_mut::<4>();
    let (scales, last_scales) = value_scales.as_chunks::<4>();
    for (quad, scales) in quads.iter_mut().zip(scales) {
        quad.iter_mut().zip(scales).for_each(&mut weigh);
    }
    rest.iter_mut().zip(last_scales).for_each(weigh);
    softmax
}

#[cfg(coded_keys)]
fn largest(scores: &[i16]) -> i32 {
    let (quads, rest) = scores.as_chunks::<4>();
    let all = |largest: i32, score: &i16| largest.max(i32::from(*score));
    rest.iter().fold(quads.iter().fold(i16::MIN.into(), |largest, quad| quad.iter().fold(largest, all)), all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_in_parts_are_those_of_64_bits() {
        let mut rng = crate::PortableRng::new(3, 0);
        const MOST: u32 = 512 * 127 * 127;
        for round in 0..200_000u32 {
            let magnitude = [MOST, rng.below(MOST + 1), rng.below(256)][round as usize % 3];
            let dot = if rng.below(2) == 0 { magnitude as i32 } else { -(magnitude as i32) };
            let scale =
                [i16::MAX as u16, (rng.next_u32() >> (17 + round % 15)) as u16][round as usize / 3 % 2];
            let factor = (rng.below(1 << 15) << rng.below(17)) as i32;
            let expected = score(dot, scale, factor);
            assert_eq!(Factor::new(factor).score(dot, scale), expected, "{dot} * {scale} * {factor}");
        }
    }

    #[test]
    fn powers_are_as_precise_as_documented() {
        let mut largest = 0f64;
        for below in 0..=u32::from(u16::MAX) {
            let exact = 32_768.0 * (-f64::from(below) / 256.0).exp2();
            // Less than one is lost by the last rounding.
            largest = largest.max(
                (f64::from(power(below)) + 1.0 - exact).min(exact - f64::from(power(below))) / exact.max(1.0),
            );
            assert!(f64::from(power(below)) <= exact * 1.0027, "{below}");
            assert!(f64::from(power(below)) >= exact * 0.9973 - 1.0, "{below}");
        }
        assert!((1..=u32::from(u16::MAX)).all(|below| power(below) <= power(below - 1)));
        assert_eq!([power(0), power(256), power(15 * 256), power(16 * 256)], [32_767, 16_383, 0, 0]);
    }
}
