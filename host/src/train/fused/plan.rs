//! Where everything lies: parameters, packed weights, and the activations of one sequence.

use super::product::{pack, pack_transposed, Right, PANEL};
use crate::model::{layout, Dimensions, TensorLayout};
use algodistill_core::Interface;
use std::ops::Range;

/// Sizes and places derived from a model's dimensions.
pub struct Plan {
    pub dimensions: Dimensions,
    /// Width of a head.
    pub head: usize,
    /// Width of a head, rounded up to whole panels.
    pub head_padded: usize,
    /// Number of actions.
    pub actions: usize,
    /// Number of actions, rounded up to whole panels.
    pub actions_padded: usize,
    /// Embedding tables: a token has one row of each.
    pub tables: usize,
    /// Number of parameters.
    pub parameters: usize,
    /// All embedding tables, one after the other.
    pub embeddings: Range<usize>,
    pub layers: Vec<LayerPlaces>,
    pub final_norm: Range<usize>,
    pub head_matrix: TensorLayout,
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
        let tables = interface.channels.len() + 2;
        let mut rest = tensors[tables..].iter().cloned();
        let mut next = || rest.next().expect("the layout has every tensor of every layer");
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
        let head = dimensions.d_model / dimensions.heads;
        let actions = usize::from(interface.actions);
        Self {
            dimensions: *dimensions,
            head,
            head_padded: head.next_multiple_of(PANEL),
            actions,
            actions_padded: actions.next_multiple_of(PANEL),
            tables,
            embeddings: 0..tensors[tables - 1].range().end,
            layers,
            final_norm: next().range(),
            head_matrix: next(),
            parameters: tensors.last().map_or(0, |tensor| tensor.range().end),
        }
    }
}

/// One weight matrix `[outputs, inputs]`, packed for both directions.
pub struct Matrix {
    inputs: usize,
    outputs_padded: usize,
    forward: Vec<f32>,
    backward: Vec<f32>,
}

impl Matrix {
    fn new(tensor: &TensorLayout) -> Self {
        let [outputs, inputs] = tensor.shape;
        let outputs_padded = outputs.next_multiple_of(PANEL);
        Self {
            inputs,
            outputs_padded,
            forward: vec![0.0; inputs * outputs_padded],
            backward: vec![0.0; outputs_padded * inputs],
        }
    }

    fn pack(&mut self, values: &[f32]) {
        pack_transposed(values, self.inputs, &mut self.forward);
        // Rows of padding stay zero: they are beyond `values`.
        let outputs = values.len() / self.inputs;
        if outputs == self.outputs_padded {
            pack(values, self.inputs, &mut self.backward);
        } else {
            let mut padded = vec![0.0; self.outputs_padded * self.inputs];
            padded[..values.len()].copy_from_slice(values);
            pack(&padded, self.inputs, &mut self.backward);
        }
    }

    /// Right-hand side of `output = input * matrix^T`.
    pub fn forward(&self) -> Right<'_> {
        Right::packed(&self.forward, self.inputs)
    }

    /// Right-hand side of `input gradient = output gradient * matrix`.
    pub fn backward(&self) -> Right<'_> {
        Right::packed(&self.backward, self.outputs_padded)
    }
}

/// The parameters in the form that the passes read.
pub struct Weights {
    /// All parameters, as they are.
    pub values: Vec<f32>,
    pub layers: Vec<LayerWeights>,
    pub head: Matrix,
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
                query_key_value: Matrix::new(&places.query_key_value),
                attention_output: Matrix::new(&places.attention_output),
                feed_forward_up: Matrix::new(&places.feed_forward_up),
                feed_forward_down: Matrix::new(&places.feed_forward_down),
            })
            .collect();
        Self { values: vec![0.0; plan.parameters], layers, head: Matrix::new(&plan.head_matrix) }
    }

    /// Takes new values, `plan.parameters` of them.
    pub fn set(&mut self, plan: &Plan, values: &[f32]) {
        self.values.copy_from_slice(values);
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
#[derive(Default)]
pub struct Workspace {
    capacity: usize,
    pub layers: Vec<LayerActivations>,
    /// The residual stream `[tokens, d_model]` before each layer's attention and before its feed-forward network, then
    /// before the final norm: `2 layers + 1` matrices.
    pub streams: Vec<Vec<f32>>,
    pub final_normed: Vec<f32>,
    pub final_reciprocals: Vec<f32>,
    /// `[tokens, actions_padded]`: logits, then their gradient.
    pub logits: Vec<f32>,
    /// Gradient of the residual stream.
    pub stream_gradient: Vec<f32>,
    /// `[tokens, d_model]`: a block's output, a norm's gradient.
    pub narrow: Vec<f32>,
    /// `[tokens, d_model]`
    pub attended_gradient: Vec<f32>,
    /// `[tokens, max(3 d_model, d_ff)]`: gradients of wide activations.
    pub wide: Vec<f32>,
    /// `[actions_padded, d_model]`
    pub head_gradient: Vec<f32>,
    /// Mask keys of every position.
    pub keys: Vec<u32>,
    pub attention: super::attention::Buffers,
}

/// What the backward pass needs of a layer.
#[derive(Default)]
pub struct LayerActivations {
    pub attention_normed: Vec<f32>,
    pub attention_reciprocals: Vec<f32>,
    /// `[tokens, 3 d_model]`: queries, keys, values.
    pub query_key_value: Vec<f32>,
    /// `[tokens, d_model]`: the heads' outputs side by side.
    pub attended: Vec<f32>,
    /// `[heads, capacity]`: logarithm of the sum of the exponentials of a query's scores.
    pub log_sums: Vec<f32>,
    pub feed_forward_normed: Vec<f32>,
    pub feed_forward_reciprocals: Vec<f32>,
    pub hidden: Vec<f32>,
}

impl Workspace {
    /// Makes room for a sequence of `tokens`; allocates only where it is longer than any before.
    pub fn reserve(&mut self, plan: &Plan, tokens: usize) {
        if tokens <= self.capacity {
            return;
        }
        let Dimensions { d_model, d_ff, heads, layers, .. } = plan.dimensions;
        let rows = |width: usize| vec![0.0; tokens * width];
        let activations = || LayerActivations {
            attention_normed: rows(d_model),
            attention_reciprocals: rows(1),
            query_key_value: rows(3 * d_model),
            attended: rows(d_model),
            log_sums: rows(heads),
            feed_forward_normed: rows(d_model),
            feed_forward_reciprocals: rows(1),
            hidden: rows(d_ff),
        };
        *self = Self {
            capacity: tokens,
            layers: (0..layers).map(|_| activations()).collect(),
            streams: (0..2 * layers + 1).map(|_| rows(d_model)).collect(),
            final_normed: rows(d_model),
            final_reciprocals: rows(1),
            logits: rows(plan.actions_padded),
            stream_gradient: rows(d_model),
            narrow: rows(d_model),
            attended_gradient: rows(d_model),
            wide: rows(d_ff.max(3 * d_model)),
            head_gradient: vec![0.0; plan.actions_padded * d_model],
            keys: vec![0; tokens],
            attention: super::attention::Buffers::new(plan, tokens),
        };
    }
}
