//! Episodes for the tests of environments.

use super::{Episode, Expert, Simulation};
use crate::source::Outcome;
use algodistill_core::{Environment, PortableRng};

/// An episode of `task` from its reset on, or the first `steps` steps of it, by `expert`.
pub(super) fn played<F: Simulation>(
    family: &F,
    task: &mut F::Task,
    expert: &mut dyn Expert,
    rng: &mut PortableRng,
    steps: usize,
) -> Episode {
    let mut seen = vec![0; family.interface().observation_len()];
    let mut episode = Episode::default();
    task.reset(rng);
    task.observe(&mut seen);
    episode.observations.push(seen.clone());
    for _ in 0..steps {
        let action = expert.act(&seen, rng);
        let transition = task.step(action, rng);
        task.observe(&mut seen);
        let (reward, done) = (transition.reward, transition.done);
        expert.learn(&Outcome { action, reward, next_observation: &seen, done });
        episode.observations.push(seen.clone());
        episode.actions.push(action);
        episode.rewards.push(reward);
        if done {
            break;
        }
    }
    episode
}

/// Takes one action and no other.
pub(super) struct Always(pub usize);

impl Expert for Always {
    fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> usize {
        self.0
    }
}
