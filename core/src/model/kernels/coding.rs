//! How int8 lies in memory so that a multiplication costs one instruction where there is SIMD, and
//! no more than before where there is none.
//!
//! **Rows** of matrices are *coded*: elements of even columns have 128 added, those of
//! odd columns are plain. Read as one 16-bit integer, an even and an odd element are h = 256 w1 + u
//! with u = w0 + 128, and u alone is h with its upper byte cleared. With the products
//!
//! ```text
//! h * x1 + u * (256 x0 - x1)  =  256 (w1 x1 + w0 x0) + 256 * 128 x0
//! ```
//!
//! two multipliers of 16 x 16 bits (SMLAD) give the products of four elements from a
//! loaded word and one instruction that clears bytes: nothing is widened or shuffled. The last term
//! is the same for every row, so the sum begins with its negative. The sum is 256 times the dot
//! product and fits 32 bits for [`CHUNK`] elements; longer rows are summed in chunks.

/// Most elements of a sum that is kept times 256: 512 * 128 * 127 < 2^23.
pub(super) const CHUNK: usize = 512;
/// Room for every width of the format: the residual stream, the hidden layer, a picture and its
/// constant.
const CHUNKS: usize = crate::model::weights::MAX_COLUMNS / CHUNK;
/// Sums that are kept of an operand.
const SUMS: usize = if cfg!(arm_dsp) { CHUNKS } else { 1 };

/// The byte of an element of a coded row.
pub const fn code(column: usize, value: i8) -> u8 {
    value as u8 ^ bias(column)
}

/// The element of a coded row.
pub const fn decode(column: usize, byte: u8) -> i8 {
    (byte ^ bias(column)) as i8
}

/// Adding 128 and flipping the highest bit are the same.
const fn bias(column: usize) -> u8 {
    if column.is_multiple_of(2) {
        0x80
    } else {
        0
    }
}

/// An int8 vector (-127 to 127) prepared to be multiplied by coded rows.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// x0 x1 x2 x3, whose number is a multiple of four.
    pub(super) plain: &'a [[i8; 4]],
    /// The same as x1, x3, 256 x0 - x1, 256 x2 - x3, or as `smlal` says. Only where a set wants it.
    #[cfg(any(arm_dsp, arm_smlal))]
    pub(super) mixed: &'a [[i16; 4]],
    /// Sum of the elements of even columns of each chunk; without the DSP extension, of all.
    even_sums: [i32; SUMS],
}

impl<'a> Operand<'a> {
    /// `vector`: at most [`MAX_COLUMNS`](crate::model::weights::MAX_COLUMNS) elements, a multiple of
    /// four; what is in excess is left out.
    /// `memory`: one element for four of the vector.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    pub fn new(vector: &'a [i8], memory: &'a mut [[i16; 4]]) -> Self {
        let (plain, _) = vector.as_chunks::<4>();
        let used = plain.len().min(memory.len()).min(CHUNKS * CHUNK / 4);
        let (plain, mixed) = (plain.get(..used).unwrap_or(&[]), memory.get_mut(..used).unwrap_or(&mut []));
        let mut even_sums = [0; SUMS];
        let chunk = if SUMS == 1 { CHUNKS * CHUNK / 4 } else { CHUNK / 4 };
        let chunks = plain.chunks(chunk).zip(mixed.chunks_mut(chunk));
        for ((plain, mixed), sum) in chunks.zip(&mut even_sums) {
            *sum = prepare(plain, mixed);
        }
        Self {
            plain,
            #[cfg(any(arm_dsp, arm_smlal))]
            mixed,
            even_sums,
        }
    }

    /// Number of elements.
    pub(super) fn columns(&self) -> usize {
        4 * self.plain.len()
    }

    /// What the sum of 256 times the products begins with, of one chunk.
    #[cfg(arm_dsp)]
    pub(super) fn start(&self) -> i32 {
        -256 * 128 * self.even_sums[0]
    }

    /// What the sum of the products with a coded row begins with.
    pub(super) fn plain_start(&self) -> i32 {
        -128 * self.even_sums.iter().sum::<i32>()
    }

    /// For each chunk, its elements and what the sum of 256 times the products begins with.
    #[cfg(arm_dsp)]
    #[inline(always)]
    pub(super) fn chunks(&self) -> impl Iterator<Item = (&'a [[i16; 4]], i32)> + '_ {
        self.mixed.chunks(CHUNK / 4).zip(self.even_sums.iter().map(|sum| -256 * 128 * sum))
    }
}

#[cfg(arm_dsp)]
use super::dsp::prepare;
#[cfg(arm_smlal)]
use super::smlal::prepare;

#[cfg(arm_mve)]
fn prepare(plain: &[[i8; 4]], _mixed: &mut [[i16; 4]]) -> i32 {
    super::mve::even_sum(plain)
}

/// The sum of the elements of even columns.
#[cfg(not(any(arm_dsp, arm_mve, arm_smlal)))]
fn prepare(plain: &[[i8; 4]], _mixed: &mut [[i16; 4]]) -> i32 {
    plain.iter().map(|[x0, _, x2, _]| i32::from(*x0) + i32::from(*x2)).sum()
}
