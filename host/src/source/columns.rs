//! Columns of learning histories that are being written.

use std::ops::Range;

/// Columns of learning histories that are being written, all of one length.
pub struct Columns<'a> {
    /// Number of the episode.
    pub episodes: &'a mut [u32],
    /// One column per word of the observation.
    pub observations: Vec<&'a mut [i32]>,
    /// Action.
    pub actions: &'a mut [u16],
    /// Reward of the action.
    pub rewards: &'a mut [f32],
    /// Whether the episode ended with this step; false when it is handed over.
    pub dones: &'a mut [bool],
    /// What was observed after the last step of each episode.
    pub final_observations: FinalObservations,
}

/// What was observed after the last step of an episode, before any reset: a few of the steps have
/// one, so they are kept with the number of their step, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalObservations {
    steps: Vec<usize>,
    /// Of each of `steps`, one after the other.
    words: Vec<i32>,
}

impl FinalObservations {
    /// Adds that of the episode that ended with step `step`, beyond those there are. Nothing is
    /// kept of observations without words.
    pub fn push(&mut self, step: usize, words: &[i32]) {
        if !words.is_empty() {
            self.steps.push(step);
            self.words.extend_from_slice(words);
        }
    }

    /// Makes room for those of `episodes` more episodes, of `words` words.
    pub fn reserve(&mut self, episodes: usize, words: usize) {
        if words > 0 {
            self.steps.reserve(episodes);
            self.words.reserve(episodes * words);
        }
    }

    /// Adds all of `others`, whose steps count from step `first`, beyond those there are.
    pub fn append(&mut self, first: usize, others: &Self) {
        self.steps.extend(others.steps.iter().map(|step| first + step));
        self.words.extend_from_slice(&others.words);
    }

    /// The steps that have one, ascending.
    pub fn steps(&self) -> &[usize] {
        &self.steps
    }

    /// Keeps only those of the first `len` steps.
    pub fn truncate(&mut self, len: usize) {
        let words = self.words.len() / self.steps.len().max(1);
        self.steps.truncate(self.steps.partition_point(|&step| step < len));
        self.words.truncate(self.steps.len() * words);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What was observed after step `step`, if that is known.
    pub fn after(&self, step: usize) -> Option<&[i32]> {
        let place = self.steps.binary_search(&step).ok()?;
        let words = self.words.len() / self.steps.len();
        Some(&self.words[place * words..(place + 1) * words])
    }

    /// All of them with their steps.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let words = self.words.len() / self.steps.len().max(1);
        self.steps.iter().copied().zip(self.words.chunks(words.max(1)))
    }

    /// Those after the steps of `range`; their steps count from its start.
    pub fn of_range(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &[i32])> {
        let first = self.steps.partition_point(|&step| step < range.start);
        let words = self.words.len() / self.steps.len().max(1);
        let all = self.steps[first..].iter().zip(self.words[first * words..].chunks(words.max(1)));
        all.take_while(move |(step, _)| **step < range.end)
            .map(move |(step, words)| (step - range.start, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_observations_are_found_by_their_step() {
        let mut all = FinalObservations::default();
        assert_eq!((all.after(0), all.len()), (None, 0));
        all.push(3, &[1, 2]);
        all.push(9, &[3, 4]);
        all.push(10, &[5, 6]);
        assert_eq!(all.after(9), Some(&[3, 4][..]));
        assert_eq!(all.after(4), None);
        assert_eq!(all.iter().nth(2), Some((10, &[5, 6][..])));
        assert_eq!(all.of_range(4..10).collect::<Vec<_>>(), [(5, &[3, 4][..])]);
        assert_eq!(all.of_range(11..20).count(), 0);
        all.push(12, &[]);
        assert_eq!(all.len(), 3);
        let first = all.clone();
        all.append(20, &first);
        assert_eq!((all.len(), all.after(29)), (6, Some(&[3, 4][..])));
        all.truncate(10);
        assert_eq!((all.len(), all.after(9)), (2, Some(&[3, 4][..])));
    }
}
