//! What an agent sees and does: the contract between an environment, a learning history and a
//! model.

use crate::model::weights::CRC;
use crate::Error;
use heapless::Vec;
use serde::{Deserialize, Serialize};

mod channel;

pub use channel::Channel;

/// Most observation channels of an [`Interface`].
pub const MAX_CHANNELS: usize = 8;
/// Most channels without a table, vector and pixels, of an [`Interface`].
pub const MAX_ENCODERS: usize = 2;
/// Most reward levels of an [`Interface`].
pub const MAX_REWARD_LEVELS: usize = 16;
/// Most actions of an [`Interface`].
pub const MAX_ACTIONS: usize = 256;
/// Largest number of values of a discrete channel.
pub const MAX_CHANNEL_SIZE: usize = 4096;
/// Most words of a vector channel.
pub const MAX_VECTOR_SIZE: usize = 64;
/// Most bytes of the picture of a pixels channel.
pub const MAX_PIXEL_BYTES: usize = 4096;
/// Most words of an observation: room for a buffer that holds any.
pub const MAX_OBSERVATION_WORDS: usize = MAX_PIXEL_BYTES / 4 + MAX_VECTOR_SIZE;

/// The shape of one interaction step: observation channels, actions, and the rewards that are told
/// apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Observation channels, in the order of the words of an observation. May be empty (a bandit).
    pub channels: Vec<Channel, MAX_CHANNELS>,
    /// Number of actions, 2 to [`MAX_ACTIONS`].
    pub actions: u16,
    /// Finite and strictly increasing; a reward is embedded as the nearest of these (the lower one
    /// at a tie).
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
        let channels = self.channels.iter().all(Channel::is_valid);
        let finite = self.reward_levels.iter().all(|level| level.is_finite());
        let increasing =
            self.reward_levels.iter().zip(self.reward_levels.iter().skip(1)).all(|(low, high)| low < high);
        let encoders = self.channels.iter().filter(|channel| channel.inputs() > 0).count();
        channels
            && encoders <= MAX_ENCODERS
            && (2..=MAX_ACTIONS).contains(&usize::from(self.actions))
            && self.observation_len() <= MAX_OBSERVATION_WORDS
            && !self.reward_levels.is_empty()
            && finite
            && increasing
    }

    /// CRC-32 of channels and actions (`docs/weights-format.md`): the same for all models that fit the
    /// same sensors and actuators. The reward levels are not in it: a reward is any number.
    pub fn crc(&self) -> u32 {
        let mut digest = CRC.digest();
        let mut add = |number: u16| digest.update(&number.to_le_bytes());
        for channel in &self.channels {
            let fields = match *channel {
                Channel::Discrete { size } => [0, size, 0, 0],
                Channel::Vector { size } => [1, size, 0, 0],
                Channel::Pixels { height, width, colours } => [2, height, width, colours.into()],
            };
            fields.into_iter().for_each(&mut add);
        }
        add(self.actions);
        digest.finalize()
    }

    /// Words of an observation.
    pub fn observation_len(&self) -> usize {
        self.channels.iter().map(Channel::words).sum()
    }

    /// Words of an observation that have a normaliser in the model.
    pub fn normalised_words(&self) -> usize {
        self.channels.iter().map(Channel::normalised_words).sum()
    }

    /// Each channel with its words of `observation`; words that are missing give a shorter slice.
    pub fn split<'o>(&self, observation: &'o [i32]) -> impl Iterator<Item = (&Channel, &'o [i32])> {
        let mut rest = observation;
        self.channels.iter().map(move |channel| {
            let middle = channel.words().min(rest.len());
            let (words, after) = rest.split_at_checked(middle).unwrap_or((&[], &[]));
            rest = after;
            (channel, words)
        })
    }

    /// Whether `observation` has the right number of words, each within its channel's range.
    ///
    /// # Errors
    /// [`Error::ObservationLength`], or [`Error::Observation`] with the first channel that is
    /// wrong.
    // Not inlined: the agent asks in two places, and a copy costs a device more than a kilobyte.
    #[inline(never)]
    pub fn check(&self, observation: &[i32]) -> Result<(), Error> {
        let needed = self.observation_len();
        if observation.len() != needed {
            return Err(Error::ObservationLength { needed, found: observation.len() });
        }
        for (index, (channel, words)) in self.split(observation).enumerate() {
            channel.check(words).map_err(|value| Error::Observation { channel: index, value })?;
        }
        Ok(())
    }

    /// Index of the level nearest to `reward`; the lower one at a tie, 0 for NaN.
    pub fn reward_level(&self, reward: f32) -> usize {
        self.reward_levels
            .iter()
            .zip(self.reward_levels.iter().skip(1))
            .take_while(|(low, high)| reward - **low > **high - reward)
            .count()
    }

    /// Rows of the embedding table of the previous action: one per action, then one for "no action
    /// yet".
    pub fn action_rows(&self) -> usize {
        usize::from(self.actions) + 1
    }

    /// Row of the table of the previous action for `action`; the last action's where there is no
    /// such action.
    pub fn action_row(&self, action: usize) -> usize {
        action.min(usize::from(self.actions).saturating_sub(1))
    }

    /// Row of the table of the previous action before the first action.
    pub fn no_action_row(&self) -> usize {
        usize::from(self.actions)
    }

    /// Rows of the joint embedding table of the previous reward and the end of an episode: two per
    /// reward level, then one for "no feedback yet".
    pub fn feedback_rows(&self) -> usize {
        2 * self.reward_levels.len() + 1
    }

    /// Row of the feedback table for `reward`, and for whether the episode ended with it.
    pub fn feedback_row(&self, reward: f32, ended: bool) -> usize {
        2 * self.reward_level(reward) + usize::from(ended)
    }

    /// Row of the feedback table before the first feedback.
    pub fn no_feedback_row(&self) -> usize {
        2 * self.reward_levels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_tells_apart_what_is_seen_and_done_and_nothing_else() {
        let of = |sizes: &[u16], actions, levels: &[f32]| {
            Interface::discrete(sizes, actions, levels).unwrap().crc()
        };
        let room = of(&[9, 9], 5, &[0.0, 1.0]);
        // zlib.crc32(struct.pack("<9H", 0, 9, 0, 0, 0, 9, 0, 0, 5)) in Python.
        assert_eq!(room, 0xd858_2efd);
        assert_eq!(room, of(&[9, 9], 5, &[-1.0]));
        let mut vector = Interface::discrete(&[9, 9], 5, &[0.0]).unwrap();
        vector.channels[1] = Channel::Vector { size: 9 };
        let others = [of(&[9], 5, &[0.0]), of(&[9, 10], 5, &[0.0]), of(&[9, 9], 4, &[0.0]), vector.crc()];
        assert!(!others.contains(&room), "{others:x?}");
    }

    #[test]
    fn feedback_has_a_row_for_each_level_and_end_and_one_for_none() {
        let interface = Interface::discrete(&[], 3, &[-1.0, 0.0, 2.0]).unwrap();
        let rows = [(-9.0, false), (-1.0, true), (0.0, false), (0.5, true), (1.0, false), (1.1, true)]
            .map(|(reward, ended)| interface.feedback_row(reward, ended));
        assert_eq!(rows, [0, 1, 2, 3, 2, 5]);
        assert_eq!((interface.no_feedback_row(), interface.feedback_rows()), (6, 7));
        assert_eq!((interface.action_row(2), interface.no_action_row(), interface.action_rows()), (2, 3, 4));
    }
}
