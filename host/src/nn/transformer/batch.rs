//! What the network is given: rows of tables, and what it should have said.

pub use crate::model::NO_ROW;
pub use crate::nn::ops::cross_entropy::NO_TARGET;

use crate::nn::Masks;
use std::ops::Range;

/// Sequences that are trained on together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Rows of the embedding tables, `[tokens, tables]`, sequence after sequence; see
    /// [`Tokens`](crate::model::Tokens).
    pub rows: Vec<u32>,
    /// The action that each token should be answered with, or [`NO_TARGET`], `[tokens]`.
    pub targets: Vec<u16>,
    /// Tokens of each sequence. Shorter histories give shorter sequences: nothing is padded.
    pub sequences: Vec<Range<usize>>,
    /// Number of the first sequence in the whole batch, of which this may be a part.
    pub first_sequence: usize,
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
}
