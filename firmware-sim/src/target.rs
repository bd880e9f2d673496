//! The instruction sets that firmware ships on, and the QEMU machine that stands for each.

/// One of them.
#[derive(Debug)]
pub struct Target {
    /// On the command line.
    pub name: &'static str,
    /// Of the compiler.
    pub triple: &'static str,
    /// `-C target-cpu`, and `--mcpu` of the disassembler, which shows what the core lacks as
    /// unknown; empty for RISC-V.
    pub cpu: &'static str,
    /// `--mattr` of the disassembler.
    pub attributes: &'static str,
    /// Of QEMU, and the name of the linker script in `image/boards`.
    pub machine: &'static str,
    /// QEMU's program.
    pub qemu: &'static str,
    /// More of QEMU's options.
    pub options: &'static [&'static str],
}

pub static TARGETS: [Target; 7] = [
    arm("cortex-m0", "thumbv6m-none-eabi", "cortex-m0", "microbit"),
    arm("cortex-m3", "thumbv7m-none-eabi", "cortex-m3", "lm3s6965evb"),
    arm("cortex-m4f", "thumbv7em-none-eabihf", "cortex-m4", "netduinoplus2"),
    arm("cortex-m7", "thumbv7em-none-eabihf", "cortex-m7", "mps2-an500"),
    arm("cortex-m33", "thumbv8m.main-none-eabihf", "cortex-m33", "mps2-an505"),
    arm("cortex-m55", "thumbv8m.main-none-eabihf", "cortex-m55", "mps3-an547"),
    Target {
        name: "riscv32imac",
        triple: "riscv32imac-unknown-none-elf",
        cpu: "",
        attributes: "+m,+a,+c",
        machine: "virt",
        qemu: "qemu-system-riscv32",
        options: &["-bios", "none"],
    },
];

const fn arm(name: &'static str, triple: &'static str, cpu: &'static str, machine: &'static str) -> Target {
    Target { name, triple, cpu, attributes: "", machine, qemu: "qemu-system-arm", options: &[] }
}
