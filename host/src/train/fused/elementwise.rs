//! Everything between the matrix products: norms, softmax, activation, loss. Vectorised by the compiler, once for each
//! instruction set, and chosen at run time. Rows are multiples of 16 wide; sums run in 16 lanes in a fixed order.

use crate::model::NORM_EPSILON;
use crate::train::masks::Rate;
use multiversion::multiversion;
use std::ops::Range;

const LANES: usize = 16;

/// The band of one block of attention scores: row `r` is query `first_query + r`, column `c` is key `first_key + c`.
#[derive(Clone, Copy)]
pub struct Band {
    /// Position of the first row.
    pub first_query: usize,
    /// Position of the first column.
    pub first_key: usize,
    /// Keys that a query sees, itself included.
    pub window: usize,
}

impl Band {
    /// The columns that `row` sees.
    #[inline(always)]
    fn columns(self, row: usize) -> Range<usize> {
        let query = self.first_query + row;
        let oldest = (query + 1).saturating_sub(self.window).max(self.first_key);
        oldest - self.first_key..query + 1 - self.first_key
    }
}

/// e^x for x <= 88 to about 2e-7 relative; 0 below -87.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and the polynomial of Cephes `expf` for e^r (Moshier 1992).
#[inline(always)]
pub fn exponential(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, whose low bits then stand in the sum's mantissa.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.clamp(-87.0, 88.0) * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x.clamp(-87.0, 88.0) - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let value = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    if x < -87.0 {
        0.0
    } else {
        value * power
    }
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    lanes.iter().sum()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    total(lanes)
}

/// `output = input / sqrt(mean(input^2) + eps) * gain` for each row of `gain.len()`, and the reciprocal root of each row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn rms_norm(input: &[f32], gain: &[f32], output: &mut [f32], reciprocals: &mut [f32]) {
    let width = gain.len();
    let rows = input.chunks_exact(width).zip(output.chunks_exact_mut(width)).zip(reciprocals);
    for ((input, output), reciprocal) in rows {
        *reciprocal = 1.0 / (dot(input, input) / width as f32 + NORM_EPSILON).sqrt();
        for ((output, input), gain) in output.iter_mut().zip(input).zip(gain) {
            *output = input * *reciprocal * gain;
        }
    }
}

/// Backward of [`rms_norm`]: adds to the gradients of its input and of its gain. `gradient` is overwritten.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn rms_norm_backward(
    gradient: &mut [f32],
    input: &[f32],
    gain: &[f32],
    reciprocals: &[f32],
    input_gradient: &mut [f32],
    gain_gradient: &mut [f32],
) {
    let width = gain.len();
    let rows = gradient.chunks_exact_mut(width).zip(input.chunks_exact(width));
    let rows = rows.zip(input_gradient.chunks_exact_mut(width)).zip(reciprocals);
    for (((gradient, input), input_gradient), &reciprocal) in rows {
        for index in 0..width {
            gain_gradient[index] += gradient[index] * input[index] * reciprocal;
            gradient[index] *= gain[index];
        }
        let shared = dot(gradient, input) / width as f32 * reciprocal * reciprocal;
        for index in 0..width {
            input_gradient[index] += reciprocal * (gradient[index] - shared * input[index]);
        }
    }
}

/// `max(0, x)` in place.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// Zeroes the gradient where [`relu`] gave 0.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn relu_backward(gradient: &mut [f32], activated: &[f32]) {
    for (gradient, &activated) in gradient.iter_mut().zip(activated) {
        *gradient = if activated > 0.0 { *gradient } else { 0.0 };
    }
}

/// `values += added`
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn add(values: &mut [f32], added: &[f32]) {
    for (value, added) in values.iter_mut().zip(added) {
        *value += added;
    }
}

/// `result = a + b`
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum(a: &[f32], b: &[f32], result: &mut [f32]) {
    for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
        *result = a + b;
    }
}

/// Multiplies each row of `width` with its mask; the first column is number `first_column` of the mask.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn mask_rows(values: &mut [f32], width: usize, first_column: usize, keys: &[u32], rate: Rate) {
    for (row, &key) in values.chunks_exact_mut(width).zip(keys) {
        for (column, value) in row.iter_mut().enumerate() {
            *value *= rate.factor(key, (first_column + column) as u32);
        }
    }
}

/// Attention scores become `exp(score - maximum)` inside the band and 0 outside; each row's sum goes to `sums`, and the logarithm of the sum
/// of the exponentials of its scores to `log_sums`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn softmax_numerators(
    scores: &mut [f32],
    columns: usize,
    band: Band,
    sums: &mut [f32],
    log_sums: &mut [f32],
) {
    let rows = scores.chunks_exact_mut(columns).zip(sums).zip(log_sums).enumerate();
    for (row, ((scores, sum), log_sum)) in rows {
        let seen = band.columns(row);
        scores[..seen.start].fill(f32::NEG_INFINITY);
        scores[seen.end..].fill(f32::NEG_INFINITY);
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for chunk in scores.chunks_exact(LANES) {
            for lane in 0..LANES {
                lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
            }
        }
        let maximum = lanes.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let mut lanes = [0.0; LANES];
        for chunk in scores.chunks_exact_mut(LANES) {
            for lane in 0..LANES {
                chunk[lane] = exponential(chunk[lane] - maximum);
                lanes[lane] += chunk[lane];
            }
        }
        *sum = total(lanes);
        *log_sum = maximum + sum.ln();
    }
}

/// Attention scores become probabilities again: `exp(score - log_sum)` inside the band, 0 outside.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn softmax_again(scores: &mut [f32], columns: usize, band: Band, log_sums: &[f32]) {
    for (row, (scores, log_sum)) in scores.chunks_exact_mut(columns).zip(log_sums).enumerate() {
        let seen = band.columns(row);
        scores[..seen.start].fill(f32::NEG_INFINITY);
        scores[seen.end..].fill(f32::NEG_INFINITY);
        for score in scores {
            *score = exponential(*score - log_sum);
        }
    }
}

/// Backward of the softmax: `probability * (gradient - shared)`, in place of the probabilities, where `shared` of a row is the dot product of
/// the row's output and that output's gradient.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn softmax_backward(probabilities: &mut [f32], gradient: &[f32], columns: usize, shared: &[f32]) {
    let rows = probabilities.chunks_exact_mut(columns).zip(gradient.chunks_exact(columns)).zip(shared);
    for ((probabilities, gradient), shared) in rows {
        for (probability, gradient) in probabilities.iter_mut().zip(gradient) {
            *probability *= gradient - shared;
        }
    }
}

/// Logits become the gradient of `scale` times the summed cross-entropy; returns the sum itself (not scaled).
///
/// The target distribution is `1 - smoothing` on the target plus `smoothing` spread evenly (Szegedy et al. 2016).
pub fn cross_entropy(
    logits: &mut [f32],
    padded: usize,
    actions: usize,
    targets: &[u16],
    smoothing: f32,
    scale: f32,
) -> f64 {
    let even = smoothing / actions as f32;
    let mut loss = 0.0;
    for (row, &target) in logits.chunks_exact_mut(padded).zip(targets) {
        let target = usize::from(target);
        let (row, padding) = row.split_at_mut(actions);
        padding.fill(0.0);
        let maximum = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let total: f32 = row.iter().map(|&logit| exponential(logit - maximum)).sum();
        let log_sum = maximum + total.ln();
        let expected_logit = row.iter().sum::<f32>() * even + row[target] * (1.0 - smoothing);
        loss += f64::from(log_sum - expected_logit);
        for (action, value) in row.iter_mut().enumerate() {
            let wanted = if action == target { even + 1.0 - smoothing } else { even };
            *value = (exponential(*value - maximum) / total - wanted) * scale;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        for step in -86_999..=87_999 {
            let x = step as f32 * 1e-3;
            let expected = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - expected).abs() / expected;
            assert!(error < 2.5e-7, "{x}: {error}");
        }
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert_eq!(exponential(0.0), 1.0);
    }
}
