//! The kernels equal exact sums on any shape and value, -128 included, and give the same bits
//! whichever set runs.

use algodistill_core::model::kernels::{code, decode, value_index, Operand, SLOTS_PER_GROUP};
use algodistill_core::Kernels;
use proptest::prelude::*;

/// Every set that this processor runs; a set that it lacks runs the scalar kernels.
const SETS: &[Kernels] =
    if cfg!(miri) { &[Kernels::Scalar] } else { &[Kernels::Scalar, Kernels::Avx2, Kernels::Dsp] };

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
    fn weighted_values((columns, head, heads, slots, ring, weights) in (1..MOST.min(12), 1usize..5, 0..MOST.min(12)).prop_flat_map(|(fours, heads, groups)| {
        let (columns, slots) = (4 * fours, SLOTS_PER_GROUP * groups);
        (Just(columns), 0..heads, Just(heads), Just(slots), elements(columns * heads * slots), prop::collection::vec(0i16..=i16::MAX, slots))
    })) {
        let width = columns * heads;
        let mut values = vec![0; ring.len()];
        for (index, value) in ring.iter().enumerate() {
            values[value_index(index / width, index % width, width)] = *value;
        }
        let first = head * columns;
        let expected: Vec<i32> = (first..first + columns)
            .map(|column| (0..slots).map(|slot| i32::from(weights[slot]) * i32::from(ring[slot * width + column])).sum())
            .collect();
        for &kernels in SETS {
            let mut found = vec![1; columns];
            kernels.weighted_values(&weights, values.get(first * SLOTS_PER_GROUP..).unwrap_or(&[]), width, &mut found);
            prop_assert_eq!(&found, &expected, "{:?}", kernels);
        }
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
    for &kernels in SETS {
        // One row more than there is: it stays as it was.
        let mut found = vec![7; rows + usize::from(columns > 0)];
        kernels.dots(&operand, &coded, stride, &mut found);
        assert_eq!(&found[..rows], &expected, "{kernels:?}, {rows} x {columns}, stride {stride}");
        assert!(found[rows..].iter().all(|rest| *rest == 7));
    }
}
