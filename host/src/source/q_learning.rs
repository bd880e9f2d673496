//! Tabular Q-learning (Watkins and Dayan 1992).

use super::{threshold, Outcome, Source};
use algodistill_core::{Channel, Interface, PortableRng};
use serde::{Deserialize, Serialize};

/// Actions of a state are stored in blocks of this many values, which a compiler turns into SIMD.
const BLOCK: usize = 8;
type Block = [f32; BLOCK];

/// Parameters of [`QLearning`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Step size, in (0, 1].
    pub learning_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Fraction of the episodes over which epsilon falls linearly from 1 to 0; 0 is always greedy.
    pub exploration: f32,
    /// Value of every action before the first update: above what can be earned, it is optimistic exploration.
    pub initial_value: f32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { learning_rate: 0.5, discount: 0.9, exploration: 0.9, initial_value: 0.0 }
    }
}

/// `Q(s, a) += learning_rate (r + discount max Q(s', .) - Q(s, a))` with an epsilon-greedy policy whose epsilon falls
/// linearly, episode by episode, and random tie-breaks: with ties broken towards action 0 it would never explore.
///
/// The state is the mixed-radix number of the discrete observation channels. An episode that ends at its horizon ended by the
/// clock, which the observation does not show, so the value of the next state counts there as anywhere.
#[derive(Clone, Debug)]
pub struct QLearning {
    parameters: Parameters,
    /// Episodes until epsilon is 0.
    exploring_episodes: f32,
    /// Epsilon of this episode, as [`threshold`].
    explore: u64,
    sizes: Vec<usize>,
    actions: usize,
    blocks_per_state: usize,
    /// The blocks of all states. What pads the last block of a state is minus infinity, which is never the largest.
    table: Vec<Block>,
    /// The largest value of each state.
    best: Vec<f32>,
    /// State of the last `act`.
    state: usize,
}

impl QLearning {
    /// A table for every observation of `interface`.
    pub fn new(interface: &Interface, parameters: Parameters, episodes: u32) -> Self {
        let size = |channel: &Channel| match channel {
            Channel::Discrete { size } => usize::from(*size),
            other => unreachable!("a table over the channel {other:?}"),
        };
        let sizes: Vec<usize> = interface.channels.iter().map(size).collect();
        let actions = usize::from(interface.actions);
        let blocks_per_state = actions.div_ceil(BLOCK);
        let states: usize = sizes.iter().product();
        Self {
            parameters,
            exploring_episodes: parameters.exploration * episodes as f32,
            explore: 0,
            sizes,
            actions,
            blocks_per_state,
            table: vec![[f32::NEG_INFINITY; BLOCK]; states * blocks_per_state],
            best: vec![0.0; states],
            state: 0,
        }
    }

    #[inline]
    fn index(&self, observation: &[i32]) -> usize {
        self.sizes.iter().zip(observation).fold(0, |index, (size, &word)| index * size + word as usize)
    }

    /// The values of a state's actions, padded to whole blocks.
    #[inline]
    fn values(&self, state: usize) -> &[Block] {
        &self.table[state * self.blocks_per_state..][..self.blocks_per_state]
    }

    #[inline]
    fn best_value(&self, state: usize) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; BLOCK];
        for block in self.values(state) {
            for (lane, &value) in lanes.iter_mut().zip(block) {
                *lane = if value > *lane { value } else { *lane };
            }
        }
        lanes.into_iter().fold(f32::NEG_INFINITY, |best, value| if value > best { value } else { best })
    }
}

/// The actions of a block whose value is at least `bound`, one bit each.
#[inline]
fn at_least(block: &Block, bound: f32) -> u8 {
    block.iter().enumerate().fold(0, |mask, (lane, &value)| mask | u8::from(value >= bound) << lane)
}

/// `NTH_BIT[mask][n]` is the position of the n-th set bit of `mask`.
static NTH_BIT: [[u8; BLOCK]; 256] = {
    let mut table = [[0; BLOCK]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < BLOCK {
            if mask >> bit & 1 == 1 {
                table[mask][n] = bit as u8;
                n += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};

impl Source for QLearning {
    fn begin_history(&mut self) {
        for state in self.table.chunks_exact_mut(self.blocks_per_state) {
            state.as_flattened_mut()[..self.actions].fill(self.parameters.initial_value);
        }
        self.best.fill(self.parameters.initial_value);
    }

    fn begin_episode(&mut self, episode: u32) {
        let epsilon = 1.0 - episode as f32 / self.exploring_episodes;
        self.explore = if epsilon > 0.0 { threshold(epsilon) } else { 0 };
    }

    #[inline]
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        self.state = self.index(observation);
        // One of the best actions, or, exploring, one of all: the same steps for both, since a branch on a
        // random number is mispredicted half the time.
        let explores = u64::from(rng.next_u32()) < self.explore;
        let bound = if explores { f32::MIN } else { self.best[self.state] };
        let blocks = self.values(self.state);
        let candidates: u32 = blocks.iter().map(|block| at_least(block, bound).count_ones()).sum();
        let mut nth = rng.below(candidates);
        let mut action = 0;
        for block in blocks {
            let mask = at_least(block, bound);
            let here = mask.count_ones();
            if nth < here {
                return action + usize::from(NTH_BIT[usize::from(mask)][nth as usize]);
            }
            nth -= here;
            action += BLOCK;
        }
        unreachable!("no value of a state reaches {bound}: {blocks:?}")
    }

    #[inline]
    fn learn(&mut self, outcome: &Outcome) {
        let next = self.best[self.index(outcome.next_observation)];
        let value = &mut self.table[self.state * self.blocks_per_state..].as_flattened_mut()[outcome.action];
        *value += self.parameters.learning_rate * (outcome.reward + self.parameters.discount * next - *value);
        self.best[self.state] = self.best_value(self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_evenly_over_all_actions_and_blocks() {
        let interface = Interface::discrete(&[3, 4], 11, &[0.0, 1.0]).unwrap();
        let mut source =
            QLearning::new(&interface, Parameters { exploration: 0.0, ..Parameters::default() }, 1);
        source.begin_history();
        source.begin_episode(0);
        let mut rng = PortableRng::new(5, 0);
        let mut counts = [0; 11];
        for _ in 0..11_000 {
            counts[source.act(&[2, 3], &mut rng)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        source.learn(&Outcome { action: 9, reward: 1.0, next_observation: &[0, 0], done: false });
        assert!((0..100).all(|_| source.act(&[2, 3], &mut rng) == 9));
    }

    #[test]
    fn an_update_is_that_of_the_equation() {
        let interface = Interface::discrete(&[2], 2, &[0.0, 1.0]).unwrap();
        let parameters =
            Parameters { learning_rate: 0.5, discount: 0.9, exploration: 1.0, initial_value: 2.0 };
        let mut source = QLearning::new(&interface, parameters, 1);
        source.begin_history();
        source.act(&[1], &mut PortableRng::new(0, 0));
        source.learn(&Outcome { action: 1, reward: 1.0, next_observation: &[0], done: true });
        assert_eq!(source.values(1)[0][..2], [2.0, 2.0 + 0.5 * (1.0 + 0.9 * 2.0 - 2.0)]);
    }
}
