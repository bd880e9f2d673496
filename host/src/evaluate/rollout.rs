//! Runs policies in context: tasks x runs, each a fresh context of several episodes.

use super::policy::{Learner, Policy};
use super::statistics::Cluster;
use crate::environment::EnvironmentConfig;
use crate::progress::Bar as Progress;
use crate::source::{run_episode, with_source, Source, SourceConfig, Visitor};
use crate::Result;
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Environment, Interface, PortableRng, Transition};
use rayon::prelude::*;

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
    /// Where an episode of demonstration comes first: the probability that an action of it is optimal, the others
    /// being uniform. It does not count as an episode.
    pub demonstration: Option<f32>,
}

/// What the points of a curve are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// One point an episode: its return.
    Episode,
    /// One point a step: its reward. For contexts of one long episode.
    Step,
}

impl Axis {
    /// Appends the points of an episode with these rewards.
    fn add_episode(self, rewards: &[f32], values: &mut Vec<f32>) {
        match self {
            Axis::Step => values.extend_from_slice(rewards),
            Axis::Episode => values.push(rewards.iter().sum()),
        }
    }
}

impl Contexts {
    /// The axis that shows the learning of these contexts: steps where all of it happens within one episode.
    pub fn axis(&self) -> Axis {
        match self.episodes {
            1 => Axis::Step,
            _ => Axis::Episode,
        }
    }

    /// Number of contexts.
    pub fn count(&self) -> usize {
        self.tasks.len() * self.runs as usize
    }
}

/// Who draws from a random stream. Separate streams, so that an environment's luck does not depend on how many numbers
/// a policy draws.
#[derive(Clone, Copy)]
enum Role {
    Environment,
    Policy,
    Demonstration,
}

fn stream(seed: u64, task: u32, run: u32, role: Role) -> PortableRng {
    PortableRng::new(seed, u64::from(task) << 32 | u64::from(run) << 2 | role as u64)
}

/// Runs every context of `contexts` with a policy of `learner`, in parallel: one cluster a task, in the order of the
/// tasks, labelled as model number `model`. The result does not depend on the number of threads.
pub fn rollout(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    model: usize,
    learner: &dyn Learner,
    progress: &Progress,
) -> Result<Vec<Cluster>> {
    let values = each_context(contexts, progress, |task, run| {
        let mut values = Vec::new();
        learner.in_context(task, &mut |policy| {
            values = one_context(environment, contexts, task, run, policy)?;
            Ok(())
        })?;
        Ok(values)
    })?;
    Ok(clusters(contexts, model, values))
}

/// Runs the source algorithm itself on every context, as a learner that starts from nothing; `planned_episodes` is the
/// length of history that its schedule (of exploration, of noise) is for.
pub fn rollout_source(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    source: &SourceConfig,
    planned_episodes: u32,
    progress: &Progress,
) -> Result<Vec<Cluster>> {
    let values = each_context(contexts, progress, |task, run| {
        let [luck, rng] =
            [Role::Environment, Role::Policy].map(|role| stream(contexts.seed, task, run, role));
        with_source(environment, source, task, planned_episodes, SourceContext { contexts, luck, rng })
    })?;
    Ok(clusters(contexts, 0, values))
}

/// The result of `body(task, run)` for every context, task by task, computed in parallel.
pub(super) fn each_context<T: Send>(
    contexts: &Contexts,
    progress: &Progress,
    body: impl Fn(u32, u32) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let runs = contexts.runs as usize;
    let run_context = |index: usize| {
        let result = body(contexts.tasks[index / runs], (index % runs) as u32)?;
        progress.advance(1, String::new);
        Ok(result)
    };
    (0..contexts.count()).into_par_iter().map(run_context).collect()
}

/// Groups the values of all contexts, as [`each_context`] returns them, by task.
fn clusters(contexts: &Contexts, model: usize, values: Vec<Vec<f32>>) -> Vec<Cluster> {
    let mut values = values.into_iter();
    let cluster =
        |&task: &u32| Cluster { model, task, runs: values.by_ref().take(contexts.runs as usize).collect() };
    contexts.tasks.iter().map(cluster).collect()
}

/// One context of a source algorithm.
struct SourceContext<'a> {
    contexts: &'a Contexts,
    luck: PortableRng,
    rng: PortableRng,
}

impl Visitor for SourceContext<'_> {
    type Output = Vec<f32>;

    fn visit(mut self, environment: impl Environment, mut source: impl Source) -> Vec<f32> {
        let mut environment = WithLuck { environment, luck: self.luck };
        let mut values = Vec::new();
        source.begin_history();
        for episode in 0..self.contexts.episodes {
            let mut rewards = Vec::new();
            run_episode::<MAX_CHANNELS>(
                &mut environment,
                &mut source,
                episode,
                &mut self.rng,
                |_, outcome| rewards.push(outcome.reward),
            );
            self.contexts.axis().add_episode(&rewards, &mut values);
        }
        values
    }
}

/// An environment that draws from a stream of its own: the source meets the luck that the learners meet in the same context, and
/// what sets them apart is what they do.
struct WithLuck<E> {
    environment: E,
    luck: PortableRng,
}

impl<E: Environment> Environment for WithLuck<E> {
    fn interface(&self) -> Interface {
        self.environment.interface()
    }

    fn horizon(&self) -> u32 {
        self.environment.horizon()
    }

    fn reset(&mut self, _rng: &mut PortableRng) {
        self.environment.reset(&mut self.luck);
    }

    fn observe(&self, observation: &mut [i32]) {
        self.environment.observe(observation);
    }

    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.environment.step(action, &mut self.luck)
    }
}

/// One context: the values of its points, see [`Axis`].
pub(super) fn one_context(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    task: u32,
    run: u32,
    policy: &mut dyn Policy,
) -> Result<Vec<f32>> {
    let optimum = environment.optimal_policy(task)?;
    let mut environment = environment.make(task)?;
    let mut luck = stream(contexts.seed, task, run, Role::Environment);
    if let Some(optimal_share) = contexts.demonstration {
        let actions = u32::from(environment.interface().actions);
        let mut rng = stream(contexts.seed, task, run, Role::Demonstration);
        episode(&mut environment, &mut luck, policy, |policy, observation| {
            let action = match rng.uniform() < optimal_share {
                true => optimum.act(observation, &mut rng),
                false => rng.below(actions) as usize,
            };
            policy.demonstrate(observation, action)?;
            Ok(action)
        })?;
    }
    let mut rng = stream(contexts.seed, task, run, Role::Policy);
    let mut values = Vec::new();
    for _ in 0..contexts.episodes {
        let rewards = episode(&mut environment, &mut luck, policy, |policy, observation| {
            policy.act(observation, &mut rng)
        })?;
        contexts.axis().add_episode(&rewards, &mut values);
    }
    Ok(values)
}

/// One episode whose actions `choose` makes and `policy` sees the outcomes of: the reward of every step.
fn episode(
    environment: &mut dyn Environment,
    luck: &mut PortableRng,
    policy: &mut dyn Policy,
    mut choose: impl FnMut(&mut dyn Policy, &[i32]) -> Result<usize>,
) -> Result<Vec<f32>> {
    let mut observation = vec![0; environment.interface().observation_len()];
    let mut rewards = Vec::with_capacity(environment.horizon() as usize);
    environment.reset(luck);
    loop {
        environment.observe(&mut observation);
        let action = choose(policy, &observation)?;
        let transition = environment.step(action, luck);
        policy.feedback(transition.reward, transition.done)?;
        rewards.push(transition.reward);
        if transition.done {
            return Ok(rewards);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::UniformRandom;
    use super::*;
    use crate::environment::OptimalPolicy;

    /// Tries the arms in turn, and stays at one that paid.
    #[derive(Default)]
    struct WinStay {
        arm: usize,
    }

    impl Policy for WinStay {
        fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> Result<usize> {
            Ok(self.arm)
        }

        fn feedback(&mut self, reward: f32, _done: bool) -> Result<()> {
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

        fn feedback(&mut self, _reward: f32, _done: bool) -> Result<()> {
            Ok(())
        }
    }

    fn contexts(episodes: u32) -> Contexts {
        Contexts { tasks: vec![2, 0], runs: 2, episodes, seed: 5, demonstration: None }
    }

    fn run(environment: &str, contexts: &Contexts, learner: &dyn Learner) -> Vec<Cluster> {
        let environment = EnvironmentConfig::preset(environment).expect("a preset");
        rollout(&environment, contexts, 0, learner, &Progress::new("test", 1)).expect("runs")
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
        let best = |task| match bandit.optimal_policy(task)? {
            OptimalPolicy::Bandit { best } => Ok(Fixed(best)),
            other => panic!("{other:?} in a bandit"),
        };
        // Without any noise it pulls the best arm as well, but draws other numbers in doing so.
        let source = SourceConfig::Noise { decay: 0.0 };
        let progress = Progress::new("test", 1);
        let of_source = rollout_source(&bandit, &contexts, &source, 2, &progress).expect("runs");
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
