//! The whole network over one sequence, forward and backward (see [`crate::model`] for the equations).

use super::attention;
use super::elementwise::{
    add, cross_entropy, mask_rows, relu, relu_backward, rms_norm, rms_norm_backward, sum,
};
use super::plan::{Matrix, Plan, Weights, Workspace};
use super::product::{product, Left, Right, Size};
use crate::model::TensorLayout;
use crate::train::masks::{SequenceMasks, Site};

/// One sequence: the rows of the embedding tables that each token adds up (`[tokens, tables]`, counted through all tables).
#[derive(Clone, Copy)]
pub struct Sequence<'a> {
    /// See [`crate::train::batch::Tokens::rows`].
    pub rows: &'a [u32],
    /// Masks of this sequence, if any are drawn.
    pub masks: Option<&'a SequenceMasks>,
}

/// `output = input * matrix^T`, for `tokens` rows.
fn linear(input: &[f32], matrix: &Matrix, shape: [usize; 2], tokens: usize, output: &mut [f32]) {
    let [columns, inner] = shape;
    let size = Size { rows: tokens, columns, inner };
    product(output, columns, Left::rows(input, inner), matrix.forward(), size, false);
}

/// Backward of [`linear`]: `input_gradient = output_gradient * matrix`, and `matrix_gradient += output_gradient^T * input`.
fn linear_backward(
    output_gradient: &[f32],
    input: &[f32],
    matrix: &Matrix,
    shape: [usize; 2],
    tokens: usize,
    input_gradient: &mut [f32],
    matrix_gradient: &mut [f32],
) {
    let [outputs, inputs] = shape;
    let size = Size { rows: tokens, columns: inputs, inner: outputs };
    product(input_gradient, inputs, Left::rows(output_gradient, outputs), matrix.backward(), size, false);
    let size = Size { rows: outputs, columns: inputs, inner: tokens };
    let left = Left::transposed(output_gradient, outputs);
    product(matrix_gradient, inputs, left, Right::rows(input, inputs), size, true);
}

/// Drops elements of a block's output, or of its gradient.
fn mask_output(
    values: &mut [f32],
    width: usize,
    keys: &mut [u32],
    masks: Option<&SequenceMasks>,
    site: Site,
) {
    let Some(masks) = masks.filter(|masks| !masks.residual.is_zero()) else { return };
    for (position, key) in keys.iter_mut().enumerate() {
        *key = masks.key(site, position);
    }
    mask_rows(values, width, 0, keys, masks.residual);
}

/// Fills the workspace's activations and leaves the logits in `workspace.logits`, `[tokens, actions_padded]`.
pub fn forward(plan: &Plan, weights: &Weights, sequence: Sequence, workspace: &mut Workspace) {
    let (d, d_ff) = (plan.dimensions.d_model, plan.dimensions.d_ff);
    let tokens = sequence.rows.len() / plan.tables;
    workspace.reserve(plan, tokens);
    let w = workspace;
    let wide = tokens * d;
    embed(plan, weights, sequence, &mut w.streams[0][..wide]);
    for (index, (layer, places)) in weights.layers.iter().zip(&plan.layers).enumerate() {
        let a = &mut w.layers[index];
        let [input, middle, result] = &mut w.streams[2 * index..2 * index + 3] else { unreachable!() };
        let gain = &weights.values[places.attention_norm.clone()];
        rms_norm(&input[..wide], gain, &mut a.attention_normed, &mut a.attention_reciprocals);
        let shape = places.query_key_value.shape;
        linear(&a.attention_normed, &layer.query_key_value, shape, tokens, &mut a.query_key_value);
        attention::forward(plan, index, a, tokens, sequence.masks, &mut w.attention);
        linear(&a.attended, &layer.attention_output, places.attention_output.shape, tokens, &mut w.narrow);
        let output = &mut w.narrow[..wide];
        mask_output(output, d, &mut w.keys[..tokens], sequence.masks, Site::AttentionOutput(index));
        sum(&input[..wide], output, middle);

        let gain = &weights.values[places.feed_forward_norm.clone()];
        rms_norm(&middle[..wide], gain, &mut a.feed_forward_normed, &mut a.feed_forward_reciprocals);
        let shape = places.feed_forward_up.shape;
        linear(&a.feed_forward_normed, &layer.feed_forward_up, shape, tokens, &mut a.hidden);
        relu(&mut a.hidden[..tokens * d_ff]);
        linear(&a.hidden, &layer.feed_forward_down, places.feed_forward_down.shape, tokens, &mut w.narrow);
        let output = &mut w.narrow[..wide];
        mask_output(output, d, &mut w.keys[..tokens], sequence.masks, Site::FeedForward(index));
        sum(&middle[..wide], output, result);
    }
    let gain = &weights.values[plan.final_norm.clone()];
    rms_norm(
        &w.streams[2 * plan.dimensions.layers][..wide],
        gain,
        &mut w.final_normed,
        &mut w.final_reciprocals,
    );
    linear(&w.final_normed, &weights.head, [plan.actions_padded, d], tokens, &mut w.logits);
}

/// Sum of the cross-entropy over a sequence after [`forward`]; the logits become the gradient of `scale` times it.
pub fn loss(plan: &Plan, targets: &[u16], smoothing: f32, scale: f32, workspace: &mut Workspace) -> f64 {
    let logits = &mut workspace.logits[..targets.len() * plan.actions_padded];
    cross_entropy(logits, plan.actions_padded, plan.actions, targets, smoothing, scale)
}

/// Adds the gradient of every parameter to `gradient`, from the logits' gradient that [`loss`] left.
pub fn backward(
    plan: &Plan,
    weights: &Weights,
    sequence: Sequence,
    workspace: &mut Workspace,
    gradient: &mut [f32],
) {
    let (d, d_ff) = (plan.dimensions.d_model, plan.dimensions.d_ff);
    let tokens = sequence.rows.len() / plan.tables;
    let w = workspace;
    let wide = tokens * d;
    let range = |tensor: &TensorLayout| tensor.range();

    w.head_gradient.fill(0.0);
    let shape = [plan.actions_padded, d];
    linear_backward(
        &w.logits,
        &w.final_normed,
        &weights.head,
        shape,
        tokens,
        &mut w.narrow,
        &mut w.head_gradient,
    );
    let head = &mut gradient[range(&plan.head_matrix)];
    let rows = head.len();
    add(head, &w.head_gradient[..rows]);
    let stream_gradient = &mut w.stream_gradient[..wide];
    stream_gradient.fill(0.0);
    let gain = &weights.values[plan.final_norm.clone()];
    let gain_gradient = &mut gradient[plan.final_norm.clone()];
    let (normed, input) = (&mut w.narrow[..wide], &w.streams[2 * plan.dimensions.layers][..wide]);
    rms_norm_backward(normed, input, gain, &w.final_reciprocals, stream_gradient, gain_gradient);

    for (index, (layer, places)) in weights.layers.iter().zip(&plan.layers).enumerate().rev() {
        let a = &w.layers[index];
        let keys = &mut w.keys[..tokens];
        w.narrow[..wide].copy_from_slice(stream_gradient);
        mask_output(&mut w.narrow[..wide], d, keys, sequence.masks, Site::FeedForward(index));
        let (matrix, shape) = (&layer.feed_forward_down, places.feed_forward_down.shape);
        let matrix_gradient = &mut gradient[range(&places.feed_forward_down)];
        linear_backward(&w.narrow, &a.hidden, matrix, shape, tokens, &mut w.wide, matrix_gradient);
        relu_backward(&mut w.wide[..tokens * d_ff], &a.hidden);
        let (matrix, shape) = (&layer.feed_forward_up, places.feed_forward_up.shape);
        let matrix_gradient = &mut gradient[range(&places.feed_forward_up)];
        linear_backward(
            &w.wide,
            &a.feed_forward_normed,
            matrix,
            shape,
            tokens,
            &mut w.narrow,
            matrix_gradient,
        );
        let gain = &weights.values[places.feed_forward_norm.clone()];
        let gain_gradient = &mut gradient[places.feed_forward_norm.clone()];
        let (normed, input) = (&mut w.narrow[..wide], &w.streams[2 * index + 1][..wide]);
        let reciprocals = &a.feed_forward_reciprocals;
        rms_norm_backward(normed, input, gain, reciprocals, stream_gradient, gain_gradient);

        w.narrow[..wide].copy_from_slice(stream_gradient);
        mask_output(&mut w.narrow[..wide], d, keys, sequence.masks, Site::AttentionOutput(index));
        let (matrix, shape) = (&layer.attention_output, places.attention_output.shape);
        let matrix_gradient = &mut gradient[range(&places.attention_output)];
        let attended_gradient = &mut w.attended_gradient;
        linear_backward(&w.narrow, &a.attended, matrix, shape, tokens, attended_gradient, matrix_gradient);
        let attended_gradient = &w.attended_gradient[..wide];
        attention::backward(plan, index, a, attended_gradient, &mut w.wide, sequence.masks, &mut w.attention);
        let (matrix, shape) = (&layer.query_key_value, places.query_key_value.shape);
        let matrix_gradient = &mut gradient[range(&places.query_key_value)];
        linear_backward(&w.wide, &a.attention_normed, matrix, shape, tokens, &mut w.narrow, matrix_gradient);
        let gain = &weights.values[places.attention_norm.clone()];
        let gain_gradient = &mut gradient[places.attention_norm.clone()];
        let (normed, input) = (&mut w.narrow[..wide], &w.streams[2 * index][..wide]);
        let reciprocals = &a.attention_reciprocals;
        rms_norm_backward(normed, input, gain, reciprocals, stream_gradient, gain_gradient);
    }
    for (position, (rows, from)) in
        sequence.rows.chunks_exact(plan.tables).zip(stream_gradient.chunks_exact(d)).enumerate()
    {
        if sequence.masks.is_some_and(|masks| masks.hides(position)) {
            continue;
        }
        for &row in rows {
            add(&mut gradient[row as usize * d..][..d], from);
        }
    }
}

/// The sum of each token's embeddings, or zero where the token is masked.
fn embed(plan: &Plan, weights: &Weights, sequence: Sequence, stream: &mut [f32]) {
    let d = plan.dimensions.d_model;
    stream.fill(0.0);
    let tables = &weights.values[plan.embeddings.clone()];
    for (position, (rows, to)) in
        sequence.rows.chunks_exact(plan.tables).zip(stream.chunks_exact_mut(d)).enumerate()
    {
        if sequence.masks.is_some_and(|masks| masks.hides(position)) {
            continue;
        }
        for &row in rows {
            add(to, &tables[row as usize * d..][..d]);
        }
    }
}
