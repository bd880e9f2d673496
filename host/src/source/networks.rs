//! What the sources with a network have in common.

use super::Outcome;
use crate::environment::EnvironmentConfig;
use crate::nn::kernels::elementwise::exponential;
use crate::nn::replay::Replay;
use algodistill_core::env::dark_room::{DarkRoom, GoalReward};
use algodistill_core::env::ParameterError;
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Channel, Interface, PortableRng};
use serde::{Deserialize, Serialize};

/// Whether a source sees if its episode has paid yet, which the observation does not show: in
/// Key-to-Door, whether it has the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paid {
    /// Everywhere but where it does not matter: not in a room that pays at every step.
    #[default]
    Auto,
    /// It sees it.
    Seen,
    /// It does not.
    Unseen,
}

/// Most inputs of a network.
pub(crate) const MAX_INPUTS: usize = 1 << 12;

/// The inputs that are 1, one for each channel; the others are 0.
pub(crate) type Active = [u16; MAX_CHANNELS];

/// How observations become inputs of a network.
pub(crate) trait Sight {
    /// An observation as it is remembered.
    type State: Copy + Default;

    /// Forgets what was seen.
    fn begin_history(&mut self) {}

    /// Takes note of an observation.
    fn see(&mut self, observation: &[i32], has_paid: bool) -> Self::State;
}

/// Indices as inputs of a network: one for each value of each channel, and another set of
/// them once the episode has paid. (A single input for that sticks more often.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs {
    /// The first input of each channel.
    offsets: Active,
    channels: usize,
    /// What is added once the episode has paid.
    paid: u16,
    /// How many inputs there are.
    pub count: usize,
}

impl Inputs {
    /// Those of an environment; `None` where there are too many, something else than an index is
    /// observed, or nothing.
    pub fn of(environment: &EnvironmentConfig, paid: Paid) -> Option<Self> {
        let interface: Interface = environment.interface().ok()?;
        let mut offsets = [0; MAX_CHANNELS];
        let mut count = 0_usize;
        for (offset, channel) in offsets.iter_mut().zip(&interface.channels) {
            *offset = u16::try_from(count).ok()?;
            let Channel::Discrete { size } = channel else { return None };
            count += usize::from(*size);
        }
        let pays_on =
            environment.family::<DarkRoom>().is_some_and(|room| room.reward == GoalReward::EveryStep);
        let seen = match paid {
            Paid::Auto => !pays_on,
            Paid::Seen => true,
            Paid::Unseen => false,
        };
        let (paid, all) = if seen { (count as u16, 2 * count) } else { (0, count) };
        let channels = interface.channels.len();
        (1..=MAX_INPUTS).contains(&all).then_some(Self { offsets, channels, paid, count: all })
    }

    /// The active inputs; the first [`Inputs::channels`] of them count.
    #[inline]
    pub fn active(&self, observation: &[i32], has_paid: bool) -> Active {
        let mut active = self.offsets;
        for (input, &word) in active.iter_mut().zip(observation) {
            *input += word as u16;
        }
        if has_paid {
            active.iter_mut().for_each(|input| *input += self.paid);
        }
        active
    }

    /// Active inputs of each observation.
    #[inline]
    pub fn channels(&self) -> usize {
        self.channels
    }
}

impl Sight for Inputs {
    type State = Active;

    #[inline(always)]
    fn see(&mut self, observation: &[i32], has_paid: bool) -> Active {
        self.active(observation, has_paid)
    }
}

/// A step as it is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<S = Active> {
    pub state: S,
    pub action: u16,
    pub reward: f32,
    /// Where it led.
    pub next: S,
    /// Whether the episode ended with it.
    pub done: bool,
    /// Whether nothing came after it.
    pub terminal: bool,
}

/// What an agent knows of its episode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Episode {
    /// Whether it has paid yet.
    pub(crate) has_paid: bool,
    /// Steps so far.
    pub(crate) time: u32,
}

impl Episode {
    /// Takes note of a step; whether nothing comes after it, of `horizon` steps. An episode that
    /// ends before its horizon has no value beyond; the clock, which the observation does not show,
    /// ends nothing.
    pub(crate) fn add(&mut self, outcome: &Outcome, horizon: u32) -> bool {
        self.has_paid |= outcome.reward > 0.0;
        self.time += 1;
        outcome.done && self.time < horizon
    }
}

/// What an agent that replays its steps knows: where it is, and all that happened.
#[derive(Clone, Debug)]
pub(crate) struct Experience<I: Sight = Inputs> {
    pub inputs: I,
    horizon: u32,
    pub memory: Replay<Step<I::State>>,
    /// Where the last action was taken.
    pub state: I::State,
    pub episode: Episode,
    /// Steps of this history.
    pub steps: u64,
}

impl<I: Sight> Experience<I> {
    /// An empty one, for histories of `episodes` episodes of `environment`, of which at most `most`
    /// steps are remembered. `None` where `inputs`, given their number, is.
    pub fn new(
        environment: &EnvironmentConfig,
        episodes: u32,
        most: u32,
        inputs: impl FnOnce(usize) -> Option<I>,
    ) -> Option<Self> {
        let horizon = environment.horizon().unwrap_or(0);
        let steps = u64::from(episodes) * u64::from(horizon);
        let remembered = steps.min(most.into()) as usize;
        Some(Self {
            inputs: inputs(remembered)?,
            horizon,
            memory: Replay::new(remembered),
            state: I::State::default(),
            episode: Episode::default(),
            steps: 0,
        })
    }

    /// Forgets everything.
    pub fn begin_history(&mut self) {
        self.inputs.begin_history();
        self.memory.clear();
        self.steps = 0;
    }

    /// Takes note of what is observed before an action.
    pub fn observe(&mut self, observation: &[i32]) {
        self.state = self.inputs.see(observation, self.episode.has_paid);
    }

    /// Whether the networks are to be updated before the next action: every so many steps, after a
    /// warm-up.
    pub fn update_is_due(&self, warm_up: u32, update_every: u32) -> bool {
        self.steps >= warm_up.into() && self.steps.is_multiple_of(update_every.into())
    }

    /// Remembers what followed the action.
    pub fn add(&mut self, outcome: &Outcome) {
        let terminal = self.episode.add(outcome, self.horizon);
        self.steps += 1;
        self.memory.push(Step {
            state: self.state,
            action: outcome.action as u16,
            reward: outcome.reward,
            next: self.inputs.see(outcome.next_observation, self.episode.has_paid),
            done: outcome.done,
            terminal,
        });
    }
}

/// A few steps that follow each other in an episode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Several<S = Active> {
    pub first: Step<S>,
    pub last: Step<S>,
    /// Discounted sum of their rewards.
    pub reward: f32,
    /// What the value after the last of them is multiplied with.
    pub discount: f32,
}

impl<S: Copy> Several<S> {
    /// Step number `number` of `memory` and those after it, `count` at most.
    #[inline(always)]
    pub fn from(memory: &Replay<Step<S>>, number: usize, count: u32, discount: f32) -> Option<Self> {
        let mut steps = memory.from(number).take(count as usize);
        let first = *steps.next()?;
        let mut several = Self { first, last: first, reward: first.reward, discount };
        while !several.last.done {
            let Some(step) = steps.next() else { break };
            several.last = *step;
            several.reward += several.discount * step.reward;
            several.discount *= discount;
        }
        Some(several)
    }
}

/// Checks that a parameter is above 0, and at most 1.
pub(crate) fn check_rate(value: f32, field: &'static str) -> Result<(), ParameterError> {
    ParameterError::unless(value > 0.0 && value <= 1.0, field, "a number above 0, at most 1")
}

/// Checks that a parameter is a number, 0 or more.
pub(crate) fn check_positive(value: f32, field: &'static str) -> Result<(), ParameterError> {
    ParameterError::unless(value >= 0.0 && value.is_finite(), field, "a number, 0 or more")
}

/// Logits become logarithms of probabilities, and `probabilities` those.
#[inline(always)]
pub(crate) fn softmax(logits: &mut [f32], probabilities: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let mut sum = 0.0;
    for (logit, probability) in logits.iter_mut().zip(probabilities.iter_mut()) {
        *logit -= largest;
        *probability = exponential(*logit);
        sum += *probability;
    }
    // In double precision, so that the libraries of different machines agree on it.
    let log_sum = f64::from(sum).ln() as f32;
    for (logit, probability) in logits.iter_mut().zip(probabilities) {
        *logit -= log_sum;
        *probability /= sum;
    }
}

/// An action with its probability.
#[inline(always)]
pub(crate) fn draw(probabilities: &[f32], rng: &mut PortableRng) -> usize {
    let mut left = rng.uniform();
    for (action, probability) in probabilities.iter().enumerate() {
        left -= probability;
        if left < 0.0 {
            return action;
        }
    }
    // What rounding leaves.
    probabilities.len() - 1
}
