//! Parameters and checkpoints on disk: safetensors, with a digest over everything they hold.
//!
//! The file's `__metadata__` has one entry, `algodistill`: a JSON object with `content`, itself
//! JSON, and `sha256`, over `content` and then each tensor's name, shape and bytes in the order of
//! their names. (One entry, because safetensors writes several in random order, and the same run
//! must give the same file.)

use super::TrainConfig;
use crate::files::{hexadecimal, read_bytes, write_bytes};
use crate::model::{Dimensions, Parameters, TensorLayout};
use crate::nn::transformer::optimizer;
use crate::nn::AdamW;
use crate::{Error, Result};
use algodistill_core::{Interface, Normaliser};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// Largest checkpoint: parameters of the largest dimensions, and two moments of each.
const MAX_CHECKPOINT_BYTES: u64 = 12 << 30;
/// Name of the one metadata entry.
const ENTRY: &str = "algodistill";
/// Version of the content.
const FORMAT: u32 = 1;

/// How a model was trained: stored with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// The resolved configuration.
    #[serde(deserialize_with = "of_any_version")]
    pub config: TrainConfig,
    /// Digest of the training histories ([`crate::train::histories_digest`]).
    pub dataset: String,
    /// Updates done.
    pub update: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    content: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "R: DeserializeOwned"))]
struct Content<R> {
    format: u32,
    #[serde(deserialize_with = "of_any_version")]
    dimensions: Dimensions,
    interface: Interface,
    /// Of the words of vector channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    normalisers: Vec<Normaliser>,
    training: R,
}

/// The fields of a model that exists. From before there were tables for the final observation, they
/// do not say that there are none.
fn of_any_version<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<T, D::Error> {
    let mut fields = Map::<String, Value>::deserialize(from)?;
    fields.entry("final_observation").or_insert(false.into());
    serde_json::from_value(fields.into()).map_err(serde::de::Error::custom)
}

/// Everything a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The parameters.
    pub parameters: Parameters,
    /// The optimizer's moments.
    pub optimizer: AdamW,
    /// The slow copy of the parameters, where the objective learns values of actions.
    pub slow: Option<Vec<f32>>,
    /// Configuration, data, and updates done.
    pub training: TrainingRecord,
}

const PARAMETER: &str = "parameter.";
const FIRST_MOMENT: &str = "first_moment.";
const SECOND_MOMENT: &str = "second_moment.";
const SLOW: &str = "slow.";

/// Writes a model, whole or not at all, with the record of how it was trained.
pub fn save_parameters(path: &Path, parameters: &Parameters, training: &impl Serialize) -> Result<()> {
    save(path, parameters, training, &parameters.layout(), &[(PARAMETER, &parameters.values)])
}

/// Reads a model and the record of how it was trained.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for a file that is damaged, not a model, holds a value that is
/// not finite, or was trained in another way.
pub fn load_parameters<R: DeserializeOwned>(path: &Path) -> Result<(Parameters, R)> {
    let (mut parameters, training, groups) = load(path, Parameters::layout, |_| vec![PARAMETER])?;
    parameters.values = groups.into_iter().next().unwrap_or_default();
    Ok((parameters, training))
}

impl Checkpoint {
    /// Writes the checkpoint, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let values = &self.parameters.values;
        let slow = self.slow.as_ref().map(|slow| (SLOW, slow.as_slice()));
        let groups = state(values, &self.optimizer).into_iter().chain(slow).collect::<Vec<_>>();
        save(path, &self.parameters, &self.training, &self.parameters.layout(), &groups)
    }

    /// Reads a checkpoint. Errors as [`load_parameters`].
    pub fn load(path: &Path) -> Result<Self> {
        let (mut parameters, training, groups) =
            load(path, Parameters::layout, |training: &TrainingRecord| {
                let slow = training.config.objective.inner().action_values().map(|_| SLOW);
                STATE.into_iter().chain(slow).collect()
            })?;
        let mut groups = groups.into_iter();
        let mut next = || groups.next().unwrap_or_default();
        parameters.values = next();
        let mut optimizer = optimizer(&parameters.dimensions, &parameters.interface);
        (optimizer.first, optimizer.second) = (next(), next());
        Ok(Self { parameters, optimizer, slow: groups.next(), training })
    }
}

/// The groups of tensors of whatever is trained with AdamW.
pub(crate) const STATE: [&str; 3] = [PARAMETER, FIRST_MOMENT, SECOND_MOMENT];

/// The values of [`STATE`].
pub(crate) fn state<'a>(values: &'a [f32], optimizer: &'a AdamW) -> [(&'static str, &'a [f32]); 3] {
    [(PARAMETER, values), (FIRST_MOMENT, &optimizer.first), (SECOND_MOMENT, &optimizer.second)]
}

/// Writes the tensors of `layout`, once for each of the groups: its prefix and its values.
pub(crate) fn save(
    path: &Path,
    parameters: &Parameters,
    training: &impl Serialize,
    layout: &[TensorLayout],
    groups: &[(&str, &[f32])],
) -> Result<()> {
    let content = Content {
        format: FORMAT,
        dimensions: parameters.dimensions,
        interface: parameters.interface.clone(),
        normalisers: parameters.normalisers.clone(),
        training,
    };
    let mut tensors: Vec<(String, [usize; 2], Vec<u8>)> = Vec::new();
    for (prefix, values) in groups {
        for tensor in layout {
            let bytes = values[tensor.range()].iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((format!("{prefix}{}", tensor.name), tensor.shape, bytes));
        }
    }
    tensors.sort();
    let content = serde_json::to_string(&content).map_err(|e| Error::file(path, e))?;
    let mut digest = Sha256::new_with_prefix(&content);
    for (name, shape, bytes) in &tensors {
        update_digest(&mut digest, name, shape, bytes);
    }
    let envelope = Envelope { content, sha256: hexadecimal(digest.finalize()) };
    let envelope = serde_json::to_string(&envelope).map_err(|e| Error::file(path, e))?;
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).map_err(|e| Error::file(path, e))?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([(ENTRY.to_string(), envelope)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::file(path, e))?;
    write_bytes(path, &file)
}

/// Reads the groups of tensors with the prefixes that a run of such a record has, each of them of the
/// `layout` that goes with the model's dimensions. The parameters that are returned have no values.
pub(crate) fn load<R: DeserializeOwned>(
    path: &Path,
    layout: impl FnOnce(&Parameters) -> Vec<TensorLayout>,
    prefixes: impl FnOnce(&R) -> Vec<&'static str>,
) -> Result<(Parameters, R, Vec<Vec<f32>>)> {
    let bytes = read_bytes(path, MAX_CHECKPOINT_BYTES)?;
    let damaged = |what: &dyn std::fmt::Display| {
        Error::file(
            path,
            format!("is damaged or not what it must be ({what}); take a copy of it, or train again"),
        )
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let entry = entry.ok_or_else(|| damaged(&"it has no metadata of algodistill"))?;
    let envelope: Envelope = parse(entry).map_err(|e| damaged(&e))?;
    let mut digest = Sha256::new_with_prefix(&envelope.content);
    let mut names = file.names();
    names.sort_unstable();
    for name in names {
        let tensor = file.tensor(name).map_err(|e| damaged(&e))?;
        update_digest(&mut digest, name, tensor.shape(), tensor.data());
    }
    if hexadecimal(digest.finalize()) != envelope.sha256 {
        return Err(damaged(&"its SHA-256 does not match"));
    }
    let Content { format, dimensions, interface, normalisers, training }: Content<R> =
        parse(&envelope.content).map_err(|e| damaged(&e))?;
    if format != FORMAT {
        return Err(Error::file(path, format!("has format {format}; this program reads format {FORMAT}")));
    }
    dimensions.validate().map_err(|e| damaged(&e))?;
    if !interface.is_valid() {
        return Err(damaged(&"its interface is not valid"));
    }
    if normalisers.len() != interface.normalised_words() {
        return Err(damaged(&"its normalisers are not as many as the numbers it sees"));
    }
    let parameters = Parameters { dimensions, interface, normalisers, values: Vec::new() };
    let layout = layout(&parameters);
    let prefixes = prefixes(&training);
    let tensors = layout.len() * prefixes.len();
    if file.len() != tensors {
        return Err(damaged(&format!("it has {} tensors, must be {tensors}", file.len())));
    }
    let mut groups = vec![Vec::new(); prefixes.len()];
    for (prefix, values) in prefixes.iter().zip(&mut groups) {
        for expected in &layout {
            let name = format!("{prefix}{}", expected.name);
            let tensor = file.tensor(&name).map_err(|e| damaged(&e))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != expected.shape {
                return Err(damaged(&format!("{name} is not an f32 tensor of shape {:?}", expected.shape)));
            }
            values
                .extend(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        if values.iter().any(|value: &f32| !value.is_finite()) {
            return Err(damaged(&format!("a value of {prefix}* is not finite")));
        }
    }
    Ok((parameters, training, groups))
}

fn parse<T: DeserializeOwned>(text: &str) -> std::result::Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

fn update_digest(digest: &mut Sha256, name: &str, shape: &[usize], bytes: &[u8]) {
    digest.update(name);
    for &length in shape {
        digest.update((length as u64).to_le_bytes());
    }
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_from_before_there_were_final_observations_have_no_tables_for_them() {
        let dimensions = Dimensions { final_observation: false, ..Dimensions::default() };
        let config = TrainConfig { dimensions, ..TrainConfig::default() };
        let content = Content {
            format: FORMAT,
            dimensions,
            interface: Interface::discrete(&[9, 9], 5, &[0.0, 1.0]).unwrap(),
            normalisers: Vec::new(),
            training: TrainingRecord { config, dataset: String::new(), update: 3 },
        };
        let text = serde_json::to_string(&content).unwrap();
        let old = text.replace(",\"final_observation\":false", "");
        assert_eq!(text.len() - old.len(), 2 * 26);
        let read: Content<TrainingRecord> = serde_json::from_str(&old).unwrap();
        assert_eq!((read.dimensions, read.training), (content.dimensions, content.training));
    }
}
