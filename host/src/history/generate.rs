//! Learning histories from the source algorithms: seeded, in parallel, the same whatever the number
//! of threads.

use super::columns::row_group_steps;
use super::tasks_per_history::draw;
use super::{split_columns, Histories, History, Steps, TasksPerHistory};
use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::progress::Progress;
use crate::source::{
    possible_sources, Columns, FinalObservations, Outcome, Recorded, Run, Schedule, SourceConfig,
};
use crate::{Error, Result};
use algodistill_core::PortableRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Steps that one thread generates at a time: a millisecond of work, so that no thread waits long
/// for the others.
const PIECE_STEPS: usize = 1 << 15;

/// Longest history: it is generated in memory.
const MAX_HISTORY_STEPS: u64 = 10_000_000;

/// Most histories of a file: the plan of a generation lists every one.
const MAX_HISTORIES: u64 = 100_000_000;

/// Which histories to generate. The defaults of [`GenerateConfig::recommended`] are measured, see
/// `docs/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// Where.
    pub environment: EnvironmentConfig,
    /// By which algorithm.
    pub source: SourceConfig,
    /// Seed of everything random but the split.
    pub seed: u64,
    /// Seed of the split into training and held-out tasks.
    pub split_seed: u64,
    /// Training tasks; `None` is all that are not held out.
    pub tasks: Option<u32>,
    /// Held-out tasks.
    pub held_out: u32,
    /// Histories of each training task, or of each group of `tasks_per_history` of them.
    pub histories_per_task: u32,
    /// The same of held-out tasks: for the validation loss.
    pub held_out_histories_per_task: u32,
    /// Episodes of a history.
    pub episodes: u32,
    /// Of these, every `keep_every`-th is written, beginning with the first: progress must show
    /// within a context window.
    pub keep_every: u32,
    /// Whether the optimal action of every step is written, too: what decision-pretrained learns
    /// from.
    #[serde(default)]
    pub optimal_actions: bool,
    /// Of how many tasks a history is: where it is more than one, the tasks are divided into groups
    /// of as many, and each episode is of a task drawn from its history's group.
    #[serde(default, skip_serializing_if = "TasksPerHistory::is_one")]
    pub tasks_per_history: TasksPerHistory,
}

impl GenerateConfig {
    /// Seed 0, and the usual numbers of tasks, histories and episodes of the environment and the
    /// source.
    ///
    /// # Errors
    /// [`Error::Argument`] where the environment has no simulator.
    pub fn recommended(environment: EnvironmentConfig, source: SourceConfig) -> Result<Self> {
        let defaults = environment.defaults()?;
        let usual = Schedule {
            histories_per_task: defaults.histories_per_task,
            episodes: defaults.episodes,
            keep_every: 1,
        };
        let schedule = source.schedule(usual);
        let held_out_histories_per_task =
            defaults.held_out_histories_per_task.next_multiple_of(source.actors());
        Ok(Self {
            environment,
            source,
            seed: 0,
            split_seed: 0,
            tasks: defaults.tasks,
            held_out: defaults.held_out,
            histories_per_task: schedule.histories_per_task,
            held_out_histories_per_task,
            episodes: schedule.episodes,
            keep_every: schedule.keep_every,
            optimal_actions: false,
            tasks_per_history: TasksPerHistory::default(),
        })
    }

    /// Refuses what cannot be generated.
    pub fn validate(&self) -> Result<()> {
        self.environment.validate()?;
        self.source.validate(&self.environment)?;
        let positive = [
            ("histories_per_task", self.histories_per_task),
            ("episodes", self.episodes),
            ("keep_every", self.keep_every),
        ];
        for (argument, value) in positive {
            if value == 0 {
                return Err(Error::argument(argument, "is 0, expected at least 1"));
            }
        }
        if self.keep_every > self.episodes {
            let problem = format!(
                "is {} (of {}, unless said), expected 1 to {}, the episodes of a history: only its first would be \
                 written",
                self.keep_every,
                self.source.name(),
                self.episodes
            );
            return Err(Error::argument("keep_every", problem));
        }
        if !self.tasks_per_history.is_one() && !self.source.learns_many_tasks() {
            let many =
                |name: &&str| SourceConfig::preset(name).is_ok_and(|source| source.learns_many_tasks());
            let possible: Vec<&str> = possible_sources(&self.environment).into_iter().filter(many).collect();
            let problem = format!(
                "is {}, but a history of {} is of one task; possible with several: {}",
                self.tasks_per_history,
                self.source.name(),
                if possible.is_empty() { "no source".into() } else { possible.join(", ") }
            );
            return Err(Error::argument("tasks_per_history", problem));
        }
        let tasks = self.split()?.training.len();
        if self.tasks_per_history.is_more_than(tasks) {
            let problem = format!(
                "is {}, expected at most {tasks}, the training tasks, or all",
                self.tasks_per_history
            );
            return Err(Error::argument("tasks_per_history", problem));
        }
        if self.optimal_actions && self.environment.expert(0)?.is_none() {
            let problem = format!("are not known: {} has no expert", self.environment.name());
            return Err(Error::argument("optimal_actions", problem));
        }
        if self.kept_steps() > MAX_HISTORY_STEPS {
            let problem =
                format!("a history would have {} steps, at most {MAX_HISTORY_STEPS}", self.kept_steps());
            return Err(Error::argument("episodes", problem));
        }
        let actors = self.source.actors();
        for (argument, value) in [
            ("histories_per_task", self.histories_per_task),
            ("held_out_histories_per_task", self.held_out_histories_per_task),
        ] {
            if !value.is_multiple_of(actors) {
                let problem = format!(
                    "is {value}, expected a multiple of {actors}: the stream of each actor of {} is a history",
                    self.source.name()
                );
                return Err(Error::argument(argument, problem));
            }
        }
        let histories = self.histories(&self.split()?);
        if histories > MAX_HISTORIES {
            let problem = format!("{histories} histories are too many for a file, at most {MAX_HISTORIES}");
            return Err(Error::argument("histories_per_task", problem));
        }
        Ok(())
    }

    /// The split of the tasks.
    pub fn split(&self) -> Result<TaskSplit> {
        self.environment.split(self.split_seed, self.tasks, self.held_out)
    }

    /// Most steps that the sources will take, kept or not: the length of a progress bar.
    pub fn source_steps(&self) -> Result<u64> {
        let split = self.split()?;
        let horizon = self.environment.horizon().unwrap_or(0);
        Ok(self.histories(&split).saturating_mul(u64::from(self.episodes)).saturating_mul(horizon.into()))
    }

    /// Number of histories of all tasks.
    fn histories(&self, split: &TaskSplit) -> u64 {
        let groups = |tasks: &[u32]| self.tasks_per_history.count(tasks.len()) as u64;
        groups(&split.training) * u64::from(self.histories_per_task)
            + groups(&split.held_out) * u64::from(self.held_out_histories_per_task)
    }

    /// Most steps of a history that are kept.
    fn kept_steps(&self) -> u64 {
        u64::from(self.episodes.div_ceil(self.keep_every))
            * u64::from(self.environment.horizon().unwrap_or(0))
    }
}

/// A history to be generated.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// Its task; the first of its group where it is of several.
    task: u32,
    /// Number of the history within its task or group.
    number: u32,
    /// Number of the history in the file.
    id: u32,
}

impl Job {
    /// Its random stream.
    fn stream(&self) -> u64 {
        u64::from(self.task) << 32 | u64::from(self.number)
    }
}

/// What is to be generated, cut into chunks of consecutive histories.
pub(crate) struct Plan<'a> {
    config: &'a GenerateConfig,
    /// The tasks.
    pub split: TaskSplit,
    jobs: Vec<Job>,
    /// Of these, those of training tasks, which are first.
    training_jobs: usize,
    /// The tasks of each group by its first one, where histories are of several.
    groups: HashMap<u32, Vec<u32>>,
    jobs_per_chunk: usize,
    /// Histories that are learned together; a chunk has all of them or none.
    actors: usize,
    words: usize,
}

impl<'a> Plan<'a> {
    /// Training histories first, then held-out ones, task by task.
    pub fn new(config: &'a GenerateConfig) -> Result<Self> {
        config.validate()?;
        let split = config.split()?;
        let mut groups = HashMap::new();
        let mut heads = |tasks: &[u32]| -> Vec<u32> {
            if config.tasks_per_history.is_one() {
                return tasks.to_vec();
            }
            let all = config.tasks_per_history.groups(tasks, config.split_seed);
            let heads = all.iter().map(|group| group[0]).collect();
            groups.extend(all.into_iter().map(|group| (group[0], group)));
            heads
        };
        let (training, held_out) = (heads(&split.training), heads(&split.held_out));
        let training_jobs = training.len() * config.histories_per_task as usize;
        let training = training.into_iter().map(|task| (task, config.histories_per_task));
        let held_out = held_out.into_iter().map(|task| (task, config.held_out_histories_per_task));
        let numbered =
            training.chain(held_out).flat_map(|(task, count)| (0..count).map(move |number| (task, number)));
        let jobs = (0..).zip(numbered).map(|(id, (task, number))| Job { task, number, id }).collect();
        let steps = config.histories(&split).saturating_mul(config.kept_steps());
        let actors = config.source.actors() as usize;
        let words = config.environment.interface()?.observation_len();
        let chunk_steps = row_group_steps(steps, words);
        Ok(Self {
            config,
            split,
            jobs,
            training_jobs,
            groups,
            jobs_per_chunk: ((chunk_steps / config.kept_steps().max(1)).max(1) as usize)
                .next_multiple_of(actors),
            actors,
            words,
        })
    }

    /// Number of histories.
    pub fn histories(&self) -> u32 {
        self.jobs.len() as u32
    }

    /// The histories of the training tasks, then those of the held-out ones; to be passed to
    /// [`Plan::record`].
    pub fn parts(&self) -> [Range<usize>; 2] {
        [0..self.training_jobs, self.training_jobs..self.jobs.len()]
    }

    /// The same in chunks, in the order of the file. Training and held-out tasks share none.
    pub fn chunks(&self) -> Vec<Range<usize>> {
        self.parts().into_iter().flat_map(|part| pieces(part, self.jobs_per_chunk)).collect()
    }

    /// Name of the source.
    pub fn source(&self) -> &'static str {
        self.config.source.name()
    }

    /// Most steps that the source takes for some of the histories, kept or not.
    pub fn source_steps(&self, histories: &Range<usize>) -> u64 {
        let horizon = self.config.environment.horizon().unwrap_or(0);
        histories.len() as u64 * u64::from(self.config.episodes) * u64::from(horizon)
    }

    /// Generates consecutive histories, in parallel.
    pub fn record(&self, histories: Range<usize>, progress: &dyn Progress) -> Result<(Histories, Tally)> {
        let room = self.config.kept_steps() as usize;
        let mut steps = Steps::zeroed(self.words, histories.len() * room);
        let mut rest = steps.as_mut();
        let mut parts = Vec::new();
        let mut first = 0;
        for piece in pieces(histories, self.jobs_per_piece(room)) {
            let len = piece.len() * room;
            let (part, others) = split_columns(rest, len);
            rest = others;
            parts.push((piece, first, part));
            first += len;
        }
        let recorded: Vec<Piece> = parts
            .into_par_iter()
            .map(|(piece, first, part)| self.record_piece(piece, first, part, progress))
            .collect::<Result<_>>()?;
        // Episodes that end before the horizon leave gaps.
        let ranges: Vec<Range<usize>> =
            recorded.iter().flat_map(|piece| &piece.index).map(|history| history.steps.clone()).collect();
        steps.compact(&ranges);
        let mut index = Vec::with_capacity(ranges.len());
        let episodes = recorded.iter().map(|piece| piece.final_observations.len()).sum();
        steps.final_observations.reserve(episodes, self.words);
        let mut end = 0;
        let mut tally = Tally::default();
        for piece in recorded {
            tally.merge(piece.tally);
            steps.final_observations.append(end, &piece.final_observations);
            steps.optimal_actions.extend(piece.optimal_actions);
            steps.tasks.extend(piece.tasks);
            for history in piece.index {
                let first = end;
                end += history.steps.len();
                index.push(History { steps: first..end, ..history });
            }
        }
        Ok((Histories { interface: self.config.environment.interface()?, index, steps }, tally))
    }

    /// Histories that one thread generates at a time, of up to `room` steps each.
    fn jobs_per_piece(&self, room: usize) -> usize {
        (PIECE_STEPS / room.max(1)).max(1).next_multiple_of(self.actors)
    }

    /// Generates the histories of a piece into `steps`, which begins at step number `first`.
    fn record_piece(
        &self,
        piece: Range<usize>,
        first: usize,
        mut steps: Columns,
        progress: &dyn Progress,
    ) -> Result<Piece> {
        let jobs = &self.jobs[piece];
        let kept_episodes = self.config.episodes.div_ceil(self.config.keep_every) as usize;
        steps.final_observations.reserve(jobs.len() * kept_episodes, self.words);
        let mut index: Vec<History> = Vec::with_capacity(jobs.len());
        let mut tally = Tally::default();
        let mut tasks = Vec::new();
        for jobs in jobs.chunk_by(|a, b| a.task == b.task) {
            let GenerateConfig { environment, source, seed, episodes, keep_every, .. } = self.config;
            let run = Run { episodes: *episodes, keep_every: *keep_every };
            if progress.cancelled() {
                return Err(Error::Cancelled { state: "no histories were written".into() });
            }
            let mut learner = source.learner(environment, jobs[0].task, *episodes)?;
            let mut optimum = environment.optimal_return(jobs[0].task)?.is_some();
            for team in jobs.chunks(self.actors) {
                // Where histories are of several tasks, no two learners meet the same.
                let lists: Vec<Arc<[u32]>> = team.iter().filter_map(|job| self.drawn_tasks(job)).collect();
                if !lists.is_empty() {
                    let several = environment.of_several_tasks(lists.clone())?;
                    learner = source.learner(&several, 0, *episodes)?;
                    optimum = several.optimal_return(0)?.is_some();
                }
                let mut rng = PortableRng::new(*seed, team[0].stream());
                let first = index.last().map_or(0, |history| history.steps.end);
                let mut written = first;
                let mut add = |job: &Job, recorded: Recorded| {
                    let steps = written..written + recorded.written;
                    written = steps.end;
                    index.push(History { task: job.task, id: job.id, steps });
                    tally.add(optimum, recorded);
                    progress.advance(recorded.taken, &|| format!("steps of {}", source.name()));
                };
                match team {
                    [job] => add(job, learner.history(run, &mut rng, None, &mut steps, first)),
                    _ => {
                        let all = learner.histories(run, &mut rng, &mut steps, first);
                        team.iter().zip(all).for_each(|(job, recorded)| add(job, recorded));
                    }
                }
                let written = index.len() - team.len()..;
                for (history, list) in index[written].iter_mut().zip(&lists) {
                    let episodes = &steps.episodes[history.steps.clone()];
                    tasks.extend(episodes.iter().map(|&episode| list[episode as usize]));
                    history.task = list[0];
                }
            }
        }
        let optimal_actions = match self.config.optimal_actions {
            true => self.optimal_actions(&index, &steps, &tasks)?,
            false => Vec::new(),
        };
        for history in &mut index {
            history.steps = first + history.steps.start..first + history.steps.end;
        }
        Ok(Piece { index, tally, final_observations: steps.final_observations, optimal_actions, tasks })
    }

    /// The task of each episode of a history, where they are several.
    fn drawn_tasks(&self, job: &Job) -> Option<Arc<[u32]>> {
        let group = self.groups.get(&job.task)?;
        Some(draw(group, self.config.seed, job.stream(), self.config.episodes))
    }

    /// What the expert of each task would have done at each step of `histories`, which lie one
    /// after the other in `columns`; `tasks` has the task of each step where they are several.
    fn optimal_actions(&self, histories: &[History], columns: &Columns, tasks: &[u32]) -> Result<Vec<u16>> {
        let environment = &self.config.environment;
        let mut optimal = Vec::new();
        let mut words = vec![0; self.words];
        let observe = |words: &mut [i32], step: usize| {
            for (word, column) in words.iter_mut().zip(&columns.observations) {
                *word = column[step];
            }
        };
        let expert_of = |task: u32| {
            environment.expert(task)?.ok_or_else(|| {
                let problem = format!("are not known: {} has no expert", environment.name());
                Error::argument("optimal_actions", problem)
            })
        };
        for history in histories {
            let mut task = history.task;
            let mut expert = expert_of(task)?;
            let stream = u64::from(history.task) << 32 | u64::from(history.id);
            let mut rng = PortableRng::new(self.config.seed ^ OPTIMAL_ACTIONS_SEED, stream);
            expert.begin_context();
            let mut previous = None;
            for step in history.steps.clone() {
                let episode = columns.episodes[step];
                if let Some(&other) = tasks.get(step).filter(|other| **other != task) {
                    (task, previous) = (other, None);
                    expert = expert_of(task)?;
                    expert.begin_context();
                }
                if let Some(skipped) = previous.and_then(|previous| episode.checked_sub(previous + 1)) {
                    expert.skip_episodes(skipped);
                }
                previous = Some(episode);
                observe(&mut words, step);
                optimal.push(expert.act(&words, &mut rng) as u16);
                let done = columns.dones[step];
                match columns.final_observations.after(step) {
                    Some(last) => words.copy_from_slice(last),
                    None if !done => observe(&mut words, step + 1),
                    None => {}
                }
                let (action, reward) = (columns.actions[step].into(), columns.rewards[step]);
                expert.learn(&Outcome { action, reward, next_observation: &words, done });
            }
        }
        Ok(optimal)
    }
}

/// Of the generator that breaks the ties of experts: apart from the sources'.
const OPTIMAL_ACTIONS_SEED: u64 = 0x0971_AC71;

/// Some recorded histories; final observations and optimal actions count from the first of their
/// steps.
struct Piece {
    index: Vec<History>,
    tally: Tally,
    final_observations: FinalObservations,
    optimal_actions: Vec<u16>,
    /// Of each step, where histories are of several tasks.
    tasks: Vec<u32>,
}

/// How well the source did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Steps taken, kept or not.
    pub steps: u64,
    /// Histories of tasks whose optimum is known.
    judged: u64,
    /// Steps until the task was solved, of those that solved it.
    until_solved: Vec<u64>,
}

impl Tally {
    /// Adds a history of a task whose optimum is known or not.
    fn add(&mut self, optimum: bool, recorded: Recorded) {
        self.steps += recorded.taken;
        self.judged += u64::from(optimum);
        self.until_solved.extend(recorded.solved_after);
    }

    /// Adds other histories.
    pub fn merge(&mut self, other: Self) {
        self.steps += other.steps;
        self.judged += other.judged;
        self.until_solved.extend(other.until_solved);
    }

    /// Share of the histories that solved their task, where the optimum is known.
    pub fn solved_share(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.until_solved.len() as f64 / self.judged as f64)
    }

    /// Median over all of them of the steps until then; `None` where fewer than half did.
    pub fn median_steps_to_solve(&mut self) -> Option<u64> {
        self.until_solved.sort_unstable();
        self.until_solved.get((self.judged / 2) as usize).copied()
    }
}

/// `range` in pieces of `len`; the last may be shorter.
fn pieces(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(len).map(move |start| start..(start + len).min(end))
}

/// Generated histories, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Which tasks they are of.
    pub split: TaskSplit,
    /// Histories of the training tasks.
    pub training: Histories,
    /// Histories of the held-out tasks.
    pub held_out: Histories,
}

/// Generates all histories in memory. `progress` advances by the sources' steps.
pub fn generate(config: &GenerateConfig, progress: &dyn Progress) -> Result<Generated> {
    let plan = Plan::new(config)?;
    progress.begin("generate", config.source_steps()?);
    let [training, held_out] = plan.parts();
    let [(training, _), (held_out, _)] = [plan.record(training, progress)?, plan.record(held_out, progress)?];
    progress.finish(&format!("{} steps kept", training.steps.len() + held_out.steps.len()));
    Ok(Generated { training, held_out, split: plan.split })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::rooms::distance;
    use crate::progress::NoProgress;
    use crate::source::a3c::A3c;
    use crate::source::dqn::Dqn;
    use crate::source::epsilon_greedy::EpsilonGreedy;
    use crate::source::sac::Sac;
    use crate::source::thompson::Thompson;
    use crate::source::ucb::{Ties, Ucb};
    use algodistill_core::env::grid::Grid;
    use algodistill_core::env::restless_bandit::RestlessBandit;
    use algodistill_core::{Environment, Family};

    fn small(environment: &str, source: &str) -> GenerateConfig {
        let environment = EnvironmentConfig::preset(environment).unwrap();
        let source = SourceConfig::preset(source).unwrap();
        let defaults = GenerateConfig::recommended(environment, source).unwrap();
        GenerateConfig { tasks: defaults.tasks.map(|_| 2_000), held_out: 3, ..defaults }
    }

    fn run(config: &GenerateConfig) -> Generated {
        generate(config, &NoProgress).unwrap()
    }

    /// Mean return of the first and of the last tenth of the kept episodes of the training
    /// histories.
    fn first_and_last(generated: &Generated) -> (f64, f64) {
        let mut returns = std::collections::BTreeMap::<u32, (f64, f64)>::new();
        let steps = &generated.training.steps;
        for ((&episode, &reward), &done) in steps.episodes.iter().zip(&steps.rewards).zip(&steps.dones) {
            let (sum, episodes) = returns.entry(episode).or_default();
            *sum += f64::from(reward);
            *episodes += f64::from(u8::from(done));
        }
        let means: Vec<f64> = returns.values().map(|(sum, episodes)| sum / episodes).collect();
        let tenth = means.len().div_ceil(10);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        (mean(&means[..tenth]), mean(&means[means.len() - tenth..]))
    }

    #[test]
    fn every_source_improves() {
        for (environment, source, at_first_at_most, at_last_at_least) in [
            ("dark-room", "psrl", 4.7, 15.5),
            ("dark-room", "q-learning", 1.5, 12.0),
            ("dark-room", "noise", 1.5, 15.5),
            ("dark-room-hard", "psrl", 0.2, 0.5),
        ] {
            let (first, last) = first_and_last(&run(&small(environment, source)));
            println!("{environment} {source} {first} {last}");
            assert!(first <= at_first_at_most, "{source} in {environment} begins with {first}");
            assert!(last >= at_last_at_least, "{source} in {environment} ends with {last}");
        }
    }

    #[test]
    fn bandit_sources_earn_the_reference_rewards() {
        let greedy = SourceConfig::from(EpsilonGreedy { epsilon: 0.0 });
        let ucb = |alpha, ties| SourceConfig::from(Ucb { alpha, ties });
        for (environment, source, expected) in [
            ("bandit", SourceConfig::from(Thompson {}), 78.1),
            ("bandit", ucb(0.3, Ties::Random), 76.2),
            ("bandit", ucb(0.3, Ties::First), 76.2),
            ("bandit", ucb(2.0, Ties::Random), 64.2),
            ("bandit", greedy, 82.2),
        ] {
            let mut config = small(environment, "ucb");
            config.source = source.clone();
            let (mean, _) = first_and_last(&run(&config));
            println!("{source:?} {mean}");
            assert!((mean - expected).abs() < 0.8, "{source:?}: {mean} is not {expected}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        for (environment, source) in [("dark-room", "q-learning"), ("bandit", "thompson")] {
            let config = small(environment, source);
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(&config))
            };
            assert_eq!(with(1), with(3));
        }
    }

    #[test]
    fn sources_with_networks_do_not_depend_on_the_threads_either() {
        for source in [SourceConfig::from(Dqn::default()), A3c::default().into(), Sac::default().into()] {
            let config = GenerateConfig {
                source,
                tasks: Some(9),
                held_out: 1,
                histories_per_task: 4,
                held_out_histories_per_task: 4,
                episodes: 60,
                ..small("key-to-door", "dqn")
            };
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(&config))
            };
            let found = with(1);
            assert_eq!(found, with(3));
            assert_eq!(found.training.index.len(), 36);
            assert!(found.training.index.iter().all(|history| !history.steps.is_empty()));
        }
    }

    #[test]
    fn actors_that_learn_together_stay_together() {
        // Pieces end within the histories of a task, but not between actors.
        let environment = EnvironmentConfig::preset("key-to-door").unwrap();
        let source = SourceConfig::from(A3c { actors: 3, ..A3c::default() });
        let config = GenerateConfig {
            tasks: Some(5),
            held_out: 1,
            histories_per_task: 9,
            episodes: 120,
            keep_every: 1,
            ..GenerateConfig::recommended(environment.clone(), source.clone()).unwrap()
        };
        assert_eq!(config.held_out_histories_per_task, 3);
        let plan = Plan::new(&config).unwrap();
        assert!(plan.jobs_per_piece(config.kept_steps() as usize) < 9);
        let found = run(&config).training;
        for (place, team) in found.index.chunks(3).enumerate() {
            let mut learner = source.learner(&environment, team[0].task, 120).unwrap();
            let mut steps = Steps::zeroed(2, 3 * 120 * 50);
            let stream = u64::from(team[0].task) << 32 | (place % 3 * 3) as u64;
            let (mut rng, mut columns) = (PortableRng::new(0, stream), steps.as_mut());
            let together = Run { episodes: 120, keep_every: 1 };
            let recorded = learner.histories(together, &mut rng, &mut columns, 0);
            let mut first = 0;
            for (history, recorded) in team.iter().zip(recorded) {
                assert_eq!(history.steps.len(), recorded.written);
                let expected = &steps.actions[first..first + recorded.written];
                assert_eq!(&found.steps.actions[history.steps.clone()], expected);
                first += recorded.written;
            }
        }
        let config = GenerateConfig { histories_per_task: 4, ..config };
        let problem = config.validate().unwrap_err().to_string();
        assert!(problem.contains("histories_per_task: is 4, expected a multiple of 3"), "{problem}");
    }

    #[test]
    fn the_tally_has_the_share_of_the_histories_that_solved_their_task() {
        let mut tally = Tally::default();
        assert_eq!(tally.solved_share(), None);
        for (optimum, solved_after) in [(true, Some(30)), (true, None), (false, None), (true, Some(10))] {
            tally.add(optimum, Recorded { written: 5, taken: 50, solved_after });
        }
        assert_eq!((tally.steps, tally.solved_share()), (200, Some(2.0 / 3.0)));
        assert_eq!(tally.median_steps_to_solve(), Some(30));
        tally.add(true, Recorded { written: 5, taken: 50, solved_after: None });
        assert_eq!(tally.median_steps_to_solve(), None);
    }

    #[test]
    fn kept_episodes_are_those_of_the_full_history() {
        let mut config = small("dark-room", "q-learning");
        (config.episodes, config.keep_every, config.histories_per_task) = (11, 5, 2);
        let kept = run(&config).training;
        config.keep_every = 1;
        let full = run(&config).training;
        assert_eq!(kept.index.len(), 78 * 2);
        assert_eq!(kept.index[0].steps, 0..60);
        for (some, all) in kept.index.iter().zip(&full.index) {
            for (episode, number) in [0, 5, 10].into_iter().enumerate() {
                let some = some.steps.start + episode * 20..some.steps.start + episode * 20 + 20;
                let all = all.steps.start + number * 20..all.steps.start + number * 20 + 20;
                assert_eq!(kept.steps.actions[some.clone()], full.steps.actions[all.clone()]);
                assert_eq!(kept.steps.episodes[some], full.steps.episodes[all]);
            }
        }
    }

    #[test]
    fn every_episode_has_its_final_observation_and_every_step_its_optimal_action() {
        let config = GenerateConfig { optimal_actions: true, ..small("dark-room", "noise") };
        let Generated { training: Histories { index, steps, .. }, .. } = run(&config);
        let grid = Grid { size: 9 };
        let cell = |words: &[i32]| (words[0] as u16, words[1] as u16);
        assert_eq!(steps.optimal_actions.len(), steps.len());
        for history in index {
            let goal = grid.cell(history.task).unwrap();
            for step in history.steps {
                let seen = [steps.observations[0][step], steps.observations[1][step]];
                let last = steps.final_observations.after(step);
                assert_eq!(last.is_some(), steps.dones[step]);
                if let Some(last) = last {
                    let reached = grid.moved(cell(&seen), steps.actions[step].into());
                    assert_eq!(cell(last), reached);
                }
                let optimal = grid.moved(cell(&seen), steps.optimal_actions[step].into());
                let nearer = distance(optimal, goal) < distance(cell(&seen), goal);
                assert!(nearer || cell(&seen) == goal);
            }
        }
        // Without them the other columns are the same.
        let plain = run(&GenerateConfig { optimal_actions: false, ..config }).training.steps;
        assert_eq!(plain, Steps { optimal_actions: Vec::new(), ..steps });
    }

    #[test]
    fn optimal_actions_are_the_same_where_only_some_episodes_are_kept() {
        // Its arms go on changing in the episodes that are not kept.
        let mut config = GenerateConfig { optimal_actions: true, ..small("restless-bandit", "noise") };
        (config.tasks, config.episodes) = (Some(20), 7);
        let all = run(&config).training;
        config.keep_every = 3;
        let kept = run(&config).training;
        let bandit = config.environment.family::<RestlessBandit>().unwrap();
        let horizon = bandit.horizon as usize;
        let mut optimal = 0;
        for (kept_history, history) in kept.index.iter().zip(&all.index) {
            let mut task = bandit.task(history.task).unwrap();
            let good: Vec<Vec<bool>> = (0..7 * horizon)
                .map(|_| {
                    let good = task.good().to_vec();
                    task.step(0, &mut PortableRng::new(0, 0));
                    good
                })
                .collect();
            for (place, step) in kept_history.steps.clone().enumerate() {
                let good = &good[place / horizon * 3 * horizon + place % horizon];
                let arm = usize::from(kept.steps.optimal_actions[step]);
                assert!(good[arm] || good.iter().all(|good| !good));
                optimal += usize::from(good[arm]);
            }
        }
        assert!(optimal > kept.steps.len() / 2);
    }

    /// One agent over many tasks of Light Key-to-Door, whose observation says which.
    fn many_tasks(source: SourceConfig, tasks_per_history: &str) -> GenerateConfig {
        let environment = EnvironmentConfig::preset("light-key-to-door").unwrap();
        GenerateConfig {
            tasks: Some(10),
            held_out: 3,
            histories_per_task: 4,
            held_out_histories_per_task: 4,
            episodes: 12,
            keep_every: 2,
            tasks_per_history: tasks_per_history.parse().unwrap(),
            ..GenerateConfig::recommended(environment, source).unwrap()
        }
    }

    #[test]
    fn a_history_of_many_tasks_says_the_task_of_every_episode() {
        let environment = EnvironmentConfig::preset("light-key-to-door").unwrap();
        for source in
            [SourceConfig::preset("q-learning").unwrap(), A3c { actors: 4, ..A3c::default() }.into()]
        {
            let config = GenerateConfig { optimal_actions: true, ..many_tasks(source, "4") };
            let found = run(&config);
            // Groups of 4, 4 and 2; of held-out tasks one of 3.
            assert_eq!((found.training.index.len(), found.held_out.index.len()), (12, 4));
            let mut lists = HashMap::new();
            for (part, tasks) in
                [(&found.training, &found.split.training), (&found.held_out, &found.split.held_out)]
            {
                let steps = &part.steps;
                assert_eq!(steps.tasks.len(), steps.len());
                let mut groups: HashMap<usize, std::collections::BTreeSet<u32>> = HashMap::new();
                for history in &part.index {
                    assert_eq!(history.task, steps.tasks[history.steps.start]);
                    let mut list = Vec::new();
                    for step in history.steps.clone() {
                        let task = steps.tasks[step];
                        assert!(tasks.contains(&task));
                        // Key and door are seen.
                        let mut seen = [0; 6];
                        let mut there = environment.task(task).unwrap();
                        there.reset(&mut PortableRng::new(0, 0));
                        there.observe(&mut seen);
                        let shown: Vec<i32> =
                            steps.observations[2..].iter().map(|column| column[step]).collect();
                        assert_eq!(shown, seen[2..]);
                        groups.entry(history.id as usize / 4).or_default().insert(task);
                        if steps.dones[step] {
                            list.push(task);
                        }
                    }
                    assert_eq!(list.len(), 6);
                    *lists.entry(list).or_insert(0) += 1;
                }
                assert!(groups.values().all(|group| group.len() <= 4 && group.len() > 1));
                // Towards the key, or with it towards the door.
                let grid = Grid { size: 9 };
                let cell = |words: &[i32]| (words[0] as u16, words[1] as u16);
                for step in 0..steps.len() {
                    let seen: Vec<i32> = steps.observations.iter().map(|column| column[step]).collect();
                    let (here, goals) = (cell(&seen), [cell(&seen[2..]), cell(&seen[4..])]);
                    let after = grid.moved(here, steps.optimal_actions[step].into());
                    let nearer = |goal| distance(after, goal) < distance(here, goal) || here == goal;
                    assert!(goals.into_iter().any(nearer));
                }
            }
            // The actors of a team do not meet the same tasks.
            assert!(lists.len() >= 15, "{lists:?}");
            let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(alone.install(|| run(&config)), found);
        }
        let all = run(&many_tasks(SourceConfig::preset("q-learning").unwrap(), "all"));
        assert_eq!((all.training.index.len(), all.held_out.index.len()), (4, 4));
    }

    #[test]
    fn what_must_know_its_task_cannot_learn_many() {
        for (source, expected) in [
            (
                "psrl",
                "tasks_per_history: is 4, but a history of psrl is of one task; possible with several: q-l",
            ),
            ("noise", "possible with several: q-learning, q-lambda, dqn, a3c, sac"),
        ] {
            let config = GenerateConfig {
                source: SourceConfig::preset(source).unwrap(),
                ..many_tasks(Dqn::default().into(), "4")
            };
            let environment = EnvironmentConfig::preset("key-to-door").unwrap();
            let problem = GenerateConfig { environment, ..config }.validate().unwrap_err().to_string();
            assert!(problem.starts_with("tasks_per_history") && problem.contains(expected), "{problem}");
        }
        for wrong in ["0", "-1", "some", "1.5"] {
            assert!(wrong.parse::<TasksPerHistory>().is_err());
        }
        let written = serde_json::to_string(&many_tasks(Dqn::default().into(), "all")).unwrap();
        assert!(written.ends_with(r#""tasks_per_history":"all"}"#), "{written}");
        let one = many_tasks(Dqn::default().into(), "1");
        assert!(!serde_json::to_string(&one).unwrap().contains("tasks_per_history"), "as cards of before");
        let zero = written.replace("\"all\"", "0");
        assert!(serde_json::from_str::<GenerateConfig>(&zero)
            .unwrap_err()
            .to_string()
            .contains("1 to 4294967295"));
    }

    #[test]
    fn impossible_requests_say_what_is_possible() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let config = GenerateConfig::recommended(room, SourceConfig::from(Thompson {})).unwrap();
        let problem = config.validate().unwrap_err().to_string();
        assert!(problem.contains("possible there: psrl, "), "{problem}");
        let config = GenerateConfig { episodes: 0, ..small("dark-room", "psrl") };
        assert!(config.validate().unwrap_err().to_string().contains("episodes"));
        let config = GenerateConfig { held_out: 81, ..small("dark-room", "psrl") };
        assert!(config.split().is_err());
    }
}
