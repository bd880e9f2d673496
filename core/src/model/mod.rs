//! The int8 transformer: weights file, kernels, forward pass of one token.

pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod forward;
pub mod kernels;
pub mod numerics;
pub(crate) mod tensor;
pub mod weights;

use crate::{Error, Interface};
use heapless::Vec;
use numerics::{square_root, Scale};
use tensor::Tensor;
pub use weights::{Dimensions, FORMAT_VERSION};

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
    pub(crate) observation: Vec<Tensor<'a>, { crate::interface::MAX_CHANNELS }>,
    pub(crate) action: Tensor<'a>,
    pub(crate) feedback: Tensor<'a>,
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
        let decoded = weights::decode(file)?;
        let parameters = decoded.tensors.iter().map(Tensor::len).sum();
        let mut tensors = decoded.tensors.iter().copied();
        let mut next = || tensors.next().ok_or(Error::Metadata);
        let mut observation = Vec::new();
        for _ in 0..decoded.metadata.interface.channels.len() {
            observation.push(next()?).map_err(|_| Error::Metadata)?;
        }
        let (action, feedback) = (next()?, next()?);
        let mut layers = Vec::new();
        for _ in 0..decoded.dimensions.layers {
            let layer = Layer {
                query_key_value: next()?,
                attention_output: next()?,
                feed_forward_up: next()?,
                feed_forward_down: next()?,
            };
            layers.push(layer).map_err(|_| Error::Dimension("layers"))?;
        }
        Ok(Self {
            dimensions: decoded.dimensions,
            interface: decoded.metadata.interface,
            observation,
            action,
            feedback,
            layers,
            head: next()?,
            score_scale: score_scale(decoded.dimensions.d_head()),
            parameters,
            card: decoded.metadata.card,
            crc: decoded.crc,
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

    /// Training card: JSON text (environment, source algorithm, seed, dataset digest, evaluation results).
    pub fn card(&self) -> &'a str {
        self.card
    }

    /// CRC-32 of the weights file: identifies the model in snapshots.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Words of 32 bits of the workspace that an agent needs.
    pub fn workspace_words(&self) -> usize {
        forward::workspace_words(&self.dimensions)
    }
}

/// Words of 32 bits of the workspace of the model in `file`, computed from the fixed header alone, so that a `static` can have exactly the
/// right size. `None` where the header is too short or out of the limits of the format.
///
/// ```
/// static MODEL: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dark-room.adw"));
/// const WORDS: usize = algodistill_core::workspace_words(MODEL).unwrap(); // a damaged header does not compile
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
    // log2(e) in Q62 divided by 127^2 has 49 bits; 2^15 / sqrt(d_head) comes from one integer square root.
    const LOG2_E_Q62: u64 = 6_653_256_548_922_161_245;
    let inverse_root = u64::from(square_root((1 << 30) / d_head.max(1) as u64));
    Scale::new((LOG2_E_Q62 / (127 * 127)) * inverse_root, 62 + 15)
}
