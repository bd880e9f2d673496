//! The float model: names, shapes and values of its parameters, shared by training, export and
//! float evaluation.
//!
//! One token a step: the sum of the embeddings of the observation channels, the previous action,
//! and the previous reward and done flag (jointly). Where an episode ended with the step before,
//! what was observed at its end, from tables of its own: a door, a platform, a terminal cell may be
//! seen at that moment only. Then `layers` pre-norm blocks, each
//!
//! ```text
//! n = rms_norm(x) * attention_norm          q, k, v = split(query_key_value n)
//! x += attention_output (softmax(q k^T / sqrt(d_model / heads)) v)
//!                                           over the band 0 <= i - j < window, where head h of q
//!                                           has head h kv_heads / heads of k and v
//! n = rms_norm(x) * feed_forward_norm       x += feed_forward_down relu(feed_forward_up n)
//! ```
//!
//! and `logits = head (rms_norm(x) * final_norm)`. No biases, no positions. Every matrix is
//! `[outputs, inputs]`, row-major.

mod dimensions;
mod float_agent;
mod inputs;
mod normaliser;
mod tokens;

pub use dimensions::Dimensions;
pub(crate) use dimensions::{check, within};
pub use float_agent::FloatAgent;
pub use inputs::{Dense, DensePart, Inputs, InputsPart, NO_ROW};
pub use normaliser::{normalised_range, normaliser, numbers};
pub use tokens::{Previous, Tokens};

use algodistill_core::{Channel, Interface, Normaliser};

/// `rms_norm(x) = x / sqrt(mean(x^2) + NORM_EPSILON)` (Zhang and Sennrich 2019).
pub const NORM_EPSILON: f32 = 1e-5;

/// What a tensor is for. Whoever treats tensors differently (initial values, weight decay,
/// quantization) goes by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A table of which a token adds up one row at most.
    Embedding,
    /// From numbers or pixels to the hidden units of their encoder.
    EncoderHidden,
    /// From an encoder to the residual stream.
    EncoderOutput,
    /// Gains of a norm, folded into the matrix that follows when the model is exported.
    Norm,
    /// From the residual stream to queries, keys and values, one below the other.
    QueryKeyValue,
    /// From the heads' outputs to the residual stream.
    AttentionOutput,
    /// From the residual stream to the hidden units.
    FeedForwardUp,
    /// From the hidden units to the residual stream.
    FeedForwardDown,
    /// From the residual stream to the logits.
    Head,
}

impl Role {
    /// Whether the matrix writes to the residual stream.
    pub fn writes_residual(self) -> bool {
        matches!(self, Self::AttentionOutput | Self::FeedForwardDown)
    }

    /// Whether weight decay applies: not to embeddings (a row that is rarely seen would fade) nor
    /// to the gains of norms.
    pub fn decays(self) -> bool {
        !matches!(self, Self::Embedding | Self::Norm)
    }
}

/// Name, role and shape of one parameter tensor, and where its values lie in
/// [`Parameters::values`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// For example `layers.0.query_key_value`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// `[rows, columns]`; `[1, n]` for the norms.
    pub shape: [usize; 2],
    /// Columns that are given something: all, or all but the last ones of an encoder, which are zeros
    /// up to a multiple of eight.
    pub inputs: usize,
    /// First value in [`Parameters::values`].
    pub offset: usize,
}

impl TensorLayout {
    /// Where the values lie in [`Parameters::values`].
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape[0] * self.shape[1]
    }
}

/// The tensors of a model, in the one order used everywhere.
///
/// `embed.observation.{c}` for each discrete channel, `embed.final_observation.{c}` likewise where
/// [`Dimensions::final_observation`], `embed.action`, `embed.feedback`; for each other channel
/// `encode.hidden.{c}` where it has a hidden layer, `encode.observation.{c}`,
/// `encode.final_observation.{c}` where observations at an end are seen; for each layer
/// `attention_norm`, `query_key_value`, `attention_output`, `feed_forward_norm`, `feed_forward_up`,
/// `feed_forward_down`; `final_norm`, `head`.
pub fn layout(dimensions: &Dimensions, interface: &Interface) -> Vec<TensorLayout> {
    let (d, ff) = (dimensions.d_model, dimensions.d_ff);
    let mut tensors: Vec<TensorLayout> = Vec::new();
    let mut add_padded = |name: String, role: Role, shape: [usize; 2], inputs: usize| {
        let offset = tensors.last().map_or(0, |last| last.range().end);
        tensors.push(TensorLayout { name, role, shape, inputs, offset });
    };
    let mut add = |name, role, shape: [usize; 2]| add_padded(name, role, shape, shape[1]);
    let kinds = || ["observation", "final_observation"].into_iter().take(observation_kinds(dimensions));
    for kind in kinds() {
        for (index, channel) in interface.channels.iter().enumerate().filter(|(_, c)| c.table_rows() > 0) {
            add(format!("embed.{kind}.{index}"), Role::Embedding, [channel.table_rows(), d]);
        }
    }
    add("embed.action".into(), Role::Embedding, [interface.action_rows(), d]);
    add("embed.feedback".into(), Role::Embedding, [interface.feedback_rows(), d]);
    for (index, channel) in interface.channels.iter().enumerate().filter(|(_, c)| c.inputs() > 0) {
        // The numbers of the channel and the constant 1.
        let (mut columns, mut inputs) = (channel.encoder_columns(), channel.inputs() + 1);
        if let Some(hidden) = dimensions.hidden(channel) {
            add_padded(format!("encode.hidden.{index}"), Role::EncoderHidden, [hidden, columns], inputs);
            (columns, inputs) = (hidden, hidden);
        }
        for kind in kinds() {
            add_padded(format!("encode.{kind}.{index}"), Role::EncoderOutput, [d, columns], inputs);
        }
    }
    let mut add = |name, role, shape: [usize; 2]| add_padded(name, role, shape, shape[1]);
    for layer in 0..dimensions.layers {
        add(format!("layers.{layer}.attention_norm"), Role::Norm, [1, d]);
        add(
            format!("layers.{layer}.query_key_value"),
            Role::QueryKeyValue,
            [dimensions.d_query_key_value(), d],
        );
        add(format!("layers.{layer}.attention_output"), Role::AttentionOutput, [d, d]);
        add(format!("layers.{layer}.feed_forward_norm"), Role::Norm, [1, d]);
        add(format!("layers.{layer}.feed_forward_up"), Role::FeedForwardUp, [ff, d]);
        add(format!("layers.{layer}.feed_forward_down"), Role::FeedForwardDown, [d, ff]);
    }
    add("final_norm".into(), Role::Norm, [1, d]);
    add("head".into(), Role::Head, [usize::from(interface.actions), d]);
    tensors
}

/// Number of embedding tables: a token has one row of each at most.
pub fn table_count(dimensions: &Dimensions, interface: &Interface) -> usize {
    observation_kinds(dimensions) * discrete_channels(interface) + 2
}

/// Channels with a table.
fn discrete_channels(interface: &Interface) -> usize {
    interface.channels.iter().filter(|channel| channel.table_rows() > 0).count()
}

/// What each matrix of [`Inputs::dense`] takes.
pub(crate) fn dense_widths(dimensions: &Dimensions, interface: &Interface) -> Vec<usize> {
    let encoders = interface.channels.iter().map(Channel::encoder_columns).filter(|width| *width > 0);
    encoders.flat_map(|width| std::iter::repeat_n(width, observation_kinds(dimensions))).collect()
}

/// Kinds of observations that have tables and matrices of their own: those to act on, and final ones.
pub(crate) fn observation_kinds(dimensions: &Dimensions) -> usize {
    1 + usize::from(dimensions.final_observation)
}

/// The float parameters of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Dimensions of the transformer.
    pub dimensions: Dimensions,
    /// What the model sees and does.
    pub interface: Interface,
    /// Of the words of all vector channels.
    pub normalisers: Vec<Normaliser>,
    /// All tensors, one after the other in the order of [`layout`].
    pub values: Vec<f32>,
}

impl Parameters {
    /// The tensors' names, shapes and places.
    pub fn layout(&self) -> Vec<TensorLayout> {
        layout(&self.dimensions, &self.interface)
    }
}
