//! How a batch is divided: over threads and over ranks, always along the same binary tree, so that
//! neither their number nor their timing shows in a sum.
//!
//! A rank of 2, 4, 8, ... takes a whole node of the tree, and the sums of the ranks are added as
//! the tree adds them: the result has the same bits as one process's, as long as each rank has two
//! sequences or more. With another number of ranks it is the same within rounding.

use std::ops::Range;

/// The two children of a node that stands for these sequences.
pub fn halves(sequences: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = sequences.start + sequences.len().div_ceil(2);
    (sequences.start..middle, middle..sequences.end)
}

/// The part of `sequences` that is number `rank` of `ranks`: a node of the tree where `ranks` is a
/// power of two, else as even as possible.
pub fn part(sequences: Range<usize>, rank: usize, ranks: usize) -> Range<usize> {
    if ranks.is_power_of_two() {
        return (0..ranks.trailing_zeros()).rev().fold(sequences, |node, bit| {
            let (first, second) = halves(node);
            if rank >> bit & 1 == 0 {
                first
            } else {
                second
            }
        });
    }
    let place = |rank: usize| sequences.start + rank * sequences.len() / ranks;
    place(rank)..place(rank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_cover_the_batch() {
        for sequences in [1, 2, 5, 16, 31, 64] {
            for ranks in 1..=sequences {
                let parts: Vec<_> = (0..ranks).map(|rank| part(0..sequences, rank, ranks)).collect();
                assert_eq!(parts[0].start, 0);
                assert_eq!(parts[ranks - 1].end, sequences);
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
                assert!(parts.iter().all(|part| !part.is_empty()), "{parts:?}");
            }
        }
    }

    #[test]
    fn neighbouring_ranks_are_the_halves_of_a_node() {
        for (sequences, ranks) in [(32, 2), (33, 4), (100, 8)] {
            for rank in (0..ranks).step_by(2) {
                let node = part(0..sequences, rank / 2, ranks / 2);
                let pair = (part(0..sequences, rank, ranks), part(0..sequences, rank + 1, ranks));
                assert_eq!(halves(node), pair);
            }
        }
        assert_eq!((0..3).map(|rank| part(0..32, rank, 3)).collect::<Vec<_>>(), [0..10, 10..21, 21..32]);
    }
}
