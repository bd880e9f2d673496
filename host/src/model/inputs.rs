//! What the network is given of a stream of tokens.

use super::{dense_widths, table_count, Dimensions};
use algodistill_core::Interface;
use std::ops::Range;

/// In place of a row of a table that adds nothing to a token: tokens of different kinds share one
/// `[tokens, tables]` layout.
pub const NO_ROW: u32 = u32::MAX;

/// The inputs of a stream of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// Rows of the embedding tables that each token adds up, `[tokens, tables]`, counted through all
    /// tables in the order of [`layout`](super::layout); [`NO_ROW`] for none of a table.
    pub rows: Vec<u32>,
    /// What the encoders are given: for each, of observations, then, where the model sees them, of
    /// final observations.
    pub dense: Vec<Dense>,
    tables: usize,
}

/// What one matrix of an encoder is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dense {
    /// Numbers of a token, the constant 1 and padding included.
    pub width: usize,
    /// The tokens that have any, in their order.
    pub positions: Vec<u32>,
    /// `[positions, width]`
    pub values: Vec<f32>,
}

impl Inputs {
    /// No token of such a model.
    pub fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let dense = dense_widths(dimensions, interface).into_iter();
        Self {
            rows: Vec::new(),
            dense: dense.map(|width| Dense { width, ..Dense::default() }).collect(),
            tables: table_count(dimensions, interface),
        }
    }

    /// No token of the same model.
    pub fn emptied(&self) -> Self {
        let dense = self.dense.iter().map(|dense| Dense { width: dense.width, ..Dense::default() });
        Self { rows: Vec::new(), dense: dense.collect(), tables: self.tables }
    }

    /// Takes all tokens away; their memory stays.
    pub fn clear(&mut self) {
        self.rows.clear();
        for dense in &mut self.dense {
            dense.positions.clear();
            dense.values.clear();
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.rows.len().checked_div(self.tables).unwrap_or(0)
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All tokens.
    pub fn all(&self) -> InputsPart<'_> {
        self.part(0..self.len())
    }

    /// Some of the tokens.
    pub fn part(&self, tokens: Range<usize>) -> InputsPart<'_> {
        InputsPart { inputs: self, tokens }
    }

    /// Adds tokens of the same model.
    pub fn extend(&mut self, part: InputsPart) {
        let first = self.len();
        for (index, own) in self.dense.iter_mut().enumerate() {
            let DensePart { positions, values, first: from } = part.dense(index);
            own.positions.extend(positions.iter().map(|position| position - from + first as u32));
            own.values.extend_from_slice(values);
        }
        self.rows.extend_from_slice(part.rows());
    }
}

/// Some tokens, one after the other.
#[derive(Clone, Debug)]
pub struct InputsPart<'a> {
    inputs: &'a Inputs,
    tokens: Range<usize>,
}

/// [`Dense`] of some tokens.
#[derive(Clone, Copy, Debug)]
pub struct DensePart<'a> {
    /// The tokens that have any, counted as [`Dense::positions`].
    pub positions: &'a [u32],
    /// `[positions, width]`
    pub values: &'a [f32],
    /// The first of the tokens.
    pub first: u32,
}

impl<'a> InputsPart<'a> {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// `[tokens, tables]`
    pub fn rows(&self) -> &'a [u32] {
        let tables = self.inputs.tables;
        &self.inputs.rows[self.tokens.start * tables..self.tokens.end * tables]
    }

    /// What the matrix `index` of [`Inputs::dense`] is given.
    pub fn dense(&self, index: usize) -> DensePart<'a> {
        let Dense { width, positions, values } = &self.inputs.dense[index];
        let before = |token: usize| positions.partition_point(|&position| (position as usize) < token);
        let own = before(self.tokens.start)..before(self.tokens.end);
        DensePart {
            values: &values[own.start * width..own.end * width],
            positions: &positions[own],
            first: self.tokens.start as u32,
        }
    }
}
