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

/// `dots[row] = inputs . rows[row]`, where a row starts at `row * stride`: four rows share a load of the input. Rows that do not exist leave
/// their elements of `dots` as they are.
fn strided_dots(inputs: &[i8], rows: &[i8], stride: usize, dots: &mut [i32]) {
    let mut rest = rows;
    let (quads, _) = dots.as_chunks_mut::<4>();
    let mut done = 0;
    for quad in quads {
        let Some(sums) = four_dots(rest, stride, inputs) else { break };
        *quad = sums;
        done += 4;
        rest = rest.get(4 * stride..).unwrap_or(&[]);
    }
    for (row, output) in rest.chunks(stride).zip(dots.iter_mut().skip(done)) {
        *output = dot(row, inputs);
    }
}

/// The first four rows; `None` where there are fewer whole ones.
fn four_dots(rows: &[i8], stride: usize, inputs: &[i8]) -> Option<[i32; 4]> {
    let (r0, rest) = (rows.get(..inputs.len())?, rows.get(stride..)?);
    let (r1, rest) = (rest.get(..inputs.len())?, rest.get(stride..)?);
    let (r2, rest) = (rest.get(..inputs.len())?, rest.get(stride..)?);
    let r3 = rest.get(..inputs.len())?;
    let (x, x_tail) = inputs.as_chunks::<4>();
    let (a, a_tail) = r0.as_chunks::<4>();
    let (b, b_tail) = r1.as_chunks::<4>();
    let (c, c_tail) = r2.as_chunks::<4>();
    let (d, d_tail) = r3.as_chunks::<4>();
    let [mut s0, mut s1, mut s2, mut s3] = [0; 4];
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        s0 += four_products(a, x);
        s1 += four_products(b, x);
        s2 += four_products(c, x);
        s3 += four_products(d, x);
    }
    Some([
        s0 + dot(a_tail, x_tail),
        s1 + dot(b_tail, x_tail),
        s2 + dot(c_tail, x_tail),
        s3 + dot(d_tail, x_tail),
    ])
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
