//! The context: a ring buffer of the keys and values of the last W steps, what the next token says
//! of the step before it, and the snapshot of both.
//!
//! Slots are interchangeable: attention has no positions, and integer sums do not depend on their
//! order. So the ring needs no order, and nothing in it grows with uptime.

use crate::interface::Interface;
use crate::model::kernels::{key, store_key, store_value, value};
use crate::model::weights::{checksum, Dimensions, CRC_OFFSET};
use crate::{Channel, Error};

/// First bytes of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 4] = *b"ADS\0";
/// Version of the snapshot format. Earlier ones had the scales of keys and values in other places.
pub const SNAPSHOT_VERSION: u16 = 4;
const SNAPSHOT_HEADER_LEN: usize = 32;

/// Bytes of a snapshot of a model's context.
pub const fn snapshot_len(dimensions: &Dimensions) -> usize {
    SNAPSHOT_HEADER_LEN + 4 * context_words(dimensions)
}

/// CRC-32 of the weights file ([`crate::Model::crc`]) that a snapshot was taken with.
///
/// # Errors
/// Those of [`crate::Agent::restore`] that can be told without the model.
pub fn snapshot_model(bytes: &[u8]) -> Result<u32, Error> {
    let ([_, _, _, _, model, ..], _) = open_snapshot(bytes)?;
    Ok(model)
}

/// Header and body of a snapshot of some model: of this version, whole and undamaged.
fn open_snapshot(bytes: &[u8]) -> Result<([u32; SNAPSHOT_HEADER_LEN / 4], &[u8]), Error> {
    let (header, body) = bytes.split_at_checked(SNAPSHOT_HEADER_LEN).ok_or(Error::Truncated)?;
    let mut fields = [0u32; SNAPSHOT_HEADER_LEN / 4];
    let (words, _) = header.as_chunks::<4>();
    for (field, word) in fields.iter_mut().zip(words) {
        *field = u32::from_le_bytes(*word);
    }
    let [magic, version, length, crc, ..] = fields;
    if magic.to_le_bytes() != SNAPSHOT_MAGIC {
        return Err(Error::Magic);
    }
    if version != u32::from(SNAPSHOT_VERSION) {
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
    Ok((fields, body))
}

/// Words of 32 bits of the ring and of a final observation.
pub(crate) const fn context_words(dimensions: &Dimensions) -> usize {
    dimensions.ring_bytes().div_ceil(4) + dimensions.final_words
}

/// Ring buffer of keys and values, in memory lent by the caller.
///
/// For each layer and head of keys and values: keys `[slot, d_head]`, values `[slot, d_head]` (both as
/// [`crate::model::kernels::store_key`] says), scales of keys `[slot]` u16, scales of values the same;
/// then the words of a final observation, i32.
pub(crate) struct Ring<'a> {
    memory: &'a mut [u32],
    dimensions: Dimensions,
    /// Slot that the next step writes.
    next: usize,
    /// Slots written so far, at most W.
    filled: usize,
}

/// The part of the ring that belongs to one head of one layer; all slots.
pub(crate) struct HeadRing<'a> {
    /// Rows of `d_head`.
    pub keys: &'a mut [i8],
    /// Rows of `d_head`.
    pub values: &'a mut [i8],
    /// In units of 2^-8.
    pub key_scales: &'a mut [u16],
    /// In units of 2^-8.
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

    /// Keys, values and scales of a head of keys and values, counted through all layers.
    pub fn head(&mut self, index: usize) -> HeadRing<'_> {
        let words = self.dimensions.head_ring_bytes() / 4;
        let memory = self.memory.get_mut(index * words..(index + 1) * words).unwrap_or(&mut []);
        let (slots, row_words) = (self.dimensions.slots(), self.dimensions.d_head() / 4);
        let (keys, rest) = split(memory, slots * row_words);
        let (values, scales) = split(rest, slots * row_words);
        let (key_scales, value_scales) = split(scales, slots / 2);
        HeadRing {
            keys: bytemuck::try_cast_slice_mut(keys).unwrap_or(&mut []),
            values: bytemuck::try_cast_slice_mut(values).unwrap_or(&mut []),
            key_scales: bytemuck::try_cast_slice_mut(key_scales).unwrap_or(&mut []),
            value_scales: bytemuck::try_cast_slice_mut(value_scales).unwrap_or(&mut []),
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
        self.write_body(body);
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
        let ([_, _, _, _, model, slots, pending, flags], body) = open_snapshot(bytes)?;
        if model != model_crc {
            return Err(Error::SnapshotModel { snapshot: model, model: model_crc });
        }
        let (needed, found) = (snapshot_len(&self.dimensions), bytes.len());
        if found != needed {
            return Err(Error::SnapshotLength { needed, found });
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
        self.read_body(body);
        self.next = next;
        self.filled = filled;
        Ok(Pending { action_row, feedback_row, final_observation, awaits_feedback: flags & 1 != 0 })
    }

    /// The memory as bytes, keys and values as plain rows: a snapshot is the same on every target.
    fn write_body(&self, body: &mut [u8]) {
        copy(body, bytemuck::try_cast_slice(self.memory).unwrap_or(&[]));
        let memory: &[i8] = bytemuck::try_cast_slice(self.memory).unwrap_or(&[]);
        let (head_bytes, d_head) =
            (self.dimensions.head_ring_bytes().max(1), self.dimensions.d_head().max(4));
        let rows = self.dimensions.slots() * d_head;
        let (heads, ring_bytes) = (memory.chunks_exact(head_bytes), self.dimensions.ring_bytes());
        for (head, out) in
            heads.zip(body.get_mut(..ring_bytes).unwrap_or(&mut []).chunks_exact_mut(head_bytes))
        {
            let (keys, rest) = head.split_at_checked(rows).unwrap_or_default();
            let values = rest.get(..rows).unwrap_or(&[]);
            let pairs = out.as_chunks_mut::<2>().0.iter_mut();
            for (index, pair) in pairs.take(rows).enumerate() {
                // Rows of keys, then rows of values.
                let (slot, column) = (2 * index / d_head, 2 * index % d_head);
                let elements = match slot.checked_sub(self.dimensions.slots()) {
                    None => key(keys, slot, column, d_head),
                    Some(slot) => value(values, slot, column, d_head),
                };
                *pair = elements.map(|element| element as u8);
            }
        }
    }

    /// The reverse of [`Ring::write_body`].
    fn read_body(&mut self, body: &[u8]) {
        copy(bytemuck::try_cast_slice_mut(self.memory).unwrap_or(&mut []), body);
        let (head_bytes, d_head) =
            (self.dimensions.head_ring_bytes().max(1), self.dimensions.d_head().max(4));
        let heads = self.dimensions.layers * self.dimensions.kv_heads;
        let slots = self.dimensions.slots();
        for (index, bytes) in body.chunks_exact(head_bytes).take(heads).enumerate() {
            let HeadRing { keys, values, .. } = self.head(index);
            let rows: &[i8] =
                bytemuck::try_cast_slice(bytes.get(..2 * slots * d_head).unwrap_or(&[])).unwrap_or(&[]);
            for (slot, row) in rows.chunks_exact(d_head).enumerate() {
                match slot.checked_sub(slots) {
                    None => store_key(row, slot, keys),
                    Some(slot) => store_value(row, slot, values),
                }
            }
        }
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

/// Copies the shorter length.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
