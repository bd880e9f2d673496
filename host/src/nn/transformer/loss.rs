//! What a network is trained to say: the loss of one sequence, given what its forward pass left.

use super::{Batch, LossOptions};
use crate::nn::ops::action_values::ActionValues;
use crate::nn::ops::cross_entropy::CrossEntropy;
use std::ops::{AddAssign, Range};

/// A loss, which may have parameters of its own: those of a value head, say. They lie behind those of
/// the model, in the values as in the gradient.
pub trait Loss: Sync {
    /// What is summed up over sequences: the loss, and whatever else is to be known of it.
    type Sums: Default + AddAssign + Send;

    /// Whether it reads [`Passed::hidden`]: then it fills [`Passed::hidden_gradient`].
    const READS_HIDDEN: bool = false;

    /// Number of its own parameters.
    fn own_parameters(&self) -> usize {
        0
    }

    /// The sums of one sequence. The logits become their gradient.
    fn of_sequence(&self, passed: Passed) -> Self::Sums;
}

/// What the forward pass over a sequence left, and where gradients go.
pub struct Passed<'a> {
    /// The tokens of the sequence in their batch.
    pub tokens: Range<usize>,
    /// `[tokens, d_model]`: the rows behind the final norm.
    pub hidden: &'a [f32],
    /// `[tokens, d_model]`: their gradient, but for what goes through the logits.
    pub hidden_gradient: &'a mut [f32],
    /// `[tokens, stride]`: the logits, and padding, which is zero and stays so.
    pub logits: &'a mut [f32],
    /// Distance between the logits of two tokens.
    pub stride: usize,
    /// The loss's own parameters.
    pub own: &'a [f32],
    /// Their gradient, to be added to; `None` where nobody asks for gradients.
    pub own_gradient: Option<&'a mut [f32]>,
}

/// The losses of imitation and of action values: whatever [`LossOptions`] says.
pub struct Targets<'a> {
    /// What is to be said.
    pub batch: &'a Batch,
    /// How.
    pub options: &'a LossOptions,
    /// Number of actions.
    pub actions: usize,
}

impl Loss for Targets<'_> {
    type Sums = f64;

    fn of_sequence(&self, passed: Passed) -> f64 {
        let (batch, actions, smoothing) = (self.batch, self.actions, self.options.label_smoothing);
        let targets = &batch.targets[passed.tokens.clone()];
        match self.options.action_values {
            None => CrossEntropy { targets, actions, smoothing }
                .forward_and_backward(passed.logits, passed.stride),
            Some(options) => {
                let returns = &batch.returns[passed.tokens];
                ActionValues { targets, returns, actions, smoothing, options }
                    .forward_and_backward(passed.logits, passed.stride)
            }
        }
    }
}
