//! What an agent sees and does: the contract between an environment, a learning history and a model.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Most observation channels of an [`Interface`].
pub const MAX_CHANNELS: usize = 8;
/// Most reward levels of an [`Interface`].
pub const MAX_REWARD_LEVELS: usize = 16;
/// Most actions of an [`Interface`].
pub const MAX_ACTIONS: usize = 256;
/// Largest number of values of a discrete channel.
pub const MAX_CHANNEL_SIZE: usize = 4096;

/// One observation channel. An observation is a slice of `i32`, the words of its channels one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Channel {
    /// One word: an index in `0..size`, embedded with a table of `size` rows.
    Discrete {
        /// Number of values.
        size: u16,
    },
}

impl Channel {
    /// Words of an observation that belong to this channel.
    pub const fn len(&self) -> usize {
        match self {
            Channel::Discrete { .. } => 1,
        }
    }

    /// Never: every channel has at least one word.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// The shape of one interaction step: observation channels, actions, and the rewards that are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Observation channels, in the order of the words of an observation. May be empty (a bandit).
    pub channels: Vec<Channel, MAX_CHANNELS>,
    /// Number of actions, 2 to [`MAX_ACTIONS`].
    pub actions: u16,
    /// Finite and strictly increasing; a reward is embedded as the nearest of these (the lower one at a tie).
    pub reward_levels: Vec<f32, MAX_REWARD_LEVELS>,
}

impl Interface {
    /// Discrete channels of the given sizes. `None` where a limit of this module is exceeded or
    /// [`Interface::is_valid`] is false.
    pub fn discrete(sizes: &[u16], actions: u16, reward_levels: &[f32]) -> Option<Self> {
        let mut channels = Vec::new();
        for &size in sizes {
            channels.push(Channel::Discrete { size }).ok()?;
        }
        let interface = Self { channels, actions, reward_levels: Vec::from_slice(reward_levels).ok()? };
        interface.is_valid().then_some(interface)
    }

    /// Whether every number is within the limits of this module.
    pub fn is_valid(&self) -> bool {
        let channels = self.channels.iter().all(|channel| match channel {
            Channel::Discrete { size } => (1..=MAX_CHANNEL_SIZE).contains(&usize::from(*size)),
        });
        let finite = self.reward_levels.iter().all(|level| level.is_finite());
        let increasing =
            self.reward_levels.iter().zip(self.reward_levels.iter().skip(1)).all(|(low, high)| low < high);
        channels
            && (2..=MAX_ACTIONS).contains(&usize::from(self.actions))
            && !self.reward_levels.is_empty()
            && finite
            && increasing
    }

    /// Words of an observation.
    pub fn observation_len(&self) -> usize {
        self.channels.iter().map(Channel::len).sum()
    }

    /// Index of the level nearest to `reward`; the lower one at a tie, 0 for NaN.
    pub fn reward_level(&self, reward: f32) -> usize {
        self.reward_levels
            .iter()
            .zip(self.reward_levels.iter().skip(1))
            .take_while(|(low, high)| reward - **low > **high - reward)
            .count()
    }

    /// Rows of the embedding table of the previous action: one an action, then one for "no action yet".
    pub fn action_rows(&self) -> usize {
        usize::from(self.actions) + 1
    }

    /// Rows of the joint embedding table of the previous reward and done flag: row `2 * level + done`, then one for
    /// "no feedback yet".
    pub fn feedback_rows(&self) -> usize {
        2 * self.reward_levels.len() + 1
    }
}
