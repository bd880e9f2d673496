//! The loop of RL2, and the folder of a run.

use super::checkpoint::{optimizer, Reached, Rl2Checkpoint, Rl2Record, RunningDeviation};
use super::config::Rl2Config;
use super::ppo::{advantages, normalize, Ppo, PpoSums, ValueHead};
use super::ranges;
use super::trials::{Actor, Trial, Trials};
use crate::environment::{shuffle, TaskSplit};
use crate::files::{write_bytes, FolderLock};
use crate::model::{Dimensions, Inputs, InputsPart, Parameters, Role};
use crate::nn::clip;
use crate::nn::kernels::elementwise::scale;
use crate::nn::random::{stream, Purpose};
use crate::nn::transformer::{initial_parameters, Batch, Engine, Packed};
use crate::progress::Progress;
use crate::train::metrics::Metrics;
use crate::train::run_files::{
    read_file, refuse_another_command, refuse_changed, there_is, GIT_REVISION, VERSION,
};
use crate::train::save_parameters;
use crate::{Error, Result};
use algodistill_core::{Interface, PortableRng};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The table of a configuration file.
const TABLE: &str = "rl2";
/// The field of a line of metrics that says how far the run was.
const COUNTER: &str = "iteration";
/// What the head begins with, as a part of what a model begins with elsewhere: all actions are about
/// equally likely.
const HEAD_SCALE: f32 = 0.01;

/// A configuration file: one that a user wrote, or the `config.toml` of a run, which says in
/// addition what made it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// Version of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Git revision, where the build was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    git_revision: Option<String>,
    rl2: Rl2Config,
}

/// Reads a TOML file with an `[rl2]` table, such as the `config.toml` of a run.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for what is no configuration, or one that
/// [`Rl2Config::validate`] refuses.
pub fn read_config(path: &Path) -> Result<Rl2Config> {
    let file: ConfigFile = read_file(path, TABLE)?;
    file.rl2.validate().map_err(|e| Error::file(path, e))?;
    Ok(file.rl2)
}

/// One line of `metrics.jsonl`: an iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Iterations done.
    pub iteration: u64,
    /// Steps taken in the environment to learn from, in all.
    pub steps: u64,
    /// Mean return of each episode of the trials, those among them that pay nothing (`barren`).
    pub returns: Vec<f32>,
    /// Entropy of the policy in nats, mean over all steps, in the first epoch.
    pub entropy: f64,
    /// Divergence from the policy of the trials in the last minibatch that was looked at: where the
    /// iteration ended early, that of the update that was not made any more.
    pub divergence: f64,
    /// Half the squared error of the values, in units of the returns' deviation, in the first epoch.
    pub value_error: f64,
    /// Updates of this iteration.
    pub updates: u64,
    /// Norm of the gradient of the last update, before clipping.
    pub gradient_norm: f32,
    /// Learning rate.
    pub learning_rate: f32,
    /// Steps a second, with the updates.
    pub steps_per_second: f64,
    /// Where this iteration was evaluated: mean return of each episode on training tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training: Option<Vec<f32>>,
    /// The same on held-out tasks, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_out: Option<Vec<f32>>,
}

/// What a run ended with.
#[derive(Clone, Debug)]
pub struct Rl2Outcome {
    /// The trained model.
    pub parameters: Parameters,
    /// How it was trained.
    pub record: Rl2Record,
    /// The last line of metrics; `None` where a resumed run had nothing left to do.
    pub last: Option<MetricsLine>,
    /// Steps a second in this process, evaluations not counted.
    pub steps_per_second: f64,
    /// Wall-clock seconds in this process.
    pub seconds: f64,
    /// `model.safetensors`
    pub model: PathBuf,
}

/// Trains by RL2 and writes into `run_dir`: `config.toml`, `metrics.jsonl`,
/// `checkpoint.safetensors`, and at the end `model.safetensors`.
///
/// With `resume` a run that was killed goes on from its last checkpoint (or from the start where
/// there is none) and ends with the same `model.safetensors`, byte for byte.
///
/// # Errors
/// [`Error::Argument`] for a configuration that cannot be used, a folder that holds a run already,
/// or a loss that is no longer finite; [`Error::File`] for a checkpoint that is damaged or belongs
/// to another configuration; [`Error::Io`]; [`Error::Cancelled`], after which the run can be resumed.
pub fn train(
    config: &Rl2Config,
    run_dir: &Path,
    resume: bool,
    progress: &dyn Progress,
) -> Result<Rl2Outcome> {
    let mut run = Run::open(config, run_dir, resume)?;
    let iterations = run.config.iterations;
    progress.begin("train-rl2", iterations);
    let done = run.done();
    progress.advance(done, &|| format!("resumed at iteration {done}"));
    while run.done() < iterations {
        if progress.cancelled() {
            run.state.save(&run.checkpoint)?;
            let done = run.done();
            let state = format!(
                "{done} of {iterations} iterations are done and in the checkpoint; resume the run to go on"
            );
            progress.finish(&state);
            return Err(Error::Cancelled { state });
        }
        run.step()?;
        progress.advance(1, &|| run.message());
    }
    let message = match done == iterations {
        true => format!("all {done} iterations were done before"),
        false => run.message(),
    };
    let outcome = run.finish()?;
    progress.finish(&message);
    Ok(outcome)
}

/// A run between two iterations.
struct Run {
    /// Resolved.
    config: Rl2Config,
    dimensions: Dimensions,
    interface: Interface,
    split: TaskSplit,
    engine: Engine,
    policy: Packed,
    value_head: ValueHead,
    state: Rl2Checkpoint,
    gradient: Vec<f32>,
    metrics: Metrics,
    checkpoint: PathBuf,
    model: PathBuf,
    last: Option<MetricsLine>,
    /// Of this process: when it began, steps and the seconds that they took.
    started: Instant,
    steps: u64,
    seconds: f64,
    _lock: FolderLock,
}

/// Which tasks.
#[derive(Clone, Copy)]
enum Tasks {
    Training,
    HeldOut,
}

/// What the trials of an iteration are worth.
struct Worth {
    batch: Batch,
    log_probabilities: Vec<f32>,
    advantages: Vec<f32>,
}

impl Run {
    /// Checks everything, and takes the run up where its checkpoint stands.
    fn open(config: &Rl2Config, run_dir: &Path, resume: bool) -> Result<Self> {
        let started = Instant::now();
        config.validate()?;
        let config = config.resolved()?;
        let (dimensions, interface) = (config.dimensions()?, config.environment.interface()?);
        let lock = FolderLock::take(run_dir)?;
        refuse_another_command(run_dir, TABLE)?;
        let [own, checkpoint] = ["config.toml", "checkpoint.safetensors"].map(|name| run_dir.join(name));
        let state = match there_is(&checkpoint, run_dir, resume)? {
            true => {
                let state = Rl2Checkpoint::load(&checkpoint)?;
                let then = &state.reached.record.config;
                refuse_changed(&checkpoint, TABLE, &then.comparable(), &config.comparable())?;
                state
            }
            false => {
                if resume && own.exists() {
                    let then = read_file::<ConfigFile>(&own, TABLE)?.rl2;
                    refuse_changed(&own, TABLE, &then.comparable(), &config.comparable())?;
                }
                beginning(&config, &dimensions, &interface)?
            }
        };
        write_config(&own, &config)?;
        let metrics = Metrics::open(&run_dir.join("metrics.jsonl"), COUNTER, state.reached.record.iteration)?;
        let threads = config.threads.unwrap_or_else(rayon::current_num_threads);
        Ok(Self {
            split: config.split()?,
            engine: Engine::new(&dimensions, &interface, threads)?,
            policy: Packed::new(&dimensions, &interface),
            value_head: ValueHead::new(dimensions.d_model),
            gradient: vec![0.0; state.values.len()],
            state,
            metrics,
            checkpoint,
            model: run_dir.join("model.safetensors"),
            last: None,
            started,
            steps: 0,
            seconds: 0.0,
            config,
            dimensions,
            interface,
            _lock: lock,
        })
    }

    /// Iterations done, those before a resume included.
    fn done(&self) -> u64 {
        self.state.reached.record.iteration
    }

    /// What a reader wants to know now.
    fn message(&self) -> String {
        let speed = self.steps as f64 / self.seconds.max(1e-9);
        let Some(line) = &self.last else { return format!("{speed:.0} steps/s") };
        let ends = |returns: &[f32]| match returns {
            [] => String::new(),
            [only] => format!("{only:.2}"),
            [first, .., last] => format!("{first:.2} .. {last:.2}"),
        };
        format!("return {}, entropy {:.2}, {speed:.0} steps/s", ends(&line.returns), line.entropy)
    }

    /// One iteration, and what is due after it: an evaluation, a line of metrics, a checkpoint.
    fn step(&mut self) -> Result<()> {
        let begun = Instant::now();
        let index = self.done();
        let trials = self.trials(Purpose::Trials, index, Tasks::Training)?;
        let steps: usize = trials.iter().map(|trial| trial.actions.len()).sum();
        let returns = mean_returns(&trials);
        let worth = Worth::new(&self.config, &mut self.state.reached.returns, trials);
        let mut line = self.learn(index, &worth)?;
        let seconds = begun.elapsed().as_secs_f64();
        self.steps += steps as u64;
        self.seconds += seconds;
        let record = &mut self.state.reached.record;
        record.iteration = index + 1;
        record.steps += steps as u64;
        (line.iteration, line.steps, line.returns) = (record.iteration, record.steps, returns);
        line.steps_per_second = steps as f64 / seconds.max(1e-9);
        let due =
            |every: u64| line.iteration == self.config.iterations || line.iteration.is_multiple_of(every);
        let saves = due(self.config.checkpoint_every);
        if self.config.evaluate_every > 0 && due(self.config.evaluate_every) {
            let has_held_out = !self.split.held_out.is_empty();
            let mut returns =
                |tasks| self.trials(Purpose::Evaluation, 0, tasks).map(|all| mean_returns(&all));
            line.training = Some(returns(Tasks::Training)?);
            if has_held_out {
                line.held_out = Some(returns(Tasks::HeldOut)?);
            }
        }
        self.metrics.write(&line)?;
        self.last = Some(line);
        match saves {
            true => self.state.save(&self.checkpoint),
            false => Ok(()),
        }
    }

    /// Trials of the policy as it is now.
    fn trials(&mut self, purpose: Purpose, round: u64, tasks: Tasks) -> Result<Vec<Trial>> {
        let (values, value_parameters) = self.state.values.split_at(self.state.model_count());
        self.policy.set(values);
        let actor = Actor { model: &self.policy, value_head: &self.value_head, value_parameters };
        // What only changes how it is learned from has no place in an evaluation.
        let (novelty, barren) = match purpose {
            Purpose::Evaluation => (0.0, 0.0),
            _ => (self.config.novelty, self.config.barren),
        };
        let trials = Trials {
            environment: &self.config.environment,
            interface: &self.interface,
            dimensions: &self.dimensions,
            normalisers: &self.state.parameters.normalisers,
            episodes: self.config.resolved_episodes()?,
            novelty,
            barren,
            seed: self.config.seed,
        };
        let count = match purpose {
            Purpose::Evaluation => self.config.evaluation_trials,
            _ => self.config.trials,
        };
        let tasks = match tasks {
            Tasks::Training => &self.split.training,
            Tasks::HeldOut => &self.split.held_out,
        };
        self.engine.install(|| trials.run(&actor, tasks, count, purpose, round))
    }

    /// Goes through the trials of an iteration as often as the configuration says, or until the
    /// policy is another one.
    fn learn(&mut self, index: u64, worth: &Worth) -> Result<MetricsLine> {
        let config = &self.config;
        let learning_rate = config.schedule().rate(index);
        let mut line = MetricsLine { learning_rate, ..MetricsLine::default() };
        let mut order: Vec<u32> = (0..worth.batch.sequences.len() as u32).collect();
        let mut rng = PortableRng::new(config.seed, stream(Purpose::Order, index));
        let (mut first, mut first_tokens) = (PpoSums::default(), 0);
        'iteration: for epoch in 0..config.epochs {
            shuffle(&mut order, &mut rng);
            for trials in order.chunks(config.minibatch) {
                let part = worth.part(trials);
                let loss = Ppo {
                    batch: &part.batch,
                    log_probabilities: &part.log_probabilities,
                    advantages: &part.advantages,
                    actions: usize::from(self.interface.actions),
                    clip_ratio: config.clip_ratio,
                    entropy_weight: config.entropy_weight(index),
                    value_weight: config.value_weight,
                    value_head: &self.value_head,
                };
                let values = &mut self.state.values;
                let sums =
                    self.engine.sums_and_gradient(values, &part.batch, &loss, None, &mut self.gradient);
                let tokens = part.advantages.len();
                line.divergence = sums.divergence / tokens as f64;
                if config.target_kl > 0.0 && line.divergence > config.target_kl.into() {
                    break 'iteration;
                }
                if epoch == 0 {
                    first += sums;
                    first_tokens += tokens;
                }
                scale(&mut self.gradient, 1.0 / tokens as f32);
                line.gradient_norm = clip(&mut self.gradient, config.clip);
                if !(sums.loss.is_finite() && line.gradient_norm.is_finite()) {
                    let problem = format!(
                        "the loss is no longer finite in iteration {index}; lower it, or raise rl2.warm_up"
                    );
                    return Err(Error::argument("rl2.learning_rate", problem));
                }
                let update = self.state.reached.updates;
                let hyperparameters = config.hyperparameters();
                self.state.optimizer.step(&hyperparameters, update, learning_rate, &self.gradient, values);
                self.state.reached.updates += 1;
                line.updates += 1;
            }
        }
        line.entropy = first.entropy / f64::from(first_tokens as u32);
        line.value_error = first.value_error / f64::from(first_tokens as u32);
        Ok(line)
    }

    /// Writes the model.
    fn finish(self) -> Result<Rl2Outcome> {
        let parameters = self.state.model();
        let record = self.state.reached.record;
        save_parameters(&self.model, &parameters, &record)?;
        Ok(Rl2Outcome {
            parameters,
            record,
            last: self.last,
            steps_per_second: self.steps as f64 / self.seconds.max(1e-9),
            seconds: self.started.elapsed().as_secs_f64(),
            model: self.model,
        })
    }
}

/// The state before the first iteration.
///
/// # Errors
/// Those of making a task.
fn beginning(config: &Rl2Config, dimensions: &Dimensions, interface: &Interface) -> Result<Rl2Checkpoint> {
    let mut parameters = initial_parameters(dimensions, interface, config.seed);
    parameters.normalisers = ranges::normalisers(config, interface)?;
    for tensor in parameters.layout().iter().filter(|tensor| tensor.role == Role::Head) {
        scale(&mut parameters.values[tensor.range()], HEAD_SCALE);
    }
    let mut values = std::mem::take(&mut parameters.values);
    values.extend(ValueHead::new(dimensions.d_model).initial(config.seed));
    let config = config.comparable();
    let record = Rl2Record { config, iteration: 0, steps: 0 };
    let reached = Reached { record, updates: 0, returns: RunningDeviation::default() };
    Ok(Rl2Checkpoint { optimizer: optimizer(&parameters), parameters, values, reached })
}

impl Worth {
    /// Looks back on whole trials, in units of the deviation of their returns so far.
    fn new(config: &Rl2Config, deviation: &mut RunningDeviation, trials: Vec<Trial>) -> Self {
        let to_go = |trial: &Trial| {
            // Advantages over an expectation of nothing.
            advantages(&trial.rewards, &vec![0.0; trial.rewards.len()], config.discount, 1.0)
        };
        let seen: Vec<f32> = trials.iter().flat_map(to_go).collect();
        deviation.add(seen.iter().copied());
        let unit = 1.0 / deviation.deviation();
        let mut all =
            Self::empty(trials.first().map_or_else(Inputs::default, |trial| trial.inputs.emptied()));
        for mut trial in trials {
            scale(&mut trial.rewards, unit);
            let own = advantages(&trial.rewards, &trial.values, config.discount, config.gae_lambda);
            let returns = own.iter().zip(&trial.values).map(|(advantage, value)| advantage + value);
            all.push(trial.inputs.all(), &trial.actions, returns, &trial.log_probabilities, &own);
        }
        normalize(&mut all.advantages);
        all
    }

    fn empty(inputs: Inputs) -> Self {
        let batch = Batch {
            inputs,
            targets: Vec::new(),
            outcomes: Vec::new(),
            returns: Vec::new(),
            sequences: Vec::new(),
            first_sequence: 0,
        };
        Self { batch, log_probabilities: Vec::new(), advantages: Vec::new() }
    }

    fn push(
        &mut self,
        inputs: InputsPart,
        actions: &[u16],
        returns: impl IntoIterator<Item = f32>,
        log_probabilities: &[f32],
        advantages: &[f32],
    ) {
        let first = self.batch.targets.len();
        self.batch.inputs.extend(inputs);
        self.batch.targets.extend_from_slice(actions);
        self.batch.returns.extend(returns);
        self.batch.sequences.push(first..self.batch.targets.len());
        self.log_probabilities.extend_from_slice(log_probabilities);
        self.advantages.extend_from_slice(advantages);
    }

    /// Some of the trials.
    fn part(&self, trials: &[u32]) -> Self {
        let mut part = Self::empty(self.batch.inputs.emptied());
        for &trial in trials {
            let steps = self.batch.sequences[trial as usize].clone();
            part.push(
                self.batch.inputs.part(steps.clone()),
                &self.batch.targets[steps.clone()],
                self.batch.returns[steps.clone()].iter().copied(),
                &self.log_probabilities[steps.clone()],
                &self.advantages[steps],
            );
        }
        part
    }
}

/// Mean return of each episode.
fn mean_returns(trials: &[Trial]) -> Vec<f32> {
    let episodes = trials.first().map_or(0, |trial| trial.returns.len());
    let mean = |episode: usize| {
        let sum: f64 = trials.iter().map(|trial| f64::from(trial.returns[episode])).sum();
        (sum / trials.len() as f64) as f32
    };
    (0..episodes).map(mean).collect()
}

fn write_config(path: &Path, config: &Rl2Config) -> Result<()> {
    let file = ConfigFile {
        version: Some(VERSION.into()),
        git_revision: GIT_REVISION.map(Into::into),
        rl2: config.clone(),
    };
    let text = toml::to_string(&file).map_err(|e| Error::file(path, e))?;
    write_bytes(path, text.as_bytes())
}
