//! An int8 matrix in flash, one scale per row.

use super::kernels::decode;

/// `[rows, columns]` row-major int8, coded; the real value of element (i, j) is `decode(j, data[i,
/// j]) * scales[i] * 2^-exponent`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor<'a> {
    scales: &'a [u8],
    data: &'a [u8],
    columns: usize,
    /// Binary exponent of the row scales.
    pub exponent: i32,
}

impl<'a> Tensor<'a> {
    /// `scales` are little-endian u16, two bytes per row, unaligned.
    pub fn new(scales: &'a [u8], data: &'a [u8], columns: usize, exponent: i32) -> Self {
        Self { scales, data, columns, exponent }
    }

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

    /// Row scales, in units of `2^-exponent`.
    pub fn scales(&self) -> impl Iterator<Item = u32> + Clone + 'a {
        let (scales, _) = self.scales.as_chunks::<2>();
        scales.iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes)))
    }

    /// One row and its scale. An index out of range gives an empty row: callers validate indices.
    pub fn row(&self, index: usize) -> (impl Iterator<Item = i8> + 'a, u32) {
        let start = index * self.columns;
        let row = self.data.get(start..start + self.columns).unwrap_or(&[]);
        let (scales, _) = self.scales.as_chunks::<2>();
        let row = row.iter().enumerate().map(|(column, byte)| decode(column, *byte));
        (row, scales.get(index).map_or(0, |bytes| u32::from(u16::from_le_bytes(*bytes))))
    }
}
