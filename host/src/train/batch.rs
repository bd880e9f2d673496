//! From learning histories to batches of tokens.
//!
//! A training sequence begins at the first step of an episode and never leaves its history. Its first token's previous action and feedback
//! are those of the step before it in the history; where the history begins, the rows "no action yet" and "no feedback
//! yet", as on a device that was just switched on. With expert distillation the steps that are left form a history of their own.

use super::{stream, Purpose, TrainConfig};
use crate::history::Histories;
use crate::{Error, Result};
use algodistill_core::{Channel, Interface, PortableRng};
use std::ops::Range;

/// A stream of tokens: for each, the rows of the embedding tables that it adds up.
///
/// Rows count through all tables in the order of [`crate::model::layout`]: the observation channels, the previous action, the previous
/// feedback.
#[derive(Clone, Debug)]
pub struct Tokens {
    tables: Tables,
    rows: Vec<u32>,
}

impl Tokens {
    /// An empty stream.
    pub fn new(interface: &Interface) -> Self {
        Self { tables: Tables::new(interface), rows: Vec::new() }
    }

    /// Adds the token of a step: what is observed, and the action, reward and done flag of the step before, if there is
    /// one. Values outside the interface's ranges are brought to the nearest one inside.
    pub fn push(&mut self, interface: &Interface, observation: &[i32], previous: Option<(u16, f32, bool)>) {
        let tables = &self.tables;
        for (index, &first) in tables.observations.iter().enumerate() {
            let Channel::Discrete { size } = interface.channels[index] else { continue };
            let word = observation.get(index).copied().unwrap_or(0);
            self.rows.push(first + word.clamp(0, i32::from(size) - 1) as u32);
        }
        let (action, feedback) = match previous {
            None => (interface.actions, interface.feedback_rows() - 1),
            Some((action, reward, done)) => {
                (action.min(interface.actions - 1), 2 * interface.reward_level(reward) + usize::from(done))
            }
        };
        self.rows.push(tables.action + u32::from(action));
        self.rows.push(tables.feedback + feedback as u32);
    }

    /// Rows of the embedding tables, `[tokens, channels + 2]`.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.rows.len() / (self.tables.observations.len() + 2)
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// First row of each embedding table.
#[derive(Clone, Debug)]
struct Tables {
    observations: Vec<u32>,
    action: u32,
    feedback: u32,
}

impl Tables {
    fn new(interface: &Interface) -> Self {
        let mut next = 0;
        let mut take = |rows: usize| {
            let first = next;
            next += rows as u32;
            first
        };
        let observations = interface
            .channels
            .iter()
            .map(|channel| match channel {
                Channel::Discrete { size } => take(usize::from(*size)),
                other => unreachable!("the interface was built with an unknown channel {other:?}"),
            })
            .collect();
        let action = take(interface.action_rows());
        Self { observations, action, feedback: take(interface.feedback_rows()) }
    }
}

/// Sequences that are trained on together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Rows of the embedding tables, `[tokens, channels + 2]`, sequence after sequence.
    pub rows: Vec<u32>,
    /// The action that the source took at each token.
    pub targets: Vec<u16>,
    /// Tokens of each sequence. Shorter histories give shorter sequences: nothing is padded.
    pub sequences: Vec<Range<usize>>,
}

/// The training sequences of a set of histories.
pub struct Windows<'a> {
    histories: &'a Histories,
    sources: Vec<Source>,
    /// First steps of the sequences that may be drawn, history after history.
    starts: Vec<usize>,
    length: usize,
    history_start_fraction: f32,
    seed: u64,
}

/// One history, or what expert distillation leaves of it.
struct Source {
    steps: Range<usize>,
    /// Its part of [`Windows::starts`].
    starts: Range<usize>,
}

impl<'a> Windows<'a> {
    /// Finds the sequences of `histories`.
    ///
    /// A sequence may begin at any episode that leaves a full sequence, and at the first one that does not, so that
    /// the history's last steps are trained on as well.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no step, the columns do not fit together, or a value is outside the interface's range.
    pub fn new(histories: &'a Histories, config: &TrainConfig) -> Result<Self> {
        check(histories)?;
        let dones = &histories.steps.dones;
        let mut sources = Vec::with_capacity(histories.index.len());
        let mut starts = Vec::new();
        for history in &histories.index {
            if history.steps.is_empty() {
                continue;
            }
            let all: Vec<usize> = history
                .steps
                .clone()
                .filter(|&step| step == history.steps.start || dones[step - 1])
                .collect();
            let kept = match config.expert_fraction {
                Some(fraction) => {
                    ((all.len() as f64 * f64::from(fraction)).ceil() as usize).clamp(1, all.len())
                }
                None => all.len(),
            };
            let episodes = &all[all.len() - kept..];
            let end = history.steps.end;
            let full = episodes.iter().take_while(|&&start| start + config.sequence_length < end).count();
            let first = starts.len();
            starts.extend_from_slice(&episodes[..(full + 1).min(episodes.len())]);
            sources.push(Source { steps: episodes[0]..end, starts: first..starts.len() });
        }
        if sources.is_empty() {
            return Err(Error::argument("histories", "hold no step to train on"));
        }
        Ok(Self {
            histories,
            sources,
            starts,
            length: config.sequence_length,
            history_start_fraction: config.history_start_fraction,
            seed: config.seed,
        })
    }

    /// The batch of an update: depends on the seed and `update` only.
    pub fn batch(&self, purpose: Purpose, update: u64, sequences: usize) -> Batch {
        let mut rng = PortableRng::new(self.seed, stream(purpose, update));
        let interface = &self.histories.interface;
        let mut tokens = Tokens::new(interface);
        let mut batch =
            Batch { rows: Vec::new(), targets: Vec::new(), sequences: Vec::with_capacity(sequences) };
        let mut observation = vec![0; interface.observation_len()];
        for _ in 0..sequences {
            let source = &self.sources[rng.below(self.sources.len() as u32) as usize];
            let start = if rng.uniform() < self.history_start_fraction {
                source.steps.start
            } else {
                self.starts[source.starts.start + rng.below(source.starts.len() as u32) as usize]
            };
            let steps = start..(start + self.length).min(source.steps.end);
            let first = batch.targets.len();
            for step in steps {
                let columns = &self.histories.steps;
                for (word, column) in observation.iter_mut().zip(&columns.observations) {
                    *word = column[step];
                }
                let previous = (step > source.steps.start)
                    .then(|| (columns.actions[step - 1], columns.rewards[step - 1], columns.dones[step - 1]));
                tokens.push(interface, &observation, previous);
                batch.targets.push(columns.actions[step]);
            }
            batch.sequences.push(first..batch.targets.len());
        }
        batch.rows = tokens.rows;
        batch
    }
}

/// Checks what the engine relies on: columns of one length, histories inside them, values inside the interface's ranges.
fn check(histories: &Histories) -> Result<()> {
    let Histories { interface, index, steps } = histories;
    let wrong = |problem: String| Err(Error::argument("histories", problem));
    if !interface.is_valid() {
        return wrong("the interface is not valid".into());
    }
    let count = steps.actions.len();
    let same = steps.rewards.len() == count
        && steps.dones.len() == count
        && steps.observations.len() == interface.observation_len()
        && steps.observations.iter().all(|column| column.len() == count);
    if !same {
        return wrong(format!("the columns differ in length or number from {count} steps of the interface"));
    }
    if let Some(history) = index.iter().find(|history| history.steps.end > count) {
        return wrong(format!("history {} ends at step {} of {count}", history.id, history.steps.end));
    }
    if let Some(step) = steps.actions.iter().position(|&action| action >= interface.actions) {
        let (action, actions) = (steps.actions[step], interface.actions);
        return wrong(format!("the action of step {step} is {action}, must be below {actions}"));
    }
    for (number, (channel, column)) in interface.channels.iter().zip(&steps.observations).enumerate() {
        let Channel::Discrete { size } = *channel else { continue };
        if let Some(step) = column.iter().position(|word| !(0..i32::from(size)).contains(word)) {
            let found = column[step];
            return wrong(format!(
                "channel {number} of step {step} is {found}, must be 0 or more and below {size}"
            ));
        }
    }
    Ok(())
}
