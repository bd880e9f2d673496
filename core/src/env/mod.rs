//! Environments: small enough to run inside firmware, and the ones the source algorithms learn on.

use crate::{Interface, PortableRng};

pub mod bandit;
pub mod dark_room;

/// What an environment answers to an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Reward of the step.
    pub reward: f32,
    /// Whether the episode ended with this step. The caller then calls [`Environment::reset`].
    pub done: bool,
}

/// One task of an environment: implemented by environments, called by source algorithms, evaluation and firmware.
///
/// Order of calls: `reset`, then `observe` and `step` in turn until `done`, then `reset` again.
pub trait Environment {
    /// Observation channels, actions and reward levels. The same for every task of an environment.
    fn interface(&self) -> Interface;

    /// Most steps of an episode.
    fn horizon(&self) -> u32;

    /// Starts an episode.
    fn reset(&mut self, rng: &mut PortableRng);

    /// Writes the current observation, [`Interface::observation_len`] words. A shorter slice receives the first words only.
    fn observe(&self, observation: &mut [i32]);

    /// Applies `action` in `0..actions`. An action out of range does what action 0 does.
    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition;
}
