//! Decision Transformer (Chen et al. 2021, "Decision Transformer: Reinforcement Learning via Sequence
//! Modeling", arXiv 2106.01345): each step answered with the action that was taken there, given what
//! was earned from there to the end of the episode. So a model that is asked for a large return acts
//! as those did who earned it. It models trajectories, not learning: a sequence is an episode, and
//! where one begins the context is empty.
//!
//! The paper has three tokens a step: return to go, state, action. Here they are one, the sum of their
//! embeddings, with the action of the step before: a third of the context for the same steps. Return
//! to go and time step (the paper embeds it as well) are two more channels of the observation, so that
//! such a model is int8, in a weights file, on a device as any other.
//!
//! The policy is the plain agent, whose caller adds the two words to what it observes and empties the
//! context after every episode: [`Goal`] keeps the count. `evaluate` asks for the optimum.

use super::{Objective, Place, Stream};
use crate::history::Histories;
use crate::model::check;
use crate::{Error, Result};
use algodistill_core::interface::MAX_CHANNEL_SIZE;
use algodistill_core::{Channel, Interface};

/// Do what earns as much as is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionTransformer {
    /// The lowest return to go that is told from others.
    pub lowest: f32,
    /// Distance between two returns that are told apart, above 0.
    pub unit: f32,
    /// Returns that are told apart, 2 to 4096: `lowest`, `lowest + unit`, and so on.
    pub levels: u16,
    /// Time steps that are told apart, 1 to 4096; later ones are as the last.
    pub time_steps: u16,
}

impl Default for DecisionTransformer {
    fn default() -> Self {
        Self { lowest: 0.0, unit: 1.0, levels: 32, time_steps: 64 }
    }
}

impl Objective for DecisionTransformer {
    fn name(&self) -> &'static str {
        "decision-transformer"
    }

    fn validate(&self) -> Result<()> {
        let Self { lowest, unit, levels, time_steps } = *self;
        check(lowest.is_finite(), "return_lowest", lowest, "a finite number")?;
        check(unit.is_finite() && unit > 0.0, "return_unit", unit, "a finite number above 0")?;
        let sizes = |least, size| (least..=MAX_CHANNEL_SIZE).contains(&usize::from(size));
        check(sizes(2, levels), "return_levels", levels, "between 2 and 4096")?;
        check(sizes(1, time_steps), "time_steps", time_steps, "between 1 and 4096")
    }

    /// Refuses returns outside the levels: those of different worth would be one.
    fn check(&self, histories: &Histories) -> Result<()> {
        let slack = 0.5 * self.unit;
        for history in &histories.index {
            let mut left = 0.0;
            for step in history.steps.clone().rev() {
                left = histories.steps.rewards[step] + if histories.steps.dones[step] { 0.0 } else { left };
                if !(self.lowest - slack..=self.highest() + slack).contains(&left) {
                    let problem = format!(
                        "an episode of the histories earns {left} from step {step} on, but the levels are {} to {}; \
                         set return_lowest, return_unit and return_levels",
                        self.lowest,
                        self.highest()
                    );
                    return Err(Error::argument("train.return_levels", problem));
                }
            }
        }
        Ok(())
    }

    fn interface(&self, observed: &Interface) -> Result<Interface> {
        let mut interface = observed.clone();
        let added = [self.levels, self.time_steps]
            .into_iter()
            .all(|size| interface.channels.push(Channel::Discrete { size }).is_ok());
        if added && interface.is_valid() {
            return Ok(interface);
        }
        let problem = "decision-transformer adds two channels to the observation, which are too many here";
        Err(Error::argument("train.objective", problem))
    }

    fn spans_episodes(&self) -> bool {
        false
    }

    fn push(&self, place: Place, stream: &mut Stream) -> Result<()> {
        let steps = &place.histories.steps;
        let history = place.history.clone();
        let end =
            (place.step..history.end).find(|&step| steps.dones[step]).map_or(history.end, |end| end + 1);
        let begin =
            (history.start..place.step).rfind(|&step| steps.dones[step]).map_or(history.start, |end| end + 1);
        let left: f32 = steps.rewards[place.step..end].iter().sum();
        let words = self.words(left, (place.step - begin) as u32);
        let target = steps.actions[place.step];
        stream.push_step(place, target, &words)
    }

    fn goal(&self) -> Option<&DecisionTransformer> {
        Some(self)
    }
}

impl DecisionTransformer {
    /// The highest return to go that is told from others.
    pub fn highest(&self) -> f32 {
        self.lowest + self.unit * f32::from(self.levels - 1)
    }

    /// What is added to an observation: return to go and time step.
    fn words(&self, left: f32, step: u32) -> [i32; 2] {
        let level = ((left - self.lowest) / self.unit).round();
        let last = i32::from(self.levels) - 1;
        // A cast saturates, and makes NaN 0.
        [(level as i32).clamp(0, last), step.min(u32::from(self.time_steps) - 1) as i32]
    }
}

/// What a model is asked for, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    objective: DecisionTransformer,
    wanted: f32,
    left: f32,
    step: u32,
}

impl Goal {
    /// Asks for a return of `wanted` in every episode.
    pub fn new(objective: DecisionTransformer, wanted: f32) -> Self {
        Self { objective, wanted, left: wanted, step: 0 }
    }

    /// The words that follow those of the observation.
    pub fn words(&self) -> [i32; 2] {
        self.objective.words(self.left, self.step)
    }

    /// Takes note of a step. Where the episode `ended`, the context is to be emptied.
    pub fn feedback(&mut self, reward: f32, ended: bool) {
        (self.left, self.step) = match ended {
            true => (self.wanted, 0),
            false => (self.left - reward, self.step.saturating_add(1)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_falls_with_what_is_earned_and_is_whole_again_in_the_next_episode() {
        let objective = DecisionTransformer { lowest: -1.0, unit: 0.5, levels: 7, time_steps: 3 };
        assert_eq!(objective.highest(), 2.0);
        let mut goal = Goal::new(objective, 2.0);
        let mut words = vec![goal.words()];
        for (reward, ended) in [(0.5, false), (0.0, false), (9.0, false), (-20.0, false), (1.0, true)] {
            goal.feedback(reward, ended);
            words.push(goal.words());
        }
        assert_eq!(words, [[6, 0], [5, 1], [5, 2], [0, 2], [6, 2], [6, 0]]);
    }
}
