//! Reading a weights file: it is validated once and stays where it is.

use super::{checksum, padded, u16_at, Dimensions, Encoders, Metadata};
use super::{CRC_OFFSET, FORMAT_VERSION, HEADER_LEN, MAGIC, OLDEST_VERSION};
use crate::Error;

/// A weights file whose header and metadata are validated.
pub(crate) struct File<'a> {
    pub dimensions: Dimensions,
    pub metadata: Metadata<'a>,
    pub crc: u32,
    pub version: u16,
    /// Normalisers and tensors, not yet validated.
    pub rest: &'a [u8],
}

/// Validates header and metadata of a weights file.
pub(crate) fn open(file: &[u8]) -> Result<File<'_>, Error> {
    // The bytes of a `static` are known when the program is compiled. Without this the optimizer would
    // answer the comparisons below itself, and a device would never look at its flash.
    let file = core::hint::black_box(file);
    if file.get(..4).ok_or(Error::Truncated)? != MAGIC {
        return Err(Error::Magic);
    }
    let header = file.first_chunk::<HEADER_LEN>().ok_or(Error::Truncated)?;
    let dimensions = Dimensions::read(file).ok_or(Error::Truncated)?;
    let version = u16_at::<4>(header) as u16;
    if !(OLDEST_VERSION..=FORMAT_VERSION).contains(&version) {
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
    let fields_end = match version {
        2 => 32,
        3 => 34,
        4 => 40,
        _ => 42,
    };
    let reserved = [file.get(6..8), file.get(fields_end..HEADER_LEN)];
    if reserved.iter().any(|bytes| !is_zero(bytes.unwrap_or(&[1]))) {
        return Err(Error::Leftover);
    }

    let mut rest = file.get(HEADER_LEN..).ok_or(Error::Truncated)?;
    let (metadata, unread) = postcard::take_from_bytes::<Metadata>(take_padded(&mut rest, metadata_len)?)
        .map_err(|_| Error::Metadata)?;
    let interface = &metadata.interface;
    let valid = interface.is_valid()
        && usize::from(interface.actions) == dimensions.actions
        && [0, interface.observation_len()].contains(&dimensions.final_words)
        && dimensions.encoders
            == Encoders::new(interface, dimensions.encoders.pixels_hidden, dimensions.encoders.vector_hidden);
    if !valid || !unread.is_empty() {
        return Err(Error::Metadata);
    }
    Ok(File { dimensions, metadata, crc, version, rest })
}

/// Splits `len` bytes and their zero padding off the front of `rest`.
pub(crate) fn take_padded<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    // `len` comes from a u32 or a product of limited dimensions; on a 32-bit target `padded` must not
    // wrap.
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
