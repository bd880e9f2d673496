//! The folder of a run: its configuration, its checkpoint, its metrics, and whether what is there
//! can be gone on with.

use super::checkpoint::{Checkpoint, TrainingRecord};
use super::metrics::{Metrics, MetricsLine};
use super::TrainConfig;
use crate::files::{read_text, write_bytes, FolderLock};
use crate::parameters::fields;
use crate::toml_text::from_toml;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
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

/// What made a run.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What made a run, where the build was given it.
pub(crate) const GIT_REVISION: Option<&str> = option_env!("ALGODISTILL_GIT_REVISION");

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
    read_file(path, TABLE)
}

/// The table of a configuration of `train`.
const TABLE: &str = "train";

/// The tables of configurations, and the commands whose they are.
const COMMANDS: [(&str, &str); 2] = [(TABLE, "train"), ("rl2", "train-rl2")];

/// Reads a configuration file that has the table `own`.
pub(crate) fn read_file<T: DeserializeOwned>(path: &Path, own: &str) -> Result<T> {
    let text = read_text(path)?;
    from_toml(&text).map_err(|problem| match of_another_command(&text, own) {
        Some(command) => Error::file(path, format!("is a configuration of `{command}`; run that")),
        None => Error::file(path, problem),
    })
}

/// Refuses a folder that holds a run of another command, where that has the table `own`.
pub(crate) fn refuse_another_command(run_dir: &Path, own: &str) -> Result<()> {
    let path = run_dir.join("config.toml");
    if !path.exists() {
        return Ok(());
    }
    match of_another_command(&read_text(&path)?, own) {
        None => Ok(()),
        Some(command) => {
            let problem = format!("{} holds a run of `{command}`; choose another folder", run_dir.display());
            Err(Error::argument("run_dir", problem))
        }
    }
}

/// The other command, where a configuration has the table of another than `own`.
fn of_another_command(text: &str, own: &str) -> Option<&'static str> {
    let file: toml::Table = toml::from_str(text).ok()?;
    COMMANDS.into_iter().find(|(table, _)| *table != own && file.contains_key(*table)).map(|(_, name)| name)
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
        refuse_another_command(run_dir, TABLE)?;
        let dataset = new.training.dataset.clone();
        let checkpoint = run_dir.join("checkpoint.safetensors");
        let state = match there_is(&checkpoint, run_dir, resume)? {
            true => {
                let state = continued(&checkpoint, config, &dataset)?;
                refuse_other_scale(&checkpoint, &state, &new)?;
                state
            }
            false => {
                if resume {
                    begun(&run_dir.join("config.toml"), config, &dataset)?;
                }
                new
            }
        };
        write_config(&run_dir.join("config.toml"), config, dataset)?;
        let metrics =
            Metrics::open(&run_dir.join("metrics.jsonl"), MetricsLine::COUNTER, state.training.update)?;
        Ok((state, Self { metrics, checkpoint, _lock: lock }))
    }
}

/// Whether there is a checkpoint, which must be one to resume.
pub(crate) fn there_is(checkpoint: &Path, run_dir: &Path, resume: bool) -> Result<bool> {
    let there_is = checkpoint.try_exists().map_err(|e| Error::io(checkpoint, e))?;
    if there_is && !resume {
        let problem =
            format!("{} holds a run already; resume it, or choose another folder", run_dir.display());
        return Err(Error::argument("run_dir", problem));
    }
    Ok(there_is)
}

/// Reads the checkpoint and refuses one of another run, by the name of what differs.
fn continued(path: &Path, config: &TrainConfig, dataset: &str) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::load(path)?;
    let TrainingRecord { config: then, dataset: of, .. } = &checkpoint.training;
    refuse_other(path, (then, of), (config, dataset))?;
    Ok(checkpoint)
}

/// Refuses numbers on another scale than those that the model has learned from.
fn refuse_other_scale(path: &Path, then: &Checkpoint, now: &Checkpoint) -> Result<()> {
    if then.parameters.normalisers == now.parameters.normalisers {
        return Ok(());
    }
    let problem = "was begun by a version that gives the numbers of these histories another scale: go on with that version, \
                   or train anew in another folder";
    Err(Error::file(path, problem))
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
    let free = |config: &TrainConfig| TrainConfig { threads: None, checkpoint_every: 0, ..config.clone() };
    refuse_changed(path, TABLE, &free(then.0), &free(now.0))
}

/// Refuses a configuration that is not the one that the file `path` was written with, by the name of
/// the first field of the table that differs.
pub(crate) fn refuse_changed(
    path: &Path,
    table: &str,
    then: &impl Serialize,
    now: &impl Serialize,
) -> Result<()> {
    let (then, now) = (fields(then), fields(now));
    for (field, value) in &then {
        if now.get(field) != Some(value) {
            let now = now.get(field).unwrap_or(&serde_json::Value::Null);
            let problem = format!(
                "is {now}, but {} was made with {value}; resume with the same configuration, or choose another folder",
                path.display()
            );
            return Err(Error::argument(format!("{table}.{field}"), problem));
        }
    }
    Ok(())
}

fn write_config(path: &Path, config: &TrainConfig, dataset: String) -> Result<()> {
    let file = ConfigFile {
        version: Some(VERSION.into()),
        git_revision: GIT_REVISION.map(Into::into),
        dataset: Some(dataset),
        train: config.clone(),
    };
    let text = toml::to_string(&file).map_err(|e| Error::file(path, e))?;
    write_bytes(path, text.as_bytes())
}
