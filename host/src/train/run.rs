//! The training loop, and the files of a run.
//!
//! With several ranks, each computes loss and gradient of its part of every batch; the sums go to all, and all take the same step. Rank 0 has the files.

use super::checkpoint::{save_parameters, Checkpoint, TrainingRecord};
use super::fused::kernels::elementwise::scale;
use super::metrics::{Metrics, MetricsLine};
use super::optimizer::clip;
use super::parts::part;
use super::{
    initial_parameters, schedule, AdamW, Batch, Device, Engine, LossOptions, Masks, Purpose, TrainConfig,
    Windows,
};
use crate::files::{hexadecimal, read_text, write_bytes, FolderLock};
use crate::history::{Histories, History, Share, Slots};
use crate::model::Parameters;
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a training run ended with.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// The trained model.
    pub parameters: Parameters,
    /// How it was trained.
    pub training: TrainingRecord,
    /// Mean training loss of the last logged updates, in nats a token. `None` where a resumed run had nothing left to do.
    pub loss: Option<f32>,
    /// Loss on held-out tasks at the end, where there were any and validation is on.
    pub validation_loss: Option<f32>,
    /// Tokens a second of training in this process (validation and checkpoints not counted).
    pub tokens_per_second: f64,
    /// Wall-clock seconds in this process.
    pub seconds: f64,
    /// `model.safetensors`
    pub model: PathBuf,
}

/// A configuration file: what `--config` reads, and the `config.toml` of a run, which says in addition what made it.
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
pub fn read_config(path: &Path) -> Result<TrainConfig> {
    let file: ConfigFile = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
    Ok(file.train)
}

/// SHA-256 of the interface and of the digest of every history (its task, length and columns), in hexadecimal.
pub fn histories_digest(histories: &Histories) -> String {
    digest_of(histories, &history_digests(histories, 0..histories.index.len()).concat())
}

fn digest_of(histories: &Histories, history_digests: &[u8]) -> String {
    let mut digest = Sha256::new_with_prefix(format!("{:?}", histories.interface));
    digest.update(history_digests);
    hexadecimal(digest.finalize())
}

/// SHA-256 of each history of a part of the index.
fn history_digests(histories: &Histories, part: Range<usize>) -> Vec<[u8; 32]> {
    let columns = &histories.steps;
    let digest = |history: &History| {
        let steps = history.steps.clone();
        let mut digest = Sha256::new_with_prefix(u64::from(history.task).to_le_bytes());
        digest.update((steps.len() as u64).to_le_bytes());
        for column in &columns.observations {
            digest.update(bytemuck::cast_slice::<i32, u8>(&column[steps.clone()]));
        }
        digest.update(bytemuck::cast_slice::<u16, u8>(&columns.actions[steps.clone()]));
        digest.update(bytemuck::cast_slice::<f32, u8>(&columns.rewards[steps.clone()]));
        digest.update(columns.dones[steps].iter().map(|&done| u8::from(done)).collect::<Vec<u8>>());
        digest.finalize().into()
    };
    histories.index[part].par_iter().map(digest).collect()
}

/// [`histories_digest`] of histories of which every rank has its share.
fn gathered_digest(ranks: &Ranks, histories: &Histories, batch: usize) -> String {
    let count = histories.index.len();
    let own = slots(ranks, ranks.rank(), batch).histories(count);
    let parts = ranks.gather(history_digests(histories, own).concat());
    let mut all = vec![0; 32 * count];
    for (rank, part) in parts.iter().enumerate() {
        let first = 32 * slots(ranks, rank, batch).histories(count).start;
        all[first..first + part.len()].copy_from_slice(part);
    }
    digest_of(histories, &all)
}

/// The sequences of `rank` in a batch.
fn slots(ranks: &Ranks, rank: usize, batch: usize) -> Slots {
    Slots { range: part(0..batch, rank, ranks.count()), batch }
}

/// The histories that this rank trains and validates on.
pub fn share(ranks: &Ranks, config: &TrainConfig) -> Share {
    Share {
        training: slots(ranks, ranks.rank(), config.batch),
        held_out: slots(ranks, ranks.rank(), config.validation_windows),
    }
}

/// Trains on `histories` and writes into `run_dir`: `config.toml`, `metrics.jsonl`, `checkpoint.safetensors`, and at the end
/// `model.safetensors`.
///
/// With `resume` a run that was killed goes on from its last checkpoint (or from the start where there is none) and ends with the
/// same `model.safetensors`, byte for byte.
///
/// # Errors
/// [`Error::Argument`] for a configuration or histories that cannot be used, a folder that holds a run already, or a loss that is no longer finite;
/// [`Error::File`] for a checkpoint that is damaged or belongs to another configuration or other histories;
/// [`Error::Io`].
pub fn train(
    histories: &Histories,
    validation: Option<&Histories>,
    config: &TrainConfig,
    run_dir: &Path,
    resume: bool,
) -> Result<TrainOutcome> {
    train_on(&Ranks::alone(), histories, validation, config, run_dir, resume)
}

/// [`train`] on several ranks, which must all call this with the same arguments; of the histories a rank needs its [`share`] only. The result is that of one process:
/// bit for bit where the number of ranks is a power of two and each has at least two sequences of a batch, else within rounding.
///
/// # Errors
/// As [`train`]; [`Error::Argument`] where there are more ranks than sequences of a batch. An error on one rank leaves the others waiting: end them with
/// [`Ranks::fail`].
pub fn train_on(
    ranks: &Ranks,
    histories: &Histories,
    validation: Option<&Histories>,
    config: &TrainConfig,
    run_dir: &Path,
    resume: bool,
) -> Result<TrainOutcome> {
    let mut run = Run::open(ranks, histories, validation, config, run_dir, resume)?;
    let progress = Progress::of_rank(ranks, "train", config.updates);
    let done = run.updates_done();
    progress.advance(done, || format!("resumed at update {done}"));
    let nothing_left = done >= config.updates;
    while run.updates_done() < config.updates {
        run.step()?;
        progress.advance(1, || run.message());
    }
    let message = if nothing_left { format!("all {done} updates were done before") } else { run.message() };
    let outcome = run.finish()?;
    progress.finish(&message);
    Ok(outcome)
}

/// A training run between two updates.
pub(super) struct Run<'a> {
    ranks: &'a Ranks,
    config: &'a TrainConfig,
    windows: Windows<'a>,
    slots: Slots,
    held_out: Option<Batch>,
    network: Network,
    state: Checkpoint,
    gradient: Vec<f32>,
    /// On rank 0.
    files: Option<Files>,
    model: PathBuf,
    started: Instant,
    /// Since the process began.
    total: Sums,
    /// Since the last line of metrics.
    recent: Sums,
    last: Option<MetricsLine>,
}

/// What a run writes as it goes.
struct Files {
    metrics: Metrics,
    checkpoint: PathBuf,
    _lock: FolderLock,
}

impl<'a> Run<'a> {
    /// Checks everything, and takes the run up where its checkpoint stands.
    pub(super) fn open(
        ranks: &'a Ranks,
        histories: &'a Histories,
        validation: Option<&Histories>,
        config: &'a TrainConfig,
        run_dir: &Path,
        resume: bool,
    ) -> Result<Self> {
        let started = Instant::now();
        config.validate()?;
        if config.batch < ranks.count() {
            let problem =
                format!("is {}, must be at least {}, the number of ranks", config.batch, ranks.count());
            return Err(Error::argument("train.batch", problem));
        }
        let share = share(ranks, config);
        let windows = draws(ranks, histories, config, &share.training)?;
        let held_out = match validation.filter(|_| config.validation_every > 0) {
            Some(held_out) if held_out.interface != histories.interface => {
                return Err(Error::argument(
                    "validation",
                    "has another interface than the training histories",
                ));
            }
            Some(held_out) => {
                let windows = draws(ranks, held_out, config, &share.held_out)?;
                Some(windows.part(Purpose::Validation, 0, &share.held_out))
            }
            None => None,
        };
        let dataset = gathered_digest(ranks, histories, config.batch);
        let network = Network::new(config, histories)?;
        let new = Checkpoint {
            parameters: initial_parameters(&config.dimensions(), &histories.interface, config.seed),
            optimizer: AdamW::new(&config.dimensions(), &histories.interface),
            // Without the number of threads, which must not show in the model's bytes.
            training: TrainingRecord {
                config: TrainConfig { threads: None, ..config.clone() },
                dataset,
                update: 0,
            },
        };
        let (mut state, files) = match ranks.is_first() {
            true => Files::open(new, config, run_dir, resume).map(|(state, files)| (state, Some(files)))?,
            false => (new, None),
        };
        share_state(ranks, &mut state);
        Ok(Self {
            ranks,
            config,
            windows,
            slots: share.training,
            held_out,
            network,
            gradient: vec![0.0; state.parameters.values.len()],
            state,
            files,
            model: run_dir.join("model.safetensors"),
            started,
            total: Sums::default(),
            recent: Sums::default(),
            last: None,
        })
    }

    /// Updates done, those before a resume included.
    pub(super) fn updates_done(&self) -> u64 {
        self.state.training.update
    }

    /// What a reader wants to know now.
    fn message(&self) -> String {
        let loss = self.last.as_ref().map_or_else(|| self.recent.mean_loss(), |line| line.loss);
        format!("loss {loss:.4}, {:.0} tokens/s", self.total.tokens_per_second())
    }

    /// One update, and what is due after it: validation, a line of metrics, a checkpoint.
    pub(super) fn step(&mut self) -> Result<()> {
        let config = self.config;
        let index = self.updates_done();
        let begun = Instant::now();
        let batch = self.windows.part(Purpose::Batch, index, &self.slots);
        let options = LossOptions {
            label_smoothing: config.label_smoothing,
            masks: Some(Masks {
                seed: config.seed,
                update: index,
                attention: config.dropout,
                residual: config.residual_dropout,
                token: config.token_masking,
            }),
        };
        let values = &mut self.state.parameters.values;
        let sum = self.network.sum_and_gradient(values, &batch, &options, &mut self.gradient)?;
        self.ranks.sum(&mut self.gradient);
        let (loss, tokens) = mean(self.ranks, sum, &batch);
        scale(&mut self.gradient, (1.0 / tokens) as f32);
        let gradient_norm = clip(&mut self.gradient, config.clip);
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let problem =
                format!("the loss is no longer finite at update {index}; lower it, or raise train.warm_up");
            return Err(Error::argument("train.learning_rate", problem));
        }
        let learning_rate = schedule::learning_rate(config, index);
        self.state.optimizer.step(config, index, learning_rate, &self.gradient, values);
        let elapsed = begun.elapsed();
        for sums in [&mut self.total, &mut self.recent] {
            sums.add(loss, tokens as usize, elapsed);
        }

        let update = index + 1;
        self.state.training.update = update;
        let due = |every: u64| update == config.updates || update.is_multiple_of(every);
        let mut validation_loss = None;
        if let Some(held_out) = self.held_out.as_ref().filter(|_| due(config.validation_every)) {
            let values = &self.state.parameters.values;
            let sum = self.network.sum(values, held_out, &LossOptions::default())?;
            validation_loss = Some(mean(self.ranks, sum, held_out).0);
        }
        // A checkpoint ends a line's mean, so that a resumed run writes the same lines.
        let saves = due(config.checkpoint_every);
        if due(config.log_every) || validation_loss.is_some() || saves {
            let recent = std::mem::take(&mut self.recent);
            let line = MetricsLine {
                update,
                loss: recent.mean_loss(),
                learning_rate,
                gradient_norm,
                tokens_per_second: recent.tokens_per_second(),
                validation_loss,
            };
            if let Some(files) = &mut self.files {
                files.metrics.write(&line)?;
            }
            self.last = Some(line);
        }
        match &self.files {
            Some(files) if saves => self.state.save(&files.checkpoint),
            _ => Ok(()),
        }
    }

    /// Writes the model.
    fn finish(self) -> Result<TrainOutcome> {
        if self.files.is_some() {
            save_parameters(&self.model, &self.state.parameters, &self.state.training)?;
        }
        Ok(TrainOutcome {
            parameters: self.state.parameters,
            training: self.state.training,
            loss: self.last.as_ref().map(|line| line.loss),
            validation_loss: self.last.and_then(|line| line.validation_loss),
            tokens_per_second: self.total.tokens_per_second(),
            seconds: self.started.elapsed().as_secs_f64(),
            model: self.model,
        })
    }
}

impl Files {
    /// Takes the folder, and the checkpoint where there is one.
    fn open(
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
                let problem = format!(
                    "{} holds a run already; add --resume, or choose another folder",
                    run_dir.display()
                );
                return Err(Error::argument("--out", problem));
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

/// The sequences of `histories` that this rank draws.
fn draws<'a>(
    ranks: &Ranks,
    histories: &'a Histories,
    config: &TrainConfig,
    slots: &Slots,
) -> Result<Windows<'a>> {
    match ranks.count() {
        1 => Windows::new(histories, config),
        _ => Windows::of_slots(histories, config, slots),
    }
}

/// Brings every rank to the state of rank 0.
fn share_state(ranks: &Ranks, state: &mut Checkpoint) {
    let update = ranks.broadcast_bytes(state.training.update.to_le_bytes().to_vec());
    if let Ok(update) = update.try_into() {
        state.training.update = u64::from_le_bytes(update);
    }
    ranks.broadcast(&mut state.parameters.values);
    ranks.broadcast(&mut state.optimizer.first);
    ranks.broadcast(&mut state.optimizer.second);
}

/// The mean loss of the whole batch, from this rank's sum over its part, and the number of tokens.
fn mean(ranks: &Ranks, sum: f64, part: &Batch) -> (f32, f64) {
    let mut sums = [sum, part.targets.len() as f64];
    ranks.sum_f64(&mut sums);
    let [sum, tokens] = sums;
    ((sum / tokens) as f32, tokens)
}

/// Sums over some updates.
#[derive(Default)]
struct Sums {
    loss: f64,
    updates: u32,
    tokens: usize,
    time: Duration,
}

impl Sums {
    fn add(&mut self, loss: f32, tokens: usize, time: Duration) {
        self.loss += f64::from(loss);
        self.updates += 1;
        self.tokens += tokens;
        self.time += time;
    }

    fn mean_loss(&self) -> f32 {
        (self.loss / f64::from(self.updates.max(1))) as f32
    }

    fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// The network on the configured device.
enum Network {
    Fused(Box<Engine>),
    #[cfg(feature = "cuda")]
    Cuda(super::Composed<dfdx::prelude::Cuda>),
}

impl Network {
    fn new(config: &TrainConfig, histories: &Histories) -> Result<Self> {
        let (dimensions, interface) = (config.dimensions(), &histories.interface);
        match config.device {
            Device::Cpu => Engine::new(&dimensions, interface, config.resolved_threads())
                .map(|e| Self::Fused(Box::new(e))),
            #[cfg(feature = "cuda")]
            Device::Cuda => {
                let device = dfdx::prelude::Cuda::try_seed_from_u64(config.seed)
                    .map_err(|e| Error::argument("train.device", format!("no CUDA device: {e:?}")))?;
                Ok(Self::Cuda(super::Composed::new(device, &dimensions, interface)))
            }
            #[cfg(not(feature = "cuda"))]
            Device::Cuda => {
                let problem =
                    "this program was built without CUDA; build it with --features cuda, or use --device cpu";
                Err(Error::argument("train.device", problem))
            }
        }
    }

    /// The sum of the loss over the batch's tokens.
    fn sum(&mut self, values: &[f32], batch: &Batch, options: &LossOptions) -> Result<f64> {
        match self {
            Self::Fused(engine) => Ok(engine.sum(values, batch, options)),
            #[cfg(feature = "cuda")]
            Self::Cuda(composed) => {
                Ok(f64::from(composed.loss(values, batch, options)?) * batch.targets.len() as f64)
            }
        }
    }

    /// [`Network::sum`], and its gradient in place of the content of `gradient`.
    fn sum_and_gradient(
        &mut self,
        values: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> Result<f64> {
        match self {
            Self::Fused(engine) => Ok(engine.sum_and_gradient(values, batch, options, gradient)),
            #[cfg(feature = "cuda")]
            Self::Cuda(composed) => {
                let tokens = batch.targets.len();
                let mean = composed.loss_and_gradient(values, batch, options, gradient)?;
                gradient.iter_mut().for_each(|gradient| *gradient *= tokens as f32);
                Ok(f64::from(mean) * tokens as f64)
            }
        }
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
    let file: ConfigFile = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
    refuse_other(path, (&file.train, file.dataset.as_deref().unwrap_or(dataset)), (config, dataset))
}

/// Refuses configuration and data that are not those that the file `path` was written with.
fn refuse_other(path: &Path, then: (&TrainConfig, &str), now: (&TrainConfig, &str)) -> Result<()> {
    if then.1 != now.1 {
        let problem = "belongs to other histories; resume with the histories that the run began with, or choose another --out";
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
                    "is {now}, but {} was made with {value}; resume with the same configuration, or choose another --out",
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
