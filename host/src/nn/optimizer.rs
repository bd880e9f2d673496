//! AdamW on plain slices, and clipping.

use super::kernels::elementwise::scale;
use multiversion::multiversion;
use std::ops::Range;

const EPSILON: f32 = 1e-8;

/// What AdamW is told, beside the learning rate of each update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Decoupled weight decay, a rate per unit of learning rate.
    pub weight_decay: f32,
}

impl Default for Hyperparameters {
    /// Those of Adam (Kingma and Ba 2015), without decay.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, weight_decay: 0.0 }
    }
}

/// AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// First moment of every parameter.
    pub first: Vec<f32>,
    /// Second moment of every parameter.
    pub second: Vec<f32>,
    /// 1 where weight decay applies, 0 elsewhere.
    decays: Vec<f32>,
}

impl AdamW {
    /// Moments of zero for `count` parameters, of which those in the ranges `decaying` are subject
    /// to weight decay.
    pub fn new(count: usize, decaying: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut decays = vec![0.0; count];
        for range in decaying {
            decays[range].fill(1.0);
        }
        Self { first: vec![0.0; count], second: vec![0.0; count], decays }
    }

    /// One step; `update` counts from 0.
    pub fn step(
        &mut self,
        hyperparameters: &Hyperparameters,
        update: u64,
        rate: f32,
        gradient: &[f32],
        values: &mut [f32],
    ) {
        let Hyperparameters { beta1, beta2, weight_decay } = *hyperparameters;
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(update as f64 + 1.0);
        let coefficients = Coefficients {
            beta1,
            beta2,
            step: (f64::from(rate) / correction(beta1)) as f32,
            root: (1.0 / correction(beta2)).sqrt() as f32,
            decay: rate * weight_decay,
        };
        step(&coefficients, gradient, &self.decays, &mut self.first, &mut self.second, values);
    }
}

struct Coefficients {
    beta1: f32,
    beta2: f32,
    /// Learning rate over the bias correction of the first moment.
    step: f32,
    /// Bias correction of the second moment's root.
    root: f32,
    decay: f32,
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn step(
    c: &Coefficients,
    gradient: &[f32],
    decays: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    values: &mut [f32],
) {
    let moments = first.iter_mut().zip(second);
    for (((value, gradient), decays), (first, second)) in
        values.iter_mut().zip(gradient).zip(decays).zip(moments)
    {
        *first = c.beta1 * *first + (1.0 - c.beta1) * gradient;
        *second = c.beta2 * *second + (1.0 - c.beta2) * gradient * gradient;
        *value -= *value * decays * c.decay + c.step * *first / (second.sqrt() * c.root + EPSILON);
    }
}

/// Scales the gradient down to `largest` where its Euclidean norm exceeds it (0: never). Returns
/// the norm before.
pub fn clip(gradient: &mut [f32], largest: f32) -> f32 {
    let norm = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt() as f32;
    if largest > 0.0 && norm > largest {
        scale(gradient, largest / norm);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_long_gradients_only() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(clip(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        assert_eq!(clip(&mut gradient, 0.0), 5.0);
        assert_eq!(clip(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
    }
}
