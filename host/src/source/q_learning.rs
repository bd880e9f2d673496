//! Tabular Q-learning (Watkins and Dayan 1992).

use super::states::States;
use super::{check_fraction, pair_inlined, threshold, Algorithm, Learning, Outcome, Schedule, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::{Interface, PortableRng};
use serde::{Deserialize, Serialize};

/// Most actions of a state: as many as a mask of candidates has bits.
pub const MAX_ACTIONS: usize = 8;

/// Parameters of [`QTable`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QLearning {
    /// Step size, in (0, 1].
    pub learning_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Fraction of the episodes over which epsilon falls linearly from 1 to 0; 0 is always greedy.
    pub exploration: f32,
    /// Value of every action before the first update: above what can be earned, it is optimistic
    /// exploration.
    pub initial_value: f32,
}

/// Most states of a table.
const MAX_STATES: usize = 1 << 22;

impl Algorithm for QLearning {
    const NAME: &'static str = "q-learning";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        let positive = self.learning_rate > 0.0 && self.learning_rate <= 1.0;
        ParameterError::unless(positive, "learning_rate", "a number above 0, at most 1")?;
        check_fraction(self.discount, "discount")?;
        check_fraction(self.exploration, "exploration")?;
        ParameterError::unless(self.initial_value.is_finite(), "initial_value", "a finite number")
    }

    /// Where what is observed is a state, of which a table has a row.
    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment
            .interface()
            .is_ok_and(|interface| !interface.channels.is_empty() && QTable::states(&interface).is_some())
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        match usual.episodes {
            1 => usual,
            _ => Schedule {
                histories_per_task: usual.histories_per_task.min(40),
                episodes: 200,
                keep_every: 5,
            },
        }
    }

    fn learns_many_tasks(&self) -> bool {
        true
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match QTable::new(&environment.interface()?, *self, episodes) {
            Some(table) => pair_inlined(environment, task, table),
            None => Err(super::wrong_environment(Self::NAME, environment)),
        }
    }
}

impl Default for QLearning {
    fn default() -> Self {
        Self { learning_rate: 0.5, discount: 0.9, exploration: 0.9, initial_value: 0.0 }
    }
}

/// `Q(s, a) += learning_rate (r + discount max Q(s', .) - Q(s, a))` with an epsilon-greedy policy
/// whose epsilon falls linearly, episode by episode, and random tie-breaks: with ties broken
/// towards action 0 it would never explore.
///
/// The state is the mixed-radix number of the discrete observation channels. An episode that ends
/// at its horizon ended by the clock, which the observation does not show, so the value of the next
/// state counts there as anywhere.
#[derive(Clone, Debug)]
pub struct QTable {
    parameters: QLearning,
    /// Episodes until epsilon is 0.
    exploring_episodes: f32,
    /// Epsilon of this episode, as [`threshold`].
    explore: u64,
    /// The state of each observation.
    numbers: States,
    /// A state of which nothing is known.
    unknown: State,
    states: Vec<State>,
    /// State of the last `act`.
    state: usize,
}

/// What is known of one state.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Q(s, .); what pads them is minus infinity, which is never the largest.
    values: [f32; MAX_ACTIONS],
    /// The largest of them.
    best: f32,
    /// The actions whose value it is, one bit each.
    candidates: u8,
}

impl State {
    /// Of `actions` actions, all of value `value`.
    fn new(actions: usize, value: f32) -> Self {
        let mut values = [f32::NEG_INFINITY; MAX_ACTIONS];
        values[..actions].fill(value);
        Self { values, best: value, candidates: u8::MAX >> (MAX_ACTIONS - actions) }
    }

    /// Replaces the value of `action`. Nearly every update leaves another action as good, so the
    /// row is seldom gone through.
    #[inline]
    fn set(&mut self, action: usize, value: f32) {
        let bit = 1_u8 << action;
        self.values[action] = value;
        let others = self.candidates & !bit;
        let kept = if value >= self.best { others | bit } else { others };
        self.candidates = if value > self.best { bit } else { kept };
        self.best = if value > self.best { value } else { self.best };
        if self.candidates == 0 {
            self.find_best();
        }
    }

    #[cold]
    fn find_best(&mut self) {
        self.best = self.values.into_iter().fold(f32::NEG_INFINITY, f32::max);
        self.candidates =
            (0..).zip(self.values).fold(0, |mask, (lane, value)| mask | u8::from(value == self.best) << lane);
    }
}

/// The set bits of a mask.
#[derive(Clone, Copy)]
struct Bits {
    /// Their positions, four bits each.
    positions: u32,
    count: u32,
}

/// The set bits of every mask: one load, where counting and finding bits takes a dozen instructions
/// on the oldest x86-64.
static BITS: [Bits; 256] = {
    let mut table = [Bits { positions: 0, count: 0 }; 256];
    let mut mask = 0;
    while mask < 256 {
        let mut bit = 0;
        while bit < MAX_ACTIONS {
            if mask >> bit & 1 == 1 {
                table[mask].positions |= (bit as u32) << (4 * table[mask].count);
                table[mask].count += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};

impl QTable {
    /// A table for every observation of `interface`; `None` where there are more than
    /// [`MAX_ACTIONS`] actions or too many observations.
    pub fn new(interface: &Interface, parameters: QLearning, episodes: u32) -> Option<Self> {
        let states = Self::states(interface)?;
        let actions = usize::from(interface.actions);
        Some(Self {
            parameters,
            exploring_episodes: parameters.exploration * episodes as f32,
            explore: 0,
            numbers: states,
            unknown: State::new(actions, parameters.initial_value),
            states: vec![State::new(actions, parameters.initial_value); states.count],
            state: 0,
        })
    }

    /// The states of a table; `None` where a table would not hold them or their actions.
    fn states(interface: &Interface) -> Option<States> {
        let fit = usize::from(interface.actions) <= MAX_ACTIONS;
        States::of(interface, MAX_STATES).filter(|_| fit)
    }
}

impl Source for QTable {
    fn begin_history(&mut self) {
        self.states.fill(self.unknown);
    }

    fn begin_episode(&mut self, episode: u32) {
        let epsilon = 1.0 - episode as f32 / self.exploring_episodes;
        self.explore = if epsilon > 0.0 { threshold(epsilon) } else { 0 };
    }

    #[inline]
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        self.state = self.numbers.number(observation);
        // One of the best actions, or, exploring, one of all: the same steps for both, since a branch on a
        // random number is mispredicted half the time. Where it explores the difference is negative: above,
        // all ones.
        let explores = u64::from(rng.next_u32()).wrapping_sub(self.explore) >> 32;
        let candidates = self.states[self.state].candidates | explores as u8 & self.unknown.candidates;
        let bits = &BITS[usize::from(candidates)];
        (bits.positions >> (4 * rng.below(bits.count)) & 7) as usize
    }

    #[inline]
    fn learn(&mut self, outcome: &Outcome) {
        let QLearning { learning_rate, discount, .. } = self.parameters;
        let next = self.states[self.numbers.number(outcome.next_observation)].best;
        let state = &mut self.states[self.state];
        let value = state.values[outcome.action];
        state.set(outcome.action, value + learning_rate * (outcome.reward + discount * next - value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(actions: u16, parameters: QLearning) -> QTable {
        let interface = Interface::discrete(&[3, 4], actions, &[0.0, 1.0]).unwrap();
        let mut source = QTable::new(&interface, parameters, 1).unwrap();
        source.begin_history();
        source.begin_episode(0);
        source
    }

    #[test]
    fn ties_are_broken_evenly() {
        let mut source = source(7, QLearning { exploration: 0.0, ..QLearning::default() });
        let mut rng = PortableRng::new(5, 0);
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[source.act(&[2, 3], &mut rng)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        source.learn(&Outcome { action: 6, reward: 1.0, next_observation: &[0, 0], done: false });
        assert!((0..100).all(|_| source.act(&[2, 3], &mut rng) == 6));
    }

    #[test]
    fn an_update_is_that_of_the_equation() {
        let parameters =
            QLearning { learning_rate: 0.5, discount: 0.9, exploration: 1.0, initial_value: 2.0 };
        let mut source = source(2, parameters);
        source.act(&[1, 0], &mut PortableRng::new(0, 0));
        source.learn(&Outcome { action: 1, reward: 1.0, next_observation: &[0, 3], done: true });
        assert_eq!(source.states[4].values[..2], [2.0, 2.0 + 0.5 * (1.0 + 0.9 * 2.0 - 2.0)]);
    }

    #[test]
    fn the_candidates_are_the_actions_of_largest_value() {
        let mut rng = PortableRng::new(0, 0);
        let mut state = State::new(5, 0.0);
        for _ in 0..10_000 {
            state.set(rng.below(5) as usize, rng.below(4) as f32 - 2.0);
            let best = state.values.into_iter().fold(f32::MIN, f32::max);
            let is_candidate = |action: usize| state.candidates >> action & 1 == 1;
            assert_eq!(state.best, best);
            assert!((0..MAX_ACTIONS).all(|action| is_candidate(action) == (state.values[action] == best)));
        }
    }

    #[test]
    fn more_actions_than_the_table_has_are_refused() {
        let interface = Interface::discrete(&[3], 9, &[0.0]).unwrap();
        assert!(QTable::new(&interface, QLearning::default(), 1).is_none());
    }
}
