//! The whole network over one sequence, forward and backward (see [`crate::model`] for the
//! equations): the operations one after the other, on a workspace that is allocated once.

use super::plan::{LayerActivations, LayerPlaces, LayerWeights, Plan, Weights, Workspace};
use crate::model::InputsPart;
use crate::nn::masks::{SequenceMasks, Site};
use crate::nn::ops::attention::{self, Attention};
use crate::nn::ops::embedding::Embedding;
use crate::nn::ops::encoder::Encoder;
use crate::nn::ops::feed_forward::{self, FeedForward};
use crate::nn::ops::norm_linear::{self, NormLinear};
use crate::nn::ops::projection::Projection;

/// One sequence.
#[derive(Clone)]
pub struct Sequence<'a> {
    /// Of its tokens.
    pub inputs: InputsPart<'a>,
    /// Masks of this sequence, if any are drawn.
    pub masks: Option<&'a SequenceMasks>,
}

/// The operations of one layer.
pub struct Layer<'a> {
    query_key_value: NormLinear<'a>,
    pub attention: Attention<'a>,
    output: Projection<'a>,
    feed_forward: FeedForward<'a>,
}

impl<'a> Layer<'a> {
    fn new(plan: &'a Plan, weights: &'a Weights, layer: usize, masks: Option<&'a SequenceMasks>) -> Self {
        let (own, places): (&LayerWeights, &LayerPlaces) = (&weights.layers[layer], &plan.layers[layer]);
        Self {
            query_key_value: NormLinear {
                gain: &weights.values[places.attention_norm.clone()],
                matrix: &own.query_key_value,
            },
            attention: Attention {
                dimensions: &plan.dimensions,
                stride: own.query_key_value.stride(),
                layer,
                masks: masks.filter(|masks| !masks.attention.is_zero()),
            },
            output: Projection { matrix: &own.attention_output, masks, site: Site::AttentionOutput(layer) },
            feed_forward: FeedForward {
                gain: &weights.values[places.feed_forward_norm.clone()],
                up: &own.feed_forward_up,
                down: &own.feed_forward_down,
                masks,
                layer,
            },
        }
    }
}

fn embedding<'a>(plan: &Plan, sequence: &Sequence<'a>) -> Embedding<'a> {
    let (rows, masks) = (sequence.inputs.rows(), sequence.masks);
    Embedding { rows, tables: plan.tables, width: plan.dimensions.d_model, masks }
}

/// The encoders, each for one kind of observation: the number of the encoder, and of the kind.
fn encoders<'a>(
    weights: &'a Weights,
    sequence: &Sequence<'a>,
) -> impl Iterator<Item = ([usize; 2], Encoder<'a>)> {
    let (inputs, masks) = (sequence.inputs.clone(), sequence.masks);
    let all = weights.encoders.iter().enumerate().flat_map(|(number, encoder)| {
        let outputs = encoder.outputs.iter().enumerate();
        outputs.map(move |(kind, output)| ([number, kind], encoder.hidden.as_ref(), output))
    });
    all.enumerate().map(move |(index, (place, hidden, output))| {
        (place, Encoder { hidden, output, inputs: inputs.dense(index), masks })
    })
}

fn head<'a>(plan: &Plan, weights: &'a Weights) -> NormLinear<'a> {
    NormLinear { gain: &weights.values[plan.final_norm.clone()], matrix: &weights.head }
}

/// Fills the workspace's activations and leaves the logits in `workspace.logits`, `[tokens,
/// actions_padded]`.
pub fn forward(plan: &Plan, weights: &Weights, sequence: Sequence, workspace: &mut Workspace) {
    let tokens = sequence.inputs.len();
    pass(plan, weights, sequence, workspace, |layer, a, buffers| {
        layer.attention.forward(&a.query_key_value, tokens, &mut a.attended, &mut a.log_sums, buffers);
    });
}

/// [`forward`] with another attention: `attend` fills [`LayerActivations::attended`] from the queries,
/// keys and values.
pub fn pass(
    plan: &Plan,
    weights: &Weights,
    sequence: Sequence,
    workspace: &mut Workspace,
    mut attend: impl FnMut(&Layer, &mut LayerActivations, &mut attention::Buffers),
) {
    let d = plan.dimensions.d_model;
    let tokens = sequence.inputs.len();
    workspace.reserve(plan, tokens);
    let w = workspace;
    let wide = tokens * d;
    let tables = &weights.values[plan.embeddings.clone()];
    embedding(plan, &sequence).forward(tables, &mut w.streams[0][..wide]);
    for (_, encoder) in encoders(weights, &sequence) {
        encoder.forward(&mut w.streams[0][..wide], &mut w.encoder);
    }
    for (index, a) in w.layers.iter_mut().enumerate() {
        let layer = Layer::new(plan, weights, index, sequence.masks);
        let [input, middle, result] = &mut w.streams[2 * index..2 * index + 3] else { unreachable!() };
        layer.query_key_value.forward(&input[..wide], &mut a.normed, &mut a.query_key_value);
        attend(&layer, a, &mut w.attention);
        layer.output.forward(&input[..wide], &a.attended, middle);
        layer.feed_forward.forward(&middle[..wide], &mut a.feed_forward, result);
    }
    let last = &w.streams[2 * plan.dimensions.layers][..wide];
    head(plan, weights).forward(last, &mut w.normed, &mut w.logits);
}

/// Adds the gradient of every parameter to `gradient`, from the gradients that a
/// [`Loss`](super::Loss) left in place of the logits and, where it `reads_hidden` rows, for them.
pub fn backward(
    plan: &Plan,
    weights: &Weights,
    sequence: Sequence,
    reads_hidden: bool,
    workspace: &mut Workspace,
    gradient: &mut [f32],
) {
    let d = plan.dimensions.d_model;
    let tokens = sequence.inputs.len();
    let w = workspace;
    let wide = tokens * d;
    let stream_gradient = &mut w.stream_gradient[..wide];
    stream_gradient.fill(0.0);
    let [gain, matrix] = parts(gradient, [&plan.final_norm, &plan.head_matrix.range()]);
    let last = &w.streams[2 * plan.dimensions.layers][..wide];
    let gradients = norm_linear::Gradients { input: stream_gradient, gain, matrix };
    let hidden = reads_hidden.then_some(&w.hidden_gradient[..wide]);
    head(plan, weights).backward(last, &w.normed, &w.logits, hidden, gradients, &mut w.block);

    for (index, places) in plan.layers.iter().enumerate().rev() {
        let layer = Layer::new(plan, weights, index, sequence.masks);
        let a = &w.layers[index];
        let ranges =
            [&places.feed_forward_norm, &places.feed_forward_up.range(), &places.feed_forward_down.range()];
        let [gain, up, down] = parts(gradient, ranges);
        let scratch: [&mut [f32]; 3] = [&mut w.narrow, &mut w.wide, &mut w.block];
        let middle = &w.streams[2 * index + 1][..wide];
        let gradients = feed_forward::Gradients { gain, up, down };
        layer.feed_forward.backward(middle, &a.feed_forward, stream_gradient, gradients, scratch);

        let [matrix] = parts(gradient, [&places.attention_output.range()]);
        let (attended_gradient, narrow) = (&mut w.attended_gradient[..wide], &mut w.narrow[..wide]);
        layer.output.backward(&a.attended, stream_gradient, attended_gradient, matrix, narrow);
        layer.attention.backward(
            &a.query_key_value,
            &a.attended,
            &a.log_sums,
            attended_gradient,
            &mut w.wide,
            &mut w.attention,
        );
        let [gain, matrix] = parts(gradient, [&places.attention_norm, &places.query_key_value.range()]);
        let input = &w.streams[2 * index][..wide];
        let gradients = norm_linear::Gradients { input: stream_gradient, gain, matrix };
        layer.query_key_value.backward(input, &a.normed, &w.wide, None, gradients, &mut w.block);
    }
    let [tables] = parts(gradient, [&plan.embeddings]);
    embedding(plan, &sequence).backward(stream_gradient, tables);
    for ([number, kind], encoder) in encoders(weights, &sequence) {
        let places = &plan.encoders[number];
        let output = places.outputs[kind].range();
        match &places.hidden {
            None => {
                let [output] = parts(gradient, [&output]);
                encoder.backward(stream_gradient, None, output, &mut w.encoder);
            }
            Some(hidden) => {
                let [hidden, output] = parts(gradient, [&hidden.range(), &output]);
                encoder.backward(stream_gradient, Some(hidden), output, &mut w.encoder);
            }
        }
    }
}

/// The gradients of some tensors, all at once.
fn parts<'a, const COUNT: usize>(
    gradient: &'a mut [f32],
    ranges: [&std::ops::Range<usize>; COUNT],
) -> [&'a mut [f32]; COUNT] {
    gradient.get_disjoint_mut(ranges.map(Clone::clone)).expect("tensors do not overlap")
}
