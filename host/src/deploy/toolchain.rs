//! Which compiler builds for a microcontroller, and what to install where there is none.

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A compiler that can build for some targets.
pub struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Whether the targets' `core` must be compiled first: there is no built one.
    builds_core: bool,
    /// In place of the compiler's own.
    linker: Option<PathBuf>,
    /// `rustc --version`.
    pub version: String,
}

impl Toolchain {
    /// The compiler for all of `triples`: rustup's if it has them, else Debian's.
    ///
    /// # Errors
    /// What to install.
    pub fn find(triples: &[&str]) -> Result<Self> {
        Self::rustup(triples).or_else(|first| {
            Self::debian().map_err(|second| {
                let targets = triples.join(", ");
                Error::file("cargo", format!("cannot build for {targets}: {first}; or, {second}"))
            })
        })
    }

    /// The compiler in the PATH, if the targets were added to it.
    ///
    /// # Errors
    /// What to install.
    pub fn rustup(triples: &[&str]) -> Result<Self> {
        let rustc = PathBuf::from("rustc");
        let libraries = sysroot(&rustc)?.join("lib/rustlib");
        let is_missing = |triple: &&&str| !libraries.join(triple).join("lib").is_dir();
        let missing: Vec<&str> = triples.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            let names = missing.join(" ");
            return Err(Error::file(
                "rustc",
                format!("has no library for {names}: `rustup target add {names}`"),
            ));
        }
        let version = version(&rustc)?;
        Ok(Self { cargo: "cargo".into(), rustc, builds_core: false, linker: None, version })
    }

    /// Debian's compiler and its library's source.
    ///
    /// # Errors
    /// What to install.
    pub fn debian() -> Result<Self> {
        const INSTALL: &str = "on Debian: `apt-get install rustc-web cargo-web rust-web-src`";
        let rustc = PathBuf::from(DEBIAN_RUSTC);
        let missing = || Error::file(&rustc, INSTALL);
        let sysroot = sysroot(&rustc).map_err(|_| missing())?;
        if !Path::new(DEBIAN_CARGO).is_file() || !sysroot.join("lib/rustlib/src/rust/library").is_dir() {
            return Err(missing());
        }
        let version = version(&rustc)?;
        Ok(Self { cargo: DEBIAN_CARGO.into(), rustc, builds_core: true, linker: linker(), version })
    }

    /// The same, if it can link a program: for a library it need not.
    ///
    /// # Errors
    /// What to install.
    pub fn that_links(self) -> Result<Self> {
        match self.builds_core && self.linker.is_none() {
            true => Err(Error::file("rust-lld", "is missing; it comes with rustup's toolchains")),
            false => Ok(self),
        }
    }

    /// `cargo build` for `triples`, for the processor `cpu` (empty: the one that the target stands
    /// for); the caller adds the rest.
    pub fn build(&self, triples: &[&str], cpu: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(["build", "--release", "--locked"]);
        for triple in triples {
            command.args(["--target", triple]);
        }
        let mut flags = String::new();
        if !cpu.is_empty() {
            flags = format!("-Ctarget-cpu={cpu}");
        }
        if self.builds_core {
            command.arg("-Zbuild-std=core").env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(linker) = &self.linker {
            flags.push_str(&format!(" -Clinker={}", linker.display()));
        }
        // Flags of the host's build are not for a microcontroller.
        for name in
            ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        {
            command.env_remove(name);
        }
        command.env("RUSTC", &self.rustc).env("RUSTFLAGS", flags);
        command
    }
}

/// LLVM's linker: Debian's, or one of a rustup toolchain.
fn linker() -> Option<PathBuf> {
    let debian = PathBuf::from("/usr/bin/rust-lld");
    if debian.is_file() {
        return Some(debian);
    }
    host_tool("rust-lld")
}

/// A program that rustup installs with the compiler for its own use.
pub fn host_tool(name: &str) -> Option<PathBuf> {
    let folders = sysroot(Path::new("rustc")).ok()?.join("lib/rustlib").read_dir().ok()?;
    folders.flatten().map(|folder| folder.path().join("bin").join(name)).find(|path| path.is_file())
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(PathBuf::from(output(rustc, &["--print", "sysroot"])?))
}

fn version(rustc: &Path) -> Result<String> {
    output(rustc, &["--version"])
}

fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| Error::io(program, e))?;
    if !output.status.success() {
        return Err(Error::file(program, format!("{arguments:?}: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| Error::file(program, format!("its answer to {arguments:?} is not text")))?;
    Ok(text.trim().to_string())
}
