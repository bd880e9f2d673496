//! The program at work: what it is asked, in which order.

use super::process::Process;
use super::protocol::{parse, shown, words, Begun, Info, Request, Stepped, Tasks};
use super::CommandConfig;
use crate::evaluate::policy::Learner;
use crate::evaluate::rollout::{stream, Contexts, Role};
use crate::{Error, Result};
use algodistill_core::Interface;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Most tasks of an environment.
const MAX_TASKS: u32 = 1_000_000;

/// The program at work.
pub(super) struct Running<'a> {
    process: Process,
    config: &'a CommandConfig,
}

impl<'a> Running<'a> {
    pub fn start(config: &'a CommandConfig) -> Result<Self> {
        let process = Process::start(&config.command, config.timeout)
            .map_err(|error| refuse(config, format!("cannot be started: {error}")))?;
        Ok(Self { process, config })
    }

    /// What the environment is, and its interface, where a model has the interface `model`.
    pub fn info(&mut self, model: &Interface) -> Result<(Info, Interface)> {
        self.ask(Request::Info {}, |info: Info| {
            let interface = info.interface(model)?;
            Ok((info, interface))
        })
    }

    /// The `wanted` number of tasks that it has; absent: all.
    pub fn tasks(&self, info: &Info, wanted: Option<u32>) -> Result<Vec<u32>> {
        let available = match (&info.tasks, wanted) {
            (Some(Tasks::Numbers(numbers)), _) => {
                let mut seen = BTreeSet::new();
                if let Some(task) = numbers.iter().find(|task| !seen.insert(**task)) {
                    return Err(refuse(self.config, format!("tasks names task {task} more than once")));
                }
                numbers.len() as u32
            }
            (Some(Tasks::Count(count)), _) => *count,
            (None, Some(wanted)) => wanted,
            (None, None) => {
                let problem = "is needed: the environment did not say how many tasks it has (\"tasks\": N)";
                return Err(Error::argument("tasks", problem));
            }
        };
        if available == 0 {
            return Err(refuse(self.config, "it has no tasks, expected at least one".into()));
        }
        let wanted = wanted.unwrap_or(available);
        let most = available.min(MAX_TASKS);
        if !(1..=most).contains(&wanted) {
            let problem = format!("is {wanted}, expected 1 to {most}: the environment has {available}");
            return Err(Error::argument("tasks", problem));
        }
        Ok(match &info.tasks {
            Some(Tasks::Numbers(numbers)) => numbers[..wanted as usize].to_vec(),
            _ => (0..wanted).collect(),
        })
    }

    /// The optimum of the first `tasks` tasks, where it said so.
    pub fn optimal(&self, info: &Info, tasks: usize) -> Result<Option<Vec<f64>>> {
        let Some(optimal) = &info.optimal else { return Ok(None) };
        match optimal.get(..tasks) {
            Some(optimal) => Ok(Some(optimal.to_vec())),
            None => {
                let problem = format!("optimal has {} returns, expected one for each task", optimal.len());
                Err(refuse(self.config, problem))
            }
        }
    }

    /// One context of `policy`: return and steps of each episode.
    pub fn context(
        &mut self,
        interface: &Interface,
        contexts: &Contexts,
        (task, run): (u32, u32),
        learner: &dyn Learner,
    ) -> Result<(Vec<f32>, Vec<u32>)> {
        let mut luck = stream(contexts.seed, task, run, Role::Environment);
        let mut rng = stream(contexts.seed, task, run, Role::Policy);
        let (mut returns, mut lengths) = (Vec::new(), Vec::new());
        learner.in_context(task, &mut |policy| {
            for episode in 1..=contexts.episodes {
                // Half of the numbers: every language has integers up to 2^31 - 1.
                let seed = luck.next_u32() >> 1;
                let observed = |begun: Begun| words(&begun.observation, interface);
                let mut observation = self.ask(Request::Reset { task, episode, seed }, observed)?;
                let (mut total, mut steps, mut done) = (0.0, 0, false);
                while !done {
                    if steps == self.config.max_episode_steps {
                        return Err(self.endless(task, episode));
                    }
                    let action = policy.act(&observation, &mut rng)?;
                    let reward;
                    (observation, reward, done) =
                        self.ask(Request::Step { action }, |stepped: Stepped| {
                            Ok((words(&stepped.observation, interface)?, stepped.reward()?, stepped.done()?))
                        })?;
                    policy.feedback(reward, done.then_some(&observation[..]))?;
                    total += reward;
                    steps += 1;
                }
                returns.push(total);
                lengths.push(steps);
            }
            Ok(())
        })?;
        Ok((returns, lengths))
    }

    fn endless(&self, task: u32, episode: u32) -> Error {
        let problem = format!(
            "task {task}, episode {episode} has not ended after {} steps: let the environment answer \
             \"truncated\": true, or allow more with --max-episode-steps",
            self.config.max_episode_steps
        );
        refuse(self.config, problem)
    }

    /// What `read` makes of the answer to `request`.
    fn ask<T: DeserializeOwned, R>(
        &mut self,
        request: Request,
        read: impl FnOnce(T) -> std::result::Result<R, String>,
    ) -> Result<R> {
        let request = serde_json::to_string(&request).unwrap_or_default();
        let answer = self.process.ask(&request);
        let answer = answer.map_err(|problem| refuse(self.config, format!("asked {request}: {problem}")))?;
        parse(&answer).and_then(read).map_err(|problem| {
            let answered = shown(&answer);
            refuse(self.config, format!("asked {request}, it answered {answered}: {problem}"))
        })
    }
}

fn refuse(config: &CommandConfig, problem: String) -> Error {
    Error::Command { command: config.command.clone(), problem }
}
