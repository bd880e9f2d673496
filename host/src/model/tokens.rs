//! From the steps of an agent to rows of the embedding tables.

use super::{layout, table_count, Dimensions};
use algodistill_core::{Channel, Interface};

/// In place of a row of a table that adds nothing to a token: tokens of different kinds share one
/// `[tokens, tables]` layout.
pub const NO_ROW: u32 = u32::MAX;

/// A stream of tokens: for each, the rows of the embedding tables that it adds up.
///
/// Rows count through all tables in the order of [`layout`]: the observation channels, those of the
/// final observation where the model has tables for it, the previous action, the previous feedback.
#[derive(Clone, Debug)]
pub struct Tokens {
    tables: Tables,
    rows: Vec<u32>,
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
    /// An empty stream for such a model.
    pub fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        Self { tables: Tables::new(dimensions, interface), rows: Vec::new() }
    }

    /// Adds the token of a step: what is observed, and the step before, if there is one. Values
    /// outside the interface's ranges are brought to the nearest one inside.
    pub fn push(&mut self, interface: &Interface, observation: &[i32], previous: Option<Previous>) {
        let Self { tables, rows } = self;
        observe(interface, observation, &tables.observations, rows);
        match previous.and_then(|step| step.ended).filter(|words| !words.is_empty()) {
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

    /// Rows of the embedding tables, `[tokens, tables]`; [`NO_ROW`] for none of a table.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// [`Tokens::rows`], without the rest.
    pub fn into_rows(self) -> Vec<u32> {
        self.rows
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.rows.len() / self.tables.count
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
    /// Empty where the model has no tables for it.
    final_observations: Vec<u32>,
    action: u32,
    feedback: u32,
    count: usize,
}

impl Tables {
    fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let count = table_count(dimensions, interface);
        // All tables have the model's width.
        let row = |offset: usize| (offset / dimensions.d_model) as u32;
        let first: Vec<u32> =
            layout(dimensions, interface)[..count].iter().map(|table| row(table.offset)).collect();
        let (observations, rest) = first.split_at(interface.channels.len());
        let (final_observations, rest) = rest.split_at(rest.len() - 2);
        Self {
            observations: observations.into(),
            final_observations: final_observations.into(),
            action: rest[0],
            feedback: rest[1],
            count,
        }
    }
}

/// Appends the rows of an observation, in tables whose first rows are `first`.
fn observe(interface: &Interface, observation: &[i32], first: &[u32], rows: &mut Vec<u32>) {
    let channels = interface.split(observation).zip(first);
    rows.extend(channels.map(|((channel, words), first)| first + row(channel, words)));
}

/// Row of the channel's table for its words; those that are missing are 0.
fn row(channel: &Channel, words: &[i32]) -> u32 {
    match channel {
        Channel::Discrete { size } => {
            words.first().map_or(0, |&word| word.clamp(0, i32::from(*size) - 1) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_after_an_end_has_the_rows_of_the_final_observation_where_it_is_known() {
        let interface = Interface::discrete(&[4, 3], 3, &[0.0, 1.0]).unwrap();
        let rows = |final_observation: bool| {
            let dimensions = Dimensions { final_observation, ..Dimensions::default() };
            let mut tokens = Tokens::new(&dimensions, &interface);
            let previous = |ended| Some(Previous { action: 1, reward: 1.0, ended });
            tokens.push(&interface, &[2, 1], None);
            tokens.push(&interface, &[2, 1], previous(None));
            tokens.push(&interface, &[2, 1], previous(Some(&[3, 9])));
            tokens.push(&interface, &[2, 1], previous(Some(&[])));
            assert_eq!(tokens.len(), 4);
            tokens.into_rows()
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
