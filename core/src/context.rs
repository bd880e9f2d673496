//! The context: a ring buffer of the keys and values of the last W steps, what the next token says
//! of the step before it, and the snapshot of both.
//!
//! Slots are interchangeable: attention has no positions, and integer sums do not depend on their
//! order. So the ring needs no order, and nothing in it grows with uptime.

use crate::interface::Interface;
use crate::model::weights::{checksum, Dimensions, CRC_OFFSET};
use crate::{Channel, Error};

/// First bytes of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 4] = *b"ADS\0";
/// Version of the snapshot format that this build writes. It also reads version 2, which had no
/// final observation, of models without tables for one: the bytes are the same.
pub const SNAPSHOT_VERSION: u16 = 3;
const SNAPSHOT_HEADER_LEN: usize = 32;

/// Bytes of a snapshot of a model's context.
pub const fn snapshot_len(dimensions: &Dimensions) -> usize {
    SNAPSHOT_HEADER_LEN + 4 * context_words(dimensions)
}

/// Words of 32 bits of the ring and of a final observation.
pub(crate) const fn context_words(dimensions: &Dimensions) -> usize {
    dimensions.ring_bytes().div_ceil(4) + dimensions.final_words
}

/// Ring buffer of keys and values, in memory lent by the caller.
///
/// Bytes: keys `[layer, slot, d_kv]`, coded; values, in groups of four slots (see
/// [`crate::model::kernels::value_index`]); key scales `[layer, kv_head, slot]` u16, value scales the
/// same; then the words of a final observation, i32.
pub(crate) struct Ring<'a> {
    memory: &'a mut [u32],
    dimensions: Dimensions,
    /// Slot that the next step writes.
    next: usize,
    /// Slots written so far, at most W.
    filled: usize,
}

/// The part of the ring that belongs to one layer; all slots.
pub(crate) struct LayerRing<'a> {
    /// `[slot, d_kv]`, coded.
    pub keys: &'a mut [u8],
    /// `[group of four slots, d_kv, four slots]`.
    pub values: &'a mut [i8],
    /// `[kv_head, slot]`, in units of 2^-8.
    pub key_scales: &'a mut [u16],
    /// `[kv_head, slot]`, in units of 2^-8.
    pub value_scales: &'a mut [u16],
}

impl<'a> Ring<'a> {
    /// An empty ring in `memory`, which has [`context_words`] words. Memory of slots that were
    /// never written is multiplied by zero: it is cleared here, so that nobody depends on what
    /// the caller left in it.
    pub fn new(memory: &'a mut [u32], dimensions: Dimensions) -> Self {
        memory.fill(0);
        Self { memory, dimensions, next: 0, filled: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    /// Slot that the current step writes.
    pub fn slot(&self) -> usize {
        self.next
    }

    /// Slots that the current step attends to, its own included: slots `0..len`.
    pub fn attended(&self) -> usize {
        (self.filled + 1).min(self.dimensions.window)
    }

    /// Ends the current step: the next one writes the slot of the oldest.
    pub fn advance(&mut self) {
        self.filled = self.attended();
        self.next = if self.next + 1 < self.dimensions.window { self.next + 1 } else { 0 };
    }

    /// Keys, values and scales of one layer.
    pub fn layer(&mut self, layer: usize) -> LayerRing<'_> {
        let Dimensions { layers, window, kv_heads, .. } = self.dimensions;
        let (key_bytes, value_bytes, scales) =
            (window * self.dimensions.d_kv(), self.dimensions.ring_value_bytes(), window * kv_heads);
        let (keys, rest) = split(self.memory, layers * key_bytes / 4);
        let (values, rest) = split(rest, layers * value_bytes / 4);
        let rest: &mut [u16] = bytemuck::try_cast_slice_mut(rest).unwrap_or(&mut []);
        let (key_scales, value_scales) = split(rest, layers * scales);
        LayerRing {
            keys: part(bytemuck::try_cast_slice_mut(keys).unwrap_or(&mut []), layer, key_bytes),
            values: part(bytemuck::try_cast_slice_mut(values).unwrap_or(&mut []), layer, value_bytes),
            key_scales: part(key_scales, layer, scales),
            value_scales: part(value_scales, layer, scales),
        }
    }

    /// Words of the observation that ended the last episode, if they are known.
    pub fn final_observation(&mut self) -> &mut [i32] {
        let start = self.dimensions.ring_bytes().div_ceil(4);
        let words = self.memory.get_mut(start..).unwrap_or(&mut []);
        bytemuck::try_cast_slice_mut(words).unwrap_or(&mut [])
    }

    /// Writes a snapshot to the front of `out`; `docs/weights-format.md` lists the fields.
    pub fn write_snapshot(&self, model_crc: u32, pending: Pending, out: &mut [u8]) -> Result<usize, Error> {
        let needed = snapshot_len(&self.dimensions);
        let found = out.len();
        let out = out.get_mut(..needed).ok_or(Error::SnapshotLength { needed, found })?;
        let (header, body) =
            out.split_at_mut_checked(SNAPSHOT_HEADER_LEN).ok_or(Error::SnapshotLength { needed, found })?;
        let fields = [
            u32::from_le_bytes(SNAPSHOT_MAGIC),
            u32::from(SNAPSHOT_VERSION),
            needed as u32,
            0,
            model_crc,
            self.next as u32 | (self.filled as u32) << 16,
            pending.action_row as u32 | (pending.feedback_row as u32) << 16,
            u32::from(pending.awaits_feedback) | u32::from(pending.final_observation) << 1,
        ];
        for (bytes, field) in header.chunks_mut(4).zip(fields) {
            copy(bytes, &field.to_le_bytes());
        }
        copy(body, bytemuck::try_cast_slice(self.memory).unwrap_or(&[]));
        let crc = checksum(out);
        copy(out.get_mut(CRC_OFFSET..CRC_OFFSET + 4).unwrap_or(&mut []), &crc.to_le_bytes());
        Ok(needed)
    }

    /// Restores a snapshot; on an error nothing has changed.
    pub fn read_snapshot(
        &mut self,
        model_crc: u32,
        bytes: &[u8],
        interface: &Interface,
    ) -> Result<Pending, Error> {
        let needed = snapshot_len(&self.dimensions);
        let wrong_length = Error::SnapshotLength { needed, found: bytes.len() };
        let (header, body) = bytes.split_at_checked(SNAPSHOT_HEADER_LEN).ok_or(Error::Truncated)?;
        let mut fields = [0u32; SNAPSHOT_HEADER_LEN / 4];
        let (words, _) = header.as_chunks::<4>();
        for (field, word) in fields.iter_mut().zip(words) {
            *field = u32::from_le_bytes(*word);
        }
        let [magic, version, length, crc, model, slots, pending, flags] = fields;
        if magic.to_le_bytes() != SNAPSHOT_MAGIC {
            return Err(Error::Magic);
        }
        let readable =
            version == u32::from(SNAPSHOT_VERSION) || version == 2 && self.dimensions.final_words == 0;
        if !readable {
            return Err(Error::Version(version as u16));
        }
        if bytes.len() < length as usize {
            return Err(Error::Truncated);
        }
        if bytes.len() != length as usize {
            return Err(Error::Length);
        }
        if checksum(bytes) != crc {
            return Err(Error::Checksum);
        }
        if model != model_crc {
            return Err(Error::SnapshotModel);
        }
        if length as usize != needed {
            return Err(wrong_length);
        }
        let (next, filled) = ((slots & 0xffff) as usize, (slots >> 16) as usize);
        let (action_row, feedback_row) = ((pending & 0xffff) as usize, (pending >> 16) as usize);
        let window = self.dimensions.window;
        // Until the ring is full the next slot is the number of filled ones.
        let counters = next < window && (filled == window || filled == next);
        let rows = action_row < interface.action_rows() && feedback_row < interface.feedback_rows();
        let final_observation = flags & 2 != 0;
        let seen = !final_observation || self.check_final_observation(body, interface);
        if !counters || !rows || flags > 3 || !seen {
            return Err(Error::SnapshotState);
        }
        copy(bytemuck::try_cast_slice_mut(self.memory).unwrap_or(&mut []), body);
        self.next = next;
        self.filled = filled;
        Ok(Pending { action_row, feedback_row, final_observation, awaits_feedback: flags & 1 != 0 })
    }

    /// Whether the bytes of a snapshot's context end with a valid final observation.
    fn check_final_observation(&self, body: &[u8], interface: &Interface) -> bool {
        let mut words =
            body.get(self.dimensions.ring_bytes().div_ceil(4) * 4..).unwrap_or(&[]).as_chunks::<4>().0;
        let valid = |channel: &Channel| {
            // Only a discrete channel refuses words, and it has one.
            let first = words.first().map(|bytes| i32::from_le_bytes(*bytes));
            words = words.get(channel.words()..).unwrap_or(&[]);
            channel.table_rows() == 0 || first.is_some_and(|word| channel.check(&[word]).is_ok())
        };
        self.dimensions.final_words > 0 && interface.channels.iter().all(valid)
    }
}

/// What the next token says of the step before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Row of the action table.
    pub action_row: usize,
    /// Row of the feedback table.
    pub feedback_row: usize,
    /// Whether [`Ring::final_observation`] belongs to the token.
    pub final_observation: bool,
    /// Whether the last action still waits for its feedback.
    pub awaits_feedback: bool,
}

impl Pending {
    /// Before the first step.
    pub fn none(interface: &Interface) -> Self {
        Self {
            action_row: interface.no_action_row(),
            feedback_row: interface.no_feedback_row(),
            final_observation: false,
            awaits_feedback: false,
        }
    }
}

/// `split_at_mut` that shortens instead of panicking; the memory's length was checked when it was
/// lent.
fn split<T>(slice: &mut [T], middle: usize) -> (&mut [T], &mut [T]) {
    let middle = middle.min(slice.len());
    slice.split_at_mut_checked(middle).unwrap_or((&mut [], &mut []))
}

/// Part `index` of a slice cut in parts of `len`.
fn part<T>(slice: &mut [T], index: usize, len: usize) -> &mut [T] {
    slice.get_mut(index * len..(index + 1) * len).unwrap_or(&mut [])
}

/// Copies the shorter length.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
