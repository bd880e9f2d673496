//! The loss of action values: squared error of the value of the action that was taken, and
//! conservatism (Kumar et al. 2020, "Conservative Q-Learning for Offline Reinforcement Learning",
//! arXiv 2006.04779): a cross-entropy that holds down the values of actions that were not.

use super::cross_entropy::{CrossEntropy, NO_TARGET};
use crate::nn::kernels::elementwise::scale;
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

/// How action values enter the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActionValueOptions {
    /// The values over this are the logits of the policy.
    pub temperature: f32,
    /// Weight of `temperature * cross-entropy` of these logits with the actions that were taken: 0
    /// is plain Q-learning.
    pub conservatism: f32,
}

/// Actions and returns of one sequence, summed up over its tokens.
#[derive(Clone, Copy)]
pub struct ActionValues<'a> {
    /// The action of each token, or [`NO_TARGET`].
    pub targets: &'a [u16],
    /// What that action is worth; not a number: unknown, the token has the conservatism only.
    pub returns: &'a [f32],
    /// Number of actions.
    pub actions: usize,
    /// See [`CrossEntropy::smoothing`].
    pub smoothing: f32,
    /// Temperature and conservatism.
    pub options: ActionValueOptions,
}

impl ActionValues<'_> {
    /// The sum over all tokens with a target of `conservatism * temperature * cross-entropy(values /
    /// temperature) + (value - return)^2 / 2`. The values, in rows of `stride`, become its gradient.
    pub fn forward_and_backward(&self, values: &mut [f32], stride: usize) -> f64 {
        let ActionValueOptions { temperature, conservatism } = self.options;
        let mut loss = 0.0;
        for (token, row) in values.chunks_exact_mut(stride).enumerate().take(self.targets.len()) {
            let targets = &self.targets[token..=token];
            let row = &mut row[..self.actions];
            let chosen = (targets[0] != NO_TARGET).then(|| usize::from(targets[0]));
            let value = chosen.map_or(0.0, |action| row[action]);
            scale(row, 1.0 / temperature);
            let entropy = CrossEntropy { targets, actions: self.actions, smoothing: self.smoothing };
            loss += f64::from(conservatism * temperature) * entropy.forward_and_backward(row, self.actions);
            scale(row, conservatism);
            if let Some(action) = chosen.filter(|_| !self.returns[token].is_nan()) {
                let error = value - self.returns[token];
                loss += 0.5 * f64::from(error) * f64::from(error);
                row[action] += error;
            }
        }
        loss
    }
}

/// The summed loss as one operation on dfdx's tape: `[1, 1]` from values `[tokens, actions]`.
///
/// # Panics
/// Where there are fewer targets or returns than tokens, or a target is not below `actions`.
pub fn on_tape<T: Tape<f32, Cpu>>(
    values: tape::Matrix<T>,
    targets: &[u16],
    returns: &[f32],
    options: ActionValueOptions,
) -> tape::Matrix<T> {
    let (tokens, actions) = *values.shape();
    let (targets, returns) = (&targets[..tokens], &returns[..tokens]);
    tape::apply(
        [values],
        (1, 1),
        move |[values]| {
            let mut own = values.to_vec();
            let loss = ActionValues { targets, returns, actions, smoothing: 0.0, options };
            (vec![loss.forward_and_backward(&mut own, actions) as f32], own)
        },
        |_, mut own, gradient| {
            scale(&mut own, gradient[0]);
            [own]
        },
    )
}
