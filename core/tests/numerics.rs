//! The fixed-point operations against exact arithmetic.

use algodistill_core::model::numerics::{exp2_negative, quantize, rescale, round_shift, square_root, Scale};
use algodistill_core::PortableRng;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 5000 }))]

    #[test]
    fn round_shift_is_the_floor_of_x_and_a_half(product in any::<i64>(), shift in -80i32..120) {
        let exact = match shift {
            63.. => 0,
            1.. => (i128::from(product) + (1i128 << (shift - 1))) >> shift,
            _ => i128::from(product) << (-shift).min(40),
        };
        let limit = i128::from(i32::MAX);
        prop_assert_eq!(i128::from(round_shift(product, shift)), exact.clamp(-limit, limit));
    }

    #[test]
    fn rescale_is_round_shift_of_the_product(
        values in prop::collection::vec((-i32::MAX..=i32::MAX, 0u32..1 << 31), 0..40),
        bits in 1u32..32,
        shift in -40i32..100,
    ) {
        let limited: Vec<i32> = values.iter().map(|(value, _)| value >> (31 - bits)).collect();
        let expected: Vec<i32> = limited.iter().zip(&values)
            .map(|(value, (_, multiplier))| round_shift(i64::from(*value) * i64::from(*multiplier), shift))
            .collect();
        let mut found = limited;
        rescale(&mut found, bits, values.iter().map(|(_, multiplier)| *multiplier), shift);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn quantize_rounds_the_quotient(values in prop::collection::vec(-i32::MAX..=i32::MAX, 1..40), shift in 0u32..31) {
        let values: Vec<i32> = values.iter().map(|v| v >> shift).collect();
        let maximum = values.iter().map(|v| v.unsigned_abs()).max().unwrap();
        let mut quantized = vec![0i8; values.len()];
        quantize(&values, maximum, &mut quantized);
        for (value, q) in values.iter().zip(&quantized) {
            let exact = if maximum == 0 { 0.0 } else { 127.0 * f64::from(*value) / f64::from(maximum) };
            prop_assert!((f64::from(*q) - exact).abs() <= 0.5 + 1e-6, "{value} of {maximum} became {q}");
        }
    }

    #[test]
    fn scales_keep_fifteen_bits(value in 1u64.., exponent in -40i32..80) {
        let scale = Scale::new(value, exponent);
        prop_assert!((1 << 14..1 << 15).contains(&scale.mantissa));
        let ratio = f64::from(scale.mantissa) / value as f64 * f64::from(exponent - scale.exponent).exp2();
        prop_assert!((ratio - 1.0).abs() <= 1.0 / 32_768.0 + 1e-12, "ratio {ratio}");
    }

    #[test]
    fn square_root_is_exact(value in any::<u64>()) {
        prop_assert_eq!(square_root(value), value.isqrt() as u32);
        prop_assert_eq!(square_root(value >> 40), (value >> 40).isqrt() as u32);
    }
}

#[test]
fn powers_of_two_are_accurate_and_decrease() {
    let mut last = u32::MAX;
    for x in (0..17 << 16).step_by(if cfg!(miri) { 7001 } else { 7 }) {
        let power = exp2_negative(x);
        let exact = 32_768.0 * (-f64::from(x) / 65_536.0).exp2();
        assert!(
            (f64::from(power) - exact).abs() <= 0.5 + 2e-4 * exact,
            "2^-{x}/65536 became {power}, is {exact}"
        );
        assert!(power <= last);
        last = power;
    }
    assert_eq!((exp2_negative(0), exp2_negative(1 << 16), exp2_negative(u32::MAX)), (32_768, 16_384, 0));
}

/// The published generator, and values frozen for every target.
#[test]
fn the_random_stream_is_xoshiro128plusplus() {
    use rand_xoshiro::rand_core::{Rng, SeedableRng};
    let mut ours = PortableRng::from_state([1, 2, 3, 4]);
    let mut seed = [0u8; 16];
    for (bytes, word) in seed.chunks_mut(4).zip([1u32, 2, 3, 4]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut published = rand_xoshiro::Xoshiro128PlusPlus::from_seed(seed);
    for _ in 0..1000 {
        assert_eq!(ours.next_u32(), published.next_u32());
    }
    let mut frozen = PortableRng::new(7, 3);
    let found: [u32; 4] = core::array::from_fn(|_| frozen.next_u32());
    assert_eq!(found, FROZEN, "{found:?}");
    assert_eq!(PortableRng::from_state(frozen.state()), frozen);
}

const FROZEN: [u32; 4] = [4_145_799_708, 1_437_772_385, 1_826_104_435, 654_025_796];
