//! From learning histories to batches of tokens.
//!
//! Batches are stratified: sequence `i` of a batch of `B` is drawn from the `i`-th of `B` equal parts of the histories, in their order, so
//! that every batch covers all tasks evenly and a rank needs the histories of its own sequences only. Each sequence has a random stream
//! of its own.
//!
//! A training sequence begins at the first step of an episode and never leaves its history. Its first token's previous action and feedback
//! are those of the step before it in the history; where the history begins, the rows "no action yet" and "no feedback
//! yet", as on a device that was just switched on. With expert distillation the steps that are left form a history of their own.

use super::{stream, Purpose, TrainConfig};
use crate::history::{Histories, Slots};
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
    /// Number of the first sequence in the whole batch, of which this may be a part.
    pub first_sequence: usize,
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

/// One history, or what expert distillation leaves of it; no step where another rank holds the history.
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
        let mut windows = Self::find(histories, config)?;
        windows.sources.retain(|source| !source.steps.is_empty());
        if windows.sources.is_empty() {
            return Err(Error::argument("histories", "hold no step to train on"));
        }
        Ok(windows)
    }

    /// The same for a rank that needs `slots` only: of the histories of other sequences it may know no more than that they are there.
    ///
    /// # Errors
    /// As [`Windows::new`]; [`Error::Argument`] for a history without steps that is needed.
    pub fn of_slots(histories: &'a Histories, config: &TrainConfig, slots: &Slots) -> Result<Self> {
        let windows = Self::find(histories, config)?;
        let needed = slots.histories(windows.sources.len());
        match needed.into_iter().find(|&source| windows.sources[source].steps.is_empty()) {
            Some(empty) => {
                let problem = format!("history {} has no step on this rank", histories.index[empty].id);
                Err(Error::argument("histories", problem))
            }
            None => Ok(windows),
        }
    }

    /// One source a history.
    fn find(histories: &'a Histories, config: &TrainConfig) -> Result<Self> {
        check(histories)?;
        let dones = &histories.steps.dones;
        let mut sources = Vec::with_capacity(histories.index.len());
        let mut starts = Vec::new();
        for history in &histories.index {
            if history.steps.is_empty() {
                sources.push(Source { steps: history.steps.clone(), starts: 0..0 });
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
        self.part(purpose, update, &Slots::all(sequences))
    }

    /// Some of the sequences of [`Windows::batch`].
    pub fn part(&self, purpose: Purpose, update: u64, slots: &Slots) -> Batch {
        let interface = &self.histories.interface;
        let mut tokens = Tokens::new(interface);
        let mut batch = Batch {
            rows: Vec::new(),
            targets: Vec::new(),
            sequences: Vec::with_capacity(slots.range.len()),
            first_sequence: slots.range.start,
        };
        let mut observation = vec![0; interface.observation_len()];
        for slot in slots.range.clone() {
            let mut rng = PortableRng::new(self.seed, stream(purpose, update << SLOT_BITS | slot as u64));
            let source = &self.sources[stratified(slot, slots.batch, self.sources.len(), rng.next_u32())];
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

/// Bits of a sequence's number in that of its random stream: [`TrainConfig::validate`] allows 2^16 sequences.
const SLOT_BITS: u32 = 16;

/// A source of the part that belongs to sequence `slot` of `batch`, from 32 random bits. All sequences together draw every source with
/// the same probability, also where their number does not divide that of the sources.
fn stratified(slot: usize, batch: usize, sources: usize, random: u32) -> usize {
    let place = (slot as u128) << 32 | u128::from(random);
    (place * sources as u128 / ((batch as u128) << 32)) as usize
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_drawn_from_its_own_part_of_the_histories() {
        let mut rng = PortableRng::new(4, 4);
        for (batch, sources) in [(8, 100), (7, 30), (5, 3), (3, 1), (16, 16)] {
            let mut drawn = vec![0; sources];
            let rounds = 2_000;
            for _ in 0..rounds {
                for slot in 0..batch {
                    let source = stratified(slot, batch, sources, rng.next_u32());
                    let part = Slots { range: slot..slot + 1, batch }.histories(sources);
                    assert!(part.contains(&source), "{source} is not in {part:?}");
                    drawn[source] += 1;
                }
            }
            let expected = f64::from(rounds) * batch as f64 / sources as f64;
            let deviation = |count: &i32| (f64::from(*count) - expected).abs();
            assert!(drawn.iter().all(|count| deviation(count) < 6.0 * expected.sqrt()), "{drawn:?}");
        }
        assert_eq!(stratified(7, 8, 100, u32::MAX), 99);
    }
}
