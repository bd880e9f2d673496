//! What the templates say of a model.

use crate::export::TrainingCard;
use crate::memory::MemoryPlan;
use crate::model::normalised_range;
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
    pub observation: Vec<Words>,
    pub memory: MemoryPlan,
}

/// A word of its observation, or some that belong together.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Words {
    pub first: usize,
    pub last: usize,
    /// What the device writes there.
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
            observation: observation(&model),
            memory: MemoryPlan::new(&model, bytes.len()),
        })
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

/// All words of the observation: each number by itself, because each has a range of its own.
fn observation(model: &Model) -> Vec<Words> {
    let mut observation = Vec::new();
    let mut first = 0;
    for (number, channel) in model.interface().channels.iter().enumerate() {
        let last = (first + channel.words()).saturating_sub(1);
        match channel {
            Channel::Discrete { size } => {
                let meaning = format!("a whole number from 0 to {}", size.saturating_sub(1));
                observation.push(Words { first, last, meaning });
            }
            Channel::Vector { .. } => {
                let ranges = model.normalisers(number).map(normalised_range);
                observation.extend((first..).zip(ranges).map(|(word, [from, to])| Words {
                    first: word,
                    last: word,
                    meaning: format!(
                        "a number in the unit of the training, where it went from {from} to {to}"
                    ),
                }));
            }
            Channel::Pixels { height, width, colours } => {
                let meaning = format!(
                    "a picture, {height} rows x {width} columns x {colours} colours, row by row, a byte for each \
                     colour of a pixel; four bytes a word, the lowest byte first"
                );
                observation.push(Words { first, last, meaning });
            }
        }
        first = last + 1;
    }
    observation
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
    fn numbers_have_their_ranges_and_pictures_their_order() {
        let observation = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name);
            Values::new(&path, &std::fs::read(&path).unwrap()).unwrap().observation
        };
        let servo = observation("servo.adw");
        assert_eq!(
            servo.iter().map(|words| (words.first, words.last)).collect::<Vec<_>>(),
            [(0, 0), (1, 1), (2, 2)]
        );
        for (words, range) in servo.iter().zip(["-267 to 265", "-21 to 21", "-505 to 511"]) {
            assert!(words.meaning.ends_with(range), "{words:?}");
        }
        let [picture] = &observation("watermaze.adw")[..] else { panic!("one picture") };
        assert_eq!((picture.first, picture.last), (0, 95));
        assert!(picture.meaning.contains("8 rows x 16 columns x 3 colours"), "{picture:?}");
    }

    #[test]
    fn words_hold_the_bytes_in_order_and_zeros_after_them() {
        assert_eq!(c_words(&[1, 2, 3, 4, 5]).trim(), "0x04030201u, 0x00000005u,");
    }
}
