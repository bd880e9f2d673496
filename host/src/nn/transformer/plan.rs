//! Where everything lies: parameters, packed weights, and the activations of one sequence.

use crate::model::{layout, observation_kinds, table_count, Dimensions, TensorLayout};
use crate::nn::kernels::product::PANEL;
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::matrix::Matrix;
use crate::nn::ops::{attention, encoder, feed_forward, norm_linear::Normed, ROWS};
use algodistill_core::Interface;
use std::ops::Range;

/// Sizes and places derived from a model's dimensions.
pub struct Plan {
    pub dimensions: Dimensions,
    /// Number of actions.
    pub actions: usize,
    /// Number of actions, rounded up to whole panels.
    pub actions_padded: usize,
    /// Embedding tables: a token has one row of each at most.
    pub tables: usize,
    /// Number of parameters.
    pub parameters: usize,
    /// All embedding tables, one after the other.
    pub embeddings: Range<usize>,
    pub encoders: Vec<EncoderPlaces>,
    pub layers: Vec<LayerPlaces>,
    pub final_norm: Range<usize>,
    pub head_matrix: TensorLayout,
}

/// Where the parameters of an encoder lie.
pub struct EncoderPlaces {
    pub hidden: Option<TensorLayout>,
    /// Of observations, then, where the model sees them, of final observations.
    pub outputs: Vec<TensorLayout>,
}

/// Where the parameters of a layer lie.
pub struct LayerPlaces {
    pub attention_norm: Range<usize>,
    pub query_key_value: TensorLayout,
    pub attention_output: TensorLayout,
    pub feed_forward_norm: Range<usize>,
    pub feed_forward_up: TensorLayout,
    pub feed_forward_down: TensorLayout,
}

impl Plan {
    /// The plan of a model whose dimensions were validated.
    pub fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let tensors = layout(dimensions, interface);
        let tables = table_count(dimensions, interface);
        let mut rest = tensors[tables..].iter().cloned();
        let mut next = || rest.next().expect("the layout has every tensor of every layer");
        let with_encoder = interface.channels.iter().filter(|channel| channel.inputs() > 0);
        let encoders = with_encoder
            .map(|channel| EncoderPlaces {
                hidden: dimensions.hidden(channel).map(|_| next()),
                outputs: (0..observation_kinds(dimensions)).map(|_| next()).collect(),
            })
            .collect();
        let layers = (0..dimensions.layers)
            .map(|_| LayerPlaces {
                attention_norm: next().range(),
                query_key_value: next(),
                attention_output: next(),
                feed_forward_norm: next().range(),
                feed_forward_up: next(),
                feed_forward_down: next(),
            })
            .collect();
        let actions = usize::from(interface.actions);
        Self {
            dimensions: *dimensions,
            actions,
            actions_padded: actions.next_multiple_of(PANEL),
            tables,
            embeddings: 0..tensors[tables - 1].range().end,
            encoders,
            layers,
            final_norm: next().range(),
            head_matrix: next(),
            parameters: tensors.last().map_or(0, |tensor| tensor.range().end),
        }
    }
}

/// The parameters in the form that the passes read.
pub struct Weights {
    /// All parameters, as they are.
    pub values: Buffer,
    pub encoders: Vec<EncoderWeights>,
    pub layers: Vec<LayerWeights>,
    pub head: Matrix,
}

/// The packed matrices of an encoder.
pub struct EncoderWeights {
    pub hidden: Option<Matrix>,
    pub outputs: Vec<Matrix>,
}

/// The packed matrices of a layer.
pub struct LayerWeights {
    pub query_key_value: Matrix,
    pub attention_output: Matrix,
    pub feed_forward_up: Matrix,
    pub feed_forward_down: Matrix,
}

impl Weights {
    /// All zero.
    pub fn new(plan: &Plan) -> Self {
        let layers = plan
            .layers
            .iter()
            .map(|places| LayerWeights {
                query_key_value: Matrix::new(places.query_key_value.shape),
                attention_output: Matrix::new(places.attention_output.shape),
                feed_forward_up: Matrix::new(places.feed_forward_up.shape),
                feed_forward_down: Matrix::new(places.feed_forward_down.shape),
            })
            .collect();
        let encoders = plan.encoders.iter().map(|places| EncoderWeights {
            hidden: places.hidden.as_ref().map(|tensor| Matrix::new(tensor.shape)),
            outputs: places.outputs.iter().map(|tensor| Matrix::new(tensor.shape)).collect(),
        });
        Self {
            values: zeros(plan.parameters),
            encoders: encoders.collect(),
            layers,
            head: Matrix::new(plan.head_matrix.shape),
        }
    }

    /// Takes new values, `plan.parameters` of them.
    pub fn set(&mut self, plan: &Plan, values: &[f32]) {
        self.values.copy_from_slice(values);
        for (encoder, places) in self.encoders.iter_mut().zip(&plan.encoders) {
            let matrices = encoder.hidden.iter_mut().chain(&mut encoder.outputs);
            for (matrix, tensor) in matrices.zip(places.hidden.iter().chain(&places.outputs)) {
                matrix.pack(&values[tensor.range()]);
            }
        }
        for (layer, places) in self.layers.iter_mut().zip(&plan.layers) {
            layer.query_key_value.pack(&values[places.query_key_value.range()]);
            layer.attention_output.pack(&values[places.attention_output.range()]);
            layer.feed_forward_up.pack(&values[places.feed_forward_up.range()]);
            layer.feed_forward_down.pack(&values[places.feed_forward_down.range()]);
        }
        self.head.pack(&values[plan.head_matrix.range()]);
    }
}

/// Activations of one sequence of up to `capacity` tokens, and the buffers that the passes reuse.
pub struct Workspace {
    capacity: usize,
    pub layers: Vec<LayerActivations>,
    /// The residual stream `[tokens, d_model]` before each layer's attention and before its
    /// feed-forward network, then before the final norm: `2 layers + 1` matrices.
    pub streams: Vec<Buffer>,
    /// The final norm.
    pub normed: Normed,
    /// `[tokens, actions_padded]`: logits, then their gradient.
    pub logits: Buffer,
    /// `[tokens, d_model]`: what a loss that reads the normed rows wants of them.
    pub hidden_gradient: Buffer,
    /// Gradient of the residual stream.
    pub stream_gradient: Buffer,
    /// `[tokens, d_model]`
    pub attended_gradient: Buffer,
    /// `[tokens, d_model]`: the gradient of a block's output.
    pub narrow: Buffer,
    /// `[ROWS, d_model]`: the gradient of a norm's output.
    pub block: Buffer,
    /// `[tokens, max(columns of query_key_value, d_ff)]`: gradients of wide activations.
    pub wide: Buffer,
    pub attention: attention::Buffers,
    pub encoder: encoder::Scratch,
}

/// What the backward pass needs of a layer.
pub struct LayerActivations {
    pub normed: Normed,
    /// `[tokens, d_query_key_value in whole panels]`: queries, keys, values.
    pub query_key_value: Buffer,
    /// `[tokens, d_model]`: the heads' outputs side by side.
    pub attended: Buffer,
    /// `[heads, tokens]`: binary logarithm of the sum of `2^score` of a query.
    pub log_sums: Vec<f32>,
    pub feed_forward: feed_forward::Saved,
}

impl Workspace {
    /// Room for sequences of up to `tokens`.
    pub fn new(plan: &Plan, tokens: usize) -> Self {
        let Dimensions { d_model, d_ff, heads, layers, .. } = plan.dimensions;
        let rows = |width: usize| zeros(tokens * width);
        let wide = plan.dimensions.d_query_key_value().next_multiple_of(PANEL);
        let hidden = plan.encoders.iter().filter_map(|encoder| encoder.hidden.as_ref());
        let units = hidden.map(|tensor| tensor.shape[0]).max().unwrap_or(0);
        let activations = || LayerActivations {
            normed: Normed::new(tokens, d_model),
            query_key_value: rows(wide),
            attended: rows(d_model),
            log_sums: vec![0.0; tokens * heads],
            feed_forward: feed_forward::Saved::new(tokens, d_model, d_ff),
        };
        Self {
            capacity: tokens,
            layers: (0..layers).map(|_| activations()).collect(),
            streams: (0..2 * layers + 1).map(|_| rows(d_model)).collect(),
            normed: Normed::new(tokens, d_model),
            logits: rows(plan.actions_padded),
            hidden_gradient: rows(d_model),
            stream_gradient: rows(d_model),
            attended_gradient: rows(d_model),
            narrow: rows(d_model),
            block: zeros(ROWS * d_model),
            wide: rows(d_ff.max(wide)),
            attention: attention::Buffers::new(&plan.dimensions, tokens),
            encoder: encoder::Scratch::new(d_model, units),
        }
    }

    /// Makes room for a sequence of `tokens`; allocates only where it is longer than any before.
    pub fn reserve(&mut self, plan: &Plan, tokens: usize) {
        if tokens > self.capacity {
            *self = Self::new(plan, tokens);
        }
    }
}
