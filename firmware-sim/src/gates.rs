//! What must not be in an image.

use crate::arguments::CheckArguments;
use crate::device;
use crate::environment::Folder;
use crate::host::read_model;
use crate::image::{self, Image, Purpose};
use crate::target::Target;
use algodistill::deploy::toolchain::host_tool;
use anyhow::{anyhow, bail, Context};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Parts of the names of what the image must not contain: allocators, the panic handler and what
/// leads to it, text formatting. All of the image is held to this, so all that `act` reaches is.
const FORBIDDEN: [&str; 8] = [
    "__rust_alloc",
    "__rg_alloc",
    "malloc",
    "rust_begin_unwind",
    "panic_fmt",
    "panicking",
    "3fmt",
    "4core3fmt",
];

/// See [`crate::arguments::Command::Check`].
pub fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for target in &arguments.target.bare {
        let (image, model) = match &arguments.model {
            Some(model) => (image::build(target, model, arguments.build, Purpose::Run)?, model.clone()),
            None => image::build_for_dark_room(target, &folder, arguments.build, Purpose::Run)?,
        };
        symbols(&image)?;
        let instructions = instructions(target, &image.path)?;
        let flips = flipped_flash(target, &image, &model, Duration::from_secs(arguments.build.timeout))?;
        if arguments.json {
            let json = serde_json::json!({
                "target": target.name,
                "compiler": image.compiler,
                "flash_bytes": image.elf.flash,
                "flash_weights_bytes": image.weights,
                "flipped_bits_refused": flips,
                "ram_static_bytes": image.elf.ram,
            });
            println!("{json}");
        } else {
            println!(
                "{}: no allocator, no panic, {instructions} instructions that the core has; {flips} flipped bits of flash refused at start-up",
                target.name
            );
        }
    }
    Ok(())
}

/// Refuses an image with an allocator or panic machinery.
pub fn symbols(image: &Image) -> anyhow::Result<()> {
    let forbidden = |symbol: &&String| FORBIDDEN.iter().any(|name| symbol.contains(name));
    let found: Vec<_> = image.elf.symbols.iter().filter(forbidden).map(String::as_str).collect();
    if !found.is_empty() {
        bail!("{}: the image contains {}", image.path.display(), found.join(", "));
    }
    Ok(())
}

/// Flips bits of the weights in the image, one at a time, mostly where a compiler that knows the
/// file could leave out the check; the device must refuse each. Returns how many there were. The
/// host shows that any other bit changes the CRC-32 (see `faults`).
fn flipped_flash(target: &Target, image: &Image, model: &Path, timeout: Duration) -> anyhow::Result<usize> {
    let (mut elf, weights) = (fs::read(&image.path)?, read_model(model)?);
    let start = weights.get(..256).context("the model is too short")?;
    let first = elf
        .windows(256)
        .position(|window| window == start)
        .context("the image does not contain the model")?;
    let damaged = image.path.with_extension("damaged");
    let places: Vec<usize> = (0..32).chain([weights.len() / 2, weights.len() - 1]).collect();
    for place in &places {
        let bit = 1u8 << (place % 8);
        let byte = elf.get_mut(first + place).context("the image ends in the model")?;
        *byte ^= bit;
        fs::write(&damaged, &elf).with_context(|| damaged.display().to_string())?;
        if device::decodes(target, &damaged, timeout)? {
            bail!(
                "{}: the device did not notice that bit {bit:#x} of byte {place} of its weights was flipped",
                target.name
            );
        }
        if let Some(byte) = elf.get_mut(first + place) {
            *byte ^= bit;
        }
    }
    fs::remove_file(&damaged)?;
    Ok(places.len())
}

/// Disassembles the image for exactly this core and returns the number of instructions: one that
/// the core lacks is shown as unknown and refused. QEMU would execute some of these.
fn instructions(target: &Target, elf: &Path) -> anyhow::Result<usize> {
    let mut command = Command::new(disassembler()?);
    command.arg("--disassemble");
    if !target.cpu.is_empty() {
        command.arg(format!("--mcpu={}", target.cpu));
    }
    if !target.attributes.is_empty() {
        command.arg(format!("--mattr={}", target.attributes));
    }
    let output = command.arg(elf).output().context("the disassembler does not run")?;
    if !output.status.success() {
        bail!("the disassembler failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let unknown: Vec<_> = text.lines().filter(|line| line.contains("<unknown>")).collect();
    if !unknown.is_empty() {
        bail!("instructions that a {} does not have:\n{}", target.name, unknown.join("\n"));
    }
    Ok(text.lines().filter(|line| line.split_once(':').is_some_and(|(_, code)| code.contains('\t'))).count())
}

/// LLVM's, which knows what each core lacks; or what to install.
pub fn disassembler() -> anyhow::Result<PathBuf> {
    let runs = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok();
    [Some(PathBuf::from("llvm-objdump")), host_tool("llvm-objdump")]
        .into_iter()
        .flatten()
        .find(runs)
        .ok_or_else(|| {
            anyhow!("no llvm-objdump: `apt-get install llvm`, or `rustup component add llvm-tools`")
        })
}
