//! The model of a device as a part that can be replaced in the field: two slots of flash, A and B. One
//! holds the model at work. An update erases the other, programs the new model there, validates what
//! can be read back, and only then programs the slot's header, a record with a CRC-32. The newest slot
//! whose header and model are valid is the one that runs after a restart. So whenever the power fails
//! there is a valid model: the old one until the header is complete, from then on the new one.
//!
//! For firmware: no allocator, no panic, no unsafe code. What is of the chip is [`Flash`].
//! `algodistill-firmware-sim faults` cuts the power at every operation of an update.
//!
//! ```ignore
//! let mut slots = [Internal::slot_a(), Internal::slot_b()];
//! let Start { running, mut updater } = start(&mut slots, &requirements);
//! let model = running.ok_or(Trouble::NoModel)?;            // or a model built into the firmware
//! let mut agent = Agent::new(model, workspace)?;
//! if let Err(Error::SnapshotModel { snapshot, model }) = agent.restore(&saved) {
//!     log(snapshot, model);                                // the old model's: the context starts empty
//! }
//! // The old model goes on acting while the new one comes in.
//! let mut update = updater.begin(length)?;
//! while let Some(chunk) = link.receive() {
//!     update.write(chunk)?;
//! }
//! update.finish(&requirements)?;                           // from now on the next start runs the new one
//! ```
//!
//! A slot: the header in the first [`model_offset`] bytes, then the weights file as it is. Header,
//! little-endian: magic `ADSL`, sequence number u32, length of the weights file u32, CRC-32 of the
//! header without these four bytes, CRC-32 of the weights file (that of its own header). The bytes that
//! follow stay erased.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use algodistill_core::model::weights::{checksum, CRC_OFFSET};
use algodistill_core::{Channel, Error, Model};

/// The flash of one slot: whole pages that nothing else uses, mapped into the address space. The two
/// slots are two values, so that the model at work can be borrowed from one while the other is
/// written.
///
/// On a chip with one bank of flash, code that runs while it is erased or programmed lies in RAM, or
/// the chip waits.
pub trait Flash {
    /// What the controller reports.
    type Error;

    /// Bytes of a page: what is erased at once. A multiple of [`Flash::unit_len`].
    fn page_len(&self) -> usize;

    /// Bytes of a unit: what is programmed at once, and only once after it was erased (flash with an
    /// error correction allows no more). A power of two, at most [`MOST_UNIT`].
    fn unit_len(&self) -> usize;

    /// The slot as it can be read now, aligned to 4 bytes (the fast kernels want it). Made of an address
    /// at every call, and not a `static`, whose content the compiler believes to know; caches of the
    /// flash are emptied before.
    fn bytes(&self) -> &[u8];

    /// Sets every byte of page number `page` to 0xFF.
    fn erase(&mut self, page: usize) -> Result<(), Self::Error>;

    /// Programs whole units at `offset` from the start of the slot.
    fn program(&mut self, offset: usize, units: &[u8]) -> Result<(), Self::Error>;
}

/// Most bytes of a unit: a page of external flash.
pub const MOST_UNIT: usize = 256;

const MAGIC: [u8; 4] = *b"ADSL";
const HEADER_LEN: usize = 20;

/// Where the weights file begins in a slot: behind the header, in a unit of its own and on the
/// alignment of its tensors.
pub fn model_offset(flash: &impl Flash) -> usize {
    flash.unit_len().max(32)
}

/// What a model must be for this firmware. What it is rewarded with may change: rewards are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Requirements<'r> {
    /// What the sensors give.
    pub channels: &'r [Channel],
    /// What the actuators can do.
    pub actions: u16,
    /// The environment in the model's card; `None` for any.
    pub environment: Option<&'r str>,
    /// Words of the workspace that the firmware has.
    pub workspace_words: usize,
}

/// Why a valid model is none for this firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It sees something else.
    Channels,
    /// It does something else.
    Actions {
        /// Of the firmware.
        needed: u16,
        /// Of the model.
        found: u16,
    },
    /// It was trained in another environment, or its card names none.
    Environment,
    /// It needs more memory than the firmware has.
    Workspace {
        /// Words that the model needs.
        needed: usize,
        /// Words of the firmware.
        found: usize,
    },
}

impl Requirements<'_> {
    /// Whether the firmware can run `model`.
    ///
    /// # Errors
    /// The first [`Mismatch`].
    pub fn check(&self, model: &Model) -> Result<(), Mismatch> {
        let interface = model.interface();
        if *interface.channels != *self.channels {
            return Err(Mismatch::Channels);
        }
        if interface.actions != self.actions {
            return Err(Mismatch::Actions { needed: self.actions, found: interface.actions });
        }
        if self.environment.is_some() && model.environment() != self.environment {
            return Err(Mismatch::Environment);
        }
        let (needed, found) = (model.workspace_words(), self.workspace_words);
        if needed > found {
            return Err(Mismatch::Workspace { needed, found });
        }
        Ok(())
    }
}

/// What a device finds when it starts.
pub struct Start<'f, F> {
    /// The newest model that is valid and fits. `None` where neither slot has one: before the first
    /// update.
    pub running: Option<Model<'f>>,
    /// Takes the next model, in the other slot.
    pub updater: Updater<'f, F>,
}

/// Chooses between the slots. Every byte of the model is checked, twice.
pub fn start<'f, F: Flash>(slots: &'f mut [F; 2], requirements: &Requirements) -> Start<'f, F> {
    let [a, b] = slots;
    let b_is_newer = match (Header::read(a), Header::read(b)) {
        // Sequence numbers may wrap.
        (Some(a), Some(b)) => (b.sequence.wrapping_sub(a.sequence) as i32) > 0,
        (a, _) => a.is_none(),
    };
    let (newer, older) = if b_is_newer { (b, a) } else { (a, b) };
    let newer_runs = open(newer, requirements).is_some();
    let (chosen, other) = if newer_runs { (newer, older) } else { (older, newer) };
    let found = open(&*chosen, requirements);
    let last = found.as_ref().map_or(0, |(sequence, _)| *sequence);
    Start {
        running: found.map(|(_, model)| model),
        updater: Updater { flash: other, sequence: last.wrapping_add(1) },
    }
}

/// Sequence number and model of a slot that can run.
fn open<'f>(flash: &'f impl Flash, requirements: &Requirements) -> Option<(u32, Model<'f>)> {
    let header = Header::read(flash)?;
    let model = Model::decode(file(flash, header.length)?).ok()?;
    let valid = model.crc() == header.model_crc && requirements.check(&model).is_ok();
    valid.then_some((header.sequence, model))
}

fn file(flash: &impl Flash, length: usize) -> Option<&[u8]> {
    flash.bytes().get(model_offset(flash)..)?.get(..length)
}

/// The record that makes a slot valid.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    sequence: u32,
    length: usize,
    model_crc: u32,
}

impl Header {
    fn read(flash: &impl Flash) -> Option<Self> {
        let bytes = flash.bytes().get(..HEADER_LEN)?;
        let mut fields = [0; HEADER_LEN / 4];
        for (field, word) in fields.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *field = u32::from_le_bytes(*word);
        }
        let [magic, sequence, length, crc, model_crc] = fields;
        let valid = magic.to_le_bytes() == MAGIC && crc == checksum(bytes);
        valid.then_some(Self { sequence, length: length as usize, model_crc })
    }

    fn to_bytes(self) -> [u8; MOST_UNIT] {
        let fields = [u32::from_le_bytes(MAGIC), self.sequence, self.length as u32, 0, self.model_crc];
        let mut bytes = [0xff; MOST_UNIT];
        for (word, field) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *word = field.to_le_bytes();
        }
        let crc = checksum(bytes.get(..HEADER_LEN).unwrap_or(&[]));
        if let Some(field) = bytes.get_mut(CRC_OFFSET..CRC_OFFSET + 4) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        bytes
    }
}

/// Why an update was not made. The model at work is as before, and so is what the next start finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError<E> {
    /// The flash controller refused.
    Flash(E),
    /// The slot is too small for the weights file.
    Room {
        /// Bytes that the slot would have to have.
        needed: usize,
        /// Bytes of the slot.
        found: usize,
    },
    /// A chunk is not of whole units, and not the last one.
    Chunk,
    /// There are more or fewer bytes than were announced.
    Length {
        /// Bytes announced.
        announced: usize,
        /// Bytes given.
        found: usize,
    },
    /// What can be read back is no valid model: damaged on its way, or by the flash.
    Model(Error),
    /// It is a model for another firmware.
    Mismatch(Mismatch),
    /// The header cannot be read back as it was programmed.
    Header,
}

/// The slot that does not run.
pub struct Updater<'f, F> {
    flash: &'f mut F,
    /// Of the next model.
    sequence: u32,
}

impl<F: Flash> Updater<'_, F> {
    /// Erases as much of the slot as a weights file of `length` bytes needs, its header first. Until
    /// [`Update::finish`] the slot is not valid. An update that was broken off, by whatever it was, is
    /// begun again: nothing of it is built upon, because a page whose erasure was cut off may read as
    /// erased and not be.
    ///
    /// # Errors
    /// [`UpdateError::Room`], [`UpdateError::Flash`].
    pub fn begin(&mut self, length: usize) -> Result<Update<'_, F>, UpdateError<F::Error>> {
        let found = self.flash.bytes().len();
        let needed = model_offset(self.flash).saturating_add(length);
        if needed > found {
            return Err(UpdateError::Room { needed, found });
        }
        let page = self.flash.page_len().max(1);
        for page in 0..needed.div_ceil(page) {
            self.flash.erase(page).map_err(UpdateError::Flash)?;
        }
        Ok(Update { flash: self.flash, sequence: self.sequence, length, written: 0 })
    }
}

/// A model on its way into a slot.
pub struct Update<'f, F> {
    flash: &'f mut F,
    sequence: u32,
    length: usize,
    written: usize,
}

impl<F: Flash> Update<'_, F> {
    /// Programs the next bytes of the weights file: whole units, but for the last chunk.
    ///
    /// # Errors
    /// [`UpdateError::Length`], [`UpdateError::Chunk`], [`UpdateError::Flash`].
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), UpdateError<F::Error>> {
        let end = self.written.saturating_add(chunk.len());
        if end > self.length {
            return Err(UpdateError::Length { announced: self.length, found: end });
        }
        let unit = self.flash.unit_len().max(1);
        let (units, rest) = chunk.split_at_checked(chunk.len() / unit * unit).unwrap_or((chunk, &[]));
        if !rest.is_empty() && end != self.length {
            return Err(UpdateError::Chunk);
        }
        let at = model_offset(self.flash) + self.written;
        self.flash.program(at, units).map_err(UpdateError::Flash)?;
        if !rest.is_empty() {
            let mut last = [0xff; MOST_UNIT];
            last.iter_mut().zip(rest).for_each(|(byte, value)| *byte = *value);
            let unit = last.get(..unit).unwrap_or(&last);
            self.flash.program(at + units.len(), unit).map_err(UpdateError::Flash)?;
        }
        self.written = end;
        Ok(())
    }

    /// Validates what lies in the flash, and with its header makes it the model of the next start. What
    /// is refused here will not run, and the slot that runs is not touched.
    ///
    /// # Errors
    /// [`UpdateError::Length`], [`UpdateError::Model`], [`UpdateError::Mismatch`],
    /// [`UpdateError::Flash`], [`UpdateError::Header`].
    pub fn finish(self, requirements: &Requirements) -> Result<(), UpdateError<F::Error>> {
        let model_crc = self.validate(requirements)?;
        let header = Header { sequence: self.sequence, length: self.length, model_crc };
        let (bytes, unit) = (header.to_bytes(), self.flash.unit_len().max(1));
        let units = bytes.get(..HEADER_LEN.div_ceil(unit) * unit).unwrap_or(&bytes);
        self.flash.program(0, units).map_err(UpdateError::Flash)?;
        if Header::read(self.flash) != Some(header) {
            return Err(UpdateError::Header);
        }
        Ok(())
    }

    /// CRC-32 of the model that can be read back, if it is complete, valid and for this firmware.
    fn validate(&self, requirements: &Requirements) -> Result<u32, UpdateError<F::Error>> {
        let incomplete = UpdateError::Length { announced: self.length, found: self.written };
        let bytes = file(self.flash, self.length).filter(|_| self.written == self.length);
        let model = Model::decode(bytes.ok_or(incomplete)?).map_err(UpdateError::Model)?;
        requirements.check(&model).map_err(UpdateError::Mismatch)?;
        Ok(model.crc())
    }
}
