//! Fixed-point arithmetic of the model: every rounding in one place. `docs/numerics.md` is the specification.
//!
//! Real numbers that are not int8 are `i32` in Q16.16 ("fixed"). There is no floating point, so every target that
//! implements two's complement integers computes the same bits.

/// Fractional bits of a fixed-point value.
pub const FRACTION_BITS: i32 = 16;
/// Bits of the mantissa of a [`Scale`].
const MANTISSA_BITS: u32 = 15;
/// Largest magnitude of a quantized activation.
pub const QUANTIZED_MAX: i32 = 127;

/// A positive real number `mantissa * 2^-exponent`: the scale of an int8 vector. The mantissa has exactly 15 bits,
/// or is 0.
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
        Self::new(((maximum as u64) << 31) / 127, 31 + FRACTION_BITS)
    }

    /// Scale of a vector quantized with [`quantize`] after RMS normalisation: `sqrt(n / sum of squares)` for `n` int8
    /// elements. The maximum cancels, so the norm needs one integer square root and no epsilon.
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

/// `values[i] = round_shift(values[i] * multipliers[i], shift)`: the shift is looked at once, not for each element.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn rescale(values: &mut [i32], multipliers: impl Iterator<Item = u32>, shift: i32) {
    let products = values.iter_mut().zip(multipliers);
    if (1..=62).contains(&shift) {
        for (value, multiplier) in products {
            let product = i64::from(*value) * i64::from(multiplier);
            *value = saturate(((product >> (shift - 1)) + 1) >> 1);
        }
    } else {
        for (value, multiplier) in products {
            *value = round_shift(i64::from(*value) * i64::from(multiplier), shift);
        }
    }
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
pub const fn add(a: i32, b: i32) -> i32 {
    saturate(a as i64 + b as i64)
}

/// Largest magnitude of fixed-point values.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn maximum(values: &[i32]) -> u32 {
    values.iter().fold(0, |largest, value| largest.max(value.unsigned_abs()))
}

/// Quantizes fixed-point values: `q = round(127 * x / maximum)`, ties up, with x limited to +-`maximum`. All zero where `maximum` is 0.
///
/// Both x and `maximum` are shifted left until `maximum` has 31 bits; then the quotient `127 * 2^54 / maximum` fits 31 bits and the
/// upper half of one 32 x 32 bit product holds the result with 22 fractional bits.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn quantize(values: &[i32], maximum: u32, quantized: &mut [i8]) {
    let limit = maximum.min(i32::MAX as u32) as i32;
    if limit == 0 {
        quantized.fill(0);
        return;
    }
    let shift = limit.leading_zeros() - 1;
    let reciprocal = ((127u64 << 54) / ((limit as u64) << shift)) as i64;
    for (q, value) in quantized.iter_mut().zip(values) {
        let x = i64::from((*value).max(-limit).min(limit) << shift);
        *q = ((((x * reciprocal) >> 32) as i32 + (1 << 21)) >> 22) as i8;
    }
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
