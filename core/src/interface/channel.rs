//! One channel of an observation: what its words may be, and how it enters the model.

use super::{MAX_CHANNEL_SIZE, MAX_PIXEL_BYTES, MAX_VECTOR_SIZE};
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
    /// `size` words: numbers in any fixed point or unit of a sensor. The model normalises each, and
    /// takes one that is far outside of what it was trained on for the farthest it knows.
    Vector {
        /// Number of words.
        size: u16,
    },
    /// A picture: a byte for each colour of each pixel, the rows of pixels from top to bottom, a row
    /// from left to right, the colours of a pixel side by side. Four bytes a word, the first in its
    /// lowest bits; bytes of the last word that are left over do not matter.
    Pixels {
        /// Rows of pixels.
        height: u16,
        /// Pixels of a row.
        width: u16,
        /// Bytes of a pixel.
        colours: u8,
    },
}

impl Channel {
    /// Words of an observation that belong to this channel.
    pub const fn words(&self) -> usize {
        match self {
            Channel::Discrete { .. } => 1,
            Channel::Vector { size } => *size as usize,
            Channel::Pixels { .. } => self.inputs().div_ceil(4),
        }
    }

    /// Numbers that the channel's encoder takes; 0 where a table takes its place.
    pub const fn inputs(&self) -> usize {
        match self {
            Channel::Discrete { .. } => 0,
            Channel::Vector { size } => *size as usize,
            Channel::Pixels { height, width, colours } => {
                (*height as usize).saturating_mul(*width as usize).saturating_mul(*colours as usize)
            }
        }
    }

    /// Words that have a normaliser in the model.
    pub const fn normalised_words(&self) -> usize {
        match self {
            Channel::Vector { size } => *size as usize,
            Channel::Discrete { .. } | Channel::Pixels { .. } => 0,
        }
    }

    /// Columns of the first matrix of the channel's encoder: its inputs, the constant 1, and zeros up
    /// to a multiple of eight. 0 where a table takes the encoder's place.
    pub const fn encoder_columns(&self) -> usize {
        match self.inputs() {
            0 => 0,
            inputs => inputs.saturating_add(8) / 8 * 8,
        }
    }

    /// Rows of the channel's embedding table; 0 where an encoder takes its place.
    pub const fn table_rows(&self) -> usize {
        match self {
            Channel::Discrete { size } => *size as usize,
            Channel::Vector { .. } | Channel::Pixels { .. } => 0,
        }
    }

    /// Whether the channel is within the limits of [`crate::interface`].
    pub const fn is_valid(&self) -> bool {
        match self {
            Channel::Discrete { size } => 0 < *size && *size as usize <= MAX_CHANNEL_SIZE,
            Channel::Vector { size } => 0 < *size && *size as usize <= MAX_VECTOR_SIZE,
            Channel::Pixels { .. } => 0 < self.inputs() && self.inputs() <= MAX_PIXEL_BYTES,
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
            Channel::Vector { .. } | Channel::Pixels { .. } => Ok(()),
        }
    }

    /// Fills this channel's `words` with a value of the channel, all equally likely.
    pub fn sample(&self, words: &mut [i32], rng: &mut PortableRng) {
        match self {
            Channel::Discrete { size } => {
                words.iter_mut().for_each(|word| *word = rng.below(u32::from(*size)) as i32);
            }
            Channel::Vector { .. } | Channel::Pixels { .. } => {
                words.iter_mut().for_each(|word| *word = rng.next_u32() as i32);
            }
        }
    }
}

/// What is observed, for people: `0 to 8`, `4 numbers`, `8x16x3 pixels`.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Discrete { size } => write!(f, "0 to {}", size.saturating_sub(1)),
            Channel::Vector { size } => write!(f, "{size} numbers"),
            Channel::Pixels { height, width, colours } => write!(f, "{height}x{width}x{colours} pixels"),
        }
    }
}
