//! A memory of transitions, for sources that learn from what they did before (Lin 1992; Mnih et al.
//! 2015).

use algodistill_core::PortableRng;

/// The last so many transitions: a newer one takes the place of the oldest.
#[derive(Clone, Debug)]
pub struct Replay<T> {
    transitions: Vec<T>,
    capacity: usize,
    /// Where the next transition goes once the memory is full.
    oldest: usize,
}

impl<T> Replay<T> {
    /// An empty memory of up to `capacity` transitions (at least one).
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { transitions: Vec::with_capacity(capacity), capacity, oldest: 0 }
    }

    /// Number of transitions.
    pub fn len(&self) -> usize {
        self.transitions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty()
    }

    /// Remembers a transition, and forgets the oldest one where the memory is full.
    pub fn push(&mut self, transition: T) {
        if self.transitions.len() < self.capacity {
            self.transitions.push(transition);
        } else {
            self.transitions[self.oldest] = transition;
            self.oldest = (self.oldest + 1) % self.capacity;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.transitions.clear();
        self.oldest = 0;
    }

    /// Number of a transition, drawn uniformly: 0 is the oldest. `None` from an empty memory.
    #[inline(always)]
    pub fn draw(&self, rng: &mut PortableRng) -> Option<usize> {
        (!self.is_empty()).then(|| rng.below(self.len() as u32) as usize)
    }

    /// Transition number `number` and those after it, in the order in which they happened.
    #[inline(always)]
    pub fn from(&self, number: usize) -> impl Iterator<Item = &T> {
        let (newer, older) = self.transitions.split_at(self.oldest);
        let of_older = older.get(number..).unwrap_or_default();
        of_older.iter().chain(newer.get(number.saturating_sub(older.len())..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let mut memory = Replay::new(4);
        let mut rng = PortableRng::new(1, 1);
        assert_eq!(memory.draw(&mut rng), None);
        for transition in 0..11 {
            memory.push(transition);
            assert_eq!(memory.len(), 4.min(transition + 1));
        }
        let mut kept = memory.transitions.clone();
        kept.sort_unstable();
        assert_eq!(kept, [7, 8, 9, 10]);
        memory.push(11);
        assert!(!memory.transitions.contains(&7));
    }

    #[test]
    fn every_transition_is_drawn_as_often_and_the_same_seed_draws_the_same() {
        let mut memory = Replay::new(10);
        (0..10).for_each(|transition| memory.push(transition));
        let draw = |seed| {
            let mut rng = PortableRng::new(seed, 0);
            (0..10_000).map(|_| memory.draw(&mut rng).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        for transition in 0..10 {
            let count = draw(3).iter().filter(|&&drawn| drawn == transition).count();
            assert!((850..1150).contains(&count), "{transition}: {count}");
        }
    }

    #[test]
    fn transitions_follow_in_the_order_in_which_they_happened() {
        let mut memory = Replay::new(4);
        for (pushed, expected) in
            [(3, vec![1, 2]), (4, vec![1, 2, 3]), (5, vec![2, 3, 4]), (11, vec![8, 9, 10])]
        {
            memory.clear();
            (0..pushed).for_each(|transition| memory.push(transition));
            assert_eq!(memory.from(1).copied().collect::<Vec<_>>(), expected);
            assert_eq!(memory.from(memory.len()).count(), 0);
        }
        assert_eq!(memory.from(3).copied().collect::<Vec<_>>(), [10]);
    }
}
