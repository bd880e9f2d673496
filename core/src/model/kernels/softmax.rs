//! The elementwise arithmetic between the two products of attention; `docs/numerics.md` is the
//! specification. 16 bits suffice for scores and weights, so that SIMD has many lanes and an agent
//! needs one buffer for both.

use crate::model::numerics::high_product;

/// The score of a slot, in units of 2^-8 of a binary logarithm: `dot * key_scale * factor * 2^-40`, in
/// two steps that each keep the upper half of a product.
#[inline(always)]
pub(super) fn score(dot: i32, key_scale: u16, factor: i32) -> i16 {
    // A dot has 23 bits, a scale 15.
    let scaled = high_product(dot << 8, i32::from(key_scale) << 16);
    high_product(scaled, factor).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// `2^-(below / 256)` in Q15, 32767 for 0: of the fraction a parabola through both ends, whose relative
/// error is below 0.27 %.
#[inline(always)]
pub(super) const fn power(below: u16) -> u32 {
    let whole = below as u32 >> 8;
    if whole < 16 {
        fraction_power(below as u32 & 0xff) >> (16 + whole)
    } else {
        0
    }
}

/// `2^-(fraction / 256)` in Q31 for a fraction of 8 bits.
#[inline(always)]
pub(super) const fn fraction_power(fraction: u32) -> u32 {
    const SQUARE: u32 = 5567;
    const LINEAR: u32 = (1 << 22) + 256 * SQUARE;
    i32::MAX as u32 - fraction * (LINEAR - fraction * SQUARE)
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
        let all = value_scales.iter().fold(0, |all, scale| all | scale);
        Self::of(all.into(), value_scales.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_as_precise_as_documented() {
        let mut largest = 0f64;
        for below in 0..=u16::MAX {
            let exact = 32_768.0 * (-f64::from(below) / 256.0).exp2();
            // Less than one is lost by the last rounding.
            largest = largest.max(
                (f64::from(power(below)) + 1.0 - exact).min(exact - f64::from(power(below))) / exact.max(1.0),
            );
            assert!(f64::from(power(below)) <= exact * 1.0027, "{below}");
            assert!(f64::from(power(below)) >= exact * 0.9973 - 1.0, "{below}");
        }
        assert!((1..=u16::MAX).all(|below| power(below) <= power(below - 1)));
        assert_eq!([power(0), power(256), power(15 * 256), power(16 * 256)], [32_767, 16_383, 0, 0]);
    }
}
