//! Writing the weights file; `docs/weights-format.md` is the specification, `algodistill_core::model::weights` the reader.

use super::QuantizedModel;
use crate::{Error, Result};
use algodistill_core::model::kernels::code;
use algodistill_core::model::weights::{
    checksum, padded, Metadata, CRC_OFFSET, FORMAT_VERSION, HEADER_LEN, MAGIC,
};
use algodistill_core::Model;

/// The bytes of the weights file of `model`, with `card` (JSON text) as its training card.
pub fn encode(model: &QuantizedModel, card: &str) -> Result<Vec<u8>> {
    let too_large = |what: &str| Error::argument(what, "does not fit the weights format");
    let exponents = model.tensors.iter().map(|tensor| tensor.exponent).collect();
    let metadata = Metadata { interface: model.interface.clone(), exponents, card };
    let metadata = postcard::to_allocvec(&metadata).map_err(|e| Error::argument("metadata", e))?;

    let mut file = vec![0u8; HEADER_LEN];
    append(&mut file, &metadata);
    for tensor in &model.tensors {
        let scales: Vec<u8> = tensor.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        append(&mut file, &scales);
        let rows = tensor.data.chunks(tensor.shape[1].max(1));
        let coded: Vec<u8> =
            rows.flat_map(|row| row.iter().enumerate().map(|(column, q)| code(column, *q))).collect();
        append(&mut file, &coded);
    }

    let dimensions = &model.dimensions;
    let fields = [
        dimensions.layers,
        dimensions.d_model,
        dimensions.heads,
        dimensions.d_ff,
        dimensions.window,
        usize::from(model.interface.actions),
    ];
    file[..4].copy_from_slice(&MAGIC);
    file[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let length = u32::try_from(file.len()).map_err(|_| too_large("model"))?;
    file[8..12].copy_from_slice(&length.to_le_bytes());
    for (bytes, field) in file[16..28].chunks_mut(2).zip(fields) {
        bytes.copy_from_slice(&u16::try_from(field).map_err(|_| too_large("dimension"))?.to_le_bytes());
    }
    file[28..32].copy_from_slice(&(metadata.len() as u32).to_le_bytes());
    let crc = checksum(&file);
    file[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());

    // What the device would refuse is refused here.
    Model::decode(&file).map_err(|e| Error::argument("model", e))?;
    Ok(file)
}

fn append(file: &mut Vec<u8>, bytes: &[u8]) {
    file.extend_from_slice(bytes);
    file.resize(padded(file.len()), 0);
}
