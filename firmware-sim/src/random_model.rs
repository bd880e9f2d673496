//! `random-model`: a weights file of any size, to measure a model before it is trained.

use crate::arguments::RandomModelArguments;
use crate::environment::Environment;
use crate::usage::Wrong;
use algodistill::files::write_bytes;
use algodistill_core::model::weights::{shapes, write, TensorParts, MAGIC};
use algodistill_core::{Dimensions, Encoders, Interface, Normaliser, PortableRng};
use std::fs;

/// See [`crate::arguments::Command::RandomModel`].
pub fn run(arguments: &RandomModelArguments) -> anyhow::Result<()> {
    let RandomModelArguments { layers, d_model, heads, kv_heads, d_ff, window, .. } = *arguments;
    let kv_heads = kv_heads.unwrap_or(heads);
    let [layers, d_model, heads, kv_heads, d_ff, window] =
        [layers, d_model, heads, kv_heads, d_ff, window].map(usize::from);
    let interface = arguments.environment.family.interface();
    let actions = interface.actions.into();
    let final_words = if arguments.final_observation { interface.observation_len() } else { 0 };
    let encoders = Encoders::new(&interface, 0, 0);
    let dimensions =
        Dimensions { layers, d_model, heads, kv_heads, d_ff, window, actions, final_words, encoders };
    dimensions.check().map_err(|error| Wrong(error.to_string()))?;
    let file = weights(&dimensions, &interface, arguments.seed)?;
    let out = &arguments.out;
    if out.exists() && !fs::read(out).is_ok_and(|found| found.starts_with(&MAGIC)) {
        let problem = "is there already and no weights file; give another name, or remove it";
        return Err(Wrong(format!("--out: {} {problem}", out.display())).into());
    }
    Ok(write_bytes(out, &file)?)
}

/// A small model for an environment that has no shipped one, or whose shipped one does not fit the board, or that
/// is to replace another.
pub fn small(environment: &Environment, seed: u64) -> anyhow::Result<Vec<u8>> {
    let interface = environment.family.interface();
    let actions = interface.actions.into();
    let final_words = interface.observation_len();
    let encoders = Encoders::new(&interface, 0, 0);
    let dimensions = Dimensions {
        layers: 2,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        d_ff: 96,
        window: 48,
        actions,
        final_words,
        encoders,
    };
    weights(&dimensions, &interface, seed)
}

/// The weights file; refused where the core refuses it.
fn weights(dimensions: &Dimensions, interface: &Interface, seed: u64) -> anyhow::Result<Vec<u8>> {
    dimensions.check()?;
    let mut rng = PortableRng::new(seed, 0);
    let tensors: Vec<_> = shapes(dimensions, interface)
        .iter()
        .map(|[rows, columns]| {
            let data: Vec<i8> = (0..rows * columns).map(|_| (rng.below(255) as i32 - 127) as i8).collect();
            (vec![0x7fff; *rows], data)
        })
        .collect();
    // int8 weights times 32767 * 2^-29 have a deviation of a little more than 1 / sqrt(64): logits stay
    // small.
    let parts = tensors.iter().map(|(scales, data)| TensorParts { scales, data, exponent: 29 });
    // Of numbers of 16 bits.
    let normaliser = Normaliser { offset: 0, mantissa: 0x4000, exponent: 29 };
    Ok(write(
        dimensions,
        interface,
        &vec![normaliser; interface.normalised_words()],
        &parts.collect::<Vec<_>>(),
        "{}",
    )?)
}
