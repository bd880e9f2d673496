//! What a model needs on a device.

use algodistill_core::context::snapshot_len;
use algodistill_core::Model;

/// Bytes, for any target and for each.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MemoryPlan {
    /// The weights file in flash.
    pub flash: usize,
    /// Keys and values of the context.
    pub ring: usize,
    /// Working memory of one step.
    pub scratch: usize,
    /// A context snapshot in storage.
    pub snapshot: usize,
    /// With the code and the stack of a target.
    pub targets: Vec<TargetMemory>,
}

/// Bytes on one target.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TargetMemory {
    /// Name of the target.
    pub target: &'static str,
    /// Code of the firmware image of this repository: agent, both environments, link to the host.
    pub code: usize,
    /// Code and weights.
    pub flash: usize,
    /// Deepest stack of this image, which hardly depends on the model.
    pub stack: usize,
    /// Ring, scratch and stack.
    pub ram: usize,
}

/// What the simulator measured on each target with the shipped models, kept up to date by its
/// tests: the stack was painted, and the deepest byte written counts.
const MEASURED: [(&str, &str); 7] = [
    ("cortex-m0", include_str!("../../firmware-sim/expected/cortex-m0.size")),
    ("cortex-m3", include_str!("../../firmware-sim/expected/cortex-m3.size")),
    ("cortex-m4f", include_str!("../../firmware-sim/expected/cortex-m4f.size")),
    ("cortex-m7", include_str!("../../firmware-sim/expected/cortex-m7.size")),
    ("cortex-m33", include_str!("../../firmware-sim/expected/cortex-m33.size")),
    ("cortex-m55", include_str!("../../firmware-sim/expected/cortex-m55.size")),
    ("riscv32imac", include_str!("../../firmware-sim/expected/riscv32imac.size")),
];

impl MemoryPlan {
    /// Of a decoded model whose file has `flash` bytes.
    pub fn new(model: &Model, flash: usize) -> Self {
        let dimensions = model.dimensions();
        let ring = dimensions.ring_bytes();
        let scratch = 4 * model.workspace_words() - ring;
        let targets = MEASURED.iter().map(|(target, sizes)| {
            let (code, stack) = (largest(sizes, "flash_code"), largest(sizes, "stack"));
            TargetMemory { target, code, flash: code + flash, stack, ram: ring + scratch + stack }
        });
        Self { flash, ring, scratch, snapshot: snapshot_len(&dimensions), targets: targets.collect() }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { flash, ring, scratch, snapshot, targets } = self;
        let mut text = format!(
            "memory     flash {flash} bytes (weights), RAM {ram} bytes (ring {ring}, scratch {scratch}), \
             snapshot {snapshot} bytes\n\
             target        flash =   code + weights     RAM =  ring + scratch + stack\n",
            ram = ring + scratch
        );
        for TargetMemory { target, code, flash: all, stack, ram } in targets {
            text += &format!(
                "{target:<12} {all:>6} = {code:>6} + {flash:>7}  {ram:>6} = {ring:>5} + {scratch:>7} + {stack:>5}\n"
            );
        }
        text
    }
}

/// The largest of the sizes of which the name has `part` in it.
fn largest(sizes: &str, part: &str) -> usize {
    let entries = sizes.lines().filter_map(|line| line.split_once('='));
    let wanted = entries.filter(|(name, _)| name.contains(part));
    wanted.filter_map(|(_, size)| size.trim().parse().ok()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_was_measured() {
        for (target, sizes) in MEASURED {
            assert!(largest(sizes, "flash_code") > 10_000, "{target}");
            assert!((1_000..20_000).contains(&largest(sizes, "stack")), "{target}");
        }
    }
}
