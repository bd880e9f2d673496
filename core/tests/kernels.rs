//! The SIMD kernels equal the scalar oracle on any shape and value, -128 included.

use algodistill_core::Kernels;
use proptest::prelude::*;

/// int8 with the extreme values over-represented.
fn int8() -> impl Strategy<Value = i8> {
    prop_oneof![Just(-128i8), Just(127), Just(0), any::<i8>()]
}

fn vector(len: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![Just(vec![0; len]), Just(vec![-128; len]), prop::collection::vec(int8(), len)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn matvec((rows, columns, weights, inputs) in (0usize..40, 0usize..100).prop_flat_map(|(rows, columns)| {
        (Just(rows), Just(columns), vector(rows * columns), vector(columns))
    })) {
        let (mut oracle, mut fast) = (vec![1; rows], vec![2; rows]);
        Kernels::Scalar.matvec(&weights, &inputs, &mut oracle);
        Kernels::detect().matvec(&weights, &inputs, &mut fast);
        let exact: Vec<i32> = (0..rows)
            .map(|row| (0..columns).map(|c| i32::from(weights[row * columns + c]) * i32::from(inputs[c])).sum())
            .collect();
        prop_assert_eq!(&oracle, &exact);
        prop_assert_eq!(&fast, &exact);
    }

    #[test]
    fn attention((width, heads, head, slots, query, ring, weights) in (1usize..80, 1usize..5, 0usize..40).prop_flat_map(|(width, heads, slots)| {
        let ring = vector(width * heads * slots);
        (Just(width), Just(heads), 0..heads, Just(slots), vector(width), ring, prop::collection::vec(0i16..=i16::MAX, slots))
    })) {
        let (stride, start) = (width * heads, width * head);
        let slice = ring.get(start..).unwrap_or(&[]);
        let element = |slot: usize, i: usize| i32::from(ring[slot * stride + start + i]);
        let dots: Vec<i32> = (0..slots).map(|slot| (0..width).map(|i| element(slot, i) * i32::from(query[i])).sum()).collect();
        let sums: Vec<i32> = (0..width).map(|i| (0..slots).map(|slot| element(slot, i) * i32::from(weights[slot])).sum()).collect();
        for kernels in [Kernels::Scalar, Kernels::detect()] {
            let (mut found_dots, mut found_sums) = (vec![1; slots], vec![1; width]);
            // The ring may hold slots that are not attended to: only the last head's slice ends with its row.
            let rows: Vec<i8> = (0..slots).flat_map(|s| ring[s * stride + start..s * stride + start + width].to_vec()).collect();
            kernels.query_keys(&query, &rows, width, &mut found_dots);
            prop_assert_eq!(&found_dots, &dots);
            kernels.weighted_values(&weights, slice, stride, &mut found_sums);
            prop_assert_eq!(&found_sums, &sums);
            if width % 16 == 0 {
                kernels.query_keys(&query, slice, stride, &mut found_dots);
                prop_assert_eq!(&found_dots, &dots);
            }
        }
    }
}
