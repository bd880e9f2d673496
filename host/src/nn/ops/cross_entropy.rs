//! The loss: cross-entropy of the logits.

use crate::nn::kernels::elementwise::{exponential, scale};
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

/// The target of a token that has none: later tokens attend to it, but it adds nothing to the loss.
pub const NO_TARGET: u16 = u16::MAX;

/// Targets of one sequence, summed up over its tokens.
#[derive(Clone, Copy)]
pub struct CrossEntropy<'a> {
    /// The action that each token should be answered with, or [`NO_TARGET`].
    pub targets: &'a [u16],
    /// Number of actions.
    pub actions: usize,
    /// The target distribution is `1 - smoothing` on the target plus `smoothing` spread evenly
    /// (Szegedy et al. 2016).
    pub smoothing: f32,
}

impl CrossEntropy<'_> {
    /// The sum of the cross-entropy over all tokens with a target. The logits, in rows of `stride`,
    /// become its gradient.
    pub fn forward_and_backward(&self, logits: &mut [f32], stride: usize) -> f64 {
        let even = self.smoothing / self.actions as f32;
        let mut loss = 0.0;
        for (row, &target) in logits.chunks_exact_mut(stride).zip(self.targets) {
            let row = &mut row[..self.actions];
            if target == NO_TARGET {
                row.fill(0.0);
                continue;
            }
            let target = usize::from(target);
            let maximum = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let expected = row.iter().sum::<f32>() * even + row[target] * (1.0 - self.smoothing);
            let mut total = 0.0;
            for value in row.iter_mut() {
                *value = exponential(*value - maximum);
                total += *value;
            }
            loss += f64::from(maximum + total.ln() - expected);
            let reciprocal = 1.0 / total;
            row.iter_mut().for_each(|value| *value = *value * reciprocal - even);
            row[target] -= 1.0 - self.smoothing;
        }
        loss
    }
}

/// The summed cross-entropy as one operation on dfdx's tape: `[1, 1]` from logits `[tokens,
/// actions]`.
///
/// # Panics
/// Where there are fewer targets than tokens, or a target is not below `actions`.
pub fn on_tape<T: Tape<f32, Cpu>>(
    logits: tape::Matrix<T>,
    targets: &[u16],
    smoothing: f32,
) -> tape::Matrix<T> {
    let (tokens, actions) = *logits.shape();
    let targets = &targets[..tokens];
    tape::apply(
        [logits],
        (1, 1),
        move |[logits]| {
            let mut own = logits.to_vec();
            let loss = CrossEntropy { targets, actions, smoothing }.forward_and_backward(&mut own, actions);
            (vec![loss as f32], own)
        },
        |_, mut own, gradient| {
            scale(&mut own, gradient[0]);
            [own]
        },
    )
}
