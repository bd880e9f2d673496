//! The way of a token into the residual stream.

use super::numerics::{add, rescale, FRACTION_BITS};
use super::tensor::Tensor;
use super::Model;
use crate::Channel;

/// One token, validated by the agent.
pub(crate) struct Token<'t> {
    /// Words of the observation.
    pub observation: &'t [i32],
    /// Whether the observation that ended an episode belongs to this token.
    pub final_observation: bool,
    /// Row of the table of the previous action.
    pub action_row: usize,
    /// Row of the table of the feedback.
    pub feedback_row: usize,
}

/// Writes the token's embedding to `residual`; `row` is working memory. Both fixed-point,
/// `[d_model]`. `final_observation`: its words, if they belong to the token.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn embed(
    model: &Model,
    token: &Token,
    final_observation: &[i32],
    row: &mut [i32],
    residual: &mut [i32],
) {
    residual.fill(0);
    for ((channel, words), table) in model.interface.split(token.observation).zip(&model.observation) {
        add_channel(channel, words, table, row, residual);
    }
    if token.final_observation {
        let channels = model.interface.split(final_observation);
        for ((channel, words), table) in channels.zip(&model.final_observation) {
            add_channel(channel, words, table, row, residual);
        }
    }
    add_row(&model.action, token.action_row, row, residual);
    add_row(&model.feedback, token.feedback_row, row, residual);
}

/// Adds what `words` say on `channel`.
#[cfg_attr(target_arch = "x86_64", inline(always))]
fn add_channel(channel: &Channel, words: &[i32], table: &Tensor, row: &mut [i32], residual: &mut [i32]) {
    match channel {
        Channel::Discrete { .. } => {
            words.iter().for_each(|word| add_row(table, *word as usize, row, residual));
        }
    }
}

/// Adds a row of a table. One copy of it on a microcontroller: inlined wherever it is called it
/// would cost kilobytes of flash.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn add_row(table: &Tensor, index: usize, row: &mut [i32], residual: &mut [i32]) {
    let (weights, scale) = table.row(index);
    row.iter_mut().zip(weights).for_each(|(x, weight)| *x = i32::from(weight));
    rescale(row, 8, core::iter::repeat(scale), table.exponent - FRACTION_BITS);
    residual.iter_mut().zip(row.iter()).for_each(|(x, y)| *x = add(*x, *y));
}
