//! The loop that firmware has.

use algodistill_core::{Agent, Environment, Error, Interface, PortableRng, Transition};

/// Stream of the seed that draws actions where the environment is elsewhere, and has a generator of
/// its own (stream 0, as in a run in one place).
pub const AGENT_STREAM: u64 = 1;

/// What the agent lives in: an environment in the same memory, or one at the other end of a link.
pub trait World {
    /// Writes the observation of the next step; `false` where there is none, because the run is
    /// over.
    fn observe(&mut self, observation: &mut [i32], rng: &mut PortableRng) -> bool;

    /// What the action brings. Where the episode ends with it, `observation` receives what is seen
    /// before the next one starts.
    fn apply(&mut self, action: usize, observation: &mut [i32], rng: &mut PortableRng) -> Transition;
}

/// Told about every step: implemented by the image (which measures and prints) and by the runner
/// (which keeps the trace).
pub trait Monitor {
    /// The world is asked for an observation.
    fn observing(&mut self) {}

    /// The world has shown `observation`, and the model starts to work on it.
    fn observed(&mut self, _agent: &mut Agent, _observation: &[i32]) {}

    /// The model works on `observation`.
    fn act(&mut self, agent: &mut Agent, observation: &[i32], rng: &mut PortableRng) -> Result<usize, Error> {
        act(agent, observation, rng)
    }

    /// The model has worked on `observation`: its action, and in the agent its logits.
    fn acted(&mut self, agent: &Agent, observation: &[i32], action: usize);

    /// What the action brought, and where the episode ended with it what was in sight then.
    fn fed_back(&mut self, interface: &Interface, transition: Transition, seen: Option<&[i32]>);
}

/// Runs `agent` in `world` until the world ends. `buffer` has room for an observation.
pub fn run(
    agent: &mut Agent,
    world: &mut impl World,
    rng: &mut PortableRng,
    monitor: &mut impl Monitor,
    buffer: &mut [i32],
) -> Result<(), Error> {
    let (needed, found) = (agent.model().interface().observation_len(), buffer.len());
    let observation = buffer.get_mut(..needed).ok_or(Error::ObservationLength { needed, found })?;
    loop {
        monitor.observing();
        if !world.observe(observation, rng) {
            return Ok(());
        }
        monitor.observed(agent, observation);
        let action = monitor.act(agent, observation, rng)?;
        monitor.acted(agent, observation, action);
        let transition = world.apply(action, observation, rng);
        let seen = transition.done.then_some(&*observation);
        agent.feedback(transition.reward, seen)?;
        monitor.fed_back(agent.model().interface(), transition, seen);
    }
}

/// [`Agent::act`] as a function of its own in the image: its instructions are counted, and a symbol
/// tells its code apart.
#[inline(never)]
pub fn act(agent: &mut Agent, observation: &[i32], rng: &mut PortableRng) -> Result<usize, Error> {
    agent.act(observation, rng)
}

/// An environment in the agent's memory, for a number of episodes.
#[derive(Clone)]
pub struct Simulated<E> {
    environment: E,
    episodes: u32,
    done: bool,
}

impl<E: Environment> Simulated<E> {
    /// `episodes` episodes of `environment`.
    pub fn new(environment: E, episodes: u32) -> Self {
        Self { environment, episodes, done: true }
    }
}

impl<E: Environment> World for Simulated<E> {
    fn observe(&mut self, observation: &mut [i32], rng: &mut PortableRng) -> bool {
        if self.done {
            let Some(left) = self.episodes.checked_sub(1) else { return false };
            self.episodes = left;
            self.environment.reset(rng);
        }
        self.environment.observe(observation);
        true
    }

    fn apply(&mut self, action: usize, observation: &mut [i32], rng: &mut PortableRng) -> Transition {
        let transition = self.environment.step(action, rng);
        self.done = transition.done;
        if self.done {
            self.environment.observe(observation);
        }
        transition
    }
}
