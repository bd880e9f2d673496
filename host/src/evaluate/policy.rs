//! What is evaluated: anything that acts, sees the outcome, and may learn from it.

use crate::Result;
use algodistill_core::PortableRng;

/// One learner in one context. Implemented by the int8 agent, the float model and every baseline;
/// called by [`rollout`](super::rollout::rollout).
///
/// Order of calls: `act` and `feedback` in turn, over as many episodes as the context has. In a
/// demonstration, `demonstrate` takes the place of `act`.
pub trait Policy {
    /// Chooses an action in `0..actions`. The observation is one `i32` a word, see
    /// [`Interface`](algodistill_core::Interface).
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize>;

    /// Takes note of the outcome of the last action. `ended` is `None` while the episode goes on;
    /// where it ended, what was observed then, before any reset.
    fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<()>;

    /// Takes note of an action that somebody else chose. Baselines that do not learn from others
    /// ignore it.
    fn demonstrate(&mut self, _observation: &[i32], _action: usize) -> Result<()> {
        Ok(())
    }

    /// Empties the context, where there is one that can be emptied.
    fn forget(&mut self) {}
}

/// What opens contexts: a model, or the recipe of a baseline. Implemented by those, called by
/// [`rollout`](super::rollout::rollout) from many threads.
pub trait Learner: Sync {
    /// Runs `body` with a policy that has an empty context. A learner must not look at `task`; the
    /// optimum does.
    fn in_context(&self, task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()>;
}

impl<P: Policy, F: Fn(u32) -> Result<P> + Sync> Learner for F {
    fn in_context(&self, task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()> {
        body(&mut self(task)?)
    }
}

/// Uniform random actions: the lower end of every plot.
#[derive(Clone, Copy, Debug)]
pub struct UniformRandom {
    /// Number of actions.
    pub actions: u16,
}

impl Policy for UniformRandom {
    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        Ok(rng.below(u32::from(self.actions)) as usize)
    }

    fn feedback(&mut self, _reward: f32, _ended: Option<&[i32]>) -> Result<()> {
        Ok(())
    }
}
