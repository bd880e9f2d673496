//! Optimistic Watkins Q(lambda) (Watkins 1989; Sutton and Barto 1998, section 7.6).

use super::states::BinnedStates;
use super::{check_fraction, pair, random_argmax, wrong_environment};
use super::{Algorithm, Learning, Outcome, Schedule, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`TracedTable`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QLambda {
    /// Step size, in (0, 1].
    pub learning_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Decay of the traces, in [0, 1]; 0 is Q-learning.
    pub lambda: f32,
    /// Value of every action before the first update. Above 0 it is the exploration: what was tried
    /// in vain falls below what was not tried.
    pub initial_value: f32,
    /// Probability that the last action is repeated where it is among the best, in [0, 1]: it
    /// explores along lines, which a student imitates better than a walk of single random
    /// steps.
    pub stickiness: f32,
    /// Most times that all remembered steps are gone through again, backwards, at the end of an
    /// episode (Lin 1992, experience replay); 0 is none.
    pub replay: u32,
}

impl Default for QLambda {
    fn default() -> Self {
        Self {
            learning_rate: 0.9,
            discount: 0.9,
            lambda: 0.85,
            initial_value: 0.2,
            stickiness: 0.0,
            replay: 0,
        }
    }
}

impl Algorithm for QLambda {
    const NAME: &'static str = "q-lambda";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        let positive = self.learning_rate > 0.0 && self.learning_rate <= 1.0;
        ParameterError::unless(positive, "learning_rate", "a number above 0, at most 1")?;
        check_fraction(self.discount, "discount")?;
        check_fraction(self.lambda, "lambda")?;
        check_fraction(self.stickiness, "stickiness")?;
        ParameterError::unless(self.replay <= 1_000, "replay", "at most 1,000")?;
        ParameterError::unless(self.initial_value.is_finite(), "initial_value", "a finite number")
    }

    /// Where what is observed is a state, of which a table has a row.
    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        TracedTable::states(environment).is_some()
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        Schedule { episodes: 60, keep_every: 2, ..usual }
    }

    fn learns_many_tasks(&self) -> bool {
        true
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match TracedTable::new(environment, *self) {
            Some(table) => pair(environment, task, table),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// Most values of a table.
const MAX_VALUES: usize = 1 << 22;

/// A replay that changes no value by more has nothing more to say.
const SMALLEST_CHANGE: f32 = 1e-6;

/// Traces smaller than this are dropped.
const SMALLEST_TRACE: f32 = 1e-3;

/// `Q(s, a) += learning_rate e(s, a) (r + discount max Q(s', .) - Q(s_t, a_t))` for all pairs of
/// this episode, with traces `e` that are 1 at the last step and fall by `discount * lambda` a
/// step. The policy is greedy, ties at random, so no trace is ever cut, and what explores is the
/// optimism of the first values.
///
/// The state is the number of the observation, numbers being in bins, and whether this episode has paid yet: in
/// Key-to-Door, whether the agent has the key, which the observation does not show. An episode that
/// ends before its horizon has no value beyond; the clock, which the observation does not show,
/// ends nothing.
#[derive(Clone, Debug)]
pub struct TracedTable {
    parameters: QLambda,
    horizon: u32,
    actions: usize,
    /// The number of each observation.
    numbers: BinnedStates,
    /// Q, `actions` values a state.
    values: Vec<f32>,
    /// Index into `values` and trace of what was done in this episode.
    traces: Vec<(usize, f32)>,
    /// The last step from each pair of state and action, the latest last; empty without replay.
    memory: Vec<Remembered>,
    /// First index of the state of the last `act`.
    state: usize,
    last_action: Option<usize>,
    has_paid: bool,
    time: u32,
}

/// What followed an action.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    /// Index into the values.
    pair: usize,
    reward: f32,
    /// First index of the state after it; `None` where nothing came after.
    next: Option<usize>,
}

impl TracedTable {
    /// A table for every observation of `environment`; `None` where there are too many, or pictures,
    /// or numbers without bins ([`crate::environment::Simulation::bins`]).
    pub fn new(environment: &EnvironmentConfig, parameters: QLambda) -> Option<Self> {
        let numbers = Self::states(environment)?;
        let actions = usize::from(environment.interface().ok()?.actions);
        let values = vec![parameters.initial_value; 2 * actions * numbers.count];
        Some(Self {
            parameters,
            horizon: environment.horizon().unwrap_or(0),
            actions,
            numbers,
            values,
            traces: Vec::new(),
            memory: Vec::new(),
            state: 0,
            last_action: None,
            has_paid: false,
            time: 0,
        })
    }

    /// Where the values of each observation begin, in units of those of two states; `None` where
    /// there are too many.
    fn states(environment: &EnvironmentConfig) -> Option<BinnedStates> {
        let actions = usize::from(environment.interface().ok()?.actions);
        BinnedStates::of(environment, MAX_VALUES / (2 * actions))
    }

    fn index(&self, observation: &[i32]) -> usize {
        (2 * self.numbers.number(observation) + usize::from(self.has_paid)) * self.actions
    }

    fn state_values(&self, state: usize) -> &[f32] {
        &self.values[state..state + self.actions]
    }

    /// The largest value of a state; 0 where there is none.
    fn best(&self, state: Option<usize>) -> f32 {
        state.map_or(0.0, |state| self.state_values(state).iter().copied().fold(f32::NEG_INFINITY, f32::max))
    }

    fn remember(&mut self, step: Remembered) {
        if self.parameters.replay > 0 {
            self.memory.retain(|known| known.pair != step.pair);
            self.memory.push(step);
        }
    }

    /// Goes through the memory, the latest step first, until nothing changes.
    fn replay(&mut self) {
        let QLambda { learning_rate, discount, replay, .. } = self.parameters;
        for _ in 0..replay {
            let mut largest = 0.0_f32;
            for index in (0..self.memory.len()).rev() {
                let Remembered { pair, reward, next } = self.memory[index];
                let change = learning_rate * (reward + discount * self.best(next) - self.values[pair]);
                self.values[pair] += change;
                largest = largest.max(change.abs());
            }
            if largest < SMALLEST_CHANGE {
                return;
            }
        }
    }
}

impl Source for TracedTable {
    fn begin_history(&mut self) {
        self.values.fill(self.parameters.initial_value);
        self.memory.clear();
    }

    fn begin_episode(&mut self, _episode: u32) {
        self.traces.clear();
        self.last_action = None;
        self.has_paid = false;
        self.time = 0;
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        self.state = self.index(observation);
        let values = self.state_values(self.state);
        let mut action = random_argmax(values.iter().map(|&value| value.into()), rng);
        if let Some(last) = self.last_action.filter(|_| self.parameters.stickiness > 0.0) {
            if values[last] == values[action] && rng.uniform() < self.parameters.stickiness {
                action = last;
            }
        }
        self.last_action = Some(action);
        action
    }

    fn learn(&mut self, outcome: &Outcome) {
        let QLambda { learning_rate, discount, lambda, .. } = self.parameters;
        let pair = self.state + outcome.action;
        self.has_paid |= outcome.reward > 0.0;
        self.time += 1;
        let ends = outcome.done && self.time < self.horizon;
        let next = (!ends).then(|| self.index(outcome.next_observation));
        let error = outcome.reward + discount * self.best(next) - self.values[pair];
        // A pair met again replaces its trace.
        self.traces.retain(|(index, trace)| *index != pair && *trace > SMALLEST_TRACE);
        self.traces.push((pair, 1.0));
        for (index, trace) in &mut self.traces {
            self.values[*index] += learning_rate * *trace * error;
            *trace *= discount * lambda;
        }
        self.remember(Remembered { pair, reward: outcome.reward, next });
        if outcome.done {
            self.replay();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;
    use algodistill_core::env::key_to_door::KeyToDoor;

    #[test]
    fn key_to_door_is_learned_in_fifty_episodes() {
        let returns = mean_returns(KeyToDoor::DARK, QLambda::default(), 3_000..3_500, 60);
        for (episode, least, most) in [(1, 0.2, 0.45), (20, 1.4, 1.9), (30, 1.8, 2.0), (60, 1.98, 2.001)] {
            let found = returns[episode - 1];
            assert!((least..=most).contains(&found), "episode {episode}: {found}");
        }
    }

    #[test]
    fn replay_and_lines_learn_it_in_half_the_episodes() {
        let source = QLambda { initial_value: 0.02, stickiness: 0.9, replay: 1, ..QLambda::default() };
        let returns = mean_returns(KeyToDoor::DARK, source, 3_000..3_500, 30);
        assert!(returns[9] > 1.6 && returns[24] > 1.95, "{returns:?}");
    }
}
