//! The agent: what firmware calls.

use crate::context::{snapshot_len, Pending, Ring};
use crate::model::embedding::{Encode, Token};
use crate::model::forward::{self, Scratch, Step};
use crate::model::kernels::Kernels;
use crate::model::numerics::{exp2_negative, round_shift, FRACTION_BITS};
use crate::model::probe::{Part, Probe};
use crate::{Error, Model, PortableRng};

/// How an action is chosen from the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// From softmax(logits / temperature), temperature 0.01 to 100. 1 is what the model was trained
    /// for.
    Temperature(f32),
    /// The first action with the largest logit.
    Greedy,
}

/// A model at work: learns a new task from what it sees, in a ring buffer of fixed size, with fixed
/// weights.
///
/// Calls in turn: [`Agent::act`], [`Agent::feedback`]. All memory is in the workspace that the
/// caller lends; it belongs to the agent until that is dropped.
pub struct Agent<'a> {
    model: Model<'a>,
    ring: Ring<'a>,
    scratch: Scratch<'a>,
    pending: Pending,
    /// log2(e) / temperature in Q16.16; `None` is greedy.
    log2_factor: Option<u32>,
    kernels: Kernels,
}

const LOG2_E: f32 = core::f32::consts::LOG2_E;

impl<'a> Agent<'a> {
    /// An agent with an empty context that samples at temperature 1. `workspace` has at least
    /// [`Model::workspace_words`] words; its content does not matter.
    pub fn new(model: Model<'a>, workspace: &'a mut [u32]) -> Result<Self, Error> {
        let (needed, found) = (model.workspace_words(), workspace.len());
        let dimensions = model.dimensions();
        let (context, scratch) =
            forward::split_workspace(&dimensions, workspace).ok_or(Error::Workspace { needed, found })?;
        let mut agent = Self {
            ring: Ring::new(context, dimensions),
            scratch,
            pending: Pending::none(&model.interface),
            log2_factor: None,
            kernels: Kernels::detect(),
            model,
        };
        agent.set_sampling(Sampling::Temperature(1.0))?;
        Ok(agent)
    }

    /// Chooses how actions are drawn.
    pub fn set_sampling(&mut self, sampling: Sampling) -> Result<(), Error> {
        self.log2_factor = match sampling {
            Sampling::Greedy => None,
            Sampling::Temperature(temperature) if (0.01..=100.0).contains(&temperature) => {
                Some((LOG2_E / temperature * 65_536.0) as u32)
            }
            Sampling::Temperature(_) => return Err(Error::Temperature),
        };
        Ok(())
    }

    /// Chooses the kernels; every set gives the same bits.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.kernels = kernels;
    }

    /// Kernels in use.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// Forgets the task: empties the context.
    pub fn reset(&mut self) {
        self.ring.clear();
        self.pending = Pending::none(&self.model.interface);
    }

    /// One step: runs the token of `observation` (and of the action and feedback before it) through
    /// the model and draws an action.
    pub fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize, Error> {
        self.act_with(observation, rng, ())
    }

    /// As [`Agent::act`]; `probe` is told where each part begins, and at the end that
    /// [`Part::Other`] does.
    #[cfg(feature = "profile")]
    pub fn act_profiled(
        &mut self,
        observation: &[i32],
        rng: &mut PortableRng,
        probe: impl Probe,
    ) -> Result<usize, Error> {
        self.act_with(observation, rng, probe)
    }

    /// One step of a demonstration: as [`Agent::act`], but the action is given.
    pub fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<(), Error> {
        if action >= usize::from(self.model.interface.actions) {
            return Err(Error::Action(action));
        }
        self.step(observation, ())?;
        self.await_feedback(action);
        Ok(())
    }

    /// What the last action brought. `ended` is `None` while the episode goes on. Where it ended,
    /// the next observation is that of a new episode, and the context is kept. `ended` is then
    /// what was observed after the last action, before the reset (a door, a platform, a
    /// terminal cell may be seen at that moment only), or empty where nothing was. A model
    /// without tables for it checks it and goes on without.
    ///
    /// # Errors
    /// [`Error::FeedbackUnexpected`], [`Error::Reward`], or what [`Agent::act`] says of an
    /// observation that is wrong; nothing has changed then.
    pub fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<(), Error> {
        if !self.pending.awaits_feedback {
            return Err(Error::FeedbackUnexpected);
        }
        if reward.is_nan() {
            return Err(Error::Reward);
        }
        let interface = &self.model.interface;
        let observed = ended.filter(|words| !words.is_empty());
        if let Some(words) = observed {
            interface.check(words)?;
            let memory = self.ring.final_observation();
            memory.iter_mut().zip(words).for_each(|(word, value)| *word = *value);
        }
        self.pending = Pending {
            feedback_row: interface.feedback_row(reward, ended.is_some()),
            final_observation: observed.is_some() && self.model.dimensions.final_words > 0,
            awaits_feedback: false,
            ..self.pending
        };
        Ok(())
    }

    /// Does what the encoders do in [`Agent::act`], and nothing else, so that it can be measured:
    /// no later step depends on it, and no snapshot.
    #[doc(hidden)]
    pub fn encode(&mut self, observation: &[i32]) -> Result<(), Error> {
        self.model.interface.check(observation)?;
        let Self { model, scratch, kernels, .. } = self;
        kernels.run(Encode { model, kernels: *kernels, observation, scratch });
        Ok(())
    }

    /// Logits of the last step, Q16.16, one per action.
    pub fn logits(&self) -> &[i32] {
        self.scratch.logits
    }

    /// Bytes of a snapshot of this agent.
    pub fn snapshot_len(&self) -> usize {
        snapshot_len(&self.model.dimensions)
    }

    /// Writes the context to the front of `out` and returns its length. Save [`PortableRng::state`]
    /// beside it to continue with identical actions.
    pub fn snapshot(&self, out: &mut [u8]) -> Result<usize, Error> {
        self.ring.write_snapshot(self.model.crc(), self.pending, out)
    }

    /// Restores a context written by [`Agent::snapshot`] with the same weights. On an error the
    /// context is as before.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), Error> {
        self.pending = self.ring.read_snapshot(self.model.crc(), snapshot, &self.model.interface)?;
        Ok(())
    }

    #[inline(always)]
    fn act_with(
        &mut self,
        observation: &[i32],
        rng: &mut PortableRng,
        probe: impl Probe,
    ) -> Result<usize, Error> {
        self.step(observation, probe)?;
        probe.begins(Part::Sampling);
        let action = self.sample(rng);
        self.await_feedback(action);
        probe.begins(Part::Other);
        Ok(action)
    }

    fn step(&mut self, observation: &[i32], probe: impl Probe) -> Result<(), Error> {
        if self.pending.awaits_feedback {
            return Err(Error::FeedbackMissing);
        }
        self.model.interface.check(observation)?;
        let Pending { action_row, feedback_row, final_observation, .. } = self.pending;
        let token = Token { observation, final_observation, action_row, feedback_row };
        let Self { model, ring, scratch, kernels, .. } = self;
        kernels.run(Step { model, kernels: *kernels, ring, scratch, token, probe });
        Ok(())
    }

    fn await_feedback(&mut self, action: usize) {
        self.pending.action_row = self.model.interface.action_row(action);
        self.pending.final_observation = false;
        self.pending.awaits_feedback = true;
    }

    /// Inverse transform sampling with integer weights 2^((logit - largest) log2(e) / temperature),
    /// Q15.
    fn sample(&self, rng: &mut PortableRng) -> usize {
        let logits: &[i32] = self.scratch.logits;
        let largest = logits.iter().copied().max().unwrap_or(0);
        let Some(factor) = self.log2_factor else {
            return logits.iter().position(|logit| *logit == largest).unwrap_or(0);
        };
        let weight = |logit: &i32| {
            let below = round_shift(i64::from(largest.abs_diff(*logit)) * i64::from(factor), FRACTION_BITS);
            exp2_negative(below.unsigned_abs())
        };
        let total = logits.iter().map(weight).sum();
        let mut draw = rng.below(total);
        for (action, logit) in logits.iter().enumerate() {
            let weight = weight(logit);
            if draw < weight {
                return action;
            }
            draw -= weight;
        }
        0
    }
}
