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
    /// QEMU's machine that stands for the target.
    pub board: &'static str,
    /// Flash that the board has.
    pub board_flash: usize,
    /// RAM that the board has.
    pub board_ram: usize,
    /// The last observation, which the image keeps beside the workspace.
    pub observation: usize,
    /// Whether code and weights are within its flash, and ring, scratch and the stack that the linker
    /// script asks for, or the deeper one that was measured, within its RAM.
    pub fits: bool,
}

impl TargetMemory {
    /// Why the model does not fit the board; empty where it does.
    fn shortage(&self, reserved: usize) -> String {
        let Self { flash, board, board_flash, board_ram, .. } = *self;
        let lacks = |what: &str, needed: usize, found: usize| match needed > found {
            true => {
                format!("             does not fit {board}: needs {needed} bytes of {what}, has {found}\n")
            }
            false => String::new(),
        };
        let stack = self.stack.max(reserved);
        lacks("flash", flash, board_flash)
            + &lacks(&format!("RAM with a stack of {stack}"), self.needed_ram(reserved), board_ram)
    }

    /// With at least the stack that the linker script asks for, and the last observation, which the image
    /// keeps.
    fn needed_ram(&self, reserved: usize) -> usize {
        self.ram - self.stack + self.stack.max(reserved) + self.observation
    }
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

/// The board of each target: its name, and the linker script that says what it has.
const BOARDS: [(&str, &str); 7] = [
    ("microbit", include_str!("../../firmware-sim/image/boards/microbit.x")),
    ("lm3s6965evb", include_str!("../../firmware-sim/image/boards/lm3s6965evb.x")),
    ("netduinoplus2", include_str!("../../firmware-sim/image/boards/netduinoplus2.x")),
    ("mps2-an500", include_str!("../../firmware-sim/image/boards/mps2-an500.x")),
    ("mps2-an505", include_str!("../../firmware-sim/image/boards/mps2-an505.x")),
    ("mps3-an547", include_str!("../../firmware-sim/image/boards/mps3-an547.x")),
    ("virt", include_str!("../../firmware-sim/image/boards/virt.x")),
];

impl MemoryPlan {
    /// Of a decoded model whose file has `flash` bytes.
    pub fn new(model: &Model, flash: usize) -> Self {
        let dimensions = model.dimensions();
        let ring = dimensions.ring_bytes();
        let scratch = 4 * model.workspace_words() - ring;
        let targets = MEASURED.iter().zip(&BOARDS).map(|((target, sizes), (board, script))| {
            let (code, stack) = (largest(sizes, "flash_code"), largest(sizes, "stack"));
            let [board_flash, board_ram] =
                ["  FLASH :", "  RAM   :"].map(|region| size_behind(script, region, "LENGTH = "));
            let (flash, ram) = (code + flash, ring + scratch + stack);
            let observation = 4 * dimensions.max_observation_words();
            let mut planned = TargetMemory {
                target,
                code,
                flash,
                stack,
                ram,
                board,
                board_flash,
                board_ram,
                observation,
                fits: true,
            };
            planned.fits = planned.shortage(reserved_stack(script)).is_empty();
            planned
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
        for (planned, (_, script)) in targets.iter().zip(&BOARDS) {
            let TargetMemory { target, code, flash: all, stack, ram, .. } = planned;
            text += &format!(
                "{target:<12} {all:>6} = {code:>6} + {flash:>7}  {ram:>6} = {ring:>5} + {scratch:>7} + {stack:>5}\n"
            );
            text += &planned.shortage(reserved_stack(script));
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

/// Bytes that a linker script keeps for the stack.
fn reserved_stack(script: &str) -> usize {
    size_behind(script, "ASSERT", ">= ").max(size_behind(script, "_hart_stack_size", "= "))
}

/// The size (`256K`, `1M`) behind `sign` in the line that begins with `start`; 0 where there is none.
fn size_behind(script: &str, start: &str, sign: &str) -> usize {
    let line = script.lines().find(|line| line.starts_with(start));
    let size = line.and_then(|line| line.split_once(sign)).map_or("", |(_, size)| size);
    let digits = size.len() - size.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = size.split_at(digits);
    let unit = match unit.as_bytes().first() {
        Some(b'K') => 1 << 10,
        Some(b'M') => 1 << 20,
        _ => 1,
    };
    number.parse::<usize>().map_or(0, |number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_those_of_their_linker_scripts() {
        let found = BOARDS.map(|(_, script)| {
            let size = |region| size_behind(script, region, "LENGTH = ") >> 10;
            (size("  FLASH :"), size("  RAM   :"), reserved_stack(script) >> 10)
        });
        let expected = [
            (256, 16, 3),
            (256, 64, 4),
            (1024, 128, 4),
            (1024, 256, 4),
            (1024, 256, 4),
            (512, 256, 8),
            (512, 128, 4),
        ];
        assert_eq!(found, expected);
    }

    /// As the simulator's linker does of the same model.
    #[test]
    fn a_board_that_is_too_small_is_named() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/dark-room.adw");
        let file = std::fs::read(path).unwrap();
        let plan = MemoryPlan::new(&Model::decode(&file).unwrap(), file.len());
        let without: Vec<_> =
            plan.targets.iter().filter(|target| !target.fits).map(|target| target.board).collect();
        assert_eq!(without, ["microbit"]);
        assert!(plan.text().contains("does not fit microbit: needs"), "{}", plan.text());
    }

    #[test]
    fn every_target_was_measured() {
        for (target, sizes) in MEASURED {
            assert!(largest(sizes, "flash_code") > 10_000, "{target}");
            assert!((1_000..20_000).contains(&largest(sizes, "stack")), "{target}");
        }
    }
}
