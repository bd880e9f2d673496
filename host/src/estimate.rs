//! What a step of a model will cost on each target, before it has run there.
//!
//! The simulator counted the instructions of each part of a step of some small models with random
//! weights (`algodistill-firmware-sim profile --fit`). Each part is a sum of terms that grow with the
//! dimensions; what a term costs is fitted to these counts.

use algodistill_core::model::probe::Part;
use algodistill_core::{Dimensions, Interface, Model};
use std::collections::HashMap;

/// Instructions of a step with a full ring on one target: an estimate. Encoders of numbers and
/// pictures are not in it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Estimate {
    /// Name of the target.
    pub target: &'static str,
    /// Of all parts.
    pub instructions: u64,
    /// In the order of a step.
    pub parts: Vec<PartEstimate>,
}

/// Instructions of one part.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartEstimate {
    /// As the simulator's profile names it.
    pub part: &'static str,
    /// In every layer and head.
    pub instructions: u64,
}

/// The profiles of the small models on each target.
const PROFILES: [(&str, &str); 7] = [
    ("cortex-m0", include_str!("../../firmware-sim/expected/cortex-m0.fit")),
    ("cortex-m3", include_str!("../../firmware-sim/expected/cortex-m3.fit")),
    ("cortex-m4f", include_str!("../../firmware-sim/expected/cortex-m4f.fit")),
    ("cortex-m7", include_str!("../../firmware-sim/expected/cortex-m7.fit")),
    ("cortex-m33", include_str!("../../firmware-sim/expected/cortex-m33.fit")),
    ("cortex-m55", include_str!("../../firmware-sim/expected/cortex-m55.fit")),
    ("riscv32imac", include_str!("../../firmware-sim/expected/riscv32imac.fit")),
];

/// Parts that share what their terms cost.
const FAMILIES: [&[&str]; 7] = [
    &["embedding"],
    &["query-key-value", "output", "feed-forward", "head"],
    &["scores"],
    &["softmax"],
    &["weighted-sum"],
    &["sampling"],
    &["other"],
];

impl Estimate {
    /// Of a decoded model, on every target.
    pub fn of_all(model: &Model) -> Vec<Self> {
        let size = Size::new(&model.dimensions(), model.interface());
        PROFILES.iter().map(|(target, profiles)| Self::new(target, profiles, &size)).collect()
    }

    fn new(target: &'static str, profiles: &str, size: &Size) -> Self {
        let profiles: Vec<_> = profiles.lines().filter_map(Profile::parse).collect();
        let costs = FAMILIES.map(|family| fit(family, &profiles));
        let parts = Part::ALL.map(Part::name).map(|part| {
            let costs = FAMILIES.iter().zip(&costs).find(|(family, _)| family.contains(&part));
            let sum = costs.map_or(0.0, |(_, costs)| product(costs, &size.terms(part)));
            PartEstimate { part, instructions: sum.round() as u64 }
        });
        let instructions = parts.iter().map(|part| part.instructions).sum();
        Self { target, instructions, parts: parts.into() }
    }

    /// Of all targets, for people.
    pub fn text(estimates: &[Self], has_encoders: bool) -> String {
        let without = if has_encoders { ", encoders of numbers and pictures left out" } else { "" };
        let mut text = format!(
            "estimate   instructions (not cycles) of a step with a full ring{without}; of which in which part:\n{:<12} {:>9}",
            "target", "all"
        );
        text.extend(Part::ALL.map(Part::name).map(|part| format!(" {part:>9}")));
        text.push('\n');
        for Self { target, instructions, parts } in estimates {
            text += &format!("{target:<12} {instructions:>9}");
            text.extend(parts.iter().map(|PartEstimate { part, instructions }| {
                format!(" {instructions:>width$}", width = part.len().max(9))
            }));
            text.push('\n');
        }
        text
    }
}

/// What of a model decides how long a step takes.
struct Size {
    layers: f64,
    d_model: f64,
    heads: f64,
    kv_heads: f64,
    d_ff: f64,
    window: f64,
    actions: f64,
    /// Channels with a table.
    words: f64,
}

impl Size {
    fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let Dimensions { layers, d_model, heads, kv_heads, d_ff, window, actions, .. } = *dimensions;
        let words = interface.channels.iter().filter(|channel| channel.table_rows() > 0).count();
        let [layers, d_model, heads, kv_heads, d_ff, window, actions, words] =
            [layers, d_model, heads, kv_heads, d_ff, window, actions, words].map(|count| count as f64);
        Self { layers, d_model, heads, kv_heads, d_ff, window, actions, words }
    }

    /// What a part is the sum of: of each term, how often it is in a step. Parts of one family have
    /// the same terms.
    fn terms(&self, part: &str) -> Vec<f64> {
        let Self { layers, d_model, heads, kv_heads, d_ff, window, actions, words } = *self;
        let d_head = d_model / heads;
        let d_kv = d_head * kv_heads;
        // Matrices, rows, columns, multiplications; norms and their elements; heads of keys and values and
        // their elements.
        let matrix = |rows: f64, columns: f64| [1.0, rows, columns, rows * columns];
        let linear = |matrix: [f64; 4], norms: f64, kv_heads: f64| {
            let rest = [norms, norms * d_model, kv_heads, kv_heads * d_head];
            [&matrix[..], &rest].concat()
        };
        let in_layers = |terms: Vec<f64>| terms.into_iter().map(|count| count * layers).collect();
        // A head over all slots.
        let slots = [1.0, d_head, window, window * d_head].map(|count| count * heads);
        match part {
            "embedding" => vec![1.0, d_model, words + 2.0, (words + 2.0) * d_model],
            "query-key-value" => in_layers(linear(matrix(d_model + 2.0 * d_kv, d_model), 1.0, kv_heads)),
            "output" => in_layers(linear(matrix(d_model, d_model), 0.0, 0.0)),
            "feed-forward" => {
                let (up, down) = (matrix(d_ff, d_model), matrix(d_model, d_ff));
                let both = [0, 1, 2, 3].map(|term| up[term] + down[term]);
                in_layers(linear(both, 1.0, 0.0))
            }
            "head" => linear(matrix(actions, d_model), 1.0, 0.0),
            // Heads of 16 have kernels of their own, in which the query stays in registers.
            "scores" if d_head == 16.0 => in_layers(vec![heads, heads * window, 0.0, 0.0, 0.0]),
            "scores" => in_layers(vec![0.0, 0.0, heads, heads * window, heads * window * d_head]),
            "weighted-sum" => in_layers(slots.into()),
            "softmax" => in_layers(vec![heads, heads * window]),
            "sampling" => vec![1.0, actions],
            _ => vec![1.0, words],
        }
    }
}

/// A model that was measured.
struct Profile {
    size: Size,
    /// Instructions by part.
    parts: HashMap<String, f64>,
}

impl Profile {
    /// Of a line of names and numbers by turns; `None` of another line.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let pairs = words.chunks_exact(2);
        let parts: HashMap<String, f64> =
            pairs.filter_map(|pair| Some((pair[0].to_string(), pair[1].parse().ok()?))).collect();
        let of = |name: &str| parts.get(name).copied();
        let size = Size {
            layers: of("layers")?,
            d_model: of("d_model")?,
            heads: of("heads")?,
            kv_heads: of("kv_heads")?,
            d_ff: of("d_ff")?,
            window: of("window")?,
            actions: of("actions")?,
            words: of("words")?,
        };
        Some(Self { size, parts })
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The instructions of each term of a family: the least squares of relative errors over all its parts of
/// all models. Nothing costs less than nothing, so that models beyond those measured are estimated
/// sensibly too.
fn fit(family: &[&str], profiles: &[Profile]) -> Vec<f64> {
    /// By coordinate descent; enough for digits that nobody reads.
    const SWEEPS: usize = 4000;
    // Divided by what was measured.
    let mut rows = Vec::new();
    for Profile { size, parts } in profiles {
        for part in family {
            let measured = parts.get(*part).copied().filter(|measured| *measured > 0.0);
            let terms = size.terms(part);
            rows.extend(
                measured.map(|measured| terms.iter().map(|term| term / measured).collect::<Vec<_>>()),
            );
        }
    }
    let terms = rows.first().map_or(0, Vec::len);
    let gram: Vec<Vec<f64>> = (0..terms)
        .map(|a| (0..terms).map(|b| rows.iter().map(|row| row[a] * row[b]).sum()).collect())
        .collect();
    let wanted: Vec<f64> = (0..terms).map(|term| rows.iter().map(|row| row[term]).sum()).collect();
    let mut costs = vec![0.0; terms];
    for _ in 0..SWEEPS {
        for term in 0..terms {
            let (diagonal, missing) = (gram[term][term], wanted[term] - product(&gram[term], &costs));
            if diagonal > 0.0 {
                costs[term] = f64::max(costs[term] + missing / diagonal, 0.0);
            }
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::env::AnyFamily;
    use algodistill_core::Encoders;

    fn number(text: &str, key: &str) -> Option<f64> {
        let entries = text.lines().filter_map(|line| line.split_once(" = "));
        entries.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok())
    }

    /// The model that the simulator takes where no shipped one fits.
    fn small(interface: &Interface) -> Size {
        let (encoders, actions) = (Encoders::new(interface, 0, 0), interface.actions.into());
        let final_words = interface.observation_len();
        let (layers, d_model, heads, kv_heads, d_ff, window) = (2, 32, 4, 2, 96, 48);
        let dimensions =
            Dimensions { layers, d_model, heads, kv_heads, d_ff, window, actions, final_words, encoders };
        Size::new(&dimensions, interface)
    }

    /// Models that were not among those that the costs are fitted to.
    #[test]
    fn shipped_models_are_estimated_within_ten_percent() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut wrong = Vec::new();
        for (target, profiles) in PROFILES {
            let read = |extension: &str| {
                let path = folder.join("firmware-sim/expected").join(target).with_extension(extension);
                std::fs::read_to_string(path).unwrap()
            };
            let (run, sizes) = (read("run"), read("size"));
            for preset in ["dark-room", "bandit", "watermaze", "servo"] {
                let of = |key: &str| number(&run, &format!("{preset}.instructions_{key}per_step_full_ring"));
                let len = number(&sizes, &format!("{preset}.flash_weights_bytes")).unwrap() as usize;
                let shipped = ["models", "models/small"]
                    .map(|models| folder.join(models).join(preset).with_extension("adw"))
                    .into_iter()
                    .filter_map(|path| std::fs::read(path).ok())
                    .find(|file| file.len() == len);
                let size = match shipped {
                    Some(file) => {
                        let model = Model::decode(&file).unwrap();
                        Size::new(&model.dimensions(), model.interface())
                    }
                    None => small(&AnyFamily::preset(preset).unwrap().interface()),
                };
                let measured = of("").unwrap() - of("encoders_").unwrap_or(0.0);
                let estimated = Estimate::new(target, profiles, &size).instructions as f64;
                if (estimated / measured - 1.0).abs() > 0.1 {
                    wrong.push(format!("{target}, {preset}: estimated {estimated}, measured {measured}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
