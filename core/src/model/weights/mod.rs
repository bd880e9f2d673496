//! The weights file (`.adw`). `docs/weights-format.md` is the specification.

use super::forward::workspace_words;
use super::numerics::{round_shift, NORMALISED_BITS};
use crate::interface::{MAX_CHANNELS, MAX_ENCODERS, MAX_OBSERVATION_WORDS};
use crate::{Channel, Error, Interface};
use heapless::Vec;
use serde::{Deserialize, Serialize};

mod limits;
mod read;
#[cfg(feature = "write")]
mod write;

pub use limits::Field;
pub(crate) use read::{open, take_padded, File};
#[cfg(feature = "write")]
pub use write::{write, TensorParts};

/// Newest version of the weights format that this build writes; it reads [`OLDEST_VERSION`] and later.
pub const FORMAT_VERSION: u16 = 5;
/// Version that models are written in whose heads all have keys and values of their own, but which have
/// encoders.
pub const ENCODERS_VERSION: u16 = 4;
/// Version that models without encoders are written in: the newest that knew tables only.
pub const TABLES_VERSION: u16 = 3;
/// Oldest version of the weights format that this build reads.
pub const OLDEST_VERSION: u16 = 2;
/// First bytes of a weights file.
pub const MAGIC: [u8; 4] = *b"ADW\0";
/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 64;
/// Where the CRC-32 lies in the header.
pub const CRC_OFFSET: usize = 12;
/// The data of every tensor, and the metadata before them, are padded to this many bytes.
pub const ALIGNMENT: usize = 16;
/// Most layers of a model.
pub const MAX_LAYERS: usize = 8;
/// Most tensors of a model: two for each channel and a hidden layer for each encoder, action and
/// feedback, four per layer, the head.
pub const MAX_TENSORS: usize = 2 * MAX_CHANNELS + MAX_ENCODERS + 2 + 4 * MAX_LAYERS + 1;

/// Largest width of a head: a sum of as many products is kept times 256.
pub const MAX_HEAD_WIDTH: usize = 512;
/// Most elements of the residual stream and of the hidden layer.
pub const MAX_WIDTH: usize = 4096;
/// Most columns of a matrix: those of an encoder have one more than inputs, in whole eights.
pub const MAX_COLUMNS: usize = MAX_WIDTH + 512;
/// Bytes of the normaliser of a word.
pub const NORMALISER_LEN: usize = 8;
/// Largest context window.
pub const MAX_WINDOW: usize = 4096;

/// CRC-32 of zip and Ethernet, of weights files and snapshots.
pub(crate) const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// CRC-32 of a file whose CRC field lies at `CRC_OFFSET`: of all bytes but the field itself.
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(bytes.get(..CRC_OFFSET).unwrap_or(&[]));
    digest.update(bytes.get(CRC_OFFSET + 4..).unwrap_or(&[]));
    digest.finalize()
}

/// Dimensions of the transformer, as they stand in the header of a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Transformer blocks, 1 to [`MAX_LAYERS`].
    pub layers: usize,
    /// Width of the residual stream, a multiple of 16.
    pub d_model: usize,
    /// Attention heads; divides `d_model` into heads of a multiple of 4, at most [`MAX_HEAD_WIDTH`].
    pub heads: usize,
    /// Heads of keys and values, each shared by `heads / kv_heads` neighbouring query heads (grouped-query
    /// attention, Ainslie et al. 2023; one is multi-query attention, Shazeer 2019); divides `heads`.
    pub kv_heads: usize,
    /// Hidden width of the feed-forward network, a multiple of 16.
    pub d_ff: usize,
    /// Context window W in steps.
    pub window: usize,
    /// Number of actions.
    pub actions: usize,
    /// Words of the observation that ends an episode, where the model has tables for it; 0 where it
    /// has none.
    pub final_words: usize,
    /// Of the channels without a table.
    pub encoders: Encoders,
}

/// Dimensions of the encoders of vector and pixels channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoders {
    /// Most columns of the first matrix of an encoder; 0 where there is none.
    pub columns: usize,
    /// Hidden units of the encoder of a pixels channel, a multiple of 16; 0 for a linear one.
    pub pixels_hidden: usize,
    /// The same of a vector channel.
    pub vector_hidden: usize,
}

impl Encoders {
    /// No encoder: every channel has a table.
    pub const NONE: Self = Self { columns: 0, pixels_hidden: 0, vector_hidden: 0 };

    /// Those of `interface`.
    pub fn new(interface: &Interface, pixels_hidden: usize, vector_hidden: usize) -> Self {
        let columns = interface.channels.iter().map(Channel::encoder_columns).max().unwrap_or(0);
        let of = |hidden, is_there: fn(&Channel) -> bool| match interface.channels.iter().any(is_there) {
            true => hidden,
            false => 0,
        };
        Self {
            columns,
            pixels_hidden: of(pixels_hidden, |channel| matches!(channel, Channel::Pixels { .. })),
            vector_hidden: of(vector_hidden, |channel| matches!(channel, Channel::Vector { .. })),
        }
    }

    /// Hidden units of the encoder of `channel`.
    pub const fn hidden(&self, channel: &Channel) -> usize {
        match channel {
            Channel::Discrete { .. } => 0,
            Channel::Vector { .. } => self.vector_hidden,
            Channel::Pixels { .. } => self.pixels_hidden,
        }
    }
}

impl Dimensions {
    /// From the bytes of a weights file; reads the fixed header only. `None` where it is too short.
    pub const fn read(file: &[u8]) -> Option<Self> {
        let Some(header) = file.first_chunk::<HEADER_LEN>() else { return None };
        Some(Self {
            layers: u16_at::<16>(header),
            d_model: u16_at::<18>(header),
            heads: u16_at::<20>(header),
            kv_heads: match u16_at::<4>(header) > ENCODERS_VERSION as usize {
                true => u16_at::<40>(header),
                false => u16_at::<20>(header),
            },
            d_ff: u16_at::<22>(header),
            window: u16_at::<24>(header),
            actions: u16_at::<26>(header),
            final_words: u16_at::<32>(header),
            encoders: match u16_at::<4>(header) > TABLES_VERSION as usize {
                true => Encoders {
                    columns: u16_at::<34>(header),
                    pixels_hidden: u16_at::<36>(header),
                    vector_hidden: u16_at::<38>(header),
                },
                false => Encoders::NONE,
            },
        })
    }

    /// The first dimension that is out of its limits.
    pub const fn check(&self) -> Result<(), Error> {
        let Self { layers, d_model, heads, kv_heads, d_ff, window, actions, final_words, .. } = *self;
        let Encoders { columns, pixels_hidden, vector_hidden } = self.encoders;
        let has_heads = heads > 0 && d_model.is_multiple_of(4 * heads) && self.d_head() <= MAX_HEAD_WIDTH;
        let (field, value) = if layers == 0 || layers > MAX_LAYERS {
            (Field::Layers, layers)
        } else if d_model == 0 || d_model > MAX_WIDTH || !d_model.is_multiple_of(16) {
            (Field::DModel, d_model)
        } else if !has_heads {
            (Field::Heads, heads)
        } else if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            (Field::KvHeads, kv_heads)
        } else if d_ff == 0 || d_ff > MAX_WIDTH || !d_ff.is_multiple_of(16) {
            (Field::DFf, d_ff)
        } else if window == 0 || window > MAX_WINDOW {
            (Field::Window, window)
        } else if actions < 2 || actions > crate::interface::MAX_ACTIONS {
            (Field::Actions, actions)
        } else if final_words > MAX_OBSERVATION_WORDS {
            (Field::FinalWords, final_words)
        } else if columns > MAX_COLUMNS || !columns.is_multiple_of(8) {
            (Field::EncoderColumns, columns)
        } else if pixels_hidden > MAX_WIDTH || !pixels_hidden.is_multiple_of(16) {
            (Field::PixelsHidden, pixels_hidden)
        } else if vector_hidden > MAX_WIDTH || !vector_hidden.is_multiple_of(16) {
            (Field::VectorHidden, vector_hidden)
        } else {
            return Ok(());
        };
        Err(Error::Dimension { field, value })
    }

    /// Width of one head.
    pub const fn d_head(&self) -> usize {
        match self.d_model.checked_div(self.heads) {
            Some(width) => width,
            None => 0,
        }
    }

    /// Width of all keys of a slot, and of all its values.
    pub const fn d_kv(&self) -> usize {
        self.d_head() * self.kv_heads
    }

    /// Slots of the ring: the window, in whole fours, which the kernels take at once.
    pub const fn slots(&self) -> usize {
        self.window.div_ceil(4) * 4
    }

    /// Bytes of the ring that belong to one head of one layer: int8 keys and values, and for each of
    /// them a u16 scale.
    pub(crate) const fn head_ring_bytes(&self) -> usize {
        self.slots() * 2 * (self.d_head() + 2)
    }

    /// Bytes of the ring.
    pub const fn ring_bytes(&self) -> usize {
        self.layers * self.kv_heads * self.head_ring_bytes()
    }

    /// Words of 32 bits of the workspace of a model.
    pub const fn workspace_words(&self) -> usize {
        workspace_words(self)
    }

    /// Shapes `[rows, columns]` of the tensors of a layer: query-key-value, attention output,
    /// feed-forward up and down.
    pub(crate) const fn layer_shapes(&self) -> [[usize; 2]; 4] {
        let (d, ff) = (self.d_model, self.d_ff);
        [[d + 2 * self.d_kv(), d], [d, d], [ff, d], [d, ff]]
    }

    /// Most words of an observation, for a buffer that is made before the model is decoded.
    pub const fn max_observation_words(&self) -> usize {
        match self {
            Self { final_words: 1.., .. } => self.final_words,
            // Only tables: a word a channel.
            Self { encoders: Encoders { columns: 0, .. }, .. } => MAX_CHANNELS,
            _ => MAX_OBSERVATION_WORDS,
        }
    }

    /// Observations that have tables and encoders of their own: each, and the one that ends an episode.
    pub(crate) const fn kinds_of_observation(&self) -> usize {
        if self.final_words > 0 {
            2
        } else {
            1
        }
    }
}

/// The offset is a constant, so that no optimization is needed to see that it is within the header.
const fn u16_at<const OFFSET: usize>(header: &[u8; HEADER_LEN]) -> usize {
    header[OFFSET] as usize | (header[OFFSET + 1] as usize) << 8
}

/// The postcard part of a weights file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata<'a> {
    /// What the model sees and does.
    pub interface: Interface,
    /// Binary exponent of each tensor's row scales, in the order of the tensors: an i8 each.
    #[serde(borrow)]
    pub exponents: &'a [u8],
    /// Training card: JSON text for people and tools; a device reads the name of the environment.
    #[serde(borrow)]
    pub card: &'a str,
}

/// The normaliser of a word of a vector channel: `(word - offset) * mantissa * 2^-exponent`, which
/// is about 1 in magnitude at the ends of what the model was trained on. A mantissa of 0 makes every
/// word 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normaliser {
    /// What is 0 to the model.
    pub offset: i32,
    /// Of the scale.
    pub mantissa: u16,
    /// Of the scale.
    pub exponent: i16,
}

impl Normaliser {
    /// As the file has it.
    pub fn to_bytes(self) -> [u8; NORMALISER_LEN] {
        let [a, b, c, d] = self.offset.to_le_bytes();
        let ([e, f], [g, h]) = (self.mantissa.to_le_bytes(), self.exponent.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// From the bytes of the file: all are valid.
    pub const fn from_bytes(bytes: [u8; NORMALISER_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            offset: i32::from_le_bytes([a, b, c, d]),
            mantissa: u16::from_le_bytes([e, f]),
            exponent: i16::from_le_bytes([g, h]),
        }
    }

    /// The word as the model takes it: 4096 is 1, and no magnitude is larger than 32767.
    pub fn apply(&self, word: i32) -> i16 {
        let product = (i64::from(word) - i64::from(self.offset)) * i64::from(self.mantissa);
        round_shift(product, i32::from(self.exponent) - NORMALISED_BITS).clamp(-32_767, 32_767) as i16
    }
}

/// Shapes `[rows, columns]` of the tensors of a weights file, in file order: a table for each discrete
/// observation channel; the same for the observation that ends an episode, where
/// `dimensions.final_words` is not 0; previous action, feedback; for each other channel its encoder
/// (hidden layer, where it has one; observation; final observation likewise); for each layer
/// query-key-value, attention output, feed-forward up and down; head.
pub fn shapes(dimensions: &Dimensions, interface: &Interface) -> Vec<[usize; 2], MAX_TENSORS> {
    let mut shapes = Vec::new();
    // Fails only past MAX_TENSORS, which the limits of both arguments exclude.
    let _ = for_each_shape(dimensions, interface, |shape| shapes.push(shape).map_err(|_| Error::Metadata));
    shapes
}

/// Visits what [`shapes`] lists: a device need not have the list in its RAM. Ends with the first error.
pub(crate) fn for_each_shape(
    dimensions: &Dimensions,
    interface: &Interface,
    mut visit: impl FnMut([usize; 2]) -> Result<(), Error>,
) -> Result<(), Error> {
    let d = dimensions.d_model;
    for rows in table_rows(dimensions, interface) {
        visit([rows, d])?;
    }
    for channel in interface.channels.iter().filter(|channel| channel.inputs() > 0) {
        let hidden = dimensions.encoders.hidden(channel);
        let mut columns = channel.encoder_columns();
        if hidden > 0 {
            visit([hidden, columns])?;
            columns = hidden;
        }
        for _ in 0..dimensions.kinds_of_observation() {
            visit([d, columns])?;
        }
    }
    for _ in 0..dimensions.layers.min(MAX_LAYERS) {
        for shape in dimensions.layer_shapes() {
            visit(shape)?;
        }
    }
    visit([dimensions.actions, d])
}

/// Rows of the embedding tables, which are the first tensors of a weights file.
pub(crate) fn table_rows<'i>(
    dimensions: &Dimensions,
    interface: &'i Interface,
) -> impl Iterator<Item = usize> + 'i {
    let observation = || interface.channels.iter().map(Channel::table_rows).filter(|rows| *rows > 0);
    let observations = (0..dimensions.kinds_of_observation()).flat_map(move |_| observation());
    observations.chain([interface.action_rows(), interface.feedback_rows()])
}

/// `len` rounded up to [`ALIGNMENT`].
pub const fn padded(len: usize) -> usize {
    len.div_ceil(ALIGNMENT) * ALIGNMENT
}
