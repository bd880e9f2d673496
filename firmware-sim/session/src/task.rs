//! Which task a seed stands for: the same on host and device.

use crate::session::{Simulated, World};
use algodistill_core::env::bandit::Bandit;
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomConfig};
use algodistill_core::{PortableRng, Transition};

const ARMS: usize = 10;
const PULLS: u32 = 100;

/// Stream of the seed that draws actions where the environment is elsewhere, and has a generator of its own (stream 0, as in a run in one place).
pub const AGENT_STREAM: u64 = 1;

/// The environments of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentName {
    /// 9 x 9, a goal drawn uniformly.
    DarkRoom,
    /// Ten arms that pay with uniform probabilities, 100 pulls an episode.
    Bandit,
}

impl EnvironmentName {
    /// Every environment.
    pub const ALL: [Self; 2] = [Self::DarkRoom, Self::Bandit];

    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DarkRoom => "dark-room",
            Self::Bandit => "bandit",
        }
    }

    /// Words of an observation.
    pub const fn observation_len(self) -> usize {
        match self {
            Self::DarkRoom => 2,
            Self::Bandit => 0,
        }
    }

    /// Steps of an episode.
    pub const fn horizon(self) -> u32 {
        match self {
            Self::DarkRoom => DarkRoomConfig::STANDARD.horizon,
            Self::Bandit => PULLS,
        }
    }
}

/// One task of one environment.
// There is no heap to put the larger one in.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
pub enum Task {
    /// A room with its goal.
    DarkRoom(Simulated<DarkRoom>),
    /// A bandit with its arms.
    Bandit(Simulated<Bandit>),
}

impl Task {
    /// Draws the task with `rng`, which the run then goes on with. `None` does not happen: the parameters are in range.
    pub fn draw(environment: EnvironmentName, episodes: u32, rng: &mut PortableRng) -> Option<Self> {
        match environment {
            EnvironmentName::DarkRoom => {
                let config = DarkRoomConfig::STANDARD;
                let size = u32::from(config.size);
                let goal = (rng.below(size) as u16, rng.below(size) as u16);
                DarkRoom::new(config, goal).map(|room| Self::DarkRoom(Simulated::new(room, episodes)))
            }
            EnvironmentName::Bandit => {
                let probabilities: [f32; ARMS] = core::array::from_fn(|_| rng.uniform());
                let bandit = Bandit::new(&probabilities, PULLS)?;
                Some(Self::Bandit(Simulated::new(bandit, episodes)))
            }
        }
    }
}

impl World for Task {
    fn observe(&mut self, observation: &mut [i32], rng: &mut PortableRng) -> bool {
        match self {
            Self::DarkRoom(room) => room.observe(observation, rng),
            Self::Bandit(bandit) => bandit.observe(observation, rng),
        }
    }

    fn apply(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        match self {
            Self::DarkRoom(room) => room.apply(action, rng),
            Self::Bandit(bandit) => bandit.apply(action, rng),
        }
    }
}
