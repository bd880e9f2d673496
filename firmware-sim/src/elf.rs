//! What the linker made: sizes and symbols of an image.

use anyhow::Context;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use std::path::Path;

/// Sizes in bytes, and names.
pub struct Elf {
    /// What lies in flash: vectors, code, constants, and the initial values of data.
    pub flash: u64,
    /// Static data in RAM, the workspace included.
    pub ram: u64,
    /// Names of all functions and variables, as the linker knows them.
    pub symbols: Vec<String>,
}

impl Elf {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(bytes.as_slice()).with_context(|| path.display().to_string())?;
        let (mut flash, mut ram) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            // The stack's section is a reservation: what it needs is measured.
            let placed = sh_flags.contains(object::elf::SHF_ALLOC) && section.name() != Ok(".stack");
            let in_ram = sh_flags.contains(object::elf::SHF_WRITE);
            let stored = section.kind() != SectionKind::UninitializedData;
            flash += if placed && stored { section.size() } else { 0 };
            ram += if placed && in_ram { section.size() } else { 0 };
        }
        let symbols = file.symbols().filter_map(|symbol| symbol.name().ok()).map(String::from).collect();
        Ok(Self { flash, ram, symbols })
    }
}
