//! Builds the firmware image with a model embedded.

use crate::arguments::BuildArguments;
use crate::elf::Elf;
use crate::environment::{Environment, Folder};
use crate::host::read_model;
use crate::target::Target;
use algodistill_core::Model;
use anyhow::{bail, Context};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A linked image.
pub struct Image {
    pub path: PathBuf,
    pub elf: Elf,
    /// Of the compiler that built it.
    pub compiler: String,
    /// Bytes of the weights file in it.
    pub weights: u64,
    /// Context window of the model.
    pub window: usize,
    /// Whether the model has encoders: for numbers or a picture.
    pub encoders: bool,
    /// int8 parameters of the model.
    pub parameters: usize,
}

/// What an image is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To run as firmware does.
    Run,
    /// To count the instructions of each part of a step as well.
    Profile,
    /// To lose its power before every step, and go on from a snapshot.
    BrownOuts,
    /// To measure linear layers.
    Bench,
}

/// An image was not built because its model does not fit the board: its flash or RAM overflows, or too
/// little RAM is left for the stack.
#[derive(Debug)]
struct TooBig {
    model: PathBuf,
    target: &'static Target,
    /// What the linker says.
    lack: String,
}

impl TooBig {
    /// `None` where the messages of the compiler are of something else.
    fn find(messages: &str, target: &'static Target, model: &Path) -> Option<Self> {
        let says_so =
            |line: &&str| line.contains("will not fit") || line.contains("the model leaves less than");
        let line = messages.lines().find(says_so)?;
        let lack = line.rsplit_once("error: ").map_or(line, |(_, lack)| lack).trim().to_string();
        Some(Self { model: model.into(), target, lack })
    }
}

impl fmt::Display for TooBig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, target: Target { name, machine, .. }, lack } = self;
        write!(
            f,
            "{}: does not fit the board of {name} ({machine}): {lack}; `algodistill inspect` says what it needs and \
             which boards have that",
            model.display()
        )
    }
}

impl std::error::Error for TooBig {}

/// Whether an image was not built because its model does not fit the board.
pub fn is_too_big(error: &anyhow::Error) -> bool {
    error.is::<TooBig>()
}

/// Builds the image for `target` with the shipped model for Dark Room, or with a small one where the board
/// is too small for it. Returns the model's file, too.
pub fn build_for_dark_room(
    target: &'static Target,
    folder: &Folder,
    arguments: BuildArguments,
    purpose: Purpose,
) -> anyhow::Result<(Image, PathBuf)> {
    let environment = Environment::dark_room();
    let shipped = environment.model(None, folder)?;
    match build(target, &shipped, arguments, purpose) {
        Err(error) if is_too_big(&error) => {
            let small = environment.small_model(folder)?;
            Ok((build(target, &small, arguments, purpose)?, small))
        }
        image => Ok((image?, shipped)),
    }
}

/// Builds the image for `target` with the weights file at `model`.
///
/// An image has its model's CRC in its name, and the folder is locked while it is made: two runs
/// beside each other do not take each other's image.
pub fn build(
    target: &'static Target,
    model: &Path,
    arguments: BuildArguments,
    purpose: Purpose,
) -> anyhow::Result<Image> {
    let (features, suffix) = match purpose {
        Purpose::Run => ("", ""),
        Purpose::Profile => ("profile", "-profile"),
        Purpose::BrownOuts => ("brown-outs", "-brown-outs"),
        Purpose::Bench => ("bench", "-bench"),
    };
    let file = read_model(model)?;
    let decoded = Model::decode(&file).with_context(|| model.display().to_string())?;
    let toolchain = arguments.compiler.find(target)?;
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = std::env::var_os("CARGO_TARGET_DIR").map_or(crates.join("../target"), PathBuf::from);
    // A compiler does not understand what another one has built.
    let folder = workspace.join("firmware").join(toolchain.version.replace(['/', ' ', '(', ')'], "-"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let output = toolchain
        .build(&[target.triple], target.cpu)
        .args(["--quiet", "--bin", "firmware", "--features", features, "--manifest-path"])
        .arg(crates.join("image/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("ALGODISTILL_BOARD", target.machine)
        .env("ALGODISTILL_MODEL", fs::canonicalize(model)?)
        .env("ALGODISTILL_MODEL_CRC", format!("{:08x}", decoded.crc()))
        .output()
        .context("cargo does not run")?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        if let Some(error) = TooBig::find(&messages, target, model) {
            return Err(error.into());
        }
        bail!("the image for {} does not build:\n{messages}", target.name);
    }
    let path = folder.join(format!("{}-{:08x}{suffix}.elf", target.name, decoded.crc()));
    let linked = folder.join(target.triple).join("release/firmware");
    // Renamed, because another run may be executing the image of the same name.
    let temporary = path.with_extension("tmp");
    fs::copy(&linked, &temporary).with_context(|| linked.display().to_string())?;
    fs::rename(&temporary, &path)?;
    drop(lock);
    let elf = Elf::read(&path)?;
    Ok(Image {
        path,
        elf,
        compiler: toolchain.version,
        weights: file.len() as u64,
        window: decoded.dimensions().window,
        encoders: decoded.interface().channels.iter().any(|channel| channel.inputs() > 0),
        parameters: decoded.parameters(),
    })
}
