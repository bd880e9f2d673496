//! The kernels equal exact sums on any shape and value, -128 included, and give the same bits
//! whichever set runs.

use algodistill_core::model::kernels::{code, decode, store_key, store_value, Operand};
use algodistill_core::Kernels;
use proptest::prelude::*;

/// Every set that this processor runs.
fn sets() -> impl Iterator<Item = Kernels> {
    let miri = |kernels: &Kernels| !cfg!(miri) || *kernels == Kernels::Scalar;
    Kernels::ALL.iter().copied().filter(|kernels| kernels.is_available()).filter(miri)
}

/// Rows, and a quarter of the columns, of the largest matrix. A large one takes miri minutes.
const MOST: usize = if cfg!(miri) { 5 } else { 40 };

/// int8 with the extreme values over-represented.
fn int8() -> impl Strategy<Value = i8> {
    prop_oneof![Just(-128i8), Just(127), Just(0), any::<i8>()]
}

fn elements(len: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![
        Just(vec![0; len]),
        Just(vec![-128; len]),
        Just(vec![127; len]),
        prop::collection::vec(int8(), len)
    ]
}

/// -127 to 127: what quantization writes.
fn operand(len: usize) -> impl Strategy<Value = Vec<i8>> {
    elements(len).prop_map(|vector| vector.into_iter().map(|x| x.max(-127)).collect())
}

/// A matrix, rows a stride apart of which the last one ends with its last column, and a vector.
fn rows_and_vector(
    rows: usize,
    columns: usize,
    gap: usize,
) -> impl Strategy<Value = (usize, usize, usize, Vec<i8>, Vec<i8>)> {
    let len = if rows == 0 { 0 } else { (rows - 1) * (columns + gap) + columns };
    (Just(rows), Just(columns), Just(columns + gap), elements(len), operand(columns))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2000 }))]

    #[test]
    fn dots((rows, columns, stride, elements, vector) in (0..MOST, 0..MOST, 0usize..3)
        .prop_flat_map(|(rows, fours, gap)| rows_and_vector(rows, 4 * fours, 4 * gap)))
    {
        check_dots(rows, columns, stride, &elements, &vector);
    }

    #[test]
    fn scores((keys, query, scales, factor) in (1..MOST.min(12), 0..MOST).prop_flat_map(|(fours, slots)| {
        // At most 15 bits before zeros.
        let mantissa = prop_oneof![Just(0), Just((1 << 15) - 1), 0..1i32 << 15];
        let factor = (mantissa, 0..=16).prop_map(|(mantissa, zeros)| mantissa << zeros);
        (rows(slots, 4 * fours), operand(4 * fours), scales(slots), factor)
    })) {
        let expected: Vec<i16> = keys.iter().zip(&scales).map(|(key, scale)| {
            let dot: i64 = key.iter().zip(&query).map(|(k, q)| i64::from(*k) * i64::from(*q)).sum();
            let score = (((dot * i64::from(*scale)) >> 8) * i64::from(factor)) >> 32;
            score.clamp(-32_768, 32_767) as i16
        }).collect();
        let ring = stored(&keys, store_key);
        let mut memory = vec![[0; 4]; query.len() / 4];
        let operand = Operand::new(&query, &mut memory);
        for kernels in sets() {
            // One slot more than has a scale: it stays as it was.
            let mut found = vec![7; keys.len() + 1];
            kernels.scores(&operand, &ring, &scales, factor, &mut found);
            prop_assert_eq!(&found[..keys.len()], &expected, "{:?}", kernels);
            prop_assert_eq!(found[keys.len()], 7);
        }
    }

    #[test]
    fn softmax((scores, scales) in (0..4 * MOST).prop_flat_map(|slots| {
        let near = prop::collection::vec(-600i16..=0, slots);
        let any = prop::collection::vec(prop_oneof![Just(i16::MIN), Just(i16::MAX), any::<i16>()], slots);
        (prop_oneof![near, any], scales(slots))
    })) {
        let (expected, total, exponent) = exact_softmax(&scores, &scales);
        for kernels in sets() {
            let mut found = [&scores[..], &[7]].concat();
            let softmax = kernels.softmax(&mut found[..scores.len()], &scales);
            prop_assert_eq!((softmax.total, softmax.exponent), (total, exponent), "{:?}", kernels);
            prop_assert_eq!(&found[..scores.len()], &expected, "{:?}", kernels);
            prop_assert_eq!(found[scores.len()], 7);
        }
    }

    #[test]
    fn weighted_values((columns, values, weights) in (1..MOST.min(12), 0..MOST).prop_flat_map(|(fours, slots)| {
        (Just(4 * fours), rows(slots, 4 * fours), prop::collection::vec(0i16..1 << 14, slots))
    })) {
        let expected: Vec<i32> = (0..columns).map(|column| {
            values.iter().zip(&weights).map(|(row, weight)| i32::from(*weight) * i32::from(row[column])).sum()
        }).collect();
        let ring = stored(&values, store_value);
        // As an agent does it: in whole fours of slots.
        let mut weights = weights;
        weights.resize(weights.len().div_ceil(4) * 4, 0);
        for kernels in sets() {
            let mut found = vec![1; columns];
            kernels.weighted_values(&weights, &ring, &mut found);
            prop_assert_eq!(&found, &expected, "{:?}", kernels);
        }
    }
}

/// Rows of the ring: what quantization writes.
fn rows(slots: usize, width: usize) -> impl Strategy<Value = Vec<Vec<i8>>> {
    prop::collection::vec(operand(width), slots)
}

/// Scales of keys or values.
fn scales(slots: usize) -> impl Strategy<Value = Vec<u16>> {
    let scale = prop_oneof![Just(0u16), Just(32_767), 0u16..2000, 0u16..=32_767];
    prop_oneof![prop::collection::vec(scale, slots), prop::collection::vec(0u16..50, slots)]
}

/// The ring of a head with these rows, in whole fours of slots.
fn stored(rows: &[Vec<i8>], store: fn(&[i8], usize, &mut [i8])) -> Vec<i8> {
    let mut ring = vec![0; rows.len().div_ceil(4) * 4 * rows.first().map_or(0, Vec::len)];
    rows.iter().enumerate().for_each(|(slot, row)| store(row, slot, &mut ring));
    ring
}

/// By `docs/numerics.md`: weights, total, exponent.
fn exact_softmax(scores: &[i16], scales: &[u16]) -> (Vec<i16>, u32, i32) {
    let top = scores.iter().copied().max().map_or(0, i64::from);
    let powers: Vec<i64> = scores
        .iter()
        .map(|score| {
            let below = top - i64::from(*score);
            let (whole, fraction) = (below / 256, below % 256);
            ((1i64 << 31) - 1 - fraction * (5_619_456 - fraction * 5_567)) >> (16 + whole).min(63)
        })
        .collect();
    let all = scales.iter().fold(0, |all, scale| all | scale);
    let slots = scores.len().max(1).next_power_of_two().ilog2();
    let exponent = 15.min(25 - slots as i32) - (16 - all.leading_zeros() as i32);
    let shifted = |scale: u16| match exponent {
        0.. => i64::from(scale) << exponent,
        _ => i64::from(scale) >> -exponent,
    };
    let weights = powers.iter().zip(scales).map(|(power, scale)| ((power * shifted(*scale)) >> 16) as i16);
    (weights.collect(), powers.iter().sum::<i64>() as u32, exponent)
}

/// More slots than weights of 14 bits have room for in a sum.
#[test]
fn the_longest_window_does_not_overflow() {
    let slots = if cfg!(miri) { 1100 } else { 4096 };
    let (scores, scales) = (vec![3; slots], vec![32_767; slots]);
    let (expected, total, exponent) = exact_softmax(&scores, &scales);
    let rows = vec![vec![-127; 4]; slots];
    let ring = stored(&rows, store_value);
    for kernels in sets() {
        let mut weights = scores.clone();
        let softmax = kernels.softmax(&mut weights, &scales);
        assert_eq!((softmax.total, softmax.exponent, &weights), (total, exponent, &expected), "{kernels:?}");
        let mut outputs = [0; 4];
        kernels.weighted_values(&weights, &ring, &mut outputs);
        assert_eq!(outputs, [-127 * i32::from(expected[0]) * slots as i32; 4], "{kernels:?}");
    }
}

/// Rows longer than a sum times 256 has bits for, at the largest magnitudes.
#[test]
fn long_rows_do_not_overflow() {
    let lengths: &[usize] = if cfg!(miri) { &[512] } else { &[508, 512, 516, 1024, 4096] };
    for &columns in lengths {
        for (weight, x) in [(-128, 127), (-128, -127), (127, 127), (127, -127)] {
            check_dots(5, columns, columns, &vec![weight; 5 * columns], &vec![x; columns]);
        }
    }
}

#[test]
fn coding_is_reversible() {
    for column in 0..2 {
        for value in i8::MIN..=i8::MAX {
            assert_eq!(decode(column, code(column, value)), value);
        }
    }
}

fn check_dots(rows: usize, columns: usize, stride: usize, elements: &[i8], vector: &[i8]) {
    let product =
        |row: usize, column: usize| i32::from(elements[row * stride + column]) * i32::from(vector[column]);
    let expected: Vec<i32> =
        (0..rows).map(|row| (0..columns).map(|column| product(row, column)).sum()).collect();
    // Strides are even, so an element's parity is that of its column.
    let coded: Vec<u8> = elements.iter().enumerate().map(|(index, value)| code(index, *value)).collect();
    let mut memory = vec![[0; 4]; columns / 4];
    let operand = Operand::new(vector, &mut memory);
    for kernels in sets() {
        // One row more than there is: it stays as it was.
        let mut found = vec![7; rows + usize::from(columns > 0)];
        kernels.dots(&operand, &coded, stride, &mut found);
        assert_eq!(&found[..rows], &expected, "{kernels:?}, {rows} x {columns}, stride {stride}");
        assert!(found[rows..].iter().all(|rest| *rest == 7));
    }
}
