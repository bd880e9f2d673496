//! Evaluations in an environment of another program, which is started and asked line by line.

mod process;
mod protocol;
mod running;
#[cfg(test)]
mod tests;

use super::asking::Asked;
use super::entrant::Entrants;
use super::evaluation::Evaluation;
use super::outside::{outside, Outside, OutsideLine, Returns};
use super::policy::{Learner, UniformRandom};
use super::rollout::{each_context, Contexts};
use super::run::{check_values, in_words, summary, Contestant, Contestants, EvaluateConfig};
use crate::environment::EnvironmentConfig;
use crate::progress::Progress;
use crate::{Error, Result};
use algodistill_core::Interface;
use running::Running;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Contexts of a task and episodes of a context, unless told.
const RUNS: u32 = 4;
const EPISODES: u32 = 40;
/// An environment of another program.
#[derive(Clone, Debug)]
pub struct CommandConfig {
    /// How the program is started, by `sh -c`.
    pub command: String,
    /// How many of it run at the same time, at least 1. The result does not depend on it.
    pub processes: u32,
    /// How long it may take for an answer.
    pub timeout: Duration,
    /// Most steps of an episode: one that has not ended by then is an error.
    pub max_episode_steps: u32,
}

impl CommandConfig {
    /// One process of `command`, 60 s for an answer, 10,000 steps for an episode.
    pub fn new(command: &str) -> Self {
        let timeout = Duration::from_secs(60);
        Self { command: command.into(), processes: 1, timeout, max_episode_steps: 10_000 }
    }
}

/// Evaluates `contestants` and random actions in the environment of another program. Tasks are the
/// first ones that it names, or as many as `config` says. Of `config`, what sets an environment of
/// this program must be absent.
///
/// # Errors
/// [`Error::Command`] for what the program does; those of [`evaluate`](super::evaluate()).
pub fn evaluate_command(
    command: &CommandConfig,
    config: &EvaluateConfig,
    contestants: &Contestants,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    refuse_simulated(config, contestants)?;
    config.check_ranges()?;
    let sampling = config.sampling();
    let entrants = Entrants::read(contestants, sampling)?;
    let mut first = Running::start(command)?;
    let (info, interface) = first.info(&entrants.first().observed()?)?;
    let name = info.name.clone().unwrap_or_else(|| command.command.clone());
    let environment = EnvironmentConfig::custom(interface.clone());
    entrants.check(&name, &environment, config.wanted_return)?;
    let tasks = first.tasks(&info, config.tasks)?;
    let optimal = first.optimal(&info, tasks.len())?;
    let contexts = Contexts {
        tasks,
        runs: config.runs.unwrap_or(RUNS),
        episodes: config.episodes.unwrap_or(EPISODES),
        seed: config.seed,
        demonstration: None,
        stream: None,
    };
    check_values(contexts.tasks.len(), contexts.runs as usize, contexts.episodes as usize)?;
    summary(config.mean_over, contexts.episodes)?;
    let pool = Pool::start(first, command, interface, contexts)?;

    let lines = pool.lines(&entrants, contestants, &environment, config.wanted_return, progress)?;
    let longest = lines.iter().flat_map(|line| &line.seeds).map(longest_context).max().unwrap_or(0);
    outside(Outside {
        name,
        tasks: pool.contexts.tasks.iter().map(u32::to_string).collect(),
        held_out: false,
        optimal,
        mean_over: config.mean_over,
        seed: config.seed,
        sampling: in_words(sampling),
        warnings: entrants.all().filter_map(|entrant| entrant.warning(longest)).collect(),
        interface: pool.interface.clone(),
        lines,
    })
}

/// Refuses what has no meaning without a simulator.
fn refuse_simulated(config: &EvaluateConfig, contestants: &Contestants) -> Result<()> {
    let given = [
        ("environment", config.environment.is_some()),
        ("set", !config.parameters.is_empty()),
        ("steps", config.steps.is_some()),
        ("prompt", config.prompt.is_some()),
        ("compare_float", contestants.compare_float),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            Err(Error::argument(field, "is for environments of this program, not for a command's"))
        }
        None => Ok(()),
    }
}

/// Steps of the longest context.
fn longest_context(seed: &Returns) -> u64 {
    let contexts = seed.steps.iter().flatten().flatten();
    contexts.map(|episodes| episodes.iter().map(|steps| u64::from(*steps)).sum()).max().unwrap_or(0)
}

/// Programs that are asked at the same time, each by a thread of its own.
struct Pool<'a> {
    threads: rayon::ThreadPool,
    idle: Mutex<Vec<Running<'a>>>,
    interface: Interface,
    contexts: Contexts,
}

impl<'a> Pool<'a> {
    /// `first` and as many more as `config` says.
    fn start(
        first: Running<'a>,
        config: &'a CommandConfig,
        interface: Interface,
        contexts: Contexts,
    ) -> Result<Self> {
        let count = config.processes.clamp(1, contexts.count() as u32);
        let mut idle = vec![first];
        for _ in 1..count {
            let mut next = Running::start(config)?;
            next.info(&interface)?;
            idle.push(next);
        }
        let threads = rayon::ThreadPoolBuilder::new().num_threads(count as usize).build();
        let threads = threads.map_err(|error| Error::argument("environment_processes", error))?;
        Ok(Self { threads, idle: Mutex::new(idle), interface, contexts })
    }

    /// All lines of the evaluation, one after the other.
    fn lines(
        &self,
        entrants: &Entrants,
        contestants: &Contestants,
        environment: &EnvironmentConfig,
        wanted: Option<f32>,
        progress: &dyn Progress,
    ) -> Result<Vec<OutsideLine>> {
        let Entrants { main, others, float } = entrants;
        let line = |key: &str, label: Option<&String>, models, learners: &[&dyn Learner]| {
            progress.begin(key, (self.contexts.count() * learners.len()) as u64);
            let returns = learners.iter().map(|learner| self.returns(*learner, progress));
            let seeds: Vec<Returns> = returns.collect::<Result<_>>()?;
            progress.finish(&format!("mean return {:.2}", mean(&seeds)));
            Ok(OutsideLine { key: key.into(), label: label.cloned(), models, seeds })
        };
        let asked = main.asked(environment, wanted);
        let mut lines =
            vec![line("int8", contestants.label.as_ref(), main.summarize()?, &as_learners(&asked))?];
        if let Some(model) = float {
            let asked = Asked { model, objective: entrants.first().goal(), wanted, environment };
            lines.push(line("float", None, Vec::new(), &[&asked])?);
        }
        for (Contestant { name, label, .. }, entrant) in others {
            let asked = entrant.asked(environment, wanted);
            lines.push(line(name, Some(label), entrant.summarize()?, &as_learners(&asked))?);
        }
        let actions = self.interface.actions;
        lines.push(line("random", None, Vec::new(), &[&move |_| Ok(UniformRandom { actions })])?);
        Ok(lines)
    }

    /// All contexts of `learner`, in the order of the tasks where there is one program.
    fn returns(&self, learner: &dyn Learner, progress: &dyn Progress) -> Result<Returns> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let played = self.threads.install(|| {
            each_context(&self.contexts, progress, |task, run| {
                let taken = idle().pop();
                // There are as many as threads; one is missing after an error only.
                let Some(mut running) = taken else {
                    return Err(Error::Cancelled { state: "the evaluation is not complete".into() });
                };
                let played = running.context(&self.interface, &self.contexts, (task, run), learner)?;
                idle().push(running);
                Ok(played)
            })
        })?;
        let (returns, steps): (Vec<_>, Vec<_>) = played.into_iter().unzip();
        let runs = self.contexts.runs as usize;
        let steps = steps.chunks(runs).map(<[_]>::to_vec).collect();
        Ok(Returns { returns: returns.chunks(runs).map(<[_]>::to_vec).collect(), steps: Some(steps) })
    }
}

fn as_learners<'a>(models: &'a [Asked<'_>]) -> Vec<&'a dyn Learner> {
    models.iter().map(|model| model as &dyn Learner).collect()
}

/// Mean of all returns.
fn mean(seeds: &[Returns]) -> f64 {
    let all = || seeds.iter().flat_map(|seed| &seed.returns).flatten().flatten();
    all().map(|value| f64::from(*value)).sum::<f64>() / all().count().max(1) as f64
}
