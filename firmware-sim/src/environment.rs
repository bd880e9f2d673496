//! Environments by the name of a preset, and the model that each runs with.

use crate::host::read_model;
use crate::random_model;
use crate::usage::Wrong;
use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::env::AnyFamily;
use algodistill_core::{Family, Model, PortableRng};
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::fs;
use std::path::{Path, PathBuf};

/// A preset.
#[derive(Clone, Debug)]
pub struct Environment {
    pub preset: &'static str,
    pub family: AnyFamily,
}

/// What `--environment` names.
#[derive(Clone, Debug)]
pub struct Environments(pub Vec<Environment>);

impl Environments {
    /// The name of a preset, or `all`: every environment of the core's list with its first preset,
    /// and every other preset that has a shipped model of its own.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        let names = AnyFamily::preset_names().chain(["all"]);
        PossibleValuesParser::new(names).map(|name| match Environment::find(&name) {
            Some(one) => Self(vec![one]),
            None => Self(Environment::all().collect()),
        })
    }
}

impl Environment {
    /// Dark Room, the environment of the reference model.
    pub fn dark_room() -> Self {
        Self { preset: DarkRoom::NAME, family: AnyFamily::DarkRoom(DarkRoom::STANDARD) }
    }

    /// The name of a preset.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(AnyFamily::preset_names())
            .try_map(|name| Self::find(&name).ok_or("no such preset"))
    }

    /// The preset of this name.
    pub fn find(name: &str) -> Option<Self> {
        let preset = AnyFamily::preset_names().find(|preset| *preset == name)?;
        Some(Self { preset, family: AnyFamily::preset(preset)? })
    }

    /// Those with a shipped model of their own.
    pub fn with_shipped_model() -> impl Iterator<Item = Self> {
        let presets = AnyFamily::preset_names().filter_map(Self::find);
        presets.filter(|one| shipped_model(one.preset).is_file())
    }

    /// Whether it shows numbers or a picture.
    pub fn has_encoders(&self) -> bool {
        self.family.interface().channels.iter().any(|channel| channel.inputs() > 0)
    }

    fn all() -> impl Iterator<Item = Self> {
        let presets = AnyFamily::preset_names().filter_map(Self::find);
        presets.filter(|one| one.preset == one.family.name() || shipped_model(one.preset).is_file())
    }

    /// The task `given`, which must be one of the environment's; else one drawn with `seed`.
    pub fn task(&self, given: Option<u32>, seed: u64) -> Result<u32, Wrong> {
        /// Of the generator: beside those of the world, the agent and the sensor.
        const STREAM: u64 = 3;
        // Where there is no end of tasks, a number that can be typed.
        let count = self.family.task_count();
        let drawn = || PortableRng::new(seed, STREAM).below(count.unwrap_or(1_000_000));
        let task = given.unwrap_or_else(drawn);
        match count {
            Some(count) if task >= count => {
                let (preset, last) = (self.preset, count.saturating_sub(1));
                Err(Wrong(format!("--task: is {task}, but {preset} has tasks 0 to {last}")))
            }
            _ => Ok(task),
        }
    }

    /// The file `given`; else the shipped model of the preset, or of an environment with the same
    /// interface; else a small one, see [`Environment::small_model`].
    pub fn model(&self, given: Option<&Path>, folder: &Folder) -> anyhow::Result<PathBuf> {
        if let Some(path) = given {
            return Ok(path.to_path_buf());
        }
        for path in [self.preset, self.family.name()].map(shipped_model) {
            if path.is_file() && self.fits(&path)? {
                return Ok(path);
            }
        }
        self.small_model(folder)
    }

    /// A model that fits every board: the shipped one of `models/small`; else one with random weights,
    /// written to `folder`.
    pub fn small_model(&self, folder: &Folder) -> anyhow::Result<PathBuf> {
        let shipped = small_shipped_model(self.preset);
        if shipped.is_file() {
            return Ok(shipped);
        }
        let path = folder.0.join(format!("random-{}.adw", self.preset));
        fs::write(&path, random_model::small(self, 0)?).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Refuses a model that sees or does something else than this environment asks for.
    pub fn check(&self, path: &Path, model: &Model) -> Result<(), Wrong> {
        if *model.interface() == self.family.interface() {
            return Ok(());
        }
        let problem = "the model sees or does something else than in";
        Err(Wrong(format!(
            "{}: {problem} {}; expected one that was trained for it",
            path.display(),
            self.preset
        )))
    }

    /// Whether the model in the file sees and does what this environment asks for.
    fn fits(&self, path: &Path) -> anyhow::Result<bool> {
        let file = read_model(path)?;
        let model = Model::decode(&file).with_context(|| path.display().to_string())?;
        Ok(self.check(path, &model).is_ok())
    }
}

/// `models/NAME.adw` of this source tree.
pub fn shipped_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name).with_extension("adw")
}

/// `models/small/NAME.adw`: for boards with 16 KB of RAM.
pub fn small_shipped_model(name: &str) -> PathBuf {
    shipped_model(&format!("small/{name}"))
}

/// A folder for files that nobody needs after the run.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("algodistill-firmware-sim-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

/// However the program ends.
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
