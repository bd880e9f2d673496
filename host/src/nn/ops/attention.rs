//! Banded causal attention of one sequence, head by head, in blocks of queries; keys outside a
//! block's band are never read.
//!
//! Scores lie key by key, so that every product but two is wide over the queries of a block, and
//! the softmax runs down its columns. The backward pass computes the probabilities again from the
//! saved logarithms of the softmax sums (Dao et al. 2022, "FlashAttention"), so memory grows with
//! the sequence, not with its square.

use crate::model::Dimensions;
use crate::nn::kernels::product::{product, Left, Right, Size, PANEL};
use crate::nn::kernels::softmax::{self, PerQuery, QUERIES};
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::masks::{SequenceMasks, Site};
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

/// Attention of one layer.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Of the model.
    pub dimensions: &'a Dimensions,
    /// Distance between two rows of queries, keys and values: [`Dimensions::d_query_key_value`] or
    /// more.
    pub stride: usize,
    /// Number of the layer.
    pub layer: usize,
    /// Dropout of attention weights, if any.
    pub masks: Option<&'a SequenceMasks>,
}

/// What one block of one head needs.
pub struct Buffers {
    /// `[head, QUERIES]`: transposed, times `log2(e) / sqrt(head)`.
    queries: Buffer,
    /// `[head, QUERIES]`: the output, or the gradient of the queries.
    output: Buffer,
    /// `[head, QUERIES]`
    output_gradient: Buffer,
    /// `[keys of the band, QUERIES]`
    scores: Buffer,
    scores_gradient: Buffer,
}

impl Buffers {
    /// Buffers for sequences of up to `tokens`.
    pub fn new(dimensions: &Dimensions, tokens: usize) -> Self {
        let head = dimensions.d_head();
        let band = (dimensions.window + QUERIES - 1).min(tokens);
        Self {
            queries: zeros(head * QUERIES),
            output: zeros(head * QUERIES),
            output_gradient: zeros(head * QUERIES),
            scores: zeros(band * QUERIES),
            scores_gradient: zeros(band * QUERIES),
        }
    }
}

/// One block of queries of one head, and the keys that any of them sees.
#[derive(Clone, Copy)]
struct Block {
    /// First query.
    query: usize,
    queries: usize,
    /// First key.
    key: usize,
    keys: usize,
    window: usize,
    /// Distance between two rows of queries, keys and values.
    stride: usize,
    /// The head's first columns of these three, and its width.
    columns: [usize; 3],
    head: usize,
}

/// Copies `rows` rows of `head` features into the columns of `[head, QUERIES]`, scaled. Other
/// columns become zero.
fn transpose(from: &[f32], stride: usize, rows: usize, scale: f32, to: &mut [f32]) {
    if rows < QUERIES {
        to.fill(0.0);
    }
    for (feature, to) in to.as_chunks_mut::<QUERIES>().0.iter_mut().enumerate() {
        for (row, to) in to[..rows].iter_mut().enumerate() {
            *to = from[row * stride + feature] * scale;
        }
    }
}

impl Block {
    /// Keys, or values, of the block in `[tokens, stride]`: `part` is 1 or 2.
    fn place(self, part: usize) -> usize {
        self.key * self.stride + self.columns[part]
    }

    /// Queries of the block there.
    fn queries(self) -> usize {
        self.query * self.stride + self.columns[0]
    }

    /// `scores = rows * columns`: of the block's keys and its queries, or of its values and its
    /// output's gradient.
    fn scores(self, query_key_value: &[f32], part: usize, columns: &[f32], scores: &mut [f32]) {
        let left = Left::rows(&query_key_value[self.place(part)..], self.stride);
        let right = Right::rows(columns, QUERIES);
        let size = Size { rows: self.keys, columns: QUERIES, inner: self.head };
        product(scores, QUERIES, left, right, size, false);
    }

    /// `result = rows^T * scores`, `[head, QUERIES]`: of the block's values and its weights, or of
    /// its keys and its scores' gradient.
    fn gather(self, query_key_value: &[f32], part: usize, scores: &[f32], result: &mut [f32]) {
        let left = Left::transposed(&query_key_value[self.place(part)..], self.stride);
        let right = Right::rows(scores, QUERIES);
        let size = Size { rows: self.head, columns: QUERIES, inner: self.keys };
        product(result, QUERIES, left, right, size, false);
    }

    /// `result += scores * rows` in the keys' or values' part of `[tokens, stride]`, for rows of the
    /// block's queries.
    fn spread(self, scores: &[f32], rows: &[f32], stride: usize, part: usize, result: &mut [f32]) {
        let size = Size { rows: self.keys, columns: self.head, inner: self.queries };
        let right = Right { values: rows, row_stride: stride, panel_stride: PANEL };
        product(&mut result[self.place(part)..], self.stride, Left::rows(scores, QUERIES), right, size, true);
    }

    /// Scores of keys that a query does not see become minus infinity.
    fn hide(self, scores: &mut [f32]) {
        let rows = scores.as_chunks_mut::<QUERIES>().0;
        // Keys that are too old for the last queries, then keys that are newer than the first ones.
        let old = (self.query + self.queries).saturating_sub(self.window);
        for (key, row) in (self.key..old).zip(rows.iter_mut()) {
            row[key + self.window - self.query..self.queries].fill(f32::NEG_INFINITY);
        }
        for (newer, row) in rows[self.query - self.key..].iter_mut().enumerate() {
            row[..newer].fill(f32::NEG_INFINITY);
        }
    }
}

impl Attention<'_> {
    fn blocks(&self, tokens: usize, head: usize) -> impl Iterator<Item = Block> {
        let (window, stride) = (self.dimensions.window, self.stride);
        let (columns, width) = (self.dimensions.head_columns(head), self.dimensions.d_head());
        (0..tokens).step_by(QUERIES).map(move |query| {
            let queries = QUERIES.min(tokens - query);
            let key = (query + 1).saturating_sub(window);
            let keys = query + queries - key;
            Block { query, queries, key, keys, window, stride, columns, head: width }
        })
    }

    /// `1 / sqrt(head)`
    fn scale(&self) -> f32 {
        1.0 / (self.dimensions.d_head() as f32).sqrt()
    }

    /// Drops attention weights, or their gradients, of a block.
    fn mask(&self, block: Block, head: usize, weights: &mut [f32]) {
        let Some(masks) = self.masks else { return };
        let site = Site::Attention(self.layer * self.dimensions.heads + head);
        let keys = std::array::from_fn(|row| masks.key(site, block.query + row));
        softmax::drop_weights(weights, block.key, &keys, masks.attention);
    }

    /// `softmax(q k^T / sqrt(head)) v` of every head: fills `attended` `[tokens, d_model]` and
    /// `log_sums` `[heads, tokens]` from `query_key_value` `[tokens, stride]`.
    pub fn forward(
        &self,
        query_key_value: &[f32],
        tokens: usize,
        attended: &mut [f32],
        log_sums: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let d = self.dimensions.d_model;
        let scale = self.scale() * std::f32::consts::LOG2_E;
        for head in 0..self.dimensions.heads {
            for block in self.blocks(tokens, head) {
                let scores = &mut buffers.scores[..block.keys * QUERIES];
                let queries = &query_key_value[block.queries()..];
                transpose(queries, self.stride, block.queries, scale, &mut buffers.queries);
                block.scores(query_key_value, 1, &buffers.queries, scores);
                block.hide(scores);
                let (sums, logs) = softmax::numerators(scores);
                self.mask(block, head, scores);
                block.gather(query_key_value, 2, scores, &mut buffers.output);
                for row in 0..block.queries {
                    let reciprocal = 1.0 / sums[row];
                    let to = &mut attended[(block.query + row) * d + block.columns[0]..][..block.head];
                    for (to, from) in to.iter_mut().zip(buffers.output.as_chunks::<QUERIES>().0) {
                        *to = from[row] * reciprocal;
                    }
                }
                log_sums[head * tokens + block.query..][..block.queries]
                    .copy_from_slice(&logs[..block.queries]);
            }
        }
    }

    /// Backward of [`Attention::forward`]: the gradient of `query_key_value` takes the place of
    /// `query_key_value_gradient`'s content.
    pub fn backward(
        &self,
        query_key_value: &[f32],
        attended: &[f32],
        log_sums: &[f32],
        attended_gradient: &[f32],
        query_key_value_gradient: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let d = self.dimensions.d_model;
        let tokens = attended_gradient.len() / d;
        let scale = self.scale();
        query_key_value_gradient[..tokens * self.stride].fill(0.0);
        for head in 0..self.dimensions.heads {
            for block in self.blocks(tokens, head) {
                let scores = &mut buffers.scores[..block.keys * QUERIES];
                let gradient = &mut buffers.scores_gradient[..block.keys * QUERIES];
                let mut shared: PerQuery = [0.0; QUERIES];
                for (row, shared) in shared[..block.queries].iter_mut().enumerate() {
                    let place = (block.query + row) * d + block.columns[0];
                    let pairs = attended_gradient[place..].iter().zip(&attended[place..]);
                    *shared = pairs.take(block.head).map(|(a, b)| a * b).sum();
                }
                let mut logs: PerQuery = [0.0; QUERIES];
                logs[..block.queries]
                    .copy_from_slice(&log_sums[head * tokens + block.query..][..block.queries]);
                let queries = &query_key_value[block.queries()..];
                let in_log2 = scale * std::f32::consts::LOG2_E;
                transpose(queries, self.stride, block.queries, in_log2, &mut buffers.queries);
                let outputs = &attended_gradient[block.query * d + block.columns[0]..];
                transpose(outputs, d, block.queries, 1.0, &mut buffers.output_gradient);

                block.scores(query_key_value, 1, &buffers.queries, scores);
                block.hide(scores);
                softmax::again(scores, &logs);
                if self.masks.is_some() {
                    // The values were weighted after dropout, the softmax is differentiated before
                    // it.
                    gradient.copy_from_slice(scores);
                    self.mask(block, head, gradient);
                    block.spread(gradient, outputs, d, 2, query_key_value_gradient);
                } else {
                    block.spread(scores, outputs, d, 2, query_key_value_gradient);
                }
                block.scores(query_key_value, 2, &buffers.output_gradient, gradient);
                self.mask(block, head, gradient);
                softmax::backward(scores, gradient, &shared, scale);
                block.gather(query_key_value, 1, scores, &mut buffers.output);
                for row in 0..block.queries {
                    let place = block.queries() + row * self.stride;
                    let to = &mut query_key_value_gradient[place..][..block.head];
                    for (to, from) in to.iter_mut().zip(buffers.output.as_chunks::<QUERIES>().0) {
                        *to = from[row];
                    }
                }
                block.spread(scores, queries, self.stride, 1, query_key_value_gradient);
            }
        }
    }
}

/// Attention of one sequence as one operation on dfdx's tape: `[tokens, d_model]` from `[tokens,
/// d_query_key_value]`.
///
/// # Panics
/// Where the width of a head is not a multiple of 4, or that of the input another one.
pub fn on_tape<T: Tape<f32, Cpu>>(
    query_key_value: tape::Matrix<T>,
    dimensions: &Dimensions,
    layer: usize,
    masks: Option<SequenceMasks>,
) -> tape::Matrix<T> {
    let (tokens, stride) = *query_key_value.shape();
    let (d, dimensions) = (dimensions.d_model, *dimensions);
    let fits = stride == dimensions.d_query_key_value() && d % (4 * dimensions.heads) == 0;
    assert!(fits, "{stride} columns do not fit {dimensions:?}");
    let mut buffers = Buffers::new(&dimensions, tokens);
    tape::apply(
        [query_key_value],
        (tokens, d),
        move |[query_key_value]| {
            let mut attended = vec![0.0; tokens * d];
            let mut log_sums = vec![0.0; tokens * dimensions.heads];
            let attention = Attention { dimensions: &dimensions, stride, layer, masks: masks.as_ref() };
            attention.forward(query_key_value, tokens, &mut attended, &mut log_sums, &mut buffers);
            (attended.clone(), (attended, log_sums, buffers))
        },
        move |[query_key_value], (attended, log_sums, mut buffers), gradient| {
            let mut own = vec![0.0; query_key_value.len()];
            let attention = Attention { dimensions: &dimensions, stride, layer, masks: masks.as_ref() };
            attention.backward(query_key_value, &attended, &log_sums, gradient, &mut own, &mut buffers);
            [own]
        },
    )
}
