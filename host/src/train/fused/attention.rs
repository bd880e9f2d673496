//! Banded causal attention of one sequence, head by head, in blocks of queries; keys outside a block's band are never read.
//!
//! The backward pass computes the probabilities again from the saved logarithms of the softmax sums (Dao et al. 2022,
//! "FlashAttention"), so memory grows with the sequence, not with its square.

use super::elementwise::{mask_rows, softmax_again, softmax_backward, softmax_numerators, Band};
use super::plan::{LayerActivations, Plan};
use super::product::{product, Left, Right, Size, PANEL};
use crate::train::masks::{SequenceMasks, Site};

/// Queries of a block: enough rows for the register tiles, few enough to waste little above the diagonal.
const BLOCK: usize = 32;

/// One head's matrices, contiguous, and the scores of one block.
#[derive(Default)]
pub struct Buffers {
    /// `[tokens, head_padded]`, already divided by `sqrt(head)`.
    queries: Vec<f32>,
    /// `[tokens padded, head_padded]`
    keys: Vec<f32>,
    values: Vec<f32>,
    /// `[head, tokens padded]`
    keys_transposed: Vec<f32>,
    values_transposed: Vec<f32>,
    /// `[BLOCK, keys of the band]`
    scores: Vec<f32>,
    scores_gradient: Vec<f32>,
    /// `[BLOCK, head_padded]`
    output: Vec<f32>,
    /// `[tokens padded, head_padded]`
    queries_gradient: Vec<f32>,
    keys_gradient: Vec<f32>,
    values_gradient: Vec<f32>,
    /// Mask keys of a block's rows.
    mask_keys: Vec<u32>,
}

impl Buffers {
    /// Buffers for sequences of up to `tokens`.
    pub fn new(plan: &Plan, tokens: usize) -> Self {
        let padded = tokens.next_multiple_of(PANEL);
        let rows = || vec![0.0; padded * plan.head_padded];
        let columns = || vec![0.0; padded * plan.head];
        let band = (plan.dimensions.window + BLOCK + 2 * PANEL).min(padded);
        let scores = || vec![0.0; BLOCK * band];
        Self {
            queries: rows(),
            keys: rows(),
            values: rows(),
            keys_transposed: columns(),
            values_transposed: columns(),
            scores: scores(),
            scores_gradient: scores(),
            output: vec![0.0; BLOCK * plan.head_padded],
            queries_gradient: rows(),
            keys_gradient: rows(),
            values_gradient: rows(),
            mask_keys: vec![0; BLOCK],
        }
    }

    /// Copies head `head` out of `[tokens, 3 d_model]`.
    fn load(&mut self, plan: &Plan, query_key_value: &[f32], tokens: usize, head: usize) {
        let (d, width, padded_width) = (plan.dimensions.d_model, plan.head, plan.head_padded);
        let padded = tokens.next_multiple_of(PANEL);
        let scale = 1.0 / (width as f32).sqrt();
        for (token, row) in query_key_value.chunks_exact(3 * d).take(tokens).enumerate() {
            let place = token * padded_width..token * padded_width + width;
            let part = |which: usize| &row[which * d + head * width..which * d + (head + 1) * width];
            for (scaled, query) in self.queries[place.clone()].iter_mut().zip(part(0)) {
                *scaled = query * scale;
            }
            self.keys[place.clone()].copy_from_slice(part(1));
            self.values[place].copy_from_slice(part(2));
            for feature in 0..width {
                self.keys_transposed[feature * padded + token] = part(1)[feature];
                self.values_transposed[feature * padded + token] = part(2)[feature];
            }
        }
        // Padding is multiplied with zero probabilities; it must be finite.
        for feature in 0..width {
            self.keys_transposed[feature * padded + tokens..(feature + 1) * padded].fill(0.0);
            self.values_transposed[feature * padded + tokens..(feature + 1) * padded].fill(0.0);
        }
        self.keys[tokens * padded_width..padded * padded_width].fill(0.0);
        self.values[tokens * padded_width..padded * padded_width].fill(0.0);
    }
}

/// One block of queries and the keys that any of them sees, widened to whole panels.
#[derive(Clone, Copy)]
struct Block {
    query: usize,
    queries: usize,
    key: usize,
    keys: usize,
}

fn blocks(tokens: usize, window: usize) -> impl Iterator<Item = Block> {
    (0..tokens).step_by(BLOCK).map(move |query| {
        let end = (query + BLOCK).min(tokens);
        let key = (query + 1).saturating_sub(window) / PANEL * PANEL;
        Block { query, queries: end - query, key, keys: end.next_multiple_of(PANEL) - key }
    })
}

impl Block {
    fn band(self, window: usize) -> Band {
        Band { first_query: self.query, first_key: self.key, window }
    }

    /// `scores = queries * keys^T`, or the same of any two `[tokens, head_padded]` and `[head, tokens padded]` matrices.
    fn scores(self, plan: &Plan, rows: &[f32], transposed: &[f32], padded: usize, scores: &mut [f32]) {
        let left = Left::rows(rows, plan.head_padded);
        let right = Right::rows(&transposed[self.key..], padded);
        let size = Size { rows: self.queries, columns: self.keys, inner: plan.head };
        product(scores, self.keys, left, right, size, false);
    }

    /// `result = scores * rows` for a `[tokens padded, head_padded]` matrix of keys or values.
    fn weighted(self, plan: &Plan, scores: &[f32], rows: &[f32], result: &mut [f32]) {
        let right = Right::rows(&rows[self.key * plan.head_padded..], plan.head_padded);
        let size = Size { rows: self.queries, columns: plan.head_padded, inner: self.keys };
        product(result, plan.head_padded, Left::rows(scores, self.keys), right, size, false);
    }

    /// `result[keys] += scores^T * rows` for a `[queries, head_padded]` matrix.
    fn spread(self, plan: &Plan, scores: &[f32], rows: &[f32], result: &mut [f32]) {
        let right = Right::rows(rows, plan.head_padded);
        let size = Size { rows: self.keys, columns: plan.head_padded, inner: self.queries };
        let result = &mut result[self.key * plan.head_padded..];
        product(result, plan.head_padded, Left::transposed(scores, self.keys), right, size, true);
    }

    /// Drops attention weights, or their gradients, of this block.
    fn mask(self, scores: &mut [f32], mask_keys: &mut [u32], masks: Option<&SequenceMasks>, head: usize) {
        let Some(masks) = masks else { return };
        for (row, key) in mask_keys[..self.queries].iter_mut().enumerate() {
            *key = masks.key(Site::Attention(head), self.query + row);
        }
        mask_rows(scores, self.keys, self.key, &mask_keys[..self.queries], masks.attention);
    }
}

/// `softmax(q k^T / sqrt(head)) v` of every head: fills `attended` and `log_sums` from `query_key_value`.
pub fn forward(
    plan: &Plan,
    layer: usize,
    activations: &mut LayerActivations,
    tokens: usize,
    masks: Option<&SequenceMasks>,
    buffers: &mut Buffers,
) {
    let (d, heads, width) = (plan.dimensions.d_model, plan.dimensions.heads, plan.head);
    let padded = tokens.next_multiple_of(PANEL);
    let mut sums = [0.0; BLOCK];
    let masks = masks.filter(|masks| !masks.attention.is_zero());
    for head in 0..heads {
        buffers.load(plan, &activations.query_key_value, tokens, head);
        for block in blocks(tokens, plan.dimensions.window) {
            let queries = &buffers.queries[block.query * plan.head_padded..];
            let scores = &mut buffers.scores[..block.queries * block.keys];
            block.scores(plan, queries, &buffers.keys_transposed, padded, scores);
            let log_sums = &mut activations.log_sums[head * tokens + block.query..][..block.queries];
            softmax_numerators(scores, block.keys, block.band(plan.dimensions.window), &mut sums, log_sums);
            block.mask(scores, &mut buffers.mask_keys, masks, layer * heads + head);
            block.weighted(plan, scores, &buffers.values, &mut buffers.output);
            for (row, sum) in sums[..block.queries].iter().enumerate() {
                let to = (block.query + row) * d + head * width;
                let from = &buffers.output[row * plan.head_padded..][..width];
                for (attended, output) in activations.attended[to..to + width].iter_mut().zip(from) {
                    *attended = output / sum;
                }
            }
        }
    }
}

/// Backward of [`forward`]: from the gradient of `attended` `[tokens, d_model]` to that of `query_key_value` `[tokens, 3 d_model]`.
pub fn backward(
    plan: &Plan,
    layer: usize,
    activations: &LayerActivations,
    attended_gradient: &[f32],
    query_key_value_gradient: &mut [f32],
    masks: Option<&SequenceMasks>,
    buffers: &mut Buffers,
) {
    let (d, heads, width) = (plan.dimensions.d_model, plan.dimensions.heads, plan.head);
    let tokens = attended_gradient.len() / d;
    let padded = tokens.next_multiple_of(PANEL);
    let mut shared = [0.0; BLOCK];
    let masks = masks.filter(|masks| !masks.attention.is_zero());
    for head in 0..heads {
        buffers.load(plan, &activations.query_key_value, tokens, head);
        let used = padded * plan.head_padded;
        buffers.keys_gradient[..used].fill(0.0);
        buffers.values_gradient[..used].fill(0.0);
        for block in blocks(tokens, plan.dimensions.window) {
            for (row, shared) in shared[..block.queries].iter_mut().enumerate() {
                let place =
                    (block.query + row) * d + head * width..(block.query + row) * d + (head + 1) * width;
                let gradient = &attended_gradient[place.clone()];
                let copied = &mut buffers.output[row * plan.head_padded..][..plan.head_padded];
                copied[..width].copy_from_slice(gradient);
                copied[width..].fill(0.0);
                *shared = gradient.iter().zip(&activations.attended[place]).map(|(a, b)| a * b).sum();
            }
            let queries = &buffers.queries[block.query * plan.head_padded..];
            let scores = &mut buffers.scores[..block.queries * block.keys];
            let gradient = &mut buffers.scores_gradient[..block.queries * block.keys];
            block.scores(plan, queries, &buffers.keys_transposed, padded, scores);
            let log_sums = &activations.log_sums[head * tokens + block.query..][..block.queries];
            softmax_again(scores, block.keys, block.band(plan.dimensions.window), log_sums);
            if masks.is_some() {
                // The values were weighted after dropout, the softmax is differentiated before it.
                gradient.copy_from_slice(scores);
                block.mask(gradient, &mut buffers.mask_keys, masks, layer * heads + head);
                block.spread(plan, gradient, &buffers.output, &mut buffers.values_gradient);
            } else {
                block.spread(plan, scores, &buffers.output, &mut buffers.values_gradient);
            }
            block.scores(plan, &buffers.output, &buffers.values_transposed, padded, gradient);
            block.mask(gradient, &mut buffers.mask_keys, masks, layer * heads + head);
            softmax_backward(scores, gradient, block.keys, &shared);
            let queries_gradient = &mut buffers.queries_gradient[block.query * plan.head_padded..];
            block.weighted(plan, scores, &buffers.keys, queries_gradient);
            block.spread(plan, scores, queries, &mut buffers.keys_gradient);
        }
        let scale = 1.0 / (width as f32).sqrt();
        for (token, row) in query_key_value_gradient.chunks_exact_mut(3 * d).take(tokens).enumerate() {
            let from = token * plan.head_padded..token * plan.head_padded + width;
            let queries = row[head * width..][..width].iter_mut();
            for (to, gradient) in queries.zip(&buffers.queries_gradient[from.clone()]) {
                *to = gradient * scale;
            }
            row[d + head * width..][..width].copy_from_slice(&buffers.keys_gradient[from.clone()]);
            row[2 * d + head * width..][..width].copy_from_slice(&buffers.values_gradient[from]);
        }
    }
}
