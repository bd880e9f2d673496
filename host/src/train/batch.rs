//! From learning histories to batches of tokens.
//!
//! Batches are stratified: sequence `i` of a batch of `B` is drawn from the `i`-th of `B` equal
//! parts of the histories, in their order, so that every batch covers all tasks evenly and a rank
//! needs the histories of its own sequences only. Each sequence has a random stream of its own.
//!
//! A training sequence begins at the first step of an episode and never leaves its history. Its
//! first token's previous action and feedback are those of the step before it in the history; where
//! the history begins, the rows "no action yet" and "no feedback yet", as on a device that was just
//! switched on. What was observed at the end of an episode is part of the token after it. What an
//! objective keeps of a history (expert distillation: its last episodes) is a history of its own. Where
//! an objective does not span episodes, a sequence ends with its episode.

use super::dataset::check;
use super::objective::{ObjectiveConfig, Place, Stream};
use super::TrainConfig;
use crate::history::{Histories, Slots};
use crate::model::Dimensions;
use crate::nn::random::{stream, Purpose};
use crate::nn::transformer::Batch;
use crate::{Error, Result};
use algodistill_core::{Interface, Normaliser, PortableRng};
use std::ops::Range;

/// The training sequences of a set of histories.
pub struct Sequences<'a> {
    histories: &'a Histories,
    dimensions: Dimensions,
    objective: ObjectiveConfig,
    /// Of the words of all vector channels.
    normalisers: Vec<Normaliser>,
    /// One per history.
    kept: Vec<Kept>,
    /// What the model sees and does.
    interface: Interface,
    /// First steps of the sequences that may be drawn, history after history.
    starts: Vec<usize>,
    /// Steps of a sequence.
    length: usize,
    history_start_fraction: f32,
    seed: u64,
}

/// What is kept of a history; no step where another rank holds the history.
struct Kept {
    steps: Range<usize>,
    /// Its part of [`Sequences::starts`].
    starts: Range<usize>,
}

impl<'a> Sequences<'a> {
    /// Finds the sequences of `histories`; `normalisers` of the words of all vector channels.
    ///
    /// A sequence may begin at any episode that leaves a full sequence, and at the first one that
    /// does not, so that the history's last steps are trained on as well.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no step, the columns do not fit together, a value is
    /// outside the interface's range, or the objective needs what the histories do not have.
    pub fn new(histories: &'a Histories, config: &TrainConfig, normalisers: &[Normaliser]) -> Result<Self> {
        let mut sequences = Self::find(histories, config, normalisers)?;
        sequences.kept.retain(|kept| !kept.steps.is_empty());
        if sequences.kept.is_empty() {
            return Err(Error::argument("histories", "hold no step to train on"));
        }
        Ok(sequences)
    }

    /// The same for a rank that needs `slots` only: of the histories of other sequences it may know
    /// no more than that they are there.
    ///
    /// # Errors
    /// As [`Sequences::new`]; [`Error::Argument`] for a history without steps that is needed.
    pub fn of_slots(
        histories: &'a Histories,
        config: &TrainConfig,
        normalisers: &[Normaliser],
        slots: &Slots,
    ) -> Result<Self> {
        let sequences = Self::find(histories, config, normalisers)?;
        let needed = slots.histories(sequences.kept.len());
        match needed.into_iter().find(|&history| sequences.kept[history].steps.is_empty()) {
            Some(empty) => {
                let problem = format!("history {} has no step on this rank", histories.index[empty].id);
                Err(Error::argument("histories", problem))
            }
            None => Ok(sequences),
        }
    }

    fn find(histories: &'a Histories, config: &TrainConfig, normalisers: &[Normaliser]) -> Result<Self> {
        let objective = config.objective.inner();
        check(histories, objective)?;
        let length = config.resolved_sequence_length().div_ceil(objective.tokens_per_step());
        let dones = &histories.steps.dones;
        let mut all_kept = Vec::with_capacity(histories.index.len());
        let mut starts = Vec::new();
        for history in &histories.index {
            if history.steps.is_empty() {
                all_kept.push(Kept { steps: history.steps.clone(), starts: 0..0 });
                continue;
            }
            let begins = |&step: &usize| step == history.steps.start || dones[step - 1];
            let all: Vec<usize> = history.steps.clone().filter(begins).collect();
            let episodes = &all[all.len() - objective.kept_episodes(all.len())..];
            let end = history.steps.end;
            let full = match objective.spans_episodes() {
                true => episodes.iter().take_while(|&&start| start + length < end).count(),
                false => episodes.len(),
            };
            let first = starts.len();
            starts.extend_from_slice(&episodes[..(full + 1).min(episodes.len())]);
            all_kept.push(Kept { steps: episodes[0]..end, starts: first..starts.len() });
        }
        Ok(Self {
            histories,
            dimensions: config.dimensions,
            normalisers: normalisers.into(),
            interface: objective.interface(&histories.interface)?,
            objective: config.objective.clone(),
            kept: all_kept,
            starts,
            length,
            history_start_fraction: config.history_start_fraction,
            seed: config.seed,
        })
    }

    /// The batch of an update: depends on the seed and `update` only.
    ///
    /// # Errors
    /// Those of reading what the histories have on a disk.
    pub fn batch(&self, purpose: Purpose, update: u64, sequences: usize) -> Result<Batch> {
        self.part(purpose, update, &Slots::all(sequences))
    }

    /// Some of the sequences of [`Sequences::batch`].
    ///
    /// # Errors
    /// As [`Sequences::batch`].
    pub fn part(&self, purpose: Purpose, update: u64, slots: &Slots) -> Result<Batch> {
        let objective = self.objective.inner();
        let mut tokens = Stream::new(&self.dimensions, self.interface.clone(), &self.normalisers);
        let mut sequences = Vec::with_capacity(slots.range.len());
        for slot in slots.range.clone() {
            let mut rng = PortableRng::new(self.seed, stream(purpose, update << SLOT_BITS | slot as u64));
            let kept = &self.kept[stratified(slot, slots.batch, self.kept.len(), rng.next_u32())];
            let spans = objective.spans_episodes();
            let start = if rng.uniform() < self.history_start_fraction && spans {
                kept.steps.start
            } else {
                self.starts[kept.starts.start + rng.below(kept.starts.len() as u32) as usize]
            };
            let first = tokens.targets.len();
            for step in start..(start + self.length).min(kept.steps.end) {
                let begins = step == kept.steps.start || (!spans && step == start);
                let history = kept.steps.clone();
                objective.push(Place { histories: self.histories, step, history, begins }, &mut tokens)?;
                if !spans && self.histories.steps.dones[step] {
                    break;
                }
            }
            sequences.push(first..tokens.targets.len());
        }
        Ok(Batch {
            inputs: tokens.tokens.into_inputs(),
            targets: tokens.targets,
            outcomes: tokens.outcomes,
            returns: Vec::new(),
            sequences,
            first_sequence: slots.range.start,
        })
    }
}

/// Bits of a sequence's number in that of its random stream: [`TrainConfig::validate`] allows 2^16
/// sequences.
const SLOT_BITS: u32 = 16;

/// A history of the part that belongs to sequence `slot` of `batch`, from 32 random bits. All
/// sequences together draw every history with the same probability, also where their number does
/// not divide that of the histories.
fn stratified(slot: usize, batch: usize, histories: usize, random: u32) -> usize {
    let place = (slot as u128) << 32 | u128::from(random);
    (place * histories as u128 / ((batch as u128) << 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_drawn_from_its_own_part_of_the_histories() {
        let mut rng = PortableRng::new(4, 4);
        for (batch, histories) in [(8, 100), (7, 30), (5, 3), (3, 1), (16, 16)] {
            let mut drawn = vec![0; histories];
            let rounds = 2_000;
            for _ in 0..rounds {
                for slot in 0..batch {
                    let history = stratified(slot, batch, histories, rng.next_u32());
                    let part = Slots { range: slot..slot + 1, batch }.histories(histories);
                    assert!(part.contains(&history), "{history} is not in {part:?}");
                    drawn[history] += 1;
                }
            }
            let expected = f64::from(rounds) * batch as f64 / histories as f64;
            let deviation = |count: &i32| (f64::from(*count) - expected).abs();
            assert!(drawn.iter().all(|count| deviation(count) < 6.0 * expected.sqrt()), "{drawn:?}");
        }
        assert_eq!(stratified(7, 8, 100, u32::MAX), 99);
    }
}
