//! What the templates say of a model.

use crate::export::TrainingCard;
use crate::memory::{MemoryPlan, TargetMemory};
use crate::{Error, Result};
use algodistill_core::{Channel, Model};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// Of one weights file.
#[derive(Debug, Serialize)]
pub(super) struct Values {
    /// The name of the file, as far as it can stand in any manifest.
    pub name: String,
    pub crc: String,
    pub bytes: usize,
    /// Its words as C, the first byte of the file in the lowest bits.
    pub c_words: String,
    pub workspace_words: usize,
    pub observation_words: usize,
    pub actions: u16,
    pub reward_levels: Vec<f32>,
    /// Whether it looks at what is seen when an episode ends.
    pub looks_at_the_end: bool,
    pub window: usize,
    pub channels: Vec<ChannelValues>,
    pub memory: MemoryPlan,
}

/// Of one channel of its observation.
#[derive(Debug, Serialize)]
pub(super) struct ChannelValues {
    /// Its first word in the observation.
    pub first: usize,
    /// Its last.
    pub last: usize,
    /// What the words are.
    pub meaning: String,
}

impl Values {
    /// Of the weights file `bytes` that was read from `path`.
    ///
    /// # Errors
    /// [`Error::File`] where it is none, or one that the loop of a folder is not for.
    pub fn new(path: &Path, bytes: &[u8]) -> Result<Self> {
        let model = Model::decode(bytes).map_err(|e| {
            Error::file(path, format!("{e}; expected a weights file, which `algodistill export` writes"))
        })?;
        // Of a model from elsewhere there is no card to ask.
        let card = TrainingCard::parse(path, model.card());
        if card.is_ok_and(|card| card.goal().is_some()) {
            return Err(Error::file(
                path,
                "is a decision transformer: whoever calls it counts the return to go and the time steps and empties \
                 the context after every episode, which the loop of a folder does not; use the library \
                 (docs/c-api.md, docs/firmware.md)",
            ));
        }
        let (interface, dimensions) = (model.interface(), model.dimensions());
        Ok(Self {
            name: name(path),
            crc: format!("{:08x}", model.crc()),
            bytes: bytes.len(),
            c_words: c_words(bytes),
            workspace_words: model.workspace_words(),
            observation_words: interface.observation_len(),
            actions: interface.actions,
            reward_levels: interface.reward_levels.to_vec(),
            looks_at_the_end: dimensions.final_words > 0,
            window: dimensions.window,
            channels: channels(&interface.channels),
            memory: MemoryPlan::new(&model, bytes.len()),
        })
    }

    /// Flash and RAM on the target of this name.
    pub fn on(&self, target: &str) -> Option<&TargetMemory> {
        self.memory.targets.iter().find(|memory| memory.target == target)
    }
}

/// Letters, digits and hyphens of the file's name: it goes into manifests and comments.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let short = plain.get(..plain.len().min(40)).unwrap_or(plain);
    if short.is_empty() {
        "model".into()
    } else {
        short.into()
    }
}

fn channels(channels: &[Channel]) -> Vec<ChannelValues> {
    let mut first = 0;
    let values = channels.iter().map(|channel| {
        let meaning = match channel {
            Channel::Discrete { size } => format!("a whole number from 0 to {}", size.saturating_sub(1)),
            Channel::Vector { size } => {
                format!("{size} number(s) in the unit and fixed point of the training")
            }
            Channel::Pixels { height, width, colours } => format!(
                "a picture of {height} rows of {width} pixels of {colours} byte(s), four bytes a word, the first in \
                 the lowest bits"
            ),
        };
        let begin = first;
        first += channel.words();
        ChannelValues { first: begin, last: first.saturating_sub(1), meaning }
    });
    values.collect()
}

fn c_words(bytes: &[u8]) -> String {
    const IN_A_LINE: usize = 12;
    let mut text = String::with_capacity(3 * bytes.len());
    for line in bytes.chunks(4 * IN_A_LINE) {
        text.push_str("   ");
        for word in line.chunks(4) {
            let mut whole = [0; 4];
            whole.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            // To a string it cannot fail.
            let _ = write!(text, " 0x{:08x}u,", u32::from_le_bytes(whole));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_any_manifest() {
        for (file, expected) in
            [("a/Dark Room.adw", "dark-room"), ("\"<x>\".adw", "x"), ("é.adw", "model"), ("..", "model")]
        {
            assert_eq!(name(Path::new(file)), expected);
        }
    }

    #[test]
    fn words_hold_the_bytes_in_order_and_zeros_after_them() {
        assert_eq!(c_words(&[1, 2, 3, 4, 5]).trim(), "0x04030201u, 0x00000005u,");
    }
}
