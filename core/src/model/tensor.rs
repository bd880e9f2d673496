//! An int8 matrix in flash, one scale per row.

use super::weights::padded;

/// `[rows, columns]` row-major int8, coded; the real value of element (i, j) is `decode(j, data[i,
/// j]) * scales[i] * 2^-exponent`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor<'a> {
    /// Little-endian u16, two bytes per row, unaligned.
    scales: &'a [u8],
    data: &'a [u8],
    columns: usize,
    /// Binary exponent of the row scales.
    pub exponent: i32,
}

impl<'a> Tensor<'a> {
    /// The whole matrix, coded.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len() / 2
    }

    /// Elements of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row scales as they are in the file.
    pub fn scale_bytes(&self) -> &'a [u8] {
        self.scales
    }

    /// Scales of row `first` and those behind it, in units of `2^-exponent`. (Of an iterator that skips
    /// rows, compilers make no vectors.)
    pub fn scales_from(&self, first: usize) -> impl Iterator<Item = u32> + Clone + 'a {
        let (scales, _) = self.scales.as_chunks::<2>();
        scales.get(first..).unwrap_or(&[]).iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes)))
    }

    /// One row, coded, and its scale. An index out of range gives an empty row: callers validate indices.
    pub fn row(&self, index: usize) -> (&'a [u8], u32) {
        let start = index * self.columns;
        let row = self.data.get(start..start + self.columns).unwrap_or(&[]);
        let (scales, _) = self.scales.as_chunks::<2>();
        (row, scales.get(index).map_or(0, |bytes| u32::from(u16::from_le_bytes(*bytes))))
    }
}

/// The sections of a weights file that follow each other from some place on, each padded.
#[derive(Clone, Debug)]
pub(crate) struct Sections<'a>(pub &'a [u8]);

impl<'a> Sections<'a> {
    /// The next `len` bytes; none where the file ends before, which [`super::Model::decode`] excludes.
    pub fn next(&mut self, len: usize) -> &'a [u8] {
        let section = self.0.get(..len).unwrap_or(&[]);
        self.0 = self.0.get(padded(len)..).unwrap_or(&[]);
        section
    }
}

/// The tensors that follow each other from some place of a weights file on. A step takes them in their
/// order, so that a device keeps none of them in its RAM.
#[derive(Clone, Debug)]
pub(crate) struct Tensors<'a> {
    /// Binary exponents of the row scales: an i8 for each tensor.
    pub exponents: &'a [u8],
    pub sections: Sections<'a>,
}

impl<'a> Tensors<'a> {
    /// The next one, whose shape the caller knows.
    // Not inlined: it is called in many places, of which each would have a copy in flash.
    #[inline(never)]
    pub fn next(&mut self, [rows, columns]: [usize; 2]) -> Tensor<'a> {
        let (exponent, rest) = self.exponents.split_first().unwrap_or((&0, &[]));
        self.exponents = rest;
        let scales = self.sections.next(2 * rows);
        let data = self.sections.next(rows * columns);
        Tensor { scales, data, columns, exponent: i32::from(*exponent as i8) }
    }
}
