//! The dimensions of a model, their limits, and which tables it has.

use crate::{Error, Result};
use algodistill_core::model::weights::{MAX_LAYERS, MAX_WIDTH, MAX_WINDOW};
use algodistill_core::{Channel, Interface};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Dimensions of the transformer. The defaults are the reference model.
///
/// Whatever has a model in it (a training configuration, a benchmark) has this struct, flattened:
/// the fields stand beside its own in TOML and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dimensions {
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream, a multiple of 16.
    pub d_model: usize,
    /// Attention heads; `d_model / heads` is a multiple of 4.
    pub heads: usize,
    /// Heads of keys and values, each shared by `heads / kv_heads` neighbouring query heads
    /// (grouped-query attention, Ainslie et al. 2023; one: multi-query attention, Shazeer 2019);
    /// divides `heads`. As many as `heads` where it is left open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Hidden width of the feed-forward network, a multiple of 16.
    pub d_ff: usize,
    /// Context window W in tokens, 1 to 4096: position i attends to j with 0 <= i - j < W.
    pub window: usize,
    /// Whether there are tables for the observation that ends an episode, where there are
    /// observations at all. Training sets it to false where no history has such an observation.
    pub final_observation: bool,
    /// Hidden units of the encoder of a picture, a multiple of 16; 0 for a linear one. Training sets
    /// what is left open: 32 where there is a pixels channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels_hidden: Option<usize>,
    /// The same of numbers: 64 where there is a vector channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_hidden: Option<usize>,
}

/// Hidden units of the encoder of a picture where none are said.
const PIXELS_HIDDEN: usize = 32;
/// Hidden units of the encoder of numbers where none are said.
const VECTOR_HIDDEN: usize = 64;

impl Default for Dimensions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Dimensions {
    /// The fields that may be open, and are not written then.
    pub(crate) const OPEN: [&str; 3] = ["kv_heads", "pixels_hidden", "vector_hidden"];

    /// The reference model.
    pub const DEFAULT: Self = Self {
        layers: 2,
        d_model: 64,
        heads: 4,
        kv_heads: None,
        d_ff: 256,
        window: 128,
        final_observation: true,
        pixels_hidden: None,
        vector_hidden: None,
    };

    /// Checks that a device can run such a model: the limits of the weights format.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn validate(&self) -> Result<()> {
        let Self {
            layers,
            d_model,
            heads,
            kv_heads,
            d_ff,
            window,
            final_observation: _,
            pixels_hidden,
            vector_hidden,
        } = *self;
        within("layers", layers, MAX_LAYERS)?;
        within("d_model", d_model, MAX_WIDTH)?;
        within("d_ff", d_ff, MAX_WIDTH)?;
        within("window", window, MAX_WINDOW)?;
        check(d_model % 16 == 0, "d_model", d_model, "a multiple of 16")?;
        check(d_ff % 16 == 0, "d_ff", d_ff, "a multiple of 16")?;
        for (field, hidden) in [("pixels_hidden", pixels_hidden), ("vector_hidden", vector_hidden)] {
            let hidden = hidden.unwrap_or(0);
            let valid = hidden <= MAX_WIDTH && hidden % 16 == 0;
            check(valid, field, hidden, format!("0 or a multiple of 16 of at most {MAX_WIDTH}"))?;
        }
        let divides = heads >= 1 && d_model % heads == 0 && (d_model / heads) % 4 == 0;
        let expected = format!("such that d_model / heads = {d_model} / heads is a multiple of 4");
        check(divides, "heads", heads, expected)?;
        let kv_heads = kv_heads.unwrap_or(heads);
        let divides = kv_heads >= 1 && heads % kv_heads == 0;
        check(divides, "kv_heads", kv_heads, format!("1 to {heads} and a divisor of heads = {heads}"))
    }

    /// Heads of keys and values.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads.unwrap_or(self.heads)
    }

    /// Width of a head.
    pub fn d_head(&self) -> usize {
        self.d_model / self.heads
    }

    /// Width of all keys of a token, and of all its values.
    pub fn d_kv(&self) -> usize {
        self.d_head() * self.kv_heads()
    }

    /// Width of the queries, keys and values of a token, side by side.
    pub fn d_query_key_value(&self) -> usize {
        self.d_model + 2 * self.d_kv()
    }

    /// The first columns of the queries, the keys and the values of a query head, among those of a
    /// token.
    pub fn head_columns(&self, head: usize) -> [usize; 3] {
        let (query, shared) = (head * self.d_head(), head * self.kv_heads() / self.heads * self.d_head());
        [query, self.d_model + shared, self.d_model + self.d_kv() + shared]
    }

    /// Hidden units of the encoder of `channel`; none where it is linear, or there is a table.
    pub fn hidden(&self, channel: &Channel) -> Option<usize> {
        let hidden = match channel {
            Channel::Discrete { .. } => None,
            Channel::Vector { .. } => Some(self.vector_hidden.unwrap_or(VECTOR_HIDDEN)),
            Channel::Pixels { .. } => Some(self.pixels_hidden.unwrap_or(PIXELS_HIDDEN)),
        };
        hidden.filter(|units| *units > 0)
    }

    /// These dimensions with nothing left open for such an interface, and nothing said of what it does
    /// not have, nor of heads of keys and values that are as many as the others.
    pub fn resolved(self, interface: &Interface) -> Self {
        let of = |said: Option<usize>, open: usize, is_there: fn(&Channel) -> bool| {
            interface.channels.iter().any(is_there).then_some(said.unwrap_or(open))
        };
        Self {
            kv_heads: self.kv_heads.filter(|kv_heads| *kv_heads != self.heads),
            pixels_hidden: of(self.pixels_hidden, PIXELS_HIDDEN, |c| matches!(c, Channel::Pixels { .. })),
            vector_hidden: of(self.vector_hidden, VECTOR_HIDDEN, |c| matches!(c, Channel::Vector { .. })),
            ..self
        }
    }
}

/// Refuses a size that is not between 1 and `largest`, by the name of its field.
pub(crate) fn within(field: &str, value: usize, largest: usize) -> Result<()> {
    check((1..=largest).contains(&value), field, value, format!("between 1 and {largest}"))
}

/// Refuses what is not valid, by the name of its field.
pub(crate) fn check(valid: bool, field: &str, found: impl Display, expected: impl Display) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Error::argument(field, format!("is {found}, must be {expected}")))
}
