//! The int8 transformer: weights file, kernels, forward pass of one token.

pub(crate) mod attention;
mod card;
pub(crate) mod embedding;
pub(crate) mod encoder;
pub(crate) mod forward;
pub mod kernels;
pub mod numerics;
#[cfg(any(arm_thumb1, test))]
mod parts;
#[cfg_attr(not(feature = "profile"), doc(hidden))]
pub mod probe;
pub(crate) mod tensor;
pub mod weights;

use crate::{Error, Interface};
use numerics::{square_root, Scale};
use tensor::{Sections, Tensor, Tensors};
use weights::{for_each_shape, take_padded, NORMALISER_LEN};
pub use weights::{Dimensions, Encoders, Normaliser, FORMAT_VERSION};

/// One transformer block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    pub query_key_value: Tensor<'a>,
    pub attention_output: Tensor<'a>,
    pub feed_forward_up: Tensor<'a>,
    pub feed_forward_down: Tensor<'a>,
}

impl<'a> Layer<'a> {
    /// The one whose tensors are the next.
    pub fn next(tensors: &mut Tensors<'a>, dimensions: &Dimensions) -> Self {
        let [query_key_value, attention_output, feed_forward_up, feed_forward_down] =
            dimensions.layer_shapes().map(|shape| tensors.next(shape));
        Self { query_key_value, attention_output, feed_forward_up, feed_forward_down }
    }
}

/// A validated model whose weights stay where they are (flash, or a file in memory).
#[derive(Clone, Debug)]
pub struct Model<'a> {
    pub(crate) dimensions: Dimensions,
    pub(crate) interface: Interface,
    /// Of the words of each vector channel, [`NORMALISER_LEN`] bytes each.
    pub(crate) normalisers: Sections<'a>,
    /// All, from the first; see [`weights::shapes`].
    pub(crate) tensors: Tensors<'a>,
    /// `log2(e) / (127^2 sqrt(d_head))`, the constant factor of attention scores.
    pub(crate) score_scale: Scale,
    parameters: usize,
    card: &'a str,
    crc: u32,
    version: u16,
}

impl<'a> Model<'a> {
    /// Validates a weights file. The model borrows from `file`; nothing is copied.
    pub fn decode(file: &'a [u8]) -> Result<Self, Error> {
        let weights::File { dimensions, metadata, crc, version, mut rest } = weights::open(file)?;
        let weights::Metadata { interface, exponents, card } = metadata;
        let mut tensors = 0;
        for_each_shape(&dimensions, &interface, |_| {
            tensors += 1;
            Ok(())
        })?;
        if tensors != exponents.len() {
            return Err(Error::Metadata);
        }
        let normalisers = Sections(rest);
        for channel in &interface.channels {
            take_padded(&mut rest, NORMALISER_LEN * channel.normalised_words())?;
        }
        let tensors = Tensors { exponents, sections: Sections(rest) };
        let mut parameters = 0;
        for_each_shape(&dimensions, &interface, |[rows, columns]| {
            take_padded(&mut rest, 2 * rows)?;
            take_padded(&mut rest, rows * columns)?;
            parameters += rows * columns;
            Ok(())
        })?;
        if !rest.is_empty() {
            return Err(Error::Leftover);
        }
        let score_scale = score_scale(dimensions.d_head());
        Ok(Self { dimensions, interface, normalisers, tensors, score_scale, parameters, card, crc, version })
    }

    /// Dimensions of the transformer.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// What the model sees and does.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Number of int8 parameters (row scales not counted).
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Training card: JSON text (environment, source algorithm, seed, dataset digest, evaluation
    /// results).
    pub fn card(&self) -> &'a str {
        self.card
    }

    /// Name of the environment that the model was trained in, as its card has it (`dark-room`); the
    /// first where there were several. `None` where the card names none: the histories of another
    /// program, or a file of another writer.
    pub fn environment(&self) -> Option<&'a str> {
        card::environment(self.card)
    }

    /// Version of the weights format that the file is written in.
    pub fn format_version(&self) -> u16 {
        self.version
    }

    /// CRC-32 of the weights file, its card included: tells one model from another, and is what
    /// snapshots name. It is no signature: whoever lets others send models signs the file.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Words of 32 bits of the workspace that an agent needs.
    pub fn workspace_words(&self) -> usize {
        self.dimensions.workspace_words()
    }

    /// The normalisers of the words of channel number `channel`: none where it has no numbers.
    pub fn normalisers(&self, channel: usize) -> impl Iterator<Item = Normaliser> + 'a {
        let mut sections = self.normalisers.clone();
        let mut own: &[u8] = &[];
        for channel in self.interface.channels.iter().take(channel.saturating_add(1)) {
            own = sections.next(NORMALISER_LEN * channel.normalised_words());
        }
        let is_there = channel < self.interface.channels.len();
        let own = if is_there { own } else { &[] };
        own.as_chunks().0.iter().copied().map(Normaliser::from_bytes)
    }
}

/// Words of 32 bits of the workspace of the model in `file`, computed from the fixed header alone,
/// so that a `static` can have exactly the right size. `None` where the header is too short or out
/// of the limits of the format.
///
/// ```
/// static MODEL: &[u8] =
///     include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dark-room.adw"));
/// // A damaged header does not compile.
/// const WORDS: usize = algodistill_core::workspace_words(MODEL).unwrap();
/// let mut workspace = [0u32; WORDS];
/// ```
pub const fn workspace_words(file: &[u8]) -> Option<usize> {
    match Dimensions::read(file) {
        Some(dimensions) if dimensions.check().is_ok() => Some(forward::workspace_words(&dimensions)),
        _ => None,
    }
}

/// `log2(e) / (127^2 sqrt(d_head))`.
fn score_scale(d_head: usize) -> Scale {
    // log2(e) in Q62 divided by 127^2 has 49 bits; 2^15 / sqrt(d_head) comes from one integer square
    // root.
    const LOG2_E_Q62: u64 = 6_653_256_548_922_161_245;
    let inverse_root = u64::from(square_root((1 << 30) / d_head.max(1) as u64));
    Scale::new((LOG2_E_Q62 / (127 * 127)) * inverse_root, 62 + 15)
}
