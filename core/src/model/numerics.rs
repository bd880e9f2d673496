//! Fixed-point arithmetic of the model: every rounding in one place. `docs/numerics.md` is the
//! specification.
//!
//! Real numbers that are not int8 are `i32` in Q16.16 ("fixed"). There is no floating point, so
//! every target that implements two's complement integers computes the same bits.

#[cfg(arm_dsp)]
use super::kernels::dsp;
#[cfg(arm_mve)]
use super::kernels::mve;

/// Fractional bits of a fixed-point value.
pub const FRACTION_BITS: i32 = 16;
/// Bits of the mantissa of a [`Scale`].
const MANTISSA_BITS: u32 = 15;
/// Fractional bits of a normalised word of a vector channel.
pub const NORMALISED_BITS: i32 = 12;
/// Largest magnitude of a quantized activation.
pub const QUANTIZED_MAX: i32 = 127;

/// A positive real number `mantissa * 2^-exponent`: the scale of an int8 vector. The mantissa has
/// exactly 15 bits, or is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// 2^14 to 2^15 - 1, or 0.
    pub mantissa: u32,
    /// Position of the binary point.
    pub exponent: i32,
}

impl Scale {
    /// `value * 2^-exponent`, the mantissa rounded to nearest, ties up.
    pub const fn new(value: u64, exponent: i32) -> Self {
        if value == 0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        let bits = 64 - value.leading_zeros();
        if bits <= MANTISSA_BITS {
            let shift = MANTISSA_BITS - bits;
            return Self { mantissa: (value << shift) as u32, exponent: exponent + shift as i32 };
        }
        let shift = bits - MANTISSA_BITS;
        let rounded = ((value >> (shift - 1)) + 1) >> 1;
        // Rounding up may carry into a 16th bit: 0x7fff.8 becomes 0x8000.
        let carry = (rounded >> MANTISSA_BITS) as u32;
        Self { mantissa: (rounded >> carry) as u32, exponent: exponent - (shift + carry) as i32 }
    }

    /// Scale of a vector quantized with [`quantize`]: `maximum / (127 * 2^16)`.
    pub const fn of_maximum(maximum: u32) -> Self {
        // floor(maximum * 2^31 / 127) in 32-bit divisions: 2^31 = 127 * 16909320 + 8.
        let (quotient, rest) = (maximum / 127, maximum % 127);
        let small = 8 * quotient + 8 * rest / 127;
        Self::new(maximum as u64 * 16_909_320 + small as u64, 31 + FRACTION_BITS)
    }

    /// `1 / (127 * total)`, the mantissa from `floor(2^62 / (127 * total))`; 1/127 for 0.
    pub fn of_inverse(total: u32) -> Self {
        let divisor = 127 * (if total == 0 { 1 } else { total }) as u64;
        if divisor >= 1 << 31 {
            return Self::new((1 << 62) / divisor, 62);
        }
        // As many bits as a mantissa needs, and more, without a division of 64 bits.
        let shift = (divisor as u32).leading_zeros() - 1;
        Self::new(divide(1 << 29, (divisor as u32) << shift) as u64, 61 - shift as i32)
    }

    /// Scale of a vector quantized with [`quantize`] after RMS normalisation: `sqrt(n / sum of
    /// squares)` for `n` int8 elements. The maximum cancels, so the norm needs one integer
    /// square root and no epsilon.
    pub const fn of_rms_norm(elements: usize, sum_of_squares: u32) -> Self {
        if sum_of_squares == 0 {
            return Self::new(0, 0);
        }
        Self::new(square_root(((elements as u64) << 46) / sum_of_squares as u64) as u64, 23)
    }
}

/// `floor(sqrt(value))`, bit by bit.
pub const fn square_root(value: u64) -> u32 {
    let mut remainder = value;
    let mut root = 0u64;
    let mut bit = 1u64 << 62;
    while bit > remainder {
        bit >>= 2;
        if bit == 0 {
            return 0;
        }
    }
    while bit != 0 {
        if remainder >= root + bit {
            remainder -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    root as u32
}

/// `product * 2^-shift` rounded to nearest (ties up), saturated to +-(2^31 - 1).
#[inline(always)]
pub const fn round_shift(product: i64, shift: i32) -> i32 {
    let value = if shift > 62 {
        0
    } else if shift > 0 {
        // Two steps, so that the rounding term cannot overflow.
        ((product >> (shift - 1)) + 1) >> 1
    } else if product == 0 {
        0
    } else if shift > -32 {
        // |product| < 2^31 is the only case in which the result is not saturated anyway.
        let limited = saturate(product) as i64;
        limited << -shift
    } else {
        product.signum() * i64::MAX
    };
    saturate(value)
}

/// The upper half of a product.
#[inline(always)]
pub const fn high_product(a: i32, b: i32) -> i32 {
    #[cfg(arm_thumb1)]
    return super::parts::high_product(a, b, 0);
    #[cfg(not(arm_thumb1))]
    return ((a as i64 * b as i64) >> 32) as i32;
}

/// The same, rounded to nearest, ties up.
#[inline(always)]
const fn rounded_high_product(a: i32, b: i32) -> i32 {
    #[cfg(arm_thumb1)]
    return super::parts::high_product(a, b, 1 << 15);
    #[cfg(not(arm_thumb1))]
    return ((a as i64 * b as i64 + (1 << 31)) >> 32) as i32;
}

/// `values[i] = round_shift(values[i] * multipliers[i], shift)` for multipliers below 2^31 and
/// values of at most `bits` bits.
///
/// Values and multipliers are shifted left until the result is the upper half of their product: one
/// multiplication (SMMULR, MULH, VPMULDQ) and shifts of 32 bits. Where they have no room for it, 64
/// bits do.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn rescale(values: &mut [i32], bits: u32, multipliers: impl Iterator<Item = u32> + Clone, shift: i32) {
    let missing = (32 - shift).max(0) as u32;
    let left = missing.min(31u32.saturating_sub(bits));
    let more = missing - left;
    let used = multipliers.clone().take(if more == 0 { 0 } else { values.len() }).fold(0, |all, m| all | m);
    let fits = used.leading_zeros() > more;
    let products = values.iter_mut().zip(multipliers);
    if shift > 62 || !fits {
        for (value, multiplier) in products {
            *value = rescale_one(*value, multiplier, shift);
        }
    } else if shift > 32 {
        // Added to the upper half, it rounds.
        let half = 1 << (shift - 33);
        for (value, multiplier) in products {
            *value = (high_product(*value, multiplier as i32) + half) >> (shift - 32);
        }
    } else {
        for (value, multiplier) in products {
            *value = rounded_high_product(*value << left, (multiplier << more) as i32);
        }
    }
}

/// [`rescale`] with one multiplier for all.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn rescale_by(values: &mut [i32], bits: u32, multiplier: u32, shift: i32) {
    #[cfg(arm_mve)]
    if let Some(shifts) = mve::Shifts::new(bits, shift) {
        return mve::rescale(values, multiplier, shifts);
    }
    rescale(values, bits, core::iter::repeat(multiplier), shift);
}

/// [`rescale`] of one value after another with one multiplier.
#[derive(Clone, Copy)]
pub struct Rescaling {
    left: u32,
    multiplier: u32,
    /// Of the upper half of the product.
    right: i32,
    half: i32,
    /// Where there is no room for the shift to the left.
    exact: Option<i32>,
}

impl Rescaling {
    /// Of values of at most `bits` bits and a multiplier below 2^31.
    pub fn new(bits: u32, multiplier: u32, shift: i32) -> Self {
        let missing = (33 - shift).max(0) as u32;
        let left = missing.min(31u32.saturating_sub(bits));
        let more = missing - left;
        let right = shift + missing as i32 - 32;
        if multiplier.leading_zeros() <= more || right > 30 {
            return Self { left: 0, multiplier, right: 1, half: 1, exact: Some(shift) };
        }
        Self { left, multiplier: multiplier << more, right, half: 1 << (right - 1), exact: None }
    }

    /// `round_shift(value * multiplier, shift)`.
    #[inline(always)]
    pub fn apply(self, value: i32) -> i32 {
        match self.exact {
            None => (high_product(value << self.left, self.multiplier as i32) + self.half) >> self.right,
            Some(shift) => rescale_one(value, self.multiplier, shift),
        }
    }
}

/// Not inlined, because it is long and rare.
#[inline(never)]
fn rescale_one(value: i32, multiplier: u32, shift: i32) -> i32 {
    round_shift(i64::from(value) * i64::from(multiplier), shift)
}

/// Bits of the magnitude of a sum of `terms` products of int8.
pub const fn dot_bits(terms: usize) -> u32 {
    // 128 * 128 each.
    14 + usize::BITS - terms.leading_zeros()
}

/// To +-(2^31 - 1): the magnitude of a fixed-point value always fits 31 bits.
#[inline(always)]
pub const fn saturate(value: i64) -> i32 {
    if value > i32::MAX as i64 {
        i32::MAX
    } else if value < -(i32::MAX as i64) {
        -i32::MAX
    } else {
        value as i32
    }
}

/// `a + b`, saturated to +-(2^31 - 1).
#[inline(always)]
pub fn add(a: i32, b: i32) -> i32 {
    a.saturating_add(b).max(-i32::MAX)
}

/// Largest magnitude of fixed-point values.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn maximum(values: &[i32]) -> u32 {
    #[cfg(arm_dsp)]
    return dsp::maximum(values);
    #[cfg(not(arm_dsp))]
    values.iter().fold(0, |largest, value| largest.max(value.unsigned_abs()))
}

#[cfg(arm_thumb1)]
use super::kernels::divide;

/// `floor(upper * 2^32 / divisor)` for `upper < divisor` and a divisor of 31 bits.
#[cfg(not(arm_thumb1))]
const fn divide(upper: u32, divisor: u32) -> u32 {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32")) {
        return match ((upper as u64) << 32).checked_div(divisor as u64) {
            Some(quotient) => quotient as u32,
            None => 0,
        };
    }
    divide_in_digits(upper, divisor)
}

/// The same in two digits of 16 bits: a division of 64 bits is a long subroutine on a microcontroller
/// (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
#[cfg(not(arm_thumb1))]
const fn divide_in_digits(upper: u32, divisor: u32) -> u32 {
    const fn digit(rest: u32, divisor: u32) -> (u32, u32) {
        // The estimate is of the upper 16 bits of the divisor, and at most 2 too large.
        let Some(mut quotient) = rest.checked_div(divisor >> 16) else { return (0, 0) };
        let mut product = quotient as u64 * divisor as u64;
        while product > (rest as u64) << 16 {
            quotient -= 1;
            product -= divisor as u64;
        }
        (quotient, (((rest as u64) << 16) - product) as u32)
    }
    // With 32 bits the estimate is good enough.
    let (first, rest) = digit(upper << 1, divisor << 1);
    let (second, _) = digit(rest, divisor << 1);
    first << 16 | second
}

/// Sets negative values to 0 and returns the largest.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn rectify(values: &mut [i32]) -> u32 {
    #[cfg(arm_dsp)]
    return dsp::rectify(values);
    #[cfg(not(arm_dsp))]
    values.iter_mut().fold(0, |largest, value| {
        *value = (*value).max(0);
        largest.max(*value as u32)
    })
}

/// Of int8.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn sum_of_squares(values: &[i8]) -> u32 {
    #[cfg(arm_dsp)]
    return dsp::sum_of_squares(values);
    #[cfg(not(arm_dsp))]
    values.iter().map(|q| (i32::from(*q) * i32::from(*q)) as u32).sum()
}

/// Quantizes fixed-point values, of which none is larger than `maximum`: `q = round(127 * x /
/// maximum)`, ties up. All zero where `maximum` is 0.
///
/// Both x and `maximum` are shifted left until `maximum` has 31 bits; then the quotient `127 * 2^54
/// / maximum` fits 31 bits and the upper half of one 32 x 32 bit product holds the result with 22
/// fractional bits.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn quantize(values: &[i32], maximum: u32, quantized: &mut [i8]) {
    let maximum = maximum.min(i32::MAX as u32);
    if maximum == 0 {
        quantized.fill(0);
        return;
    }
    let shift = maximum.leading_zeros() - 1;
    let reciprocal = divide(127 << 22, maximum << shift) as i32;
    #[cfg(arm_dsp)]
    dsp::quantize(values, shift, reciprocal, quantized);
    #[cfg(arm_mve)]
    mve::quantize(values, shift, reciprocal, quantized);
    #[cfg(not(any(arm_dsp, arm_mve)))]
    for (q, value) in quantized.iter_mut().zip(values) {
        *q = quantize_one(*value << shift, reciprocal);
    }
}

#[cfg(arm_thumb1)]
use super::parts::quantize_one;

#[cfg(not(any(arm_dsp, arm_mve, arm_thumb1)))]
#[inline(always)]
const fn quantize_one(value: i32, reciprocal: i32) -> i8 {
    ((high_product(value, reciprocal) + (1 << 21)) >> 22) as i8
}

/// `2^-x` for a fixed-point `x >= 0`, as Q15 (32768 is 1). Below 2^-16 it is 0.
///
/// The fraction's power is a cubic in Q16 with exact ends (1 and 1/2), relative error below 2e-4.
#[inline(always)]
pub const fn exp2_negative(x: u32) -> u32 {
    const C1: u32 = 45_313; // 0.69142
    const C2: u32 = 15_110; // 0.23056
    const C3: u32 = 2_565; // 0.03914
    let fraction = x & 0xffff;
    let inner = C2 - ((fraction * C3) >> 16);
    let middle = C1 - ((fraction * inner) >> 16);
    let power = 65_536 - ((fraction * middle) >> 16);
    let whole = x >> 16;
    if whole >= 16 {
        0
    } else {
        ((power >> whole) + 1) >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortableRng;

    #[test]
    fn one_value_is_rescaled_as_many_are() {
        let mut rng = PortableRng::new(2, 0);
        for shift in -10..70 {
            for _ in 0..200 {
                let (value, multiplier) = (rng.next_u32() as i8, rng.next_u32() >> (1 + rng.below(31)));
                let expected = round_shift(i64::from(value) * i64::from(multiplier), shift);
                assert_eq!(Rescaling::new(8, multiplier, shift).apply(value.into()), expected);
            }
        }
    }

    #[test]
    fn inverses_are_those_of_64_bits() {
        let mut rng = PortableRng::new(2, 0);
        for round in 0..200_000u32 {
            let bits = round % 28;
            for total in [1 + (rng.next_u32() >> (4 + bits)), 1 << bits, (1 << bits) - 1, 16_909_320] {
                let exact = (1 << 62) / (127 * u64::from(total.max(1)));
                assert_eq!(Scale::of_inverse(total), Scale::new(exact, 62), "{total}");
            }
        }
    }

    #[test]
    fn divisions_in_parts_are_exact() {
        let mut rng = PortableRng::new(1, 0);
        for round in 0..200_000u32 {
            // Every width, and the ends of each.
            let any = rng.next_u32() >> (1 + round % 31);
            for maximum in [any, 1 << (round % 31), (1u32 << (round % 31)) - 1, i32::MAX as u32] {
                assert_eq!(Scale::of_maximum(maximum), Scale::new((u64::from(maximum) << 31) / 127, 47));
            }
            let divisor = rng.next_u32() >> 1 | 1 << 30;
            for divisor in [divisor, 1 << 30, i32::MAX as u32] {
                let upper = rng.below(divisor);
                for upper in [upper, 127 << 22, divisor - 1, 0] {
                    let exact = (u64::from(upper) << 32) / u64::from(divisor);
                    assert_eq!(u64::from(divide(upper, divisor)), exact, "{upper} / {divisor}");
                    let in_digits = divide_in_digits(upper, divisor);
                    assert_eq!(u64::from(in_digits), exact, "{upper} / {divisor}");
                }
            }
        }
    }
}
