//! The oracle: portable Rust, written so that cores without SIMD spend few instructions on a
//! multiplication: several sums at a time stay in registers, and loops run over arrays of four,
//! which need no bounds checks.

use super::coding::Operand;
#[cfg(not(any(paired_ring, coded_keys)))]
use super::softmax::score;
use super::softmax::{power, Softmax};

/// See [`super::Kernels::run`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn run(work: impl super::Work) {
    work.run()
}

/// See [`super::Kernels::dots`]. Two rows share the loads of the vector; more of them would not
/// stay in the registers of a Cortex-M.
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let start = vector.plain_start();
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

/// Of a coded row, without what the sum begins with.
pub(super) fn dot(row: &[u8], vector: &[[i8; 4]]) -> i32 {
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

/// See [`super::Kernels::scores`]. Four slots share the loads of the query.
#[cfg(not(any(paired_ring, coded_keys)))]
pub(super) fn scores(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let width = query.len();
    let slots = scores.len().min(key_scales.len());
    let (quads, last) = scores.get_mut(..slots).unwrap_or(&mut []).as_chunks_mut::<4>();
    let (scales, last_scales) = key_scales.as_chunks::<4>();
    let mut rest = keys;
    for (quad, scales) in quads.iter_mut().zip(scales) {
        let Some((rows, after)) = rest.split_at_checked(4 * width) else { return };
        let dots = four_slots(query, rows);
        for ((stored, dot), scale) in quad.iter_mut().zip(dots).zip(scales) {
            *stored = score(dot, *scale, factor);
        }
        rest = after;
    }
    for ((stored, row), scale) in last.iter_mut().zip(rest.chunks_exact(width.max(1))).zip(last_scales) {
        *stored = score(query.iter().zip(row).map(|(q, k)| product(*q, *k)).sum(), *scale, factor);
    }
}

#[cfg(not(any(paired_ring, coded_keys)))]
fn four_slots(query: &[i8], rows: &[i8]) -> [i32; 4] {
    let (first, rows) = rows.split_at_checked(query.len()).unwrap_or_default();
    let (second, rows) = rows.split_at_checked(query.len()).unwrap_or_default();
    let (third, fourth) = rows.split_at_checked(query.len()).unwrap_or_default();
    let [mut s0, mut s1, mut s2, mut s3] = [0; 4];
    for ((((q, k0), k1), k2), k3) in query.iter().zip(first).zip(second).zip(third).zip(fourth) {
        s0 += product(*q, *k0);
        s1 += product(*q, *k1);
        s2 += product(*q, *k2);
        s3 += product(*q, *k3);
    }
    [s0, s1, s2, s3]
}

#[cfg(not(any(paired_ring, coded_keys)))]
#[inline(always)]
fn product(a: i8, b: i8) -> i32 {
    i32::from(a) * i32::from(b)
}

/// See [`super::Kernels::softmax`]. Where the processor has vectors, the compiler uses them.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn softmax(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
    let largest = scores.iter().copied().max().unwrap_or(0);
    let mut softmax = Softmax::new(value_scales);
    for (score, value_scale) in scores.iter_mut().zip(value_scales) {
        *score = softmax.weight(power(largest.abs_diff(*score).into()), *value_scale);
    }
    softmax
}

/// See [`super::Kernels::weighted_values`]. Eight columns at a time stay in registers.
#[cfg(not(any(arm_dsp, arm_mve, riscv_mul)))]
pub(super) fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let width = outputs.len().max(1);
    let mut columns = values;
    let (blocks, rest) = outputs.as_chunks_mut::<8>();
    for block in blocks {
        *block = some_columns(weights, columns, width);
        columns = columns.get(8..).unwrap_or(&[]);
    }
    for block in rest.as_chunks_mut::<4>().0 {
        *block = some_columns(weights, columns, width);
        columns = columns.get(4..).unwrap_or(&[]);
    }
}

/// The weighted sums of the first columns of the rows.
#[cfg(not(any(arm_dsp, arm_mve, riscv_mul)))]
pub(super) fn some_columns<const N: usize>(weights: &[i16], values: &[i8], width: usize) -> [i32; N] {
    let mut sums = [0; N];
    for (weight, row) in weights.iter().zip(values.chunks(width)) {
        let Some(row) = row.first_chunk::<N>() else { break };
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += i32::from(*weight) * i32::from(*value);
        }
    }
    sums
}
