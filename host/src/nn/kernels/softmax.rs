//! The softmax of attention, on blocks of scores that lie key by key: `[keys, QUERIES]`. Maxima and
//! sums then run down the columns, one lane a query, and nothing is ever added across lanes.

use super::elementwise::power_of_two;
use crate::nn::masks::Rate;
use multiversion::multiversion;

/// Queries of a block: two of the widest vectors.
pub const QUERIES: usize = 32;

/// One number for each query of a block.
pub type PerQuery = [f32; QUERIES];

/// Scores, in units of ln 2, become `2^(score - maximum)`; returns each query's sum of them, and
/// the binary logarithm of its sum of `2^score`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn numerators(scores: &mut [f32]) -> (PerQuery, PerQuery) {
    let (rows, _) = scores.as_chunks_mut::<QUERIES>();
    let mut maxima = [f32::NEG_INFINITY; QUERIES];
    for row in rows.iter() {
        for (maximum, &score) in maxima.iter_mut().zip(row) {
            *maximum = if score > *maximum { score } else { *maximum };
        }
    }
    let mut sums = [0.0; QUERIES];
    for row in rows {
        for lane in 0..QUERIES {
            row[lane] = power_of_two(row[lane] - maxima[lane]);
            sums[lane] += row[lane];
        }
    }
    let log_sums = std::array::from_fn(|lane| maxima[lane] + sums[lane].log2());
    (sums, log_sums)
}

/// Scores become probabilities again: `2^(score - log_sum)`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn again(scores: &mut [f32], log_sums: &PerQuery) {
    for row in scores.as_chunks_mut::<QUERIES>().0 {
        for lane in 0..QUERIES {
            row[lane] = power_of_two(row[lane] - log_sums[lane]);
        }
    }
}

/// Backward of the softmax: `scale * probability * (gradient - shared)`, in place of the
/// probabilities, where `shared` of a query is the dot product of its output and that output's
/// gradient.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn backward(probabilities: &mut [f32], gradient: &[f32], shared: &PerQuery, scale: f32) {
    let rows = probabilities.as_chunks_mut::<QUERIES>().0.iter_mut();
    for (probabilities, gradient) in rows.zip(gradient.as_chunks::<QUERIES>().0) {
        for lane in 0..QUERIES {
            probabilities[lane] *= scale * (gradient[lane] - shared[lane]);
        }
    }
}

/// Scores of one query, a whole number of vectors of 16, become its probabilities:
/// `softmax(factor * scores)`. A score of minus infinity has none.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn row(scores: &mut [f32], factor: f32) {
    let factor = factor * std::f32::consts::LOG2_E;
    let vectors = scores.as_chunks_mut::<16>().0;
    let mut maxima = [f32::NEG_INFINITY; 16];
    for vector in vectors.iter() {
        for (maximum, &score) in maxima.iter_mut().zip(vector) {
            *maximum = if score > *maximum { score } else { *maximum };
        }
    }
    let maximum = factor * maxima.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mut sums = [0.0; 16];
    for vector in vectors.iter_mut() {
        for (sum, score) in sums.iter_mut().zip(vector) {
            *score = power_of_two(*score * factor - maximum);
            *sum += *score;
        }
    }
    let reciprocal = 1.0 / sums.iter().sum::<f32>();
    for vector in vectors {
        vector.iter_mut().for_each(|score| *score *= reciprocal);
    }
}

/// Multiplies each weight with its mask: query `lane` is the mask's row `keys[lane]`, row `index`
/// is its column `first_key + index`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn drop_weights(weights: &mut [f32], first_key: usize, keys: &[u32; QUERIES], rate: Rate) {
    for (index, row) in weights.as_chunks_mut::<QUERIES>().0.iter_mut().enumerate() {
        for lane in 0..QUERIES {
            row[lane] *= rate.factor(keys[lane], (first_key + index) as u32);
        }
    }
}
