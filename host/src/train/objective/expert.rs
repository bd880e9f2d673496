//! Expert distillation, the baseline of Laskin et al. (2022): the same as algorithm distillation,
//! on the last episodes of each history only, when the source has learned its task. The model can
//! tell tasks apart, but has never seen learning.
//!
//! The policy is the plain agent: it draws from the logits.

use super::{Objective, Place, Stream};
use crate::model::check;
use crate::Result;

/// Imitate the source after it has learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expert {
    /// The last fraction of each history's episodes that is trained on, above 0 and at most 1; one
    /// episode at least.
    pub fraction: f32,
}

impl Default for Expert {
    fn default() -> Self {
        Self { fraction: 0.1 }
    }
}

impl Objective for Expert {
    fn name(&self) -> &'static str {
        "expert"
    }

    fn validate(&self) -> Result<()> {
        let valid = self.fraction > 0.0 && self.fraction <= 1.0;
        check(valid, "expert_fraction", self.fraction, "above 0 and at most 1")
    }

    fn kept_episodes(&self, episodes: usize) -> usize {
        ((episodes as f64 * f64::from(self.fraction)).ceil() as usize).clamp(1, episodes)
    }

    fn push(&self, place: Place, stream: &mut Stream) -> Result<()> {
        let target = place.histories.steps.actions[place.step];
        stream.push_step(place, target, &[])
    }
}
