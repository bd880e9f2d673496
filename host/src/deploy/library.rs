//! Builds the static library of the C API from the source of core, which is inside this program: it
//! may have been installed without a checkout.

use super::cores::Library;
use super::toolchain::{host_tool, Toolchain};
use crate::files::hexadecimal;
use crate::{Error, Result};
use include_dir::{include_dir, Dir};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Path in the folder of the source, and content.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

static CORE: Dir = include_dir!("$CARGO_MANIFEST_DIR/../core/src");
const CORE_MANIFEST: &str = include_str!("../../../core/Cargo.toml");
const WORKSPACE_MANIFEST: &str = include_str!("../../../Cargo.toml");
/// Needed by the library only: path in core, and content.
const CAPI: [(&str, &str); 3] = [
    ("capi/Cargo.toml", include_str!("../../../core/capi/Cargo.toml")),
    ("capi/Cargo.lock", include_str!("../../../core/capi/Cargo.lock")),
    ("capi/src/lib.rs", include_str!("../../../core/capi/src/lib.rs")),
];

/// The crate of core, which can stand anywhere.
pub(super) fn core_crate() -> Files {
    let mut files = Files::new();
    add_folder(&CORE, Path::new("src"), &mut files);
    files.insert("build.rs".into(), include_bytes!("../../../core/build.rs").into());
    files.insert("README.md".into(), include_bytes!("../../../core/README.md").into());
    files.insert("Cargo.toml".into(), standalone_manifest().into_bytes());
    files
}

/// Adds all files of `folder`, and of those in it, under `path`.
pub(super) fn add_folder(folder: &Dir, path: &Path, files: &mut Files) {
    for file in folder.files() {
        files.insert(path.join(file.path()), file.contents().into());
    }
    folder.dirs().for_each(|inner| add_folder(inner, path, files));
}

/// The manifest of core without its workspace, whose values take their place, and without its tests.
fn standalone_manifest() -> String {
    const OURS: &str = "a manifest of this repository";
    let mut manifest: toml::Table = CORE_MANIFEST.parse().expect(OURS);
    let workspace: toml::Table = WORKSPACE_MANIFEST.parse().expect(OURS);
    let shared = workspace["workspace"]["package"].as_table().expect(OURS);
    let package = manifest["package"].as_table_mut().expect(OURS);
    for (name, value) in package.iter_mut() {
        if value.get("workspace").is_some() {
            *value = shared[name].clone();
        }
    }
    for table in ["dev-dependencies", "test", "lints"] {
        manifest.remove(table);
    }
    manifest.to_string()
}

/// Builds `libraries`, each once; the archive of each, by its target. What was built before from the
/// same source with the same compiler is there already.
///
/// # Errors
/// What to install; what cargo said.
pub(super) fn build(libraries: &[&Library]) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let triples: Vec<&str> = libraries.iter().map(|library| library.triple).collect();
    let toolchain = Toolchain::find(&triples)?;
    let folder = unpack()?;
    // A compiler does not understand what another one has built.
    let target = folder.join(toolchain.version.replace(['/', ' ', '(', ')'], "-"));
    let mut processors: Vec<&str> = libraries.iter().map(|library| library.cpu).collect();
    processors.sort_unstable();
    processors.dedup();
    for cpu in processors {
        let same = libraries.iter().filter(|library| library.cpu == cpu);
        let triples: Vec<&str> = same.map(|library| library.triple).collect();
        run(toolchain
            .build(&triples, cpu)
            .arg("--manifest-path")
            .arg(folder.join("core/capi/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target))?;
    }
    let mut archives = BTreeMap::new();
    for library in libraries {
        let built = target.join(library.triple).join("release/libalgodistill.a");
        archives.insert(library.triple, without_debug_information(&built)?);
    }
    Ok(archives)
}

/// Writes the source into the user's cache, in a folder named after its content; there it stays.
fn unpack() -> Result<PathBuf> {
    let mut files = core_crate();
    // Whatever lies above the cache, core is no part of its workspace.
    files.entry("Cargo.toml".into()).or_default().extend(b"\n[workspace]\n");
    files.extend(CAPI.map(|(path, content)| (path.into(), content.into())));
    let mut digest = Sha256::new();
    for (path, content) in &files {
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(content.len().to_le_bytes());
        digest.update(content);
    }
    let name = hexadecimal(digest.finalize());
    let cache = dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("algodistill").join("deploy");
    let folder = cache.join(name.get(..16).unwrap_or(&name));
    if !folder.join("core").is_dir() {
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let written = super::folder::write(&folder.join("core"), &files);
        // Another process may have been as fast.
        written.or_else(|error| if folder.join("core").is_dir() { Ok(()) } else { Err(error) })?;
    }
    Ok(folder)
}

/// rustup's own libraries are compiled with it, and have their code for link-time optimization too:
/// that makes an archive ten times as large. Where the compiler comes without the tool, it is that
/// large.
fn without_debug_information(archive: &Path) -> Result<Vec<u8>> {
    let stripped = tempfile::NamedTempFile::new().map_err(|e| Error::io(std::env::temp_dir(), e))?;
    let strips = |tool: &PathBuf| {
        let mut command = Command::new(tool);
        // The compiler's own libraries lie in `lib`, above `rustlib/HOST/bin`.
        command.env("LD_LIBRARY_PATH", tool.ancestors().nth(4).unwrap_or(tool));
        command.args(["--strip-debug", "--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
        run(command.arg(archive).arg(stripped.path())).is_ok()
    };
    let file = match host_tool("rust-objcopy").is_some_and(|tool| strips(&tool)) {
        true => stripped.path(),
        false => archive,
    };
    std::fs::read(file).map_err(|e| Error::io(file, e))
}

fn run(command: &mut Command) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(|e| Error::io(&program, e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::file(program, format!("the library does not build:\n{}", said.trim_end())));
    }
    Ok(())
}
