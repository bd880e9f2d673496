//! An int8 matrix in flash, one scale a row.

/// `[rows, columns]` row-major int8; the real value of element (i, j) is `data[i, j] * scales[i] * 2^-exponent`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor<'a> {
    scales: &'a [u8],
    data: &'a [i8],
    columns: usize,
    /// Binary exponent of the row scales.
    pub exponent: i32,
}

impl<'a> Tensor<'a> {
    /// `scales` are little-endian u16, two bytes a row, unaligned.
    pub fn new(scales: &'a [u8], data: &'a [u8], columns: usize, exponent: i32) -> Self {
        // i8 and u8 have one size and alignment: the cast cannot fail.
        Self { scales, data: bytemuck::try_cast_slice(data).unwrap_or(&[]), columns, exponent }
    }

    /// The whole matrix.
    pub fn data(&self) -> &'a [i8] {
        self.data
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Row scales, in units of `2^-exponent`.
    pub fn scales(&self) -> impl Iterator<Item = u32> + 'a {
        let (scales, _) = self.scales.as_chunks::<2>();
        scales.iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes)))
    }

    /// One row and its scale. An index out of range gives an empty row: callers validate indices.
    pub fn row(&self, index: usize) -> (&'a [i8], u32) {
        let start = index * self.columns;
        let row = self.data.get(start..start + self.columns).unwrap_or(&[]);
        let (scales, _) = self.scales.as_chunks::<2>();
        (row, scales.get(index).map_or(0, |bytes| u32::from(u16::from_le_bytes(*bytes))))
    }
}
