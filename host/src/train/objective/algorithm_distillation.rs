//! Algorithm distillation (Laskin et al. 2022, arXiv 2210.14215): one token per step, answered with
//! what the source did there, over whole learning histories. So the model does what the source
//! would do next, which is to learn.
//!
//! The policy is the plain agent: it draws from the logits.

use super::{Objective, Place, Stream};
use crate::Result;

/// Imitate the source as it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlgorithmDistillation;

impl Objective for AlgorithmDistillation {
    fn name(&self) -> &'static str {
        "algorithm-distillation"
    }

    fn push(&self, place: Place, stream: &mut Stream) -> Result<()> {
        let target = place.histories.steps.actions[place.step];
        stream.push_step(place, target, &[])
    }
}
