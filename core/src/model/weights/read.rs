//! Reading a weights file: it is validated once and stays where it is.

use super::{checksum, padded, shapes, u16_at, Dimensions, Metadata};
use super::{CRC_OFFSET, FORMAT_VERSION, HEADER_LEN, MAGIC, MAX_TENSORS};
use crate::model::tensor::Tensor;
use crate::Error;
use heapless::Vec;

/// A weights file after validation: every slice lies in the file's bytes.
pub(crate) struct Decoded<'a> {
    pub dimensions: Dimensions,
    pub metadata: Metadata<'a>,
    pub tensors: Vec<Tensor<'a>, MAX_TENSORS>,
    pub crc: u32,
}

/// Validates a weights file.
pub(crate) fn decode(file: &[u8]) -> Result<Decoded<'_>, Error> {
    // The bytes of a `static` are known when the program is compiled. Without this the optimizer would
    // answer the comparisons below itself, and a device would never look at its flash.
    let file = core::hint::black_box(file);
    if file.get(..4).ok_or(Error::Truncated)? != MAGIC {
        return Err(Error::Magic);
    }
    let header = file.first_chunk::<HEADER_LEN>().ok_or(Error::Truncated)?;
    let dimensions = Dimensions::read(file).ok_or(Error::Truncated)?;
    let version = u16_at::<4>(header) as u16;
    if version != FORMAT_VERSION {
        return Err(Error::Version(version));
    }
    let length = u32_at(file, 8).ok_or(Error::Truncated)? as usize;
    if file.len() < length {
        return Err(Error::Truncated);
    }
    if file.len() > length {
        return Err(Error::Length);
    }
    let crc = u32_at(file, CRC_OFFSET).ok_or(Error::Truncated)?;
    if checksum(file) != crc {
        return Err(Error::Checksum);
    }
    dimensions.check()?;
    let metadata_len = u32_at(file, 28).ok_or(Error::Truncated)? as usize;
    let reserved = [file.get(6..8), file.get(32..HEADER_LEN)];
    if reserved.iter().any(|bytes| !is_zero(bytes.unwrap_or(&[1]))) {
        return Err(Error::Leftover);
    }

    let mut rest = file.get(HEADER_LEN..).ok_or(Error::Truncated)?;
    let (metadata, unread) = postcard::take_from_bytes::<Metadata>(take_padded(&mut rest, metadata_len)?)
        .map_err(|_| Error::Metadata)?;
    let valid =
        metadata.interface.is_valid() && usize::from(metadata.interface.actions) == dimensions.actions;
    if !valid || !unread.is_empty() {
        return Err(Error::Metadata);
    }
    let shapes = shapes(&dimensions, &metadata.interface);
    if metadata.exponents.len() != shapes.len() {
        return Err(Error::Metadata);
    }
    let mut tensors = Vec::new();
    for ([rows, columns], exponent) in shapes.iter().copied().zip(&metadata.exponents) {
        let scales = take_padded(&mut rest, 2 * rows)?;
        let data = take_padded(&mut rest, rows * columns)?;
        let tensor = Tensor::new(scales, data, columns, i32::from(*exponent));
        tensors.push(tensor).map_err(|_| Error::Metadata)?;
    }
    if !rest.is_empty() {
        return Err(Error::Leftover);
    }
    Ok(Decoded { dimensions, metadata, tensors, crc })
}

/// Splits `len` bytes and their zero padding off the front of `rest`.
fn take_padded<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    // `len` comes from a u32 or a product of limited dimensions; on a 32-bit target `padded` must not wrap.
    if len > rest.len() {
        return Err(Error::Truncated);
    }
    let (section, after) = rest.split_at_checked(padded(len)).ok_or(Error::Truncated)?;
    let (bytes, padding) = section.split_at_checked(len).ok_or(Error::Truncated)?;
    if !is_zero(padding) {
        return Err(Error::Leftover);
    }
    *rest = after;
    Ok(bytes)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}
