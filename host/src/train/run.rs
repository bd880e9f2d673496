//! The training loop.
//!
//! With several ranks, each computes loss and gradient of its part of every batch; the sums go to
//! all, and all take the same step. Rank 0 has the files.

use super::checkpoint::{save_parameters, Checkpoint, TrainingRecord};
use super::dataset::{gathered_digest, share};
use super::metrics::MetricsLine;
use super::network::Network;
use super::normalisers::normalisers;
use super::objective::OfflineQ;
use super::run_files::Files;
use super::{Sequences, TrainConfig};
use crate::history::{Histories, Slots};
use crate::model::Parameters;
use crate::nn::kernels::elementwise::scale;
use crate::nn::random::Purpose;
use crate::nn::transformer::{initial_parameters, optimizer, Batch, LossOptions};
use crate::nn::{clip, Masks};
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::{Error, Result};
use algodistill_core::Normaliser;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a training run ended with.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// The trained model.
    pub parameters: Parameters,
    /// How it was trained.
    pub training: TrainingRecord,
    /// Mean training loss of the last logged updates, in nats per token. `None` where a resumed run
    /// had nothing left to do.
    pub loss: Option<f32>,
    /// Loss on held-out tasks at the end, where there were any and validation is on.
    pub validation_loss: Option<f32>,
    /// Tokens per second of training in this process (validation and checkpoints not counted).
    pub tokens_per_second: f64,
    /// Wall-clock seconds in this process.
    pub seconds: f64,
    /// `model.safetensors`
    pub model: PathBuf,
}

/// Where the model of a run, the file `model`, is kept as it was after `update` updates.
pub fn snapshot_path(model: &Path, update: u64) -> PathBuf {
    model.with_file_name(format!("model-{update}.safetensors"))
}

/// Trains on `histories` and writes into `run_dir`: `config.toml`, `metrics.jsonl`,
/// `checkpoint.safetensors`, and at the end `model.safetensors`.
///
/// With `resume` a run that was killed goes on from its last checkpoint (or from the start where
/// there is none) and ends with the same `model.safetensors`, byte for byte.
///
/// # Errors
/// [`Error::Argument`] for a configuration or histories that cannot be used, a folder that holds a
/// run already, or a loss that is no longer finite; [`Error::File`] for a checkpoint that is
/// damaged or belongs to another configuration or other histories; [`Error::Io`].
pub fn train(
    histories: &Histories,
    validation: Option<&Histories>,
    config: &TrainConfig,
    run_dir: &Path,
    resume: bool,
    progress: &dyn Progress,
) -> Result<TrainOutcome> {
    train_on(&Ranks::alone(), histories, validation, config, run_dir, resume, progress)
}

/// [`train`] on several ranks, which must all call this with the same arguments; of the histories a
/// rank needs its [`share`] only. The result is that of one process: bit for bit where the number
/// of ranks is a power of two and each has at least two sequences of a batch, else within rounding.
///
/// # Errors
/// As [`train`]; [`Error::Argument`] where there are more ranks than sequences of a batch. An error
/// on one rank leaves the others waiting: end them with [`Ranks::fail`].
pub fn train_on(
    ranks: &Ranks,
    histories: &Histories,
    validation: Option<&Histories>,
    config: &TrainConfig,
    run_dir: &Path,
    resume: bool,
    progress: &dyn Progress,
) -> Result<TrainOutcome> {
    let mut run = Run::open(ranks, histories, validation, config, run_dir, resume)?;
    progress.begin("train", config.updates);
    let done = run.updates_done();
    progress.advance(done, &|| format!("resumed at update {done}"));
    let nothing_left = done >= config.updates;
    while run.updates_done() < config.updates {
        run.step(progress.cancelled())?;
        progress.advance(1, &|| run.message());
        if run.stops && run.updates_done() < config.updates {
            let state = format!(
                "{} of {} updates are done and in the checkpoint; resume the run to go on",
                run.updates_done(),
                config.updates
            );
            progress.finish(&state);
            return Err(Error::Cancelled { state });
        }
    }
    let message = if nothing_left { format!("all {done} updates were done before") } else { run.message() };
    let outcome = run.finish()?;
    progress.finish(&message);
    Ok(outcome)
}

/// A training run between two updates.
pub(super) struct Run<'a> {
    ranks: &'a Ranks,
    /// Resolved.
    config: TrainConfig,
    sequences: Sequences<'a>,
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
    /// Whether a rank was told to stop: the last update wrote a checkpoint.
    stops: bool,
}

impl<'a> Run<'a> {
    /// Checks everything, and takes the run up where its checkpoint stands.
    pub(super) fn open(
        ranks: &'a Ranks,
        histories: &'a Histories,
        validation: Option<&Histories>,
        config: &TrainConfig,
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
        let any = |known: bool| {
            let mut ranks_that_know = [f64::from(u8::from(known))];
            ranks.sum_f64(&mut ranks_that_know);
            ranks_that_know[0] > 0.0
        };
        let config = config.resolved(histories, any);
        let interface = config.objective.inner().interface(&histories.interface)?;
        config.validate_inputs(&interface)?;
        let share = share(ranks, &config);
        let normalisers = normalisers(ranks, histories, config.batch)?;
        let sequences = draws(ranks, histories, &config, &normalisers, &share.training)?;
        let held_out = match validation.filter(|_| config.validation_every > 0) {
            Some(held_out) if held_out.interface != histories.interface => {
                return Err(Error::argument(
                    "validation",
                    "has another interface than the training histories",
                ));
            }
            Some(held_out) => {
                let sequences = draws(ranks, held_out, &config, &normalisers, &share.held_out)?;
                Some(sequences.part(Purpose::Validation, 0, &share.held_out)?)
            }
            None => None,
        };
        let dataset = gathered_digest(ranks, histories, config.batch)?;
        let network = Network::new(&config, &interface)?;
        let mut parameters = initial_parameters(&config.dimensions, &interface, config.seed);
        parameters.normalisers = normalisers;
        let slow = config.objective.inner().action_values().map(|values| {
            values.begin(&mut parameters);
            parameters.values.clone()
        });
        let new = Checkpoint {
            parameters,
            slow,
            optimizer: optimizer(&config.dimensions, &interface),
            // Without the number of threads, which must not show in the model's bytes.
            training: TrainingRecord {
                config: TrainConfig { threads: None, ..config.clone() },
                dataset,
                update: 0,
            },
        };
        let (mut state, files) = match ranks.is_first() {
            true => Files::open(new, &config, run_dir, resume).map(|(state, files)| (state, Some(files)))?,
            false => (new, None),
        };
        share_state(ranks, &mut state);
        Ok(Self {
            ranks,
            config,
            sequences,
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
            stops: false,
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

    /// One update, and what is due after it: validation, a line of metrics, a checkpoint. The
    /// latter also where one of the ranks wants to `stop`, of which all hear with the loss.
    pub(super) fn step(&mut self, stop: bool) -> Result<()> {
        let config = &self.config;
        let index = self.updates_done();
        let begun = Instant::now();
        let mut batch = self.sequences.part(Purpose::Batch, index, &self.slots)?;
        let action_values = config.objective.inner().action_values();
        let plain =
            LossOptions { action_values: action_values.map(OfflineQ::options), ..LossOptions::default() };
        estimate_returns(&mut self.network, &self.state, &mut batch)?;
        let options = LossOptions {
            label_smoothing: config.label_smoothing,
            masks: Some(Masks {
                seed: config.seed,
                update: index,
                attention: config.dropout,
                residual: config.residual_dropout,
                token: config.token_masking,
            }),
            ..plain
        };
        let values = &mut self.state.parameters.values;
        let sum = self.network.sum_and_gradient(values, &batch, &options, &mut self.gradient)?;
        self.ranks.sum(&mut self.gradient);
        let Mean { loss, targets, tokens, stops } = mean(self.ranks, sum, &batch, stop);
        self.stops = stops;
        scale(&mut self.gradient, (1.0 / targets) as f32);
        let gradient_norm = clip(&mut self.gradient, config.clip);
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let problem =
                format!("the loss is no longer finite at update {index}; lower it, or raise train.warm_up");
            return Err(Error::argument("train.learning_rate", problem));
        }
        let learning_rate = config.schedule().rate(index);
        self.state.optimizer.step(&config.hyperparameters(), index, learning_rate, &self.gradient, values);
        if let (Some(objective), Some(slow)) = (action_values, &mut self.state.slow) {
            objective.follow(slow, values);
        }
        let elapsed = begun.elapsed();
        for sums in [&mut self.total, &mut self.recent] {
            sums.add(loss, tokens, elapsed);
        }

        let update = index + 1;
        self.state.training.update = update;
        let due = |every: u64| update == config.updates || update.is_multiple_of(every);
        let mut validation_loss = None;
        if let Some(held_out) = self.held_out.as_mut().filter(|_| due(config.validation_every)) {
            estimate_returns(&mut self.network, &self.state, held_out)?;
            let values = &self.state.parameters.values;
            let sum = self.network.sum(values, held_out, &plain)?;
            validation_loss = Some(mean(self.ranks, sum, held_out, false).loss);
        }
        // A checkpoint ends a line's mean, so that a resumed run writes the same lines.
        let saves = due(config.checkpoint_every) || self.stops;
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
        // Before the checkpoint: a run that goes on after it does not come past here again.
        if config.snapshots().any(|kept| kept == update) {
            self.save_model(&snapshot_path(&self.model, update))?;
        }
        match &self.files {
            Some(files) if saves => self.state.save(&files.checkpoint),
            _ => Ok(()),
        }
    }

    /// The parameters as a model acts by them.
    fn parameters(&self) -> Parameters {
        let mut parameters = self.state.parameters.clone();
        if let Some(values) = self.config.objective.inner().action_values() {
            values.finish(&mut parameters);
        }
        parameters
    }

    /// Writes the model as it is now, on rank 0.
    fn save_model(&self, path: &Path) -> Result<()> {
        match self.files.is_some() {
            true => save_parameters(path, &self.parameters(), &self.state.training),
            false => Ok(()),
        }
    }

    /// Writes the model.
    fn finish(self) -> Result<TrainOutcome> {
        self.save_model(&self.model)?;
        Ok(TrainOutcome {
            parameters: self.parameters(),
            training: self.state.training,
            loss: self.last.as_ref().map(|line| line.loss),
            validation_loss: self.last.and_then(|line| line.validation_loss),
            tokens_per_second: self.total.tokens_per_second(),
            seconds: self.started.elapsed().as_secs_f64(),
            model: self.model,
        })
    }
}

/// The sequences of `histories` that this rank draws.
fn draws<'a>(
    ranks: &Ranks,
    histories: &'a Histories,
    config: &TrainConfig,
    normalisers: &[Normaliser],
    slots: &Slots,
) -> Result<Sequences<'a>> {
    match ranks.count() {
        1 => Sequences::new(histories, config, normalisers),
        _ => Sequences::of_slots(histories, config, normalisers, slots),
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
    if let Some(slow) = &mut state.slow {
        ranks.broadcast(slow);
    }
}

/// Says what the actions of a batch are worth by the slow copy, where the objective asks for it.
fn estimate_returns(network: &mut Network, state: &Checkpoint, batch: &mut Batch) -> Result<()> {
    if let (Some(objective), Some(slow)) =
        (state.training.config.objective.inner().action_values(), &state.slow)
    {
        batch.returns = objective.returns(batch, &network.logits(slow, batch)?);
    }
    Ok(())
}

/// A batch, over all ranks.
struct Mean {
    /// Mean over the tokens that have a target.
    loss: f32,
    /// Tokens that have a target.
    targets: f64,
    /// All tokens.
    tokens: usize,
    /// Whether a rank wants to stop.
    stops: bool,
}

/// From this rank's sum of the loss over its part of the batch. (A batch without any target has no
/// loss.)
fn mean(ranks: &Ranks, sum: f64, part: &Batch, stop: bool) -> Mean {
    let mut sums = [sum, part.target_count() as f64, part.targets.len() as f64, f64::from(u8::from(stop))];
    ranks.sum_f64(&mut sums);
    let [sum, targets, tokens, stops] = sums;
    let targets = targets.max(1.0);
    Mean { loss: (sum / targets) as f32, targets, tokens: tokens as usize, stops: stops > 0.0 }
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
