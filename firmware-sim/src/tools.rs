//! `tools`: whether this machine can build, look into and run every image.

use crate::arguments::{BuildArguments, ToolsArguments};
use crate::target::TARGETS;
use crate::{gates, qemu};
use anyhow::bail;

/// See [`crate::arguments::Command::Tools`].
pub fn run(arguments: &ToolsArguments) -> anyhow::Result<()> {
    let BuildArguments { compiler, .. } = arguments.build;
    let mut missing = Vec::new();
    for target in &TARGETS {
        match compiler.find(target) {
            Ok(toolchain) => println!("{}: {}", target.name, toolchain.version),
            Err(error) => missing.push(error.to_string()),
        }
        missing.extend(qemu::installed(target).err().map(|error| format!("{error:#}")));
    }
    missing.extend(gates::disassembler().err().map(|error| format!("{error:#}")));
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        bail!("missing:\n{}", missing.join("\n"));
    }
    Ok(())
}
