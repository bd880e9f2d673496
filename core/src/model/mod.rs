//! The int8 transformer: weights file, kernels, forward pass of one token.

pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod encoder;
pub(crate) mod forward;
pub mod kernels;
pub mod numerics;
pub(crate) mod tensor;
pub mod weights;

use crate::interface::{MAX_CHANNELS, MAX_ENCODERS};
use crate::{Channel, Error, Interface};
use encoder::Encoder;
use heapless::Vec;
use numerics::{square_root, Scale};
use tensor::Tensor;
pub use weights::{Dimensions, Encoders, Normaliser, FORMAT_VERSION};

/// One transformer block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    pub query_key_value: Tensor<'a>,
    pub attention_output: Tensor<'a>,
    pub feed_forward_up: Tensor<'a>,
    pub feed_forward_down: Tensor<'a>,
}

/// A validated model whose weights stay where they are (flash, or a file in memory).
#[derive(Clone, Debug)]
pub struct Model<'a> {
    pub(crate) dimensions: Dimensions,
    pub(crate) interface: Interface,
    /// One table per discrete channel.
    pub(crate) observation: Vec<Tensor<'a>, MAX_CHANNELS>,
    /// Another table per discrete channel, for the observation that ends an episode; or none.
    pub(crate) final_observation: Vec<Tensor<'a>, MAX_CHANNELS>,
    pub(crate) action: Tensor<'a>,
    pub(crate) feedback: Tensor<'a>,
    /// One per channel without a table.
    pub(crate) encoders: Vec<Encoder<'a>, MAX_ENCODERS>,
    pub(crate) layers: Vec<Layer<'a>, { weights::MAX_LAYERS }>,
    pub(crate) head: Tensor<'a>,
    /// `log2(e) / (127^2 sqrt(d_head))`, the constant factor of attention scores.
    pub(crate) score_scale: Scale,
    parameters: usize,
    card: &'a str,
    crc: u32,
}

impl<'a> Model<'a> {
    /// Validates a weights file. The model borrows from `file`; nothing is copied.
    pub fn decode(file: &'a [u8]) -> Result<Self, Error> {
        let mut file = weights::open(file)?;
        let channels = file.metadata.interface.channels.clone();
        let mut normalisers: Vec<&[u8], MAX_CHANNELS> = Vec::new();
        for channel in &channels {
            normalisers.push(file.normalisers(channel)?).map_err(|_| Error::Metadata)?;
        }
        let discrete = channels.iter().filter(|channel| channel.table_rows() > 0).count();
        let observation = tables(&mut file, discrete)?;
        let has_final = file.dimensions.final_words > 0;
        let final_observation = tables(&mut file, if has_final { discrete } else { 0 })?;
        let (action, feedback) = (file.tensor()?, file.tensor()?);
        let mut encoders = Vec::new();
        for (channel, normalisers) in channels.iter().zip(normalisers.iter().copied()) {
            if channel.inputs() > 0 {
                let encoder = Encoder::read(&mut file, channel, normalisers)?;
                encoders.push(encoder).map_err(|_| Error::Metadata)?;
            }
        }
        let mut layers = Vec::new();
        for _ in 0..file.dimensions.layers {
            let layer = Layer {
                query_key_value: file.tensor()?,
                attention_output: file.tensor()?,
                feed_forward_up: file.tensor()?,
                feed_forward_down: file.tensor()?,
            };
            layers.push(layer).map_err(|_| Error::Dimension("layers"))?;
        }
        let head = file.tensor()?;
        file.end()?;
        Ok(Self {
            dimensions: file.dimensions,
            interface: file.metadata.interface,
            observation,
            final_observation,
            action,
            feedback,
            encoders,
            layers,
            head,
            score_scale: score_scale(file.dimensions.d_head()),
            parameters: file.parameters,
            card: file.metadata.card,
            crc: file.crc,
        })
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

    /// CRC-32 of the weights file: identifies the model in snapshots.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Words of 32 bits of the workspace that an agent needs.
    pub fn workspace_words(&self) -> usize {
        self.dimensions.workspace_words()
    }

    /// The normalisers of the words of channel number `channel`: none where it has no numbers.
    pub fn normalisers(&self, channel: usize) -> impl Iterator<Item = Normaliser> + 'a {
        let encoded = |channel: &&Channel| channel.inputs() > 0;
        let before = self.interface.channels.iter().take(channel).filter(encoded).count();
        let own = self.interface.channels.get(channel).filter(encoded);
        let encoder = own.and_then(|_| self.encoders.get(before));
        encoder.map_or(&[][..], |encoder| encoder.normalisers()).iter().copied().map(Normaliser::from_bytes)
    }
}

/// The next `count` embedding tables.
fn tables<'a>(file: &mut weights::Reader<'a>, count: usize) -> Result<Vec<Tensor<'a>, MAX_CHANNELS>, Error> {
    let mut tables = Vec::new();
    for _ in 0..count {
        tables.push(file.tensor()?).map_err(|_| Error::Metadata)?;
    }
    Ok(tables)
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
