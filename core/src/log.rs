//! The log of steps: what an agent saw, did and got, as bytes on a link (a UART, a file, a
//! debugger), of which `algodistill histories import` makes learning histories.
//!
//! The format is `docs/steps-log.md`. Nothing is kept here of what was written: a step leaves in
//! pieces as it happens, and a block's CRC-32 is computed on the way.

use crate::model::weights;
use crate::{Channel, Error, Interface};

/// The version that is written.
pub const VERSION: u8 = 1;
/// First bytes of a header.
pub const HEADER_MARKER: [u8; 4] = *b"ADLH";
/// First bytes of a block of steps.
pub const STEPS_MARKER: [u8; 4] = *b"ADLS";
/// CRC-32 of headers and blocks.
pub const CRC: crc::Crc<u32> = weights::CRC;
/// A block ends with the step with which its records have at least this many bytes.
pub const BLOCK_BYTES: usize = 256;
/// Blocks of steps from one header to the next.
pub const BLOCKS_PER_HEADER: u32 = 32;
/// Most bytes of the name of an environment; of a longer one the front is written.
pub const MAX_NAME: usize = 32;

/// Bits of the byte of feedback that number the level of the reward.
pub const LEVEL_BITS: u8 = 0x0f;
/// The reward is none of the levels: it follows as a float of 32 bits.
pub const EXACT_REWARD: u8 = 0x10;
/// How the episode ended with the step: 0 where it did not.
pub const END_BITS: u8 = 0x60;
/// Values of [`END_BITS`]: by the environment itself; cut off, by a time limit or a reset; one of
/// these.
pub const TERMINATED: u8 = 0x20;
/// See [`TERMINATED`].
pub const CUT_OFF: u8 = 0x40;
/// See [`TERMINATED`].
pub const ENDED: u8 = 0x60;
/// What was observed after the step follows.
pub const FINAL_OBSERVATION: u8 = 0x80;

/// What a log is of: the part of its header that is not the model's interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// [`Model::crc`](crate::Model::crc) of the model that acts; 0 where another agent does.
    pub model_crc: u32,
    /// Number that tells devices or runs apart.
    pub device: u32,
    /// Number of the task, where it is known.
    pub task: Option<u32>,
    /// Seed of all that is random, where it is known.
    pub seed: Option<u64>,
    /// Name of the environment, of a preset of `algodistill list` where it is one; empty where it
    /// is not known. At most [`MAX_NAME`] bytes.
    pub environment: &'a str,
}

/// The end of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// What was observed after the last action, before the reset; empty where nothing was.
    pub seen: &'a [i32],
    /// Whether it was cut off, by a time limit or a reset, where that is known.
    pub cut_off: Option<bool>,
}

/// Writes a log. Calls in turn, as those of the agent: [`StepLog::acted`], [`StepLog::fed_back`].
/// Each hands the bytes to `sink`, in pieces.
///
/// The steps since the last whole block are lost where the power is cut: at most
/// [`BLOCK_BYTES`] bytes of records and one step.
#[derive(Clone)]
pub struct StepLog<'a> {
    about: About<'a>,
    /// Of the header.
    header_crc: u32,
    /// Blocks of steps since the last header.
    blocks: u32,
    episode: u32,
    /// Number of the next step within its episode.
    step: u32,
    block: Block,
    awaits_feedback: bool,
}

/// The open block.
#[derive(Clone)]
struct Block {
    /// Of all its bytes so far.
    crc: crc::Digest<'static, u32>,
    /// Bytes of its records; `None` where it is no block of steps, or over.
    records: Option<usize>,
}

impl Block {
    fn begin() -> Self {
        Self { crc: CRC.digest(), records: None }
    }
}

impl<'a> StepLog<'a> {
    /// The log of a run from its beginning.
    pub fn new(about: About<'a>) -> Self {
        Self::resumed(about, 0, 0)
    }

    /// The log of a run that goes on after a restart, from [`StepLog::position`] on: the agent was
    /// restored from a snapshot.
    pub fn resumed(about: About<'a>, episode: u32, step: u32) -> Self {
        Self {
            about,
            header_crc: 0,
            // The first block has a header before it.
            blocks: BLOCKS_PER_HEADER,
            episode,
            step,
            block: Block::begin(),
            awaits_feedback: false,
        }
    }

    /// Number of the episode, and of the next step within it: what to keep beside a snapshot.
    pub fn position(&self) -> (u32, u32) {
        (self.episode, self.step)
    }

    /// Writes the first half of a step: what was observed, and the action. `interface` is that of
    /// the model, the same at every step.
    ///
    /// # Errors
    /// [`Error::FeedbackMissing`], [`Error::ObservationLength`], [`Error::Observation`],
    /// [`Error::Action`]; nothing was written then.
    pub fn acted(
        &mut self,
        interface: &Interface,
        observation: &[i32],
        action: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        if self.awaits_feedback {
            return Err(Error::FeedbackMissing);
        }
        interface.check(observation)?;
        let wrong = Error::Action(action);
        let action = u8::try_from(action).ok().filter(|action| u16::from(*action) < interface.actions);
        let action = action.ok_or(wrong)?;
        if self.block.records.is_none() {
            self.begin_block(interface, sink);
        }
        self.put_observation(interface, observation, sink);
        self.put(&[action], sink);
        self.awaits_feedback = true;
        Ok(())
    }

    /// Writes the second half of a step: the reward, and what ended the episode if it did.
    ///
    /// # Errors
    /// [`Error::FeedbackUnexpected`], [`Error::Reward`] for a reward that is not finite, or what
    /// [`StepLog::acted`] says of an observation; nothing was written then.
    pub fn fed_back(
        &mut self,
        interface: &Interface,
        reward: f32,
        ended: Option<Ended>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        if !self.awaits_feedback {
            return Err(Error::FeedbackUnexpected);
        }
        if !reward.is_finite() {
            return Err(Error::Reward);
        }
        let seen = ended.map(|ended| ended.seen).filter(|seen| !seen.is_empty());
        if let Some(seen) = seen {
            interface.check(seen)?;
        }
        let is_it = |level: &f32| level.to_bits() == reward.to_bits();
        let level = interface.reward_levels.iter().position(is_it).map(|level| level as u8);
        let end = match ended.map(|ended| ended.cut_off) {
            None => 0,
            Some(Some(false)) => TERMINATED,
            Some(Some(true)) => CUT_OFF,
            Some(None) => ENDED,
        };
        let final_observation = if seen.is_some() { FINAL_OBSERVATION } else { 0 };
        self.put(&[level.unwrap_or(EXACT_REWARD) | end | final_observation], sink);
        if level.is_none() {
            self.put(&reward.to_le_bytes(), sink);
        }
        if let Some(seen) = seen {
            self.put_observation(interface, seen, sink);
        }
        self.awaits_feedback = false;
        (self.episode, self.step) = match end {
            0 => (self.episode, self.step.saturating_add(1)),
            _ => (self.episode.saturating_add(1), 0),
        };
        if end != 0 || self.block.records.is_none_or(|bytes| bytes >= BLOCK_BYTES) {
            self.end_block(sink);
        }
        Ok(())
    }

    /// Writes the head of a block, and where it is time for one a header before it.
    fn begin_block(&mut self, interface: &Interface, sink: &mut impl FnMut(&[u8])) {
        if self.blocks >= BLOCKS_PER_HEADER {
            self.blocks = 0;
            self.header(interface, sink);
        }
        self.blocks += 1;
        let (episode, step) = (self.episode.to_le_bytes(), self.step.to_le_bytes());
        self.block = Block::begin();
        // With the CRC of the header: a block is read with no other than its own.
        self.block.crc.update(&self.header_crc.to_le_bytes());
        self.put(&STEPS_MARKER, sink);
        self.put(&episode, sink);
        self.put(&step, sink);
        self.block.records = Some(0);
    }

    /// Writes the CRC-32 of the block; what it is.
    fn end_block(&mut self, sink: &mut impl FnMut(&[u8])) -> u32 {
        let crc = core::mem::replace(&mut self.block, Block::begin()).crc.finalize();
        sink(&crc.to_le_bytes());
        crc
    }

    fn header(&mut self, interface: &Interface, sink: &mut impl FnMut(&[u8])) {
        let About { model_crc, device, task, seed, environment } = self.about;
        let name = (0..=MAX_NAME).rev().find_map(|len| environment.get(..len)).unwrap_or("").as_bytes();
        let Interface { channels, actions, reward_levels } = interface;
        let len = HEADER_FIXED + name.len() + 4 * reward_levels.len() + CHANNEL_BYTES * channels.len();
        self.block = Block::begin();
        self.put(&HEADER_MARKER, sink);
        self.put(&[VERSION], sink);
        self.put(&(len as u16).to_le_bytes(), sink);
        self.put(&model_crc.to_le_bytes(), sink);
        self.put(&device.to_le_bytes(), sink);
        self.put(&[u8::from(task.is_some()) | u8::from(seed.is_some()) << 1], sink);
        self.put(&task.unwrap_or(0).to_le_bytes(), sink);
        self.put(&seed.unwrap_or(0).to_le_bytes(), sink);
        self.put(&actions.to_le_bytes(), sink);
        self.put(&[name.len() as u8, reward_levels.len() as u8, channels.len() as u8], sink);
        self.put(name, sink);
        for level in reward_levels {
            self.put(&level.to_le_bytes(), sink);
        }
        for channel in channels {
            let (kind, [a, b, c]) = match *channel {
                Channel::Discrete { size } => (0, [size, 0, 0]),
                Channel::Vector { size } => (1, [size, 0, 0]),
                Channel::Pixels { height, width, colours } => (2, [height, width, colours.into()]),
            };
            self.put(&[kind], sink);
            for number in [a, b, c] {
                self.put(&number.to_le_bytes(), sink);
            }
        }
        self.header_crc = self.end_block(sink);
    }

    /// Words as narrow as their channel needs.
    fn put_observation(&mut self, interface: &Interface, words: &[i32], sink: &mut impl FnMut(&[u8])) {
        for (channel, words) in interface.split(words) {
            let mut left = channel_bytes(channel);
            for word in words {
                let bytes = word.to_le_bytes();
                let piece = bytes.get(..left.min(4)).unwrap_or(&[]);
                left -= piece.len();
                self.put(piece, sink);
            }
        }
    }

    fn put(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) {
        self.block.crc.update(bytes);
        if let Some(count) = &mut self.block.records {
            *count += bytes.len();
        }
        sink(bytes);
    }
}

/// Bytes of a header between its length and its name, reward levels and channels.
pub const HEADER_FIXED: usize = 26;
/// Bytes of a channel in a header.
pub const CHANNEL_BYTES: usize = 7;

/// Bytes that an observation of `channel` has in a log.
pub const fn channel_bytes(channel: &Channel) -> usize {
    match channel {
        Channel::Discrete { size } if *size <= 256 => 1,
        Channel::Discrete { .. } => 2,
        Channel::Vector { size } => 4 * *size as usize,
        Channel::Pixels { .. } => channel.inputs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index that needs two bytes, a number, a picture of three bytes.
    fn interface() -> Interface {
        let mut interface = Interface::discrete(&[300, 2, 2], 4, &[-1.0, 0.5]).unwrap();
        interface.channels[1] = Channel::Vector { size: 1 };
        interface.channels[2] = Channel::Pixels { height: 1, width: 1, colours: 3 };
        interface
    }

    /// Splits the front off.
    fn front<'b>(bytes: &mut &'b [u8], len: usize) -> &'b [u8] {
        let (front, rest) = bytes.split_at(len);
        *bytes = rest;
        front
    }

    /// The bytes that `docs/steps-log.md` shows.
    #[test]
    fn the_bytes_are_those_of_the_document() {
        let about =
            About { model_crc: 0x0102_0304, device: 5, task: Some(6), seed: None, environment: "lab" };
        let (interface, mut log, mut bytes) = (interface(), StepLog::new(about), Vec::new());
        let mut sink = |piece: &[u8]| bytes.extend_from_slice(piece);
        log.acted(&interface, &[258, -2, 0x7703_0201], 3, &mut sink).unwrap();
        log.fed_back(&interface, 0.5, None, &mut sink).unwrap();
        log.acted(&interface, &[1, 0, 0], 0, &mut sink).unwrap();
        let ended = Ended { seen: &[299, 7, 1], cut_off: Some(true) };
        log.fed_back(&interface, 2.0, Some(ended), &mut sink).unwrap();
        assert_eq!(log.position(), (1, 0));

        let mut rest = &bytes[..];
        let header = front(&mut rest, 7 + HEADER_FIXED + 3 + 2 * 4 + 3 * CHANNEL_BYTES);
        let mut expected = b"ADLH\x01\x3a\0\x04\x03\x02\x01\x05\0\0\0\x01\x06\0\0\0".to_vec();
        expected.extend([0; 8]);
        expected.extend(b"\x04\0\x03\x02\x03lab\0\0\x80\xbf\0\0\0\x3f");
        expected.extend(b"\0\x2c\x01\0\0\0\0\x01\x01\0\0\0\0\0\x02\x01\0\x01\0\x03\0");
        assert_eq!(header, expected);
        let header_crc = front(&mut rest, 4);
        assert_eq!(header_crc, CRC.checksum(header).to_le_bytes());

        let (block, crc) = rest.split_at(rest.len() - 4);
        let mut expected = b"ADLS\0\0\0\0\0\0\0\0".to_vec();
        expected.extend(b"\x02\x01\xfe\xff\xff\xff\x01\x02\x03\x03\x01");
        expected.extend(b"\x01\0\0\0\0\0\0\0\0\0\xd0\0\0\0\x40\x2b\x01\x07\0\0\0\x01\0\0");
        assert_eq!(block, expected);
        assert_eq!(crc, CRC.checksum(&[header_crc, block].concat()).to_le_bytes());
    }

    #[test]
    fn a_call_that_is_refused_writes_nothing() {
        let (interface, mut log, mut bytes) = (interface(), StepLog::new(About::default()), Vec::new());
        let mut sink = |piece: &[u8]| bytes.extend_from_slice(piece);
        let seen = [0, 0, 0];
        assert_eq!(log.fed_back(&interface, 0.5, None, &mut sink), Err(Error::FeedbackUnexpected));
        assert_eq!(log.acted(&interface, &seen, 4, &mut sink), Err(Error::Action(4)));
        let wrong = Error::Observation { channel: 0, value: 300 };
        assert_eq!(log.acted(&interface, &[300, 0, 0], 0, &mut sink), Err(wrong));
        let short = Error::ObservationLength { needed: 3, found: 2 };
        assert_eq!(log.acted(&interface, &seen[..2], 0, &mut sink), Err(short));
        log.acted(&interface, &seen, 0, &mut |_| {}).unwrap();
        assert_eq!(log.acted(&interface, &seen, 0, &mut sink), Err(Error::FeedbackMissing));
        assert_eq!(log.fed_back(&interface, f32::INFINITY, None, &mut sink), Err(Error::Reward));
        let ended = Ended { seen: &[-1, 0, 0], cut_off: None };
        let wrong = Error::Observation { channel: 0, value: -1 };
        assert_eq!(log.fed_back(&interface, 0.5, Some(ended), &mut sink), Err(wrong));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_between_two_letters() {
        let long = "ä".repeat(20);
        for (name, expected) in [("lab", 3), (&long[..], 32), (&format!("z{long}"), 31)] {
            let about = About { environment: name, ..About::default() };
            let mut bytes = Vec::new();
            let sink = &mut |piece: &[u8]| bytes.extend_from_slice(piece);
            StepLog::new(about).acted(&interface(), &[0, 0, 0], 0, sink).unwrap();
            assert_eq!(usize::from(bytes[30]), expected);
            assert!(name.as_bytes().starts_with(&bytes[33..33 + expected]));
        }
    }
}
