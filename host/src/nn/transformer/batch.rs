//! What the network is given: rows of tables, and what it should have said.

pub use crate::model::NO_ROW;
pub use crate::nn::ops::action_values::ActionValueOptions;
pub use crate::nn::ops::cross_entropy::NO_TARGET;

use crate::model::Inputs;
use crate::nn::Masks;
use std::ops::Range;

/// Sequences that are trained on together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Of all tokens, sequence after sequence; see [`Tokens`](crate::model::Tokens).
    pub inputs: Inputs,
    /// The action that each token should be answered with, or [`NO_TARGET`], `[tokens]`.
    pub targets: Vec<u16>,
    /// What came of the action of each token, `[tokens]`; empty where the objective does not ask.
    pub outcomes: Vec<Outcome>,
    /// What the action of each token is worth, `[tokens]`, not a number where that is unknown; empty
    /// where [`LossOptions::action_values`] is `None`.
    pub returns: Vec<f32>,
    /// Tokens of each sequence. Shorter histories give shorter sequences: nothing is padded.
    pub sequences: Vec<Range<usize>>,
    /// Number of the first sequence in the whole batch, of which this may be a part.
    pub first_sequence: usize,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The reward.
    pub reward: f32,
    /// Whether the episode ended with it.
    pub ended: bool,
}

impl Batch {
    /// Number of tokens with a target: the loss is the mean over these.
    pub fn target_count(&self) -> usize {
        self.targets.iter().filter(|&&target| target != NO_TARGET).count()
    }
}

/// How a batch's loss is computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossOptions {
    /// Share of the target probability that is spread evenly over all actions.
    pub label_smoothing: f32,
    /// Dropout and token masking; none for validation.
    pub masks: Option<Masks>,
    /// Where the outputs are values of actions, and [`Batch::returns`] are there.
    pub action_values: Option<ActionValueOptions>,
}
