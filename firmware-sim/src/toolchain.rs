//! Which compiler builds the image, and what to install where there is none.

use crate::arguments::Compiler;
use crate::target::Target;
use anyhow::{anyhow, bail, Context};
use std::path::{Path, PathBuf};
use std::process::Command;

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A compiler that can build for one target.
pub struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Whether the target's `core` must be compiled first: there is no built one.
    builds_core: bool,
    linker: Option<PathBuf>,
    /// `rustc --version`.
    pub version: String,
}

impl Toolchain {
    /// The compiler for `target`, or what to install.
    pub fn find(compiler: Compiler, target: &Target) -> anyhow::Result<Self> {
        let rustup = || rustup(target);
        match compiler {
            Compiler::Rustup => rustup(),
            Compiler::Debian => debian(),
            Compiler::Auto => rustup().or_else(|first| {
                debian()
                    .map_err(|second| anyhow!("cannot build for {}: {first:#}; or, {second:#}", target.name))
            }),
        }
    }

    /// `cargo build` for `target`; the caller adds the rest.
    pub fn build(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(["build", "--release", "--locked", "--target", target.triple]);
        let mut flags = String::new();
        if !target.cpu.is_empty() {
            flags = format!("-Ctarget-cpu={}", target.cpu);
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

/// The compiler in the PATH, if the target was added to it.
fn rustup(target: &Target) -> anyhow::Result<Toolchain> {
    let rustc = PathBuf::from("rustc");
    let library = sysroot(&rustc)?.join("lib/rustlib").join(target.triple).join("lib");
    if !library.is_dir() {
        bail!("the compiler has no library for {0}: `rustup target add {0}`", target.triple);
    }
    let version = version(&rustc)?;
    Ok(Toolchain { cargo: "cargo".into(), rustc, builds_core: false, linker: None, version })
}

/// Debian's compiler, its library's source and its linker.
fn debian() -> anyhow::Result<Toolchain> {
    const INSTALL: &str = "on Debian: `apt-get install rustc-web cargo-web rust-web-src`";
    let rustc = PathBuf::from(DEBIAN_RUSTC);
    let sysroot = sysroot(&rustc).context(INSTALL)?;
    if !Path::new(DEBIAN_CARGO).is_file() || !sysroot.join("lib/rustlib/src/rust/library").is_dir() {
        bail!("{INSTALL}");
    }
    let version = version(&rustc)?;
    let linker =
        Some(linker().context("no rust-lld; it comes with rustc-web, and with rustup's toolchains")?);
    Ok(Toolchain { cargo: DEBIAN_CARGO.into(), rustc, builds_core: true, linker, version })
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

fn sysroot(rustc: &Path) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(output(rustc, &["--print", "sysroot"])?))
}

fn version(rustc: &Path) -> anyhow::Result<String> {
    output(rustc, &["--version"])
}

fn output(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let name = program.display();
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("{name} does not run"))?;
    if !output.status.success() {
        bail!("{name} {arguments:?}: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout).context("the compiler's answer is not text")?.trim().to_string())
}
