//! The way of a token into the residual stream.

use super::encoder::Room;
use super::forward::Scratch;
use super::kernels::{Kernels, Work};
use super::numerics::{add, Rescaling, FRACTION_BITS};
use super::tensor::Tensor;
use super::Model;

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

/// Writes the token's embedding to `scratch.residual`, fixed-point, `[d_model]`. `final_observation`:
/// its words, if they belong to the token.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn embed(
    model: &Model,
    kernels: Kernels,
    token: &Token,
    final_observation: &[i32],
    scratch: &mut Scratch,
) {
    let residual = &mut *scratch.residual;
    residual.fill(0);
    let final_observation = if token.final_observation { final_observation } else { &[] };
    for (tables, words) in
        [(&model.observation, token.observation), (&model.final_observation, final_observation)]
    {
        let tabled = model.interface.split(words).filter(|(channel, _)| channel.table_rows() > 0);
        for ((_, words), table) in tabled.zip(tables) {
            words.iter().for_each(|word| add_row(table, *word as usize, residual));
        }
    }
    add_row(&model.action, token.action_row, residual);
    add_row(&model.feedback, token.feedback_row, residual);
    encode(model, kernels, token.observation, final_observation, scratch);
}

/// Adds to the residual stream what the channels without a table say; `final_observation` is empty
/// where there is none. One copy of it on a microcontroller.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn encode(
    model: &Model,
    kernels: Kernels,
    observation: &[i32],
    final_observation: &[i32],
    scratch: &mut Scratch,
) {
    if model.encoders.is_empty() {
        return;
    }
    let mut encoders = model.encoders.iter();
    let mut ended = model.interface.split(final_observation);
    for (channel, words) in model.interface.split(observation) {
        let ended = ended.next().map_or(&[][..], |(_, words)| words);
        if channel.inputs() == 0 {
            continue;
        }
        let Some(encoder) = encoders.next() else { return };
        Room { kernels, scratch, encoder }.add(channel, words, false);
        if !ended.is_empty() {
            Room { kernels, scratch, encoder }.add(channel, ended, true);
        }
    }
}

/// The encoders alone, without the rest of a step: what they add stays in the scratch, which the
/// next step writes anew.
pub(crate) struct Encode<'s, 'a> {
    pub model: &'s Model<'a>,
    pub kernels: Kernels,
    pub observation: &'s [i32],
    pub scratch: &'s mut Scratch<'a>,
}

impl Work for Encode<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { model, kernels, observation, scratch } = self;
        encode(model, kernels, observation, &[], scratch);
    }
}

/// Adds a row of a table. One copy of it on a microcontroller: inlined wherever it is called it
/// would cost kilobytes of flash.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn add_row(table: &Tensor, index: usize, residual: &mut [i32]) {
    let (weights, scale) = table.row(index);
    let rescaling = Rescaling::new(8, scale, table.exponent - FRACTION_BITS);
    residual.iter_mut().zip(weights).for_each(|(x, weight)| *x = add(*x, rescaling.apply(weight.into())));
}
