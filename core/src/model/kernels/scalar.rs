//! The oracle: plain loops.

/// See [`super::Kernels::matvec`].
pub(super) fn matvec(weights: &[i8], inputs: &[i8], outputs: &mut [i32]) {
    if inputs.is_empty() {
        return outputs.fill(0);
    }
    for (row, output) in weights.chunks_exact(inputs.len()).zip(outputs) {
        *output = dot(row, inputs);
    }
}

/// See [`super::Kernels::query_keys`].
pub(super) fn query_keys(query: &[i8], keys: &[i8], stride: usize, dots: &mut [i32]) {
    if stride == 0 {
        return;
    }
    for (key, output) in keys.chunks(stride).zip(dots) {
        *output = dot(key, query);
    }
}

/// See [`super::Kernels::weighted_values`].
pub(super) fn weighted_values(weights: &[i16], values: &[i8], stride: usize, outputs: &mut [i32]) {
    outputs.fill(0);
    if stride == 0 {
        return;
    }
    for (value, weight) in values.chunks(stride).zip(weights) {
        for (output, v) in outputs.iter_mut().zip(value) {
            *output += i32::from(*weight) * i32::from(*v);
        }
    }
}

/// Over the shorter of the two.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}
