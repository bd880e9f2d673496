//! One channel of an observation: what its words may be, and how it enters the model.

use super::MAX_CHANNEL_SIZE;
use crate::PortableRng;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One observation channel. An observation is a slice of `i32`, the words of its channels one after
/// the other.
///
/// Every match over this type is exhaustive: a new kind of channel does not compile until each
/// place that must know it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// One word: an index in `0..size`, embedded with a table of `size` rows.
    Discrete {
        /// Number of values.
        size: u16,
    },
}

impl Channel {
    /// Words of an observation that belong to this channel.
    pub const fn words(&self) -> usize {
        match self {
            Channel::Discrete { .. } => 1,
        }
    }

    /// Whether the channel is within the limits of [`crate::interface`].
    pub const fn is_valid(&self) -> bool {
        match self {
            Channel::Discrete { size } => 0 < *size && *size as usize <= MAX_CHANNEL_SIZE,
        }
    }

    /// Whether each of this channel's `words` is in range.
    ///
    /// # Errors
    /// The first word that is not.
    pub fn check(&self, words: &[i32]) -> Result<(), i32> {
        match self {
            Channel::Discrete { size } => {
                let out_of_range = |word: &&i32| !(0..i32::from(*size)).contains(*word);
                words.iter().find(out_of_range).map_or(Ok(()), |word| Err(*word))
            }
        }
    }

    /// Rows and columns of the channel's embedding table in a model of width `d_model`.
    pub const fn table_shape(&self, d_model: usize) -> [usize; 2] {
        match self {
            Channel::Discrete { size } => [*size as usize, d_model],
        }
    }

    /// Fills this channel's `words` with a value of the channel, all equally likely.
    pub fn sample(&self, words: &mut [i32], rng: &mut PortableRng) {
        match self {
            Channel::Discrete { size } => {
                words.iter_mut().for_each(|word| *word = rng.below(u32::from(*size)) as i32);
            }
        }
    }
}

/// What a word may be, for people: `0 to 8`.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Discrete { size } => write!(f, "0 to {}", size.saturating_sub(1)),
        }
    }
}
