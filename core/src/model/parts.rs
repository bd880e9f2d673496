//! Products of 32 bits in parts of 16, for processors whose multiplier keeps the lower 32 bits only: on a
//! Cortex-M0 a product of 64 bits is a subroutine of 40 instructions. They give the same bits as those of
//! [`super::numerics`].

/// `floor((a * b + bias * 2^16) / 2^32)` for a bias of at most 2^15 (Warren, Hacker's Delight, 8-2).
#[inline(always)]
pub const fn high_product(a: i32, b: i32, bias: u32) -> i32 {
    let (a_high, a_low) = (a >> 16, a & 0xffff);
    let (b_high, b_low) = (b >> 16, b & 0xffff);
    let low = ((a_low as u32).wrapping_mul(b_low as u32) >> 16) + bias;
    // None of the sums wraps: 2^15 - 1 times 2^16 - 1, and 2^16 - 2 and the bias, are 2^31 - 1.
    let middle = a_high * b_low + low as i32;
    let other = a_low * b_high + (middle & 0xffff);
    (a_high * b_high).wrapping_add(middle >> 16).wrapping_add(other >> 16)
}

/// `floor((value * reciprocal + 2^53) / 2^54)` for a positive reciprocal: an element of
/// [`super::numerics::quantize`].
#[inline(always)]
pub const fn quantize_one(value: i32, reciprocal: i32) -> i8 {
    // The product of the upper halves is too small by at most 2^16, or too large by at most 2^15. It decides
    // where the end of the 22 bits that are dropped is not that near.
    const NEAR: i32 = (1 << 15) + (1 << 16);
    let sum = (value >> 16) * (reciprocal >> 16) + (1 << 21) - (1 << 15);
    if ((sum as u32) << 10) < ((1 << 22) - NEAR as u32) << 10 {
        (sum >> 22) as i8
    } else {
        quantize_near(value, reciprocal)
    }
}

#[cold]
#[inline(never)]
const fn quantize_near(value: i32, reciprocal: i32) -> i8 {
    ((high_product(value, reciprocal, 0) + (1 << 21)) >> 22) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortableRng;

    /// The ends of every width and their neighbours, and numbers of every width.
    fn numbers(rng: &mut PortableRng) -> Vec<i32> {
        let ends =
            (0..32).flat_map(|bits| [1i32.wrapping_shl(bits), 1i32.wrapping_shl(bits).wrapping_sub(1)]);
        let any = (0..32).map(|bits| (rng.next_u32() >> bits) as i32);
        ends.chain(any).flat_map(|x| [x, x.wrapping_neg(), x.wrapping_add(1), !x]).collect()
    }

    #[test]
    fn products_in_parts_are_those_of_64_bits() {
        let mut rng = PortableRng::new(1, 0);
        for _ in 0..4 {
            let numbers = numbers(&mut rng);
            for a in &numbers {
                for b in &numbers {
                    for bias in [0, 1, 1 << 15] {
                        let exact = (i64::from(*a) * i64::from(*b) + (i64::from(bias) << 16)) >> 32;
                        assert_eq!(i64::from(high_product(*a, *b, bias)), exact, "{a} * {b}, {bias}");
                    }
                }
            }
        }
    }

    #[test]
    fn elements_are_quantized_as_with_64_bits() {
        let mut rng = PortableRng::new(4, 0);
        for _ in 0..2000 {
            let shifted = rng.next_u32() >> 2 | 1 << 30;
            for maximum in [shifted, 1 << 30, i32::MAX as u32] {
                let reciprocal = ((127u64 << 54) / u64::from(maximum)) as i32;
                let below = |rng: &mut PortableRng| rng.below(maximum + 1) as i32;
                // Near where a quotient changes, too.
                let change = (u64::from(2 * rng.below(127) + 1) * u64::from(maximum) / 254) as i32;
                for value in [below(&mut rng), maximum as i32, 0, change - 1, change, change + 1] {
                    for value in [value, -value] {
                        let exact = (i64::from(value) * i64::from(reciprocal) + (1 << 53)) >> 54;
                        assert_eq!(i64::from(quantize_one(value, reciprocal)), exact, "{value} of {maximum}");
                    }
                }
            }
        }
    }
}
