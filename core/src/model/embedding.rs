//! The way of a token into the residual stream.

use super::encoder::{Encoder, Room};
use super::forward::Scratch;
#[cfg(arm_mve)]
use super::kernels::mve;
use super::kernels::{decode, Kernels, Work};
use super::numerics::{add, Rescaling, FRACTION_BITS};
use super::tensor::{Tensor, Tensors};
use super::weights::table_rows;
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

/// Writes the token's embedding to `scratch.residual`, fixed-point, `[d_model]`. `tensors`: all of the
/// model, of which those of the embedding are taken. `final_observation`: its words, if they belong to
/// the token.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub(super) fn embed<'a>(
    model: &Model<'a>,
    kernels: Kernels,
    tensors: &mut Tensors<'a>,
    token: &Token,
    final_observation: &[i32],
    scratch: &mut Scratch,
) {
    let residual = &mut *scratch.residual;
    let Model { dimensions, interface, .. } = model;
    let d_model = dimensions.d_model;
    residual.fill(0);
    let final_observation = if token.final_observation { final_observation } else { &[] };
    let observations = [token.observation, final_observation];
    for observation in observations.into_iter().take(dimensions.kinds_of_observation()) {
        for (channel, words) in interface.split(observation) {
            let rows = channel.table_rows();
            if rows > 0 {
                let table = tensors.next([rows, d_model]);
                words.iter().for_each(|word| add_row(&table, *word as usize, residual));
            }
        }
    }
    let action = tensors.next([interface.action_rows(), d_model]);
    add_row(&action, token.action_row, residual);
    let feedback = tensors.next([interface.feedback_rows(), d_model]);
    add_row(&feedback, token.feedback_row, residual);
    encode(model, kernels, tensors, token.observation, final_observation, scratch);
}

/// Adds to the residual stream what the channels without a table say; `final_observation` is empty
/// where there is none. One copy of it on a microcontroller.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn encode<'a>(
    model: &Model<'a>,
    kernels: Kernels,
    tensors: &mut Tensors<'a>,
    observation: &[i32],
    final_observation: &[i32],
    scratch: &mut Scratch,
) {
    let Model { dimensions, interface, .. } = model;
    let mut normalisers = model.normalisers.clone();
    let mut ended = interface.split(final_observation);
    for (channel, words) in interface.split(observation) {
        let ended = ended.next().map_or(&[][..], |(_, words)| words);
        if channel.inputs() == 0 {
            continue;
        }
        let encoder = &Encoder::next(&mut normalisers, tensors, dimensions, channel);
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
        let mut tensors = model.tensors.clone();
        for rows in table_rows(&model.dimensions, &model.interface) {
            tensors.next([rows, model.dimensions.d_model]);
        }
        encode(model, kernels, &mut tensors, observation, &[], scratch);
    }
}

/// Adds a row of a table. One copy of it on a microcontroller: inlined wherever it is called it
/// would cost kilobytes of flash.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
fn add_row(table: &Tensor, index: usize, residual: &mut [i32]) {
    let (row, scale) = table.row(index);
    let shift = table.exponent - FRACTION_BITS;
    #[cfg(arm_mve)]
    if let Some(shifts) = mve::Shifts::new(8, shift) {
        return mve::add_row(residual, row, scale, shifts);
    }
    let rescaling = Rescaling::new(8, scale, shift);
    for (column, (x, byte)) in residual.iter_mut().zip(row).enumerate() {
        *x = add(*x, rescaling.apply(decode(column, *byte).into()));
    }
}
