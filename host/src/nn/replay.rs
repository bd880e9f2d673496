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

    /// `count` transitions, each drawn uniformly and on its own; none from an empty memory.
    pub fn sample<'a>(&'a self, rng: &'a mut PortableRng, count: usize) -> impl Iterator<Item = &'a T> + 'a {
        let count = if self.is_empty() { 0 } else { count };
        (0..count).map(|_| &self.transitions[rng.below(self.transitions.len() as u32) as usize])
    }
}

/// What a step is worth by the next few rewards: `value + discount * V(state number next)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Return {
    /// Discounted sum of the rewards.
    pub value: f32,
    /// Number of the state from which the rest is estimated; `rewards.len()` is the last one, which
    /// the episode ended in.
    pub next: usize,
    /// What that estimate is multiplied with; 0 where the episode ended and there is no rest.
    pub discount: f32,
}

/// The returns over `steps` (1 or more) rewards of every step of an episode (Sutton 1988).
/// `terminal` says that nothing comes after the last state; an episode that was merely cut off goes
/// on there.
pub fn returns(rewards: &[f32], terminal: bool, discount: f32, steps: usize) -> Vec<Return> {
    let of_step = |step: usize| {
        let next = rewards.len().min(step + steps.max(1));
        let value = rewards[step..next].iter().rev().fold(0.0, |sum, reward| reward + discount * sum);
        let ended = terminal && next == rewards.len();
        Return { value, next, discount: if ended { 0.0 } else { discount.powi((next - step) as i32) } }
    };
    (0..rewards.len()).map(of_step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let mut memory = Replay::new(4);
        let mut rng = PortableRng::new(1, 1);
        assert_eq!(memory.sample(&mut rng, 3).count(), 0);
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
        let draw = |seed| memory.sample(&mut PortableRng::new(seed, 0), 10_000).copied().collect::<Vec<_>>();
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        for transition in 0..10 {
            let count = draw(3).iter().filter(|&&drawn| drawn == transition).count();
            assert!((850..1150).contains(&count), "{transition}: {count}");
        }
    }

    #[test]
    fn returns_stop_at_the_end_of_the_episode() {
        let expected = |value, next, discount| Return { value, next, discount };
        let rewards = [1.0, 2.0, 4.0];
        let found = returns(&rewards, true, 0.5, 2);
        assert_eq!(found, [expected(2.0, 2, 0.25), expected(4.0, 3, 0.0), expected(4.0, 3, 0.0)]);
        let found = returns(&rewards, false, 0.5, 2);
        assert_eq!(found, [expected(2.0, 2, 0.25), expected(4.0, 3, 0.25), expected(4.0, 3, 0.5)]);
        assert_eq!(returns(&rewards, true, 1.0, 99)[0], expected(7.0, 3, 0.0));
    }
}
