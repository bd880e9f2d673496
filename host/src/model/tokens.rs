//! From the steps of an agent to rows of the embedding tables.

use super::table_count;
use algodistill_core::{Channel, Interface};

/// A stream of tokens: for each, the rows of the embedding tables that it adds up.
///
/// Rows count through all tables in the order of [`layout`](super::layout): the observation
/// channels, the previous action, the previous feedback.
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

    /// Adds the token of a step: what is observed, and the action, reward and done flag of the step
    /// before, if there is one. Values outside the interface's ranges are brought to the nearest
    /// one inside.
    pub fn push(&mut self, interface: &Interface, observation: &[i32], previous: Option<(u16, f32, bool)>) {
        let tables = &self.tables;
        for ((channel, words), first) in interface.split(observation).zip(&tables.observations) {
            self.rows.push(first + row(channel, words));
        }
        let (action, feedback) = match previous {
            None => (interface.no_action_row(), interface.no_feedback_row()),
            Some((action, reward, done)) => {
                (interface.action_row(action.into()), interface.feedback_row(reward, done))
            }
        };
        self.rows.push(tables.action + action as u32);
        self.rows.push(tables.feedback + feedback as u32);
    }

    /// Rows of the embedding tables, `[tokens, tables]`.
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
    action: u32,
    feedback: u32,
    count: usize,
}

impl Tables {
    fn new(interface: &Interface) -> Self {
        let mut next = 0;
        let mut take = |rows: usize| {
            let first = next;
            next += rows as u32;
            first
        };
        // The width does not matter for the rows.
        let observations = interface.channels.iter().map(|channel| take(channel.table_shape(1)[0])).collect();
        let action = take(interface.action_rows());
        Self {
            observations,
            action,
            feedback: take(interface.feedback_rows()),
            count: table_count(interface),
        }
    }
}

/// Row of the channel's table for its words; those that are missing are 0.
fn row(channel: &Channel, words: &[i32]) -> u32 {
    match channel {
        Channel::Discrete { size } => {
            words.first().map_or(0, |&word| word.clamp(0, i32::from(*size) - 1) as u32)
        }
    }
}
