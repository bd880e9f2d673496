//! The histories of a run: their digest, what each rank needs of them, and whether the engine can
//! rely on them.

use super::objective::Objective;
use super::TrainConfig;
use crate::files::hexadecimal;
use crate::history::{Histories, History, Share, Slots, Steps, Window};
use crate::nn::parts::part;
use crate::ranks::Ranks;
use crate::{Error, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// SHA-256 of the interface and of the digest of every history (its task, length and columns), in
/// hexadecimal.
///
/// The interface enters as postcard writes it, so a field or a kind of channel that is added later
/// changes no digest of what was there before; columns that the histories do not have do not enter.
///
/// # Errors
/// Those of reading what the histories have on a disk.
pub fn histories_digest(histories: &Histories) -> Result<String> {
    Ok(digest_of(histories, &history_digests(histories, 0..histories.index.len())?.concat()))
}

fn digest_of(histories: &Histories, history_digests: &[u8]) -> String {
    let interface = postcard::to_allocvec(&histories.interface).expect("an interface is plain data");
    let mut digest = Sha256::new_with_prefix(interface);
    digest.update(history_digests);
    hexadecimal(digest.finalize())
}

/// SHA-256 of each history of a part of the index.
fn history_digests(histories: &Histories, part: Range<usize>) -> Result<Vec<[u8; 32]>> {
    let columns = &histories.steps;
    let digest = |history: &History| -> Result<[u8; 32]> {
        let steps = history.steps.clone();
        let mut digest = Sha256::new_with_prefix(u64::from(history.task).to_le_bytes());
        digest.update((steps.len() as u64).to_le_bytes());
        digest_observations(columns, steps.clone(), &mut digest)?;
        digest.update(bytemuck::cast_slice::<u16, u8>(&columns.actions[steps.clone()]));
        digest.update(bytemuck::cast_slice::<f32, u8>(&columns.rewards[steps.clone()]));
        digest.update(columns.dones[steps.clone()].iter().map(|&done| u8::from(done)).collect::<Vec<u8>>());
        let mut window = Window::default();
        for step in columns.ended(steps.clone()) {
            let words = window.after(columns, step)?.unwrap_or(&[]);
            digest.update(((step - steps.start) as u64).to_le_bytes());
            digest.update(bytemuck::cast_slice::<i32, u8>(words));
        }
        if !columns.optimal_actions.is_empty() {
            digest.update(bytemuck::cast_slice::<u16, u8>(&columns.optimal_actions[steps]));
        }
        Ok(digest.finalize().into())
    };
    histories.index[part].par_iter().map(digest).collect()
}

/// Adds the words of some steps, column by column.
fn digest_observations(steps: &Steps, range: Range<usize>, digest: &mut Sha256) -> Result<()> {
    let count = steps.observations.len();
    let mut window = Window::default();
    let mut row = vec![0; count];
    // As many columns at a time as there is room for.
    let most = (DIGEST_WORDS / range.len().max(1)).max(1);
    let mut next = 0;
    while next < count {
        let column = steps.observations[next].get(range.clone()).filter(|column| column.len() == range.len());
        if let Some(column) = column {
            digest.update(bytemuck::cast_slice::<i32, u8>(column));
            next += 1;
            continue;
        }
        let on_disk = steps.observations[next..].iter().take_while(|column| column.is_empty());
        let group = next..next + on_disk.count().clamp(1, most);
        let mut columns: Vec<Vec<i32>> = vec![Vec::with_capacity(range.len()); group.len()];
        for step in range.clone() {
            window.observe(steps, step, &mut row)?;
            columns.iter_mut().zip(&row[group.clone()]).for_each(|(column, word)| column.push(*word));
        }
        columns.iter().for_each(|column| digest.update(bytemuck::cast_slice::<i32, u8>(column)));
        next = group.end;
    }
    Ok(())
}

/// Words of columns that are brought into memory together for their digest.
const DIGEST_WORDS: usize = 1 << 22;

/// [`histories_digest`] of histories of which every rank has its share.
pub(super) fn gathered_digest(ranks: &Ranks, histories: &Histories, batch: usize) -> Result<String> {
    let count = histories.index.len();
    let own = slots(ranks, ranks.rank(), batch).histories(count);
    let parts = ranks.gather(history_digests(histories, own)?.concat());
    let mut all = vec![0; 32 * count];
    for (rank, part) in parts.iter().enumerate() {
        let first = 32 * slots(ranks, rank, batch).histories(count).start;
        all[first..first + part.len()].copy_from_slice(part);
    }
    Ok(digest_of(histories, &all))
}

/// The sequences of `rank` in a batch.
pub(super) fn slots(ranks: &Ranks, rank: usize, batch: usize) -> Slots {
    Slots { range: part(0..batch, rank, ranks.count()), batch }
}

/// The histories that this rank trains and validates on.
pub fn share(ranks: &Ranks, config: &TrainConfig) -> Share {
    Share {
        training: slots(ranks, ranks.rank(), config.batch),
        held_out: slots(ranks, ranks.rank(), config.validation_sequences),
    }
}

/// Checks what the engine relies on: columns of one length, histories inside them, values inside
/// the interface's ranges; and what the objective needs.
pub(super) fn check(histories: &Histories, objective: &dyn Objective) -> Result<()> {
    let Histories { interface, index, steps } = histories;
    let wrong = |problem: String| Err(Error::argument("histories", problem));
    if !interface.is_valid() {
        return wrong("the interface is not valid".into());
    }
    let count = steps.actions.len();
    let same = steps.rewards.len() == count
        && steps.dones.len() == count
        && [0, count].contains(&steps.optimal_actions.len())
        && steps.observations.len() == interface.observation_len()
        && steps.has_all_observations();
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
    let mut columns = steps.observations.iter();
    for (number, channel) in interface.channels.iter().enumerate() {
        // Only a discrete channel refuses words.
        for column in columns.by_ref().take(channel.words()).filter(|_| channel.table_rows() > 0) {
            if let Some(step) = column.iter().position(|&word| channel.check(&[word]).is_err()) {
                let found = column[step];
                return wrong(format!("channel {number} of step {step} is {found}, must be {channel}"));
            }
        }
    }
    let mut window = Window::default();
    // Numbers and pictures may be anything.
    let refuses = interface.channels.iter().any(|channel| channel.table_rows() > 0);
    for step in steps.ended(0..usize::MAX) {
        let known = match steps.dones.get(step) {
            Some(true) if !refuses && steps.on_disk.is_some() => Ok(()),
            Some(true) => {
                let words = window.after(steps, step)?.unwrap_or(&[]);
                interface.check(words).map_err(|error| error.to_string())
            }
            _ => Err("no episode ends there".into()),
        };
        if let Err(problem) = known {
            return wrong(format!("the final observation of step {step}: {problem}"));
        }
    }
    objective.check(histories)
}
