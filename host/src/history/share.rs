//! Which histories the sequences of a batch are drawn from: stratified, so that a rank needs those
//! of its own sequences only.

use std::ops::Range;

/// Some consecutive sequences of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Which.
    pub range: Range<usize>,
    /// Sequences of the whole batch.
    pub batch: usize,
}

impl Slots {
    /// A whole batch.
    pub fn all(batch: usize) -> Self {
        Self { range: 0..batch, batch }
    }

    /// The histories that these sequences may be drawn from, of `histories` in all. Sequence `i` of
    /// a batch of `B` is drawn from the `i`-th of `B` equal parts of the histories; a history
    /// may lie in two parts.
    pub fn histories(&self, histories: usize) -> Range<usize> {
        if self.range.is_empty() || histories == 0 {
            return 0..0;
        }
        let place = |slot: usize| slot as u128 * histories as u128;
        let batch = self.batch as u128;
        (place(self.range.start) / batch) as usize..place(self.range.end).div_ceil(batch) as usize
    }
}

/// What one rank reads of a file: the histories of its sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its sequences of a training batch.
    pub training: Slots,
    /// Its sequences of the validation batch.
    pub held_out: Slots,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(slot: usize, batch: usize, histories: usize) -> Range<usize> {
        Slots { range: slot..slot + 1, batch }.histories(histories)
    }

    #[test]
    fn the_parts_of_a_batch_cover_all_histories_evenly() {
        for (batch, histories) in [(32, 8_164), (4, 4), (7, 30), (8, 3), (5, 1), (1, 9)] {
            let parts: Vec<_> = (0..batch).map(|i| slot(i, batch, histories)).collect();
            assert_eq!((parts[0].start, parts[batch - 1].end), (0, histories));
            for pair in parts.windows(2) {
                assert!(pair[1].start == pair[0].end || pair[1].start + 1 == pair[0].end, "{parts:?}");
            }
            let most = histories.div_ceil(batch) + 1;
            assert!(parts.iter().all(|part| (1..=most).contains(&part.len())), "{parts:?}");
        }
        assert_eq!(slot(1, 2, 8), 4..8);
        assert_eq!(slot(2, 8, 3), 0..2);
    }

    #[test]
    fn consecutive_sequences_have_the_histories_of_each() {
        for range in [0..3, 2..7, 6..7] {
            let all = Slots { range: range.clone(), batch: 7 }.histories(30);
            assert_eq!(all, slot(range.start, 7, 30).start..slot(range.end - 1, 7, 30).end);
        }
        assert_eq!(Slots { range: 3..3, batch: 7 }.histories(30), 0..0);
        assert_eq!(Slots::all(7).histories(30), 0..30);
    }
}
