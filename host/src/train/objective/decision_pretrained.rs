//! Decision-pretrained (Lee et al. 2023, "Supervised Pretraining Can Learn In-Context Reinforcement
//! Learning", arXiv 2306.14892): the same tokens as algorithm distillation, each answered with the
//! action that is optimal in its task, whatever the source did there. So the model weighs what its
//! context says about the task, as in posterior sampling, and need not repeat how its source
//! learned.
//!
//! The policy is the plain agent: it draws from the logits, and sampling is what makes it explore.

use super::{Objective, Place, Stream};
use crate::history::Histories;
use crate::nn::transformer::NO_TARGET;
use crate::{Error, Result};

/// Say what is optimal, from what the source saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecisionPretrained;

impl Objective for DecisionPretrained {
    fn name(&self) -> &'static str {
        "decision-pretrained"
    }

    fn needs_optimal_actions(&self) -> bool {
        true
    }

    /// A step whose optimal action is unknown, [`NO_TARGET`], is seen and not asked about.
    fn check(&self, histories: &Histories) -> Result<()> {
        let wrong = |problem: String| Err(Error::argument("histories", problem));
        let (optimal, steps) = (&histories.steps.optimal_actions, &histories.steps);
        if optimal.len() != steps.len() {
            return wrong(
                "have no optimal actions, which the objective decision-pretrained is trained on; generate them with \
                 --optimal-actions (in an experiment optimal_actions = true), or choose another objective"
                    .into(),
            );
        }
        let actions = histories.interface.actions;
        let known = optimal.iter().filter(|&&action| action != NO_TARGET);
        if known.clone().next().is_none() {
            return wrong("have no step whose optimal action is known".into());
        }
        match known.max().filter(|&&largest| largest >= actions) {
            Some(largest) => wrong(format!("an optimal action is {largest}, must be below {actions}")),
            None => Ok(()),
        }
    }

    fn push(&self, place: Place, stream: &mut Stream) -> Result<()> {
        let target = place.histories.steps.optimal_actions[place.step];
        stream.push_step(place, target, &[])
    }
}
