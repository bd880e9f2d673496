//! AdamW on plain slices, and clipping.

use super::fused::kernels::elementwise::scale;
use super::TrainConfig;
use crate::model::{layout, Dimensions};
use algodistill_core::Interface;
use multiversion::multiversion;

const EPSILON: f32 = 1e-8;

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
    /// Moments of zero. The matrices of the blocks and the head decay; embeddings and gains do not.
    pub fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let tensors = layout(dimensions, interface);
        let count = tensors.last().map_or(0, |tensor| tensor.range().end);
        let mut decays = vec![1.0; count];
        for tensor in &tensors {
            if tensor.name.starts_with("embed.") || tensor.name.ends_with("norm") {
                decays[tensor.range()].fill(0.0);
            }
        }
        Self { first: vec![0.0; count], second: vec![0.0; count], decays }
    }

    /// One step; `update` counts from 0.
    pub fn step(
        &mut self,
        config: &TrainConfig,
        update: u64,
        rate: f32,
        gradient: &[f32],
        values: &mut [f32],
    ) {
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(update as f64 + 1.0);
        let coefficients = Coefficients {
            beta1: config.beta1,
            beta2: config.beta2,
            step: (f64::from(rate) / correction(config.beta1)) as f32,
            root: (1.0 / correction(config.beta2)).sqrt() as f32,
            decay: rate * config.weight_decay,
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

/// Scales the gradient down to `largest` where its Euclidean norm exceeds it (0: never). Returns the norm before.
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
    fn first_step_moves_by_the_rate_and_decays_matrices_only() {
        let dimensions = Dimensions { layers: 1, d_model: 16, heads: 1, d_ff: 16, window: 4 };
        let interface = Interface::discrete(&[3], 2, &[0.0, 1.0]).unwrap();
        let mut optimizer = AdamW::new(&dimensions, &interface);
        let mut values = vec![1.0; optimizer.first.len()];
        let gradient = vec![0.5; values.len()];
        let config = TrainConfig { weight_decay: 0.1, ..TrainConfig::default() };
        optimizer.step(&config, 0, 0.01, &gradient, &mut values);
        for tensor in layout(&dimensions, &interface) {
            let matrix = !(tensor.name.starts_with("embed.") || tensor.name.contains("norm"));
            let expected = if matrix { 0.989 } else { 0.99 };
            for value in &values[tensor.range()] {
                assert!((value - expected).abs() < 1e-6, "{}: {value}", tensor.name);
            }
        }
    }

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
