//! From the steps of an agent to the inputs of the network.

use super::inputs::{Inputs, NO_ROW};
use super::{discrete_channels, layout, observation_kinds, table_count, Dimensions};
use algodistill_core::model::numerics::NORMALISED_BITS;
use algodistill_core::{Channel, Interface, Normaliser};

/// A stream of tokens as it grows.
#[derive(Clone, Debug)]
pub struct Tokens {
    tables: Tables,
    /// Of the words of all vector channels.
    normalisers: Vec<Normaliser>,
    inputs: Inputs,
}

/// The step before a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Previous<'a> {
    /// The action.
    pub action: u16,
    /// Its reward.
    pub reward: f32,
    /// As in [`Agent::feedback`](algodistill_core::Agent::feedback): `None` while the episode goes
    /// on; where it ended, what was observed then, empty where that is unknown.
    pub ended: Option<&'a [i32]>,
}

impl Tokens {
    /// An empty stream for such a model; `normalisers` of the words of all vector channels.
    pub fn new(dimensions: &Dimensions, interface: &Interface, normalisers: &[Normaliser]) -> Self {
        Self {
            tables: Tables::new(dimensions, interface),
            normalisers: normalisers.into(),
            inputs: Inputs::new(dimensions, interface),
        }
    }

    /// Adds the token of a step: what is observed, and the step before, if there is one. Values
    /// outside the interface's ranges are brought to the nearest one inside.
    pub fn push(&mut self, interface: &Interface, observation: &[i32], previous: Option<Previous>) {
        let Self { tables, normalisers, inputs } = self;
        let token = inputs.len() as u32;
        let ended = previous.and_then(|step| step.ended).filter(|words| !words.is_empty());
        let seen = ended.filter(|_| tables.kinds > 1);
        for (kind, words) in [(0, Some(observation)), (1, seen)] {
            let Some(words) = words else { continue };
            let dense = inputs.dense.iter_mut().skip(kind).step_by(tables.kinds);
            for ((channel, words, own), dense) in encoded(interface, words, normalisers).zip(dense) {
                dense.positions.push(token);
                encode(channel, words, own, &mut dense.values);
            }
        }
        let rows = &mut inputs.rows;
        observe(interface, observation, &tables.observations, rows);
        match seen {
            Some(words) => observe(interface, words, &tables.final_observations, rows),
            None => rows.extend(tables.final_observations.iter().map(|_| NO_ROW)),
        }
        let (action, feedback) = match previous {
            None => (interface.no_action_row(), interface.no_feedback_row()),
            Some(Previous { action, reward, ended }) => {
                (interface.action_row(action.into()), interface.feedback_row(reward, ended.is_some()))
            }
        };
        rows.push(tables.action + action as u32);
        rows.push(tables.feedback + feedback as u32);
    }

    /// The inputs of the network.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// [`Tokens::inputs`], without the rest.
    pub fn into_inputs(self) -> Inputs {
        self.inputs
    }
}

/// The channels with an encoder, each with its words of `observation` and the normalisers of these.
pub(super) fn encoded<'o>(
    interface: &'o Interface,
    observation: &'o [i32],
    normalisers: &'o [Normaliser],
) -> impl Iterator<Item = (&'o Channel, &'o [i32], &'o [Normaliser])> {
    let mut rest = normalisers;
    interface.split(observation).filter(|(channel, _)| channel.inputs() > 0).map(move |(channel, words)| {
        let own;
        (own, rest) = rest.split_at(channel.normalised_words());
        (channel, words, own)
    })
}

/// Appends what the channel's encoder is given of its words: normalised numbers or bytes, then the
/// constant 1, then zeros.
pub(super) fn encode(channel: &Channel, words: &[i32], normalisers: &[Normaliser], values: &mut Vec<f32>) {
    let end = values.len() + channel.encoder_columns();
    match channel {
        Channel::Discrete { .. } => return,
        Channel::Vector { .. } => {
            let numbers = words.iter().zip(normalisers);
            values.extend(numbers.map(|(word, own)| f32::from(own.apply(*word)) / NORMALISED_ONE));
        }
        Channel::Pixels { .. } => {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).take(channel.inputs());
            values.extend(bytes.map(|byte| f32::from(byte >> 1) / 127.0));
        }
    }
    values.push(1.0);
    values.resize(end, 0.0);
}

/// What 1 is to the device.
const NORMALISED_ONE: f32 = (1 << NORMALISED_BITS) as f32;

/// First row of each embedding table.
#[derive(Clone, Debug)]
struct Tables {
    observations: Vec<u32>,
    /// Empty where the model has no tables for it.
    final_observations: Vec<u32>,
    /// See [`observation_kinds`].
    kinds: usize,
    action: u32,
    feedback: u32,
}

impl Tables {
    fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let count = table_count(dimensions, interface);
        // All tables have the model's width.
        let row = |offset: usize| (offset / dimensions.d_model) as u32;
        let first: Vec<u32> =
            layout(dimensions, interface)[..count].iter().map(|table| row(table.offset)).collect();
        let (observations, rest) = first.split_at(discrete_channels(interface));
        let (final_observations, rest) = rest.split_at(rest.len() - 2);
        Self {
            observations: observations.into(),
            final_observations: final_observations.into(),
            kinds: observation_kinds(dimensions),
            action: rest[0],
            feedback: rest[1],
        }
    }
}

/// Appends the rows of an observation, in tables whose first rows are `first`.
fn observe(interface: &Interface, observation: &[i32], first: &[u32], rows: &mut Vec<u32>) {
    let tabled = interface.split(observation).filter(|(channel, _)| channel.table_rows() > 0);
    rows.extend(tabled.zip(first).map(|((channel, words), first)| first + row(channel, words)));
}

/// Row of the channel's table for its words; those that are missing are 0.
fn row(channel: &Channel, words: &[i32]) -> u32 {
    let last = channel.table_rows().saturating_sub(1) as i32;
    words.first().map_or(0, |&word| word.clamp(0, last) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_after_an_end_has_the_rows_of_the_final_observation_where_it_is_known() {
        let interface = Interface::discrete(&[4, 3], 3, &[0.0, 1.0]).unwrap();
        let rows = |final_observation: bool| {
            let dimensions = Dimensions { final_observation, ..Dimensions::default() };
            let mut tokens = Tokens::new(&dimensions, &interface, &[]);
            let previous = |ended| Some(Previous { action: 1, reward: 1.0, ended });
            tokens.push(&interface, &[2, 1], None);
            tokens.push(&interface, &[2, 1], previous(None));
            tokens.push(&interface, &[2, 1], previous(Some(&[3, 9])));
            tokens.push(&interface, &[2, 1], previous(Some(&[])));
            assert_eq!(tokens.inputs().len(), 4);
            tokens.into_inputs().rows
        };
        let with = [
            [2, 5, NO_ROW, NO_ROW, 17, 22],
            [2, 5, NO_ROW, NO_ROW, 15, 20],
            [2, 5, 10, 13, 15, 21],
            [2, 5, NO_ROW, NO_ROW, 15, 21],
        ];
        assert_eq!(rows(true), with.concat());
        let without = [[2, 5, 10, 15], [2, 5, 8, 13], [2, 5, 8, 14], [2, 5, 8, 14]];
        assert_eq!(rows(false), without.concat());
    }
}
