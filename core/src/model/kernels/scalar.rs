//! The oracle: portable Rust, written so that cores without SIMD spend few instructions on a multiplication: several sums at a time stay in
//! registers, and loops run over arrays of four, which need no bounds checks.

/// See [`super::Kernels::matvec`].
pub(super) fn matvec(weights: &[i8], inputs: &[i8], outputs: &mut [i32]) {
    if inputs.is_empty() {
        return outputs.fill(0);
    }
    strided_dots(inputs, weights, inputs.len(), outputs);
}

/// See [`super::Kernels::query_keys`].
pub(super) fn query_keys(query: &[i8], keys: &[i8], stride: usize, dots: &mut [i32]) {
    if stride != 0 {
        strided_dots(query, keys, stride, dots);
    }
}

/// `dots[row] = inputs . rows[row]`, where a row starts at `row * stride`. Two rows share the loads of the input; more of them would not stay in the
/// registers of a Cortex-M. Rows that do not exist leave their elements of `dots` as they are.
fn strided_dots(inputs: &[i8], rows: &[i8], stride: usize, dots: &mut [i32]) {
    let mut rest = rows;
    let mut done = 0;
    let (pairs, _) = dots.as_chunks_mut::<2>();
    for pair in pairs {
        let Some(sums) = two_dots(rest, stride, inputs) else { break };
        *pair = sums;
        done += 2;
        rest = rest.get(2 * stride..).unwrap_or(&[]);
    }
    for (row, output) in rest.chunks(stride).zip(dots.iter_mut().skip(done)) {
        *output = dot(row, inputs);
    }
}

/// The first two rows; `None` where there are fewer whole ones.
fn two_dots(rows: &[i8], stride: usize, inputs: &[i8]) -> Option<[i32; 2]> {
    let (r0, r1) = (rows.get(..inputs.len())?, rows.get(stride..)?.get(..inputs.len())?);
    let (x, x_tail) = inputs.as_chunks::<4>();
    let (a, a_tail) = r0.as_chunks::<4>();
    let (b, b_tail) = r1.as_chunks::<4>();
    let [mut s0, mut s1] = [0; 2];
    for ((x, a), b) in x.iter().zip(a).zip(b) {
        s0 += four_products(a, x);
        s1 += four_products(b, x);
    }
    Some([s0 + dot(a_tail, x_tail), s1 + dot(b_tail, x_tail)])
}

#[inline(always)]
fn four_products([a0, a1, a2, a3]: &[i8; 4], [b0, b1, b2, b3]: &[i8; 4]) -> i32 {
    let product = |a: &i8, b: &i8| i32::from(*a) * i32::from(*b);
    product(a0, b0) + product(a1, b1) + product(a2, b2) + product(a3, b3)
}

/// See [`super::Kernels::weighted_values`].
pub(super) fn weighted_values(weights: &[i16], values: &[i8], stride: usize, outputs: &mut [i32]) {
    outputs.fill(0);
    if stride == 0 {
        return;
    }
    // Columns beyond the stride would be those of the next slot.
    let width = outputs.len().min(stride);
    let (blocks, rest) = outputs.get_mut(..width).unwrap_or(&mut []).as_chunks_mut::<4>();
    let mut columns = values;
    for block in blocks {
        four_columns(weights, columns, stride, block);
        columns = columns.get(4..).unwrap_or(&[]);
    }
    if rest.is_empty() {
        return;
    }
    for (value, weight) in columns.chunks(stride).zip(weights) {
        add_scaled(rest, value, *weight);
    }
}

/// Four columns of the weighted sum, over all slots.
fn four_columns(weights: &[i16], values: &[i8], stride: usize, sums: &mut [i32; 4]) {
    let slots = values.chunks_exact(stride);
    let (last, whole) = (slots.remainder(), slots.len());
    let [mut s0, mut s1, mut s2, mut s3] = [0; 4];
    for (value, weight) in slots.zip(weights) {
        let Some([v0, v1, v2, v3]) = value.first_chunk::<4>() else { continue };
        let weight = i32::from(*weight);
        s0 += weight * i32::from(*v0);
        s1 += weight * i32::from(*v1);
        s2 += weight * i32::from(*v2);
        s3 += weight * i32::from(*v3);
    }
    *sums = [s0, s1, s2, s3];
    if let Some(weight) = weights.get(whole) {
        add_scaled(sums, last, *weight);
    }
}

fn add_scaled(sums: &mut [i32], values: &[i8], weight: i16) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += i32::from(weight) * i32::from(*value);
    }
}

/// Over the shorter of the two.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}
