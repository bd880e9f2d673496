//! The sum of each token's embeddings.

use crate::model::NO_ROW;
use crate::nn::kernels::elementwise::add;
use crate::nn::masks::SequenceMasks;
use crate::nn::tape;
use dfdx::prelude::{Cpu, HasShape, Tape};

/// Embeddings of one sequence.
#[derive(Clone, Copy)]
pub struct Embedding<'a> {
    /// Rows of the embedding tables that each token adds up, `[tokens, tables]`, counted through
    /// all tables; [`NO_ROW`] for none of a table.
    pub rows: &'a [u32],
    /// Embedding tables.
    pub tables: usize,
    /// Width of an embedding.
    pub width: usize,
    /// Token masking, if any: a masked token is zero.
    pub masks: Option<&'a SequenceMasks>,
}

impl Embedding<'_> {
    /// The rows of every token that is not masked.
    fn shown(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let masked = |position| self.masks.is_some_and(|masks| masks.hides(position));
        self.rows.chunks_exact(self.tables).enumerate().filter(move |(position, _)| !masked(*position))
    }

    /// Fills `output` `[tokens, width]` from all tables, one after the other, `[rows, width]`.
    pub fn forward(&self, tables: &[f32], output: &mut [f32]) {
        output.fill(0.0);
        for (position, rows) in self.shown() {
            for &row in rows.iter().filter(|&&row| row != NO_ROW) {
                add(&mut output[position * self.width..][..self.width], &tables[row as usize * self.width..]);
            }
        }
    }

    /// Adds to the gradient of the tables.
    pub fn backward(&self, output_gradient: &[f32], tables_gradient: &mut [f32]) {
        for (position, rows) in self.shown() {
            for &row in rows.iter().filter(|&&row| row != NO_ROW) {
                let gradient = &mut tables_gradient[row as usize * self.width..][..self.width];
                add(gradient, &output_gradient[position * self.width..]);
            }
        }
    }
}

/// The sum of embeddings as one operation on dfdx's tape: `[tokens, width]` from all tables,
/// `[rows, width]`, of which each token adds up `tables` rows.
///
/// # Panics
/// Where a row is beyond the tables.
pub fn on_tape<T: Tape<f32, Cpu>>(
    tables: tape::Matrix<T>,
    rows: Vec<u32>,
    tables_per_token: usize,
    masks: Option<SequenceMasks>,
) -> tape::Matrix<T> {
    let width = tables.shape().1;
    let tokens = rows.len() / tables_per_token;
    tape::apply(
        [tables],
        (tokens, width),
        move |[tables]| {
            let mut output = vec![0.0; tokens * width];
            let embedding = Embedding { rows: &rows, tables: tables_per_token, width, masks: masks.as_ref() };
            embedding.forward(tables, &mut output);
            (output, rows)
        },
        move |[tables], rows, gradient| {
            let mut own = vec![0.0; tables.len()];
            let embedding = Embedding { rows: &rows, tables: tables_per_token, width, masks: masks.as_ref() };
            embedding.backward(gradient, &mut own);
            [own]
        },
    )
}
