//! `random-model`: a weights file of any size, to measure a model before it is trained.

use crate::arguments::RandomModelArguments;
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomConfig};
use algodistill_core::model::kernels::code;
use algodistill_core::model::weights::{
    checksum, padded, shapes, Metadata, CRC_OFFSET, FORMAT_VERSION, HEADER_LEN, MAGIC,
};
use algodistill_core::{Dimensions, Environment, Model, PortableRng};
use anyhow::{anyhow, Context};
use std::fs;

/// See [`crate::arguments::Command::RandomModel`].
pub fn run(arguments: &RandomModelArguments) -> anyhow::Result<()> {
    let file = bytes(arguments)?;
    let temporary = arguments.out.with_extension("tmp");
    fs::write(&temporary, &file).with_context(|| temporary.display().to_string())?;
    fs::rename(&temporary, &arguments.out).with_context(|| arguments.out.display().to_string())
}

/// The weights file; refused where the core refuses it.
pub fn bytes(arguments: &RandomModelArguments) -> anyhow::Result<Vec<u8>> {
    let room = DarkRoom::new(DarkRoomConfig::STANDARD, (0, 0)).context("no room")?;
    let interface = room.interface();
    let RandomModelArguments { layers, d_model, heads, d_ff, window, .. } = *arguments;
    let fields = [layers, d_model, heads, d_ff, window, interface.actions];
    let [layers, d_model, heads, d_ff, window, actions] = fields.map(usize::from);
    let dimensions = Dimensions { layers, d_model, heads, d_ff, window, actions };
    dimensions.check()?;
    let shapes = shapes(&dimensions, &interface);
    // int8 weights times 32767 * 2^-29 have a deviation of a little more than 1 / sqrt(64): logits stay small.
    let exponents = shapes.iter().map(|_| 29).collect();
    let mut buffer = [0u8; 256];
    let metadata = Metadata { interface, exponents, card: "{}" };
    let metadata =
        postcard::to_slice(&metadata, &mut buffer).map_err(|error| anyhow!("metadata: {error}"))?;
    let metadata_len = metadata.len() as u32;

    let mut file = vec![0u8; HEADER_LEN];
    append(&mut file, metadata.iter().copied());
    let mut rng = PortableRng::new(arguments.seed, 0);
    for [rows, columns] in shapes {
        append(&mut file, (0..rows).flat_map(|_| 0x7fffu16.to_le_bytes()));
        // The number of columns is even: an element's index has the parity of its column.
        append(&mut file, (0..rows * columns).map(|index| code(index, (rng.below(255) as i32 - 127) as i8)));
    }
    let length = file.len() as u32;
    let mut header = Vec::new();
    header.extend(MAGIC);
    header.extend(u32::from(FORMAT_VERSION).to_le_bytes());
    header.extend(length.to_le_bytes());
    header.extend([0; 4]);
    header.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    header.extend(metadata_len.to_le_bytes());
    file[..header.len()].copy_from_slice(&header);
    let crc = checksum(&file);
    file[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    Model::decode(&file)?;
    Ok(file)
}

fn append(file: &mut Vec<u8>, bytes: impl Iterator<Item = u8>) {
    file.extend(bytes);
    file.resize(padded(file.len()), 0);
}
