//! Writing a weights file, for programs that make models. Needs an allocator.

extern crate alloc;

use super::{checksum, padded, shapes, Dimensions, Metadata, CRC_OFFSET, FORMAT_VERSION, HEADER_LEN, MAGIC};
use crate::model::kernels::code;
use crate::{Error, Interface, Model};
use alloc::vec;
use alloc::vec::Vec;

/// A tensor to be written: the real value of element (i, j) is
/// `data[i, j] * scales[i] * 2^-exponent`.
#[derive(Clone, Copy, Debug)]
pub struct TensorParts<'a> {
    /// One per row.
    pub scales: &'a [u16],
    /// Row-major, -127 to 127.
    pub data: &'a [i8],
    /// Binary exponent of the scales.
    pub exponent: i8,
}

/// The bytes of a weights file, whose `tensors` are those of [`shapes`] in their order and whose
/// training card is `card` (JSON text).
///
/// # Errors
/// What [`Model::decode`] refuses is refused here; [`Error::Metadata`] also where the tensors are
/// not those of [`shapes`].
pub fn write(
    dimensions: &Dimensions,
    interface: &Interface,
    tensors: &[TensorParts],
    card: &str,
) -> Result<Vec<u8>, Error> {
    dimensions.check()?;
    let shapes = shapes(dimensions, interface);
    let fits = |([rows, columns], tensor): (&[usize; 2], &TensorParts)| {
        tensor.scales.len() == *rows && tensor.data.len() == rows * columns
    };
    if tensors.len() != shapes.len() || !shapes.iter().zip(tensors).all(fits) {
        return Err(Error::Metadata);
    }
    let exponents = tensors.iter().map(|tensor| tensor.exponent).collect();
    let metadata = Metadata { interface: interface.clone(), exponents, card };
    let metadata = postcard::to_extend(&metadata, Vec::new()).map_err(|_| Error::Metadata)?;

    let mut file = vec![0u8; HEADER_LEN];
    append(&mut file, metadata.iter().copied());
    for ([_, columns], tensor) in shapes.iter().zip(tensors) {
        append(&mut file, tensor.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        let rows = tensor.data.chunks(*columns);
        append(&mut file, rows.flat_map(|row| row.iter().enumerate().map(|(column, q)| code(column, *q))));
    }

    let Dimensions { layers, d_model, heads, d_ff, window, actions, final_words } = *dimensions;
    let number = |value: usize| u32::try_from(value).map_err(|_| Error::Length);
    file[..4].copy_from_slice(&MAGIC);
    file[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let length = number(file.len())?;
    file[8..12].copy_from_slice(&length.to_le_bytes());
    for (bytes, field) in file[16..28].chunks_mut(2).zip([layers, d_model, heads, d_ff, window, actions]) {
        // Within 16 bits: the dimensions were checked.
        bytes.copy_from_slice(&(field as u16).to_le_bytes());
    }
    file[28..32].copy_from_slice(&number(metadata.len())?.to_le_bytes());
    file[32..34].copy_from_slice(&(final_words as u16).to_le_bytes());
    let crc = checksum(&file);
    file[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    Model::decode(&file)?;
    Ok(file)
}

/// Appends a section and its padding.
fn append(file: &mut Vec<u8>, bytes: impl Iterator<Item = u8>) {
    file.extend(bytes);
    file.resize(padded(file.len()), 0);
}
