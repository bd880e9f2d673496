//! Writing a weights file, for programs that make models. Needs an allocator.

extern crate alloc;

use super::{checksum, padded, shapes, Dimensions, Encoders, Metadata, Normaliser};
use super::{CRC_OFFSET, ENCODERS_VERSION, FORMAT_VERSION, HEADER_LEN, MAGIC, TABLES_VERSION};
use crate::model::kernels::code;
use crate::{Channel, Error, Interface, Model};
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
/// training card is `card` (JSON text). `normalisers`: one for each word of each vector channel.
///
/// A model is written as the oldest version that can say what it is, so that its bytes and its readers
/// are the same as ever.
///
/// # Errors
/// What [`Model::decode`] refuses is refused here; [`Error::Metadata`] also where the tensors are
/// not those of [`shapes`], or the normalisers not as many as the words.
pub fn write(
    dimensions: &Dimensions,
    interface: &Interface,
    normalisers: &[Normaliser],
    tensors: &[TensorParts],
    card: &str,
) -> Result<Vec<u8>, Error> {
    dimensions.check()?;
    if normalisers.len() != interface.normalised_words() {
        return Err(Error::Metadata);
    }
    let shapes = shapes(dimensions, interface);
    let fits = |([rows, columns], tensor): (&[usize; 2], &TensorParts)| {
        tensor.scales.len() == *rows && tensor.data.len() == rows * columns
    };
    if tensors.len() != shapes.len() || !shapes.iter().zip(tensors).all(fits) {
        return Err(Error::Metadata);
    }
    let exponents: Vec<u8> = tensors.iter().map(|tensor| tensor.exponent as u8).collect();
    let metadata = Metadata { interface: interface.clone(), exponents: &exponents, card };
    let metadata = postcard::to_extend(&metadata, Vec::new()).map_err(|_| Error::Metadata)?;

    let mut file = vec![0u8; HEADER_LEN];
    append(&mut file, metadata.iter().copied());
    let mut rest = normalisers.iter();
    for words in interface.channels.iter().map(Channel::normalised_words) {
        append(&mut file, rest.by_ref().take(words).flat_map(|normaliser| normaliser.to_bytes()));
    }
    for ([_, columns], tensor) in shapes.iter().zip(tensors) {
        append(&mut file, tensor.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        let rows = tensor.data.chunks(*columns);
        append(&mut file, rows.flat_map(|row| row.iter().enumerate().map(|(column, q)| code(column, *q))));
    }

    let Dimensions { layers, d_model, heads, kv_heads, d_ff, window, actions, final_words, encoders } =
        *dimensions;
    let Encoders { columns, pixels_hidden, vector_hidden } = encoders;
    let version = match encoders == Encoders::NONE {
        _ if kv_heads != heads => FORMAT_VERSION,
        true => TABLES_VERSION,
        false => ENCODERS_VERSION,
    };
    let number = |value: usize| u32::try_from(value).map_err(|_| Error::Length);
    file[..4].copy_from_slice(&MAGIC);
    file[4..6].copy_from_slice(&version.to_le_bytes());
    let length = number(file.len())?;
    file[8..12].copy_from_slice(&length.to_le_bytes());
    for (bytes, field) in file[16..28].chunks_mut(2).zip([layers, d_model, heads, d_ff, window, actions]) {
        // Within 16 bits: the dimensions were checked.
        bytes.copy_from_slice(&(field as u16).to_le_bytes());
    }
    file[28..32].copy_from_slice(&number(metadata.len())?.to_le_bytes());
    let shared = if version == FORMAT_VERSION { kv_heads } else { 0 };
    let fields = [final_words, columns, pixels_hidden, vector_hidden, shared];
    for (bytes, field) in file[32..42].chunks_mut(2).zip(fields) {
        bytes.copy_from_slice(&(field as u16).to_le_bytes());
    }
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
