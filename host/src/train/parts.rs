//! How a batch is divided: over threads and over machines, always along the same binary tree, so that neither their number nor their
//! timing shows in a sum.

use std::ops::Range;

/// The two children of a node that stands for these sequences, at least two of them.
pub fn halves(sequences: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = sequences.start + sequences.len().div_ceil(2);
    (sequences.start..middle, middle..sequences.end)
}
