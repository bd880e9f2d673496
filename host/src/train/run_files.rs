//! The folder of a run: its configuration, its checkpoint, its metrics, and whether what is there
//! can be gone on with.

use super::checkpoint::{Checkpoint, TrainingRecord};
use super::metrics::Metrics;
use super::TrainConfig;
use crate::error::in_plain_words;
use crate::files::{read_text, write_bytes, FolderLock};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A configuration file: one that a user wrote, or the `config.toml` of a run, which says in
/// addition what made it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// Version of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Git revision, where the build was given one in `ALGODISTILL_GIT_REVISION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    git_revision: Option<String>,
    /// Digest of the training histories.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    train: TrainConfig,
}

/// Reads a TOML file with a `[train]` table, such as the `config.toml` of a run.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for what is no configuration, or one that
/// [`TrainConfig::validate`] refuses.
pub fn read_config(path: &Path) -> Result<TrainConfig> {
    let file = read(path)?;
    file.train.validate().map_err(|e| Error::file(path, e))?;
    Ok(file.train)
}

fn read(path: &Path) -> Result<ConfigFile> {
    toml::from_str(&read_text(path)?).map_err(|error| Error::file(path, in_plain_words(error)))
}

/// What a run writes as it goes.
pub(super) struct Files {
    pub(super) metrics: Metrics,
    pub(super) checkpoint: PathBuf,
    _lock: FolderLock,
}

impl Files {
    /// Takes the folder, and the checkpoint where there is one.
    pub(super) fn open(
        new: Checkpoint,
        config: &TrainConfig,
        run_dir: &Path,
        resume: bool,
    ) -> Result<(Checkpoint, Self)> {
        let lock = FolderLock::take(run_dir)?;
        let dataset = new.training.dataset.clone();
        let checkpoint = run_dir.join("checkpoint.safetensors");
        let state = match checkpoint.try_exists().map_err(|e| Error::io(&checkpoint, e))? {
            true if resume => continued(&checkpoint, config, &dataset)?,
            true => {
                let problem =
                    format!("{} holds a run already; resume it, or choose another folder", run_dir.display());
                return Err(Error::argument("run_dir", problem));
            }
            false => {
                if resume {
                    begun(&run_dir.join("config.toml"), config, &dataset)?;
                }
                new
            }
        };
        write_config(&run_dir.join("config.toml"), config, dataset)?;
        let metrics = Metrics::open(&run_dir.join("metrics.jsonl"), state.training.update)?;
        Ok((state, Self { metrics, checkpoint, _lock: lock }))
    }
}

/// Reads the checkpoint and refuses one of another run, by the name of what differs.
fn continued(path: &Path, config: &TrainConfig, dataset: &str) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::load(path)?;
    let TrainingRecord { config: then, dataset: of, .. } = &checkpoint.training;
    refuse_other(path, (then, of), (config, dataset))?;
    Ok(checkpoint)
}

/// Refuses to begin again as another run where one that began has no checkpoint yet.
fn begun(path: &Path, config: &TrainConfig, dataset: &str) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let file = read(path)?;
    refuse_other(path, (&file.train, file.dataset.as_deref().unwrap_or(dataset)), (config, dataset))
}

/// Refuses configuration and data that are not those that the file `path` was written with.
fn refuse_other(path: &Path, then: (&TrainConfig, &str), now: (&TrainConfig, &str)) -> Result<()> {
    if then.1 != now.1 {
        let problem = "belongs to other histories; resume with the histories that the run began with, or choose another folder";
        return Err(Error::file(path, problem));
    }
    // What does not change the result may change between the parts of a run.
    let comparable = |config: &TrainConfig| {
        let free = TrainConfig { threads: None, checkpoint_every: 0, ..config.clone() };
        serde_json::to_value(free).map_err(|e| Error::file(path, e))
    };
    let (then, now) = (comparable(then.0)?, comparable(now.0)?);
    if let (Some(then), Some(now)) = (then.as_object(), now.as_object()) {
        for (field, value) in then {
            if now.get(field) != Some(value) {
                let now = now.get(field).unwrap_or(&serde_json::Value::Null);
                let problem = format!(
                    "is {now}, but {} was made with {value}; resume with the same configuration, or choose another folder",
                    path.display()
                );
                return Err(Error::argument(format!("train.{field}"), problem));
            }
        }
    }
    Ok(())
}

fn write_config(path: &Path, config: &TrainConfig, dataset: String) -> Result<()> {
    let file = ConfigFile {
        version: Some(env!("CARGO_PKG_VERSION").into()),
        git_revision: option_env!("ALGODISTILL_GIT_REVISION").map(Into::into),
        dataset: Some(dataset),
        train: config.clone(),
    };
    let text = toml::to_string(&file).map_err(|e| Error::file(path, e))?;
    write_bytes(path, text.as_bytes())
}
