//! Runs policies in context: tasks x runs, each a fresh context of several episodes.

use super::drawn::{DrawnEpisode, Watcher};
use super::policy::{Learner, Policy};
use super::statistics::Cluster;
use crate::environment::{AnyTask, EnvironmentConfig};
use crate::history::Steps;
use crate::parameters::Parameters;
use crate::progress::Progress;
use crate::source::{Outcome, Run, SourceConfig};
use crate::{Error, Result};
use algodistill_core::{Environment, PortableRng};
use rayon::prelude::*;
use serde_json::Map;

/// Most steps of a context of the source algorithm: all are kept until it is over.
const MAX_SOURCE_STEPS: usize = 1 << 27;

/// Which contexts to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Contexts {
    /// The tasks, by number.
    pub tasks: Vec<u32>,
    /// Contexts of each task.
    pub runs: u32,
    /// Episodes of each context.
    pub episodes: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Where an episode of demonstration comes first: the probability that an action of it is
    /// optimal, the others being uniform. It does not count as an episode.
    pub demonstration: Option<f32>,
    /// Where each context is one unbroken stream in place of episodes.
    pub stream: Option<Stream>,
}

/// A context that has an end only because an evaluation must have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its steps.
    pub steps: u32,
    /// Steps of a block: what the horizon of an episode is elsewhere, or nearly so.
    pub block: u32,
}

impl Stream {
    /// `environment` where one episode takes all steps.
    ///
    /// # Errors
    /// [`Error::Argument`] `steps` where its horizon cannot be set to that.
    pub fn running(&self, environment: &EnvironmentConfig) -> Result<EnvironmentConfig> {
        let horizon = Map::from_iter([("horizon".to_owned(), self.steps.into())]);
        environment.with(&Parameters(horizon)).map_err(|error| match error {
            Error::Argument { problem, .. } => {
                Error::argument("steps", format!("sets horizon, which {problem}"))
            }
            other => other,
        })
    }
}

/// What the points of a curve are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// One point per episode: its return.
    Episode,
    /// One point per step: its reward. For contexts of one long episode.
    Step,
    /// One point per so many steps: the sum of their rewards, whatever episode they belong to.
    Block(u32),
}

/// Puts rewards together to the points of a curve.
pub(super) struct Points {
    axis: Axis,
    values: Vec<f32>,
    /// Steps of each.
    lengths: Vec<u32>,
    /// Of the point that is not complete.
    sum: f32,
    steps: u32,
}

impl Points {
    fn new(axis: Axis) -> Self {
        Self { axis, values: Vec::new(), lengths: Vec::new(), sum: 0.0, steps: 0 }
    }

    fn add(&mut self, reward: f32, done: bool) {
        self.sum += reward;
        self.steps += 1;
        let complete = match self.axis {
            Axis::Episode => done,
            Axis::Step => true,
            Axis::Block(steps) => self.steps == steps,
        };
        if complete {
            self.values.push(self.sum);
            self.lengths.push(self.steps);
            (self.sum, self.steps) = (0.0, 0);
        }
    }
}

impl Contexts {
    /// The axis that shows the learning of these contexts: steps where all of it happens within one
    /// episode.
    pub fn axis(&self) -> Axis {
        match (self.stream, self.episodes) {
            (Some(stream), _) => Axis::Block(stream.block),
            (None, 1) => Axis::Step,
            (None, _) => Axis::Episode,
        }
    }

    /// Blocks of a stream; 0 where there is none.
    pub fn blocks(&self) -> u32 {
        self.stream.map_or(0, |stream| stream.steps / stream.block)
    }

    /// `environment` as it runs here: in an unbroken stream one episode takes all steps. Where
    /// episodes end before their horizon, the next one follows.
    ///
    /// # Errors
    /// [`Error::Argument`] where its horizon cannot be set to that.
    pub fn running(&self, environment: &EnvironmentConfig) -> Result<EnvironmentConfig> {
        self.stream.map_or_else(|| Ok(environment.clone()), |stream| stream.running(environment))
    }

    /// Whether a context is over after so many whole episodes and steps.
    fn is_over(&self, episodes: u32, steps: u32) -> bool {
        match self.stream {
            Some(stream) => steps >= stream.steps,
            None => episodes >= self.episodes,
        }
    }

    /// Number of contexts.
    pub fn count(&self) -> usize {
        self.tasks.len() * self.runs as usize
    }
}

/// Who draws from a random stream. Separate streams, so that an environment's luck does not depend
/// on how many numbers a policy draws.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Environment,
    Policy,
    Demonstration,
}

pub(super) fn stream(seed: u64, task: u32, run: u32, role: Role) -> PortableRng {
    PortableRng::new(seed, u64::from(task) << 32 | u64::from(run) << 2 | role as u64)
}

/// Runs every context of `contexts` with a policy of `learner`, in parallel: one cluster a task, in
/// the order of the tasks, labelled as model number `model`. The result does not depend on the
/// number of threads.
pub fn rollout(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    model: usize,
    learner: &dyn Learner,
    progress: &dyn Progress,
) -> Result<Vec<Cluster>> {
    rolled_out(environment, contexts, model, learner, false, progress).map(|(clusters, _)| clusters)
}

/// [`rollout`], and of a few of its episodes what is drawn from above.
pub fn rollout_drawn(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    model: usize,
    learner: &dyn Learner,
    progress: &dyn Progress,
) -> Result<(Vec<Cluster>, Vec<DrawnEpisode>)> {
    rolled_out(environment, contexts, model, learner, true, progress)
}

fn rolled_out(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    model: usize,
    learner: &dyn Learner,
    draws: bool,
    progress: &dyn Progress,
) -> Result<(Vec<Cluster>, Vec<DrawnEpisode>)> {
    let played = each_context(contexts, progress, |task, run| {
        let mut points = Points::new(contexts.axis());
        let mut watcher = Watcher::of(contexts, task, run).filter(|_| draws);
        learner.in_context(task, &mut |policy| {
            points = one_context(environment, contexts, task, run, policy, watcher.as_mut())?;
            Ok(())
        })?;
        Ok((points, watcher.map(Watcher::finish)))
    })?;
    let (points, drawn): (Vec<_>, Vec<_>) = played.into_iter().unzip();
    Ok((clusters(contexts, model, points), drawn.into_iter().flatten().flatten().collect()))
}

/// Runs the source algorithm itself on every context, as a learner that starts from nothing;
/// `planned_episodes` is the length of history that its schedule (of exploration, of noise) is for.
pub fn rollout_source(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    source: &SourceConfig,
    planned_episodes: u32,
    progress: &dyn Progress,
) -> Result<Vec<Cluster>> {
    let words = environment.interface()?.observation_len();
    let horizon = environment.horizon().unwrap_or(0) as usize;
    let points = each_context(contexts, progress, |task, run| {
        let [luck, rng] =
            [Role::Environment, Role::Policy].map(|role| stream(contexts.seed, task, run, role));
        let mut learner = source.learner(environment, task, planned_episodes)?;
        let mut run = Run { episodes: contexts.episodes, keep_every: 1 };
        loop {
            let room = (run.episodes as usize).saturating_mul(horizon);
            if room > MAX_SOURCE_STEPS {
                let problem = format!("the source's steps are too many to keep, at most {MAX_SOURCE_STEPS}");
                return Err(Error::argument("episodes", problem));
            }
            let mut steps = Steps::zeroed(words, room);
            let (mut rng, mut luck) = (rng.clone(), luck.clone());
            let recorded = learner.history(run, &mut rng, Some(&mut luck), &mut steps.as_mut(), 0);
            if !contexts.is_over(run.episodes, recorded.written as u32) {
                // Episodes of this stream end before its steps are done: the same history again, but longer.
                run.episodes *= 2;
                continue;
            }
            let wanted = contexts.stream.map_or(recorded.written, |stream| stream.steps as usize);
            let mut points = Points::new(contexts.axis());
            for (reward, done) in steps.rewards.iter().zip(&steps.dones).take(wanted) {
                points.add(*reward, *done);
            }
            return Ok(points);
        }
    })?;
    Ok(clusters(contexts, 0, points))
}

/// The result of `body(task, run)` for every context, task by task, computed in parallel.
pub(super) fn each_context<T: Send>(
    contexts: &Contexts,
    progress: &dyn Progress,
    body: impl Fn(u32, u32) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let runs = contexts.runs as usize;
    let run_context = |index: usize| {
        if progress.cancelled() {
            return Err(Error::Cancelled { state: "the evaluation is not complete".into() });
        }
        let result = body(contexts.tasks[index / runs], (index % runs) as u32)?;
        progress.advance(1, &String::new);
        Ok(result)
    };
    (0..contexts.count()).into_par_iter().map(run_context).collect()
}

/// Groups the points of all contexts, as [`each_context`] returns them, by task.
fn clusters(contexts: &Contexts, model: usize, points: Vec<Points>) -> Vec<Cluster> {
    let mut points = points.into_iter();
    let cluster = |&task: &u32| {
        let mut cluster = Cluster { model, task, runs: Vec::new(), steps: Vec::new() };
        for run in points.by_ref().take(contexts.runs as usize) {
            cluster.steps.resize(cluster.steps.len().max(run.lengths.len()), 0);
            cluster.steps.iter_mut().zip(&run.lengths).for_each(|(sum, steps)| *sum += u64::from(*steps));
            cluster.runs.push(run.values);
        }
        cluster
    };
    contexts.tasks.iter().map(cluster).collect()
}

/// One context: the values of its points, see [`Axis`]. `watcher` sees its episodes.
pub(super) fn one_context(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    task: u32,
    run: u32,
    policy: &mut dyn Policy,
    mut watcher: Option<&mut Watcher>,
) -> Result<Points> {
    let interface = environment.interface()?;
    let mut running = Running {
        task: environment.task(task)?,
        luck: stream(contexts.seed, task, run, Role::Environment),
        observation: vec![0; interface.observation_len()],
    };
    if let Some(optimal_share) = contexts.demonstration {
        let actions = u32::from(interface.actions);
        let mut expert = environment.expert(task)?.ok_or_else(|| {
            let problem = format!("no demonstration: no expert is known in {}", environment.name());
            Error::argument("prompt", problem)
        })?;
        let mut rng = stream(contexts.seed, task, run, Role::Demonstration);
        running.episode(u32::MAX, |observation| match observation {
            Seen::Now(observation) => {
                let action = match rng.uniform() < optimal_share {
                    true => expert.act(observation, &mut rng),
                    false => rng.below(actions) as usize,
                };
                policy.demonstrate(observation, action)?;
                Ok(action)
            }
            Seen::After(outcome) => {
                expert.learn(&outcome);
                policy.feedback(outcome.reward, outcome.ended())?;
                Ok(outcome.action)
            }
        })?;
    }
    let mut rng = stream(contexts.seed, task, run, Role::Policy);
    let mut points = Points::new(contexts.axis());
    let (mut episodes, mut steps) = (0, 0);
    while !contexts.is_over(episodes, steps) {
        let left = contexts.stream.map_or(u32::MAX, |stream| stream.steps - steps);
        episodes += 1;
        steps += running.episode(left, |seen| {
            if let Some(watcher) = &mut watcher {
                watcher.see(episodes, &seen);
            }
            match seen {
                Seen::Now(observation) => policy.act(observation, &mut rng),
                Seen::After(outcome) => {
                    policy.feedback(outcome.reward, outcome.ended())?;
                    points.add(outcome.reward, outcome.done);
                    Ok(outcome.action)
                }
            }
        })?;
        if let Some(watcher) = &mut watcher {
            watcher.end(episodes, &*running.task);
        }
    }
    Ok(points)
}

/// A task at work.
struct Running {
    task: Box<dyn AnyTask>,
    luck: PortableRng,
    observation: Vec<i32>,
}

/// What whoever acts is told.
pub(super) enum Seen<'a> {
    /// The observation to act on; the answer is the action.
    Now(&'a [i32]),
    /// What the action brought; the answer is not looked at.
    After(Outcome<'a>),
}

impl Running {
    /// One episode of `actor`, or the first `most` steps of it; the number of its steps.
    fn episode(&mut self, most: u32, mut actor: impl FnMut(Seen) -> Result<usize>) -> Result<u32> {
        let mut steps = 0;
        self.task.reset(&mut self.luck);
        self.task.observe(&mut self.observation);
        loop {
            let action = actor(Seen::Now(&self.observation))?;
            let transition = self.task.step(action, &mut self.luck);
            self.task.observe(&mut self.observation);
            actor(Seen::After(Outcome {
                action,
                reward: transition.reward,
                next_observation: &self.observation,
                done: transition.done,
            }))?;
            steps += 1;
            if transition.done || steps == most {
                return Ok(steps);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::UniformRandom;
    use super::*;
    use crate::progress::NoProgress;
    use crate::source::noise::Noise;
    use algodistill_core::env::bandit::Bandit;
    use algodistill_core::Family;

    /// Tries the arms in turn, and stays at one that paid.
    #[derive(Default)]
    struct WinStay {
        arm: usize,
    }

    impl Policy for WinStay {
        fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> Result<usize> {
            Ok(self.arm)
        }

        fn feedback(&mut self, reward: f32, _ended: Option<&[i32]>) -> Result<()> {
            self.arm = if reward > 0.0 { self.arm } else { (self.arm + 1) % 10 };
            Ok(())
        }

        fn demonstrate(&mut self, _observation: &[i32], action: usize) -> Result<()> {
            self.arm = action;
            Ok(())
        }
    }

    /// Always the same action.
    struct Fixed(usize);

    impl Policy for Fixed {
        fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> Result<usize> {
            Ok(self.0)
        }

        fn feedback(&mut self, _reward: f32, _ended: Option<&[i32]>) -> Result<()> {
            Ok(())
        }
    }

    fn contexts(episodes: u32) -> Contexts {
        Contexts { tasks: vec![2, 0], runs: 2, episodes, seed: 5, demonstration: None, stream: None }
    }

    fn run(environment: &str, contexts: &Contexts, learner: &dyn Learner) -> Vec<Cluster> {
        let environment = EnvironmentConfig::preset(environment).expect("a preset");
        rollout(&environment, contexts, 0, learner, &NoProgress).expect("runs")
    }

    fn mean(clusters: &[Cluster]) -> f64 {
        super::super::statistics::mean_over(clusters, &(0..usize::MAX), 0).mean
    }

    #[test]
    fn a_point_is_a_return_or_with_one_episode_a_reward() {
        // Task 40 of Dark Room is the start: who stays is paid after every one of the 20 steps.
        let stay = |_| Ok(Fixed(0));
        let at_start = |episodes| Contexts { tasks: vec![40], ..contexts(episodes) };
        assert_eq!(run("dark-room", &at_start(3), &stay)[0].runs, [[20.0; 3], [20.0; 3]]);
        assert_eq!(run("dark-room", &at_start(1), &stay)[0].runs, [[1.0; 20], [1.0; 20]]);
    }

    #[test]
    fn a_stream_goes_on_over_the_ends_of_episodes_in_blocks_of_the_horizon() {
        let contexts =
            Contexts { tasks: vec![40], stream: Some(Stream { steps: 60, block: 20 }), ..contexts(1) };
        // Who stays at the start, which is the goal, is paid at every step.
        let room = EnvironmentConfig::preset("dark-room").expect("a preset");
        let running = contexts.running(&room).expect("a stream");
        assert_eq!(running.horizon(), Some(60));
        let stayed = rollout(&running, &contexts, 0, &|_| Ok(Fixed(0)), &NoProgress).expect("runs");
        assert_eq!(stayed[0].runs, [[20.0; 3], [20.0; 3]]);
        let source = SourceConfig::from(Noise { decay: 0.0 });
        // Where its episodes are shorter than the stream, the source goes on in the next one.
        for environment in [&running, &room] {
            let learned = rollout_source(environment, &contexts, &source, 14, &NoProgress).expect("runs");
            assert_eq!(learned, stayed);
        }
        let stayed_on = rollout(&room, &contexts, 0, &|_| Ok(Fixed(0)), &NoProgress).expect("runs");
        assert_eq!(stayed_on, stayed);
    }

    #[test]
    fn clusters_come_in_the_order_of_the_tasks_and_learners_are_told_theirs() {
        let clusters = run("bandit", &contexts(1), &|task| Ok(Fixed(task as usize)));
        assert_eq!(clusters.iter().map(|cluster| cluster.task).collect::<Vec<_>>(), [2, 0]);
    }

    #[test]
    fn a_context_starts_empty_and_keeps_what_it_learned() {
        let many = Contexts { tasks: (0..50).collect(), ..contexts(1) };
        let learned = mean(&run("bandit-one-good-arm", &many, &|_| Ok(WinStay::default())));
        let random = mean(&run("bandit-one-good-arm", &many, &|_| Ok(UniformRandom { actions: 10 })));
        assert!((random - 0.18).abs() < 0.02 && learned > 2.0 * random, "{random} and {learned}");
    }

    #[test]
    fn the_source_meets_the_luck_that_the_learners_meet() {
        let contexts = Contexts { tasks: (0..5).collect(), ..contexts(2) };
        let bandit = EnvironmentConfig::preset("bandit-uniform").expect("a preset");
        let family = *bandit.family::<Bandit>().expect("a bandit");
        let best = |task| {
            let task = family.task(task).expect("a task");
            let arms = task.probabilities().iter().map(|&p| f64::from(p));
            Ok(Fixed(crate::source::argmax(arms)))
        };
        // Without any noise it pulls the best arm as well, but draws other numbers in doing so.
        let source = SourceConfig::from(Noise { decay: 0.0 });
        let of_source = rollout_source(&bandit, &contexts, &source, 2, &NoProgress).expect("runs");
        assert_eq!(of_source, run("bandit-uniform", &contexts, &best));
    }

    #[test]
    fn an_optimal_demonstration_is_seen_and_not_counted() {
        let contexts = Contexts { demonstration: Some(1.0), tasks: (0..50).collect(), ..contexts(1) };
        let clusters = run("bandit-one-good-arm", &contexts, &|_| Ok(WinStay::default()));
        assert_eq!(clusters[0].runs[0].len(), 300);
        let first_step = super::super::statistics::mean_over(&clusters, &(0..1), 0).mean;
        assert!(first_step > 0.75, "the demonstrated arm pays .9 at once, found {first_step}");
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let contexts = Contexts { tasks: (0..3).collect(), runs: 20, ..contexts(4) };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| run("dark-room", &contexts, &|_| Ok(UniformRandom { actions: 5 })))
        };
        assert_eq!(on(1), on(4));
    }
}
