//! The oracle: portable Rust, written so that cores without SIMD spend few instructions on a
//! multiplication: several sums at a time stay in registers, and loops run over arrays of four,
//! which need no bounds checks.

use super::coding::{Operand, SLOTS_PER_GROUP};

/// See [`super::Kernels::dots`]. Two rows share the loads of the vector; more of them would not
/// stay in the registers of a Cortex-M.
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let start = -128 * vector.even_sums.iter().sum::<i32>();
    let mut rest = rows;
    let (pairs, last) = dots.as_chunks_mut::<2>();
    for pair in pairs {
        let Some(first) = rest.get(..columns) else { return };
        let Some(second) = rest.get(stride..).and_then(|rest| rest.get(..columns)) else {
            pair[0] = start + dot(first, vector.plain);
            return;
        };
        let [s0, s1] = two_dots(first, second, vector.plain);
        *pair = [start + s0, start + s1];
        rest = rest.get(2 * stride..).unwrap_or(&[]);
    }
    if let ([output], Some(row)) = (last, rest.get(..columns)) {
        *output = start + dot(row, vector.plain);
    }
}

fn two_dots(a: &[u8], b: &[u8], vector: &[[i8; 4]]) -> [i32; 2] {
    let ((a, _), (b, _)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let [mut s0, mut s1] = [0; 2];
    for ((x, a), b) in vector.iter().zip(a).zip(b) {
        s0 += four_products(a, x);
        s1 += four_products(b, x);
    }
    [s0, s1]
}

fn dot(row: &[u8], vector: &[[i8; 4]]) -> i32 {
    let (row, _) = row.as_chunks::<4>();
    row.iter().zip(vector).map(|(row, x)| four_products(row, x)).sum()
}

/// Of coded elements, those of even columns with their 128.
#[inline(always)]
fn four_products([w0, w1, w2, w3]: &[u8; 4], [x0, x1, x2, x3]: &[i8; 4]) -> i32 {
    let even = |w: &u8, x: &i8| i32::from(*w) * i32::from(*x);
    let odd = |w: &u8, x: &i8| i32::from(*w as i8) * i32::from(*x);
    even(w0, x0) + odd(w1, x1) + even(w2, x2) + odd(w3, x3)
}

/// See [`super::Kernels::weighted_values`].
pub(super) fn weighted_values(
    weights: &[[i16; SLOTS_PER_GROUP]],
    values: &[i8],
    width: usize,
    outputs: &mut [i32],
) {
    let (blocks, _) = outputs.as_chunks_mut::<4>();
    let mut columns = values;
    for block in blocks {
        *block = four_columns(weights, columns, width);
        columns = columns.get(4 * SLOTS_PER_GROUP..).unwrap_or(&[]);
    }
}

fn four_columns(weights: &[[i16; SLOTS_PER_GROUP]], values: &[i8], width: usize) -> [i32; 4] {
    let [mut s0, mut s1, mut s2, mut s3] = [0; 4];
    let mut rest = values;
    for weights in weights {
        let Some(group) = rest.first_chunk::<16>() else { break };
        let ([v0, v1, v2, v3], _) = group.as_chunks::<4>() else { break };
        s0 += four_slots(weights, v0);
        s1 += four_slots(weights, v1);
        s2 += four_slots(weights, v2);
        s3 += four_slots(weights, v3);
        rest = rest.get(SLOTS_PER_GROUP.saturating_mul(width)..).unwrap_or(&[]);
    }
    [s0, s1, s2, s3]
}

/// See [`super::value_index`] for the order.
#[inline(always)]
fn four_slots([w0, w1, w2, w3]: &[i16; 4], [v0, v2, v1, v3]: &[i8; 4]) -> i32 {
    let product = |w: &i16, v: &i8| i32::from(*w) * i32::from(*v);
    product(w0, v0) + product(w1, v1) + product(w2, v2) + product(w3, v3)
}
