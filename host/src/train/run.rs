//! The training loop, and the files of a run.

use super::checkpoint::{hexadecimal, save_parameters, Checkpoint, TrainingRecord};
use super::metrics::{Metrics, MetricsLine};
use super::optimizer::clip;
use super::{
    initial_parameters, schedule, AdamW, Batch, Engine, LossOptions, Masks, Purpose, TrainConfig, Windows,
};
use crate::files::{read_text, write_bytes};
use crate::history::Histories;
use crate::model::Parameters;
use crate::progress::Progress;
use crate::{Error, Result};
use dfdx::prelude::{AsArray, Backward, Cpu, Tensor, TensorFromVec, Trace};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
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

/// SHA-256 of the interface and every column, in hexadecimal.
pub fn histories_digest(histories: &Histories) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{:?}", histories.interface));
    for history in &histories.index {
        let numbers = [u64::from(history.task), history.steps.start as u64, history.steps.end as u64];
        numbers.iter().for_each(|number| digest.update(number.to_le_bytes()));
    }
    let steps = &histories.steps;
    for column in &steps.observations {
        digest.update(bytemuck::cast_slice::<i32, u8>(column));
    }
    digest.update(bytemuck::cast_slice::<u16, u8>(&steps.actions));
    digest.update(bytemuck::cast_slice::<f32, u8>(&steps.rewards));
    digest.update(steps.dones.iter().map(|&done| u8::from(done)).collect::<Vec<u8>>());
    hexadecimal(&digest.finalize())
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
    let started = Instant::now();
    config.validate()?;
    let windows = Windows::new(histories, config)?;
    let held_out = match validation.filter(|_| config.validation_every > 0) {
        Some(held_out) if held_out.interface != histories.interface => {
            return Err(Error::argument("validation", "has another interface than the training histories"));
        }
        Some(held_out) => {
            let windows = Windows::new(held_out, config)?;
            Some(windows.batch(Purpose::Validation, 0, config.validation_windows))
        }
        None => None,
    };
    let dataset = histories_digest(histories);
    let checkpoint_path = run_dir.join("checkpoint.safetensors");
    let mut state = match checkpoint_path.try_exists().map_err(|e| Error::io(&checkpoint_path, e))? {
        true if resume => continued(&checkpoint_path, config, &dataset)?,
        true => {
            let problem =
                format!("{} holds a run already; add --resume, or choose another folder", run_dir.display());
            return Err(Error::argument("--out", problem));
        }
        false => Checkpoint {
            parameters: initial_parameters(&config.dimensions(), &histories.interface, config.seed),
            optimizer: AdamW::new(&config.dimensions(), &histories.interface),
            // Without the number of threads, which must not show in the model's bytes.
            training: TrainingRecord {
                config: TrainConfig { threads: None, ..config.clone() },
                dataset: dataset.clone(),
                update: 0,
            },
        },
    };
    let mut network = Network::new(config, histories)?;
    write_config(&run_dir.join("config.toml"), config, dataset)?;
    let mut metrics = Metrics::open(&run_dir.join("metrics.jsonl"), state.training.update)?;
    let progress = Progress::new("train", config.updates);
    let resumed_at = state.training.update;
    progress.advance(resumed_at, || format!("resumed at update {resumed_at}"));

    let mut gradient = vec![0.0; state.parameters.values.len()];
    let mut total = Window::default();
    let mut recent = Window::default();
    let mut last: Option<MetricsLine> = None;
    while state.training.update < config.updates {
        let update = state.training.update;
        let begun = Instant::now();
        let batch = windows.batch(Purpose::Batch, update, config.batch);
        let options = LossOptions {
            label_smoothing: config.label_smoothing,
            masks: Some(Masks {
                seed: config.seed,
                update,
                attention: config.dropout,
                residual: config.residual_dropout,
                token: config.token_masking,
            }),
        };
        let loss = network.loss_and_gradient(&state.parameters.values, &batch, &options, &mut gradient)?;
        let gradient_norm = clip(&mut gradient, config.clip);
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let problem =
                format!("the loss is no longer finite at update {update}; lower it, or raise train.warm_up");
            return Err(Error::argument("train.learning_rate", problem));
        }
        let rate = schedule::learning_rate(config, update);
        state.optimizer.step(config, update, rate, &gradient, &mut state.parameters.values);
        let update = update + 1;
        state.training.update = update;
        let elapsed = begun.elapsed();
        for window in [&mut total, &mut recent] {
            window.add(loss, batch.targets.len(), elapsed);
        }

        let ends = update == config.updates;
        let due = |every: u64| ends || (every > 0 && update % every == 0);
        let mut validated = None;
        if let Some(held_out) = held_out.as_ref().filter(|_| due(config.validation_every)) {
            validated = Some(network.loss(&state.parameters.values, held_out, &LossOptions::default())?);
        }
        if due(config.log_every) || validated.is_some() {
            let line = MetricsLine {
                update,
                loss: recent.mean_loss(),
                learning_rate: rate,
                gradient_norm,
                tokens_per_second: recent.tokens_per_second(),
                validation_loss: validated,
            };
            metrics.write(&line)?;
            last = Some(line);
            recent = Window::default();
        }
        if due(config.checkpoint_every) {
            state.save(&checkpoint_path)?;
        }
        progress.advance(1, || {
            let loss = last.as_ref().map_or(loss, |line| line.loss);
            format!("loss {loss:.4}, {:.0} tokens/s", total.tokens_per_second())
        });
    }
    let model = run_dir.join("model.safetensors");
    save_parameters(&model, &state.parameters, &state.training)?;
    let loss = last.as_ref().map(|line| line.loss);
    let tokens_per_second = total.tokens_per_second();
    progress.finish(&format!("loss {:.4}, {tokens_per_second:.0} tokens/s", loss.unwrap_or(f32::NAN)));
    Ok(TrainOutcome {
        parameters: state.parameters,
        training: state.training,
        loss,
        validation_loss: last.and_then(|line| line.validation_loss),
        tokens_per_second,
        seconds: started.elapsed().as_secs_f64(),
        model,
    })
}

/// Sums over some updates.
#[derive(Default)]
struct Window {
    loss: f64,
    updates: u32,
    tokens: usize,
    time: Duration,
}

impl Window {
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
}

impl Network {
    fn new(config: &TrainConfig, histories: &Histories) -> Result<Self> {
        let engine = Engine::new(&config.dimensions(), &histories.interface, config.resolved_threads())?;
        Ok(Self::Fused(Box::new(engine)))
    }

    fn loss(&mut self, values: &[f32], batch: &Batch, options: &LossOptions) -> Result<f32> {
        match self {
            Self::Fused(engine) => Ok(engine.loss(values, batch, options)),
        }
    }

    fn loss_and_gradient(
        &mut self,
        values: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> Result<f32> {
        match self {
            Self::Fused(engine) => {
                let parameters: Tensor<(usize,), f32, Cpu> =
                    Cpu::default().tensor_from_vec(values.to_vec(), (values.len(),));
                let loss = engine.loss_on_tape(parameters.leaky_trace(), batch, options);
                let value = loss.array();
                let mut gradients = loss.backward();
                match gradients.get_or_alloc_mut(&parameters) {
                    Ok(computed) => gradient.copy_from_slice(computed),
                    Err(e) => return Err(Error::argument("train.device", format!("{e:?}"))),
                }
                Ok(value)
            }
        }
    }
}

/// Reads the checkpoint and refuses one of another run, by the name of what differs.
fn continued(path: &Path, config: &TrainConfig, dataset: &str) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::load(path)?;
    if checkpoint.training.dataset != dataset {
        let problem = "belongs to other histories; resume with the histories that the run began with, or choose another --out";
        return Err(Error::file(path, problem));
    }
    // What does not change the result may change between the parts of a run.
    let comparable = |config: &TrainConfig| {
        let free = TrainConfig { threads: None, checkpoint_every: 0, ..config.clone() };
        serde_json::to_value(free).map_err(|e| Error::file(path, e))
    };
    let (then, now) = (comparable(&checkpoint.training.config)?, comparable(config)?);
    if let (Some(then), Some(now)) = (then.as_object(), now.as_object()) {
        for (field, value) in then {
            if now.get(field) != Some(value) {
                let now = now.get(field).unwrap_or(&serde_json::Value::Null);
                let problem = format!("was made with train.{field} = {value}, now it is {now}; resume with the same configuration, or choose another --out");
                return Err(Error::file(path, problem));
            }
        }
    }
    Ok(checkpoint)
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
