//! Environments as configurations: presets, tasks, the split into training and held-out tasks, reference returns.

use crate::{Error, Result};
use algodistill_core::env::bandit::{Bandit, TaskDistribution, MAX_ARMS};
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomConfig};
use algodistill_core::{Environment, Interface, PortableRng, Transition};
use serde::{Deserialize, Serialize};

mod parameters;

pub(crate) use parameters::replace;
pub use parameters::Parameters;

/// Seed of the bandit tasks: task `i` is drawn from stream `i`, so a task number means the same arms in every run.
const BANDIT_TASK_SEED: u64 = 0xBA4D_1775;
/// Largest side of a Dark Room: what the tabular sources and the exact reference returns can afford.
const MAX_DARK_ROOM_SIZE: u16 = 128;
/// Most tasks of an environment without an end to them: a split lists every one.
const MAX_TASKS: u32 = 10_000_000;
/// Longest episode.
const MAX_HORIZON: u32 = 1_000_000;

/// When the goal of a Dark Room pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum GoalReward {
    /// +1 after every step that ends on the goal.
    EveryStep,
    /// +1 for the first step of an episode that ends on the goal.
    Once,
}

/// An environment and its parameters, as written in configurations and cards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EnvironmentConfig {
    /// [`algodistill_core::env::dark_room`]; the task is the goal, `row * size + column`.
    DarkRoom {
        /// Cells along a side.
        size: u16,
        /// Steps of an episode.
        horizon: u32,
        /// Row and column of the start.
        start: (u16, u16),
        /// When the goal pays.
        reward: GoalReward,
    },
    /// [`algodistill_core::env::bandit`]; the task is the number of a draw from `distribution`.
    Bandit {
        /// Arms.
        arms: u16,
        /// Pulls of an episode.
        horizon: u32,
        /// How the arms of a task are drawn.
        distribution: TaskDistribution,
    },
    /// Known only through learning histories that another program wrote: it can be trained on, not simulated.
    Custom {
        /// What its histories contain.
        interface: Interface,
    },
}

/// Names accepted by [`EnvironmentConfig::preset`].
pub const PRESETS: [&str; 7] = [
    "dark-room",
    "dark-room-hard",
    "bandit",
    "bandit-odd",
    "bandit-even",
    "bandit-uniform",
    "bandit-one-good-arm",
];

impl EnvironmentConfig {
    /// The environment called `name`, one of [`PRESETS`]. The bandits have 10 arms; `bandit` is the adversarial 95/5 mix.
    pub fn preset(name: &str) -> Result<Self> {
        let dark_room = |config: DarkRoomConfig| Self::DarkRoom {
            size: config.size,
            horizon: config.horizon,
            start: config.start,
            reward: if config.reward_once { GoalReward::Once } else { GoalReward::EveryStep },
        };
        let bandit = |distribution, horizon| Self::Bandit { arms: 10, horizon, distribution };
        Ok(match name {
            "dark-room" => dark_room(DarkRoomConfig::STANDARD),
            "dark-room-hard" => dark_room(DarkRoomConfig::HARD),
            "bandit" => bandit(TaskDistribution::Adversarial, 100),
            "bandit-odd" => bandit(TaskDistribution::Odd, 100),
            "bandit-even" => bandit(TaskDistribution::Even, 100),
            "bandit-uniform" => bandit(TaskDistribution::Uniform, 100),
            "bandit-one-good-arm" => bandit(TaskDistribution::OneGoodArm, 300),
            _ => {
                let known = PRESETS.join(", ");
                return Err(Error::argument(
                    "--environment",
                    format!("unknown name {name:?}; known are {known}"),
                ));
            }
        })
    }

    /// The kind of environment, as in the field `name` of a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DarkRoom { .. } => "dark-room",
            Self::Bandit { .. } => "bandit",
            Self::Custom { .. } => "custom",
        }
    }

    /// Refuses parameters that describe no environment.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |field: &str, problem: String| Err(Error::argument(format!("environment.{field}"), problem));
        match self {
            Self::DarkRoom { size, start, .. } => {
                if !(2..=MAX_DARK_ROOM_SIZE).contains(size) {
                    return refuse("size", format!("is {size}, expected 2 to {MAX_DARK_ROOM_SIZE}"));
                }
                if start.0 >= *size || start.1 >= *size {
                    return refuse("start", format!("is {start:?}, outside the {size}x{size} room"));
                }
            }
            Self::Bandit { arms, .. } => {
                if !(2..=MAX_ARMS).contains(&usize::from(*arms)) {
                    return refuse("arms", format!("is {arms}, expected 2 to {MAX_ARMS}"));
                }
            }
            Self::Custom { interface } => {
                if !interface.is_valid() {
                    return refuse("interface", "is outside the limits of the model".into());
                }
            }
        }
        if let Self::DarkRoom { horizon, .. } | Self::Bandit { horizon, .. } = self {
            if !(1..=MAX_HORIZON).contains(horizon) {
                return refuse("horizon", format!("is {horizon}, expected 1 to {MAX_HORIZON}"));
            }
        }
        Ok(())
    }

    /// What an agent sees and does: the same for every task.
    pub fn interface(&self) -> Result<Interface> {
        self.validate()?;
        match self {
            Self::Custom { interface } => Ok(interface.clone()),
            _ => Ok(self.make(0)?.interface()),
        }
    }

    /// Steps of an episode; `None` for an environment known only through its histories.
    pub fn horizon(&self) -> Option<u32> {
        match self {
            Self::DarkRoom { horizon, .. } | Self::Bandit { horizon, .. } => Some(*horizon),
            Self::Custom { .. } => None,
        }
    }

    /// Number of tasks; `None` where there is no end to them. An environment without a simulator has none.
    pub fn task_count(&self) -> Option<u32> {
        match self {
            Self::DarkRoom { size, .. } => Some(u32::from(*size) * u32::from(*size)),
            Self::Bandit { .. } => None,
            Self::Custom { .. } => Some(0),
        }
    }

    /// Task number `task`, ready to be reset.
    pub fn make(&self, task: u32) -> Result<AnyEnvironment> {
        self.validate()?;
        let made = match self {
            Self::DarkRoom { .. } => {
                let (config, goal) = self.dark_room(task)?;
                DarkRoom::new(config, goal).map(AnyEnvironment::DarkRoom)
            }
            Self::Bandit { arms, horizon, distribution } => {
                let mut rng = PortableRng::new(BANDIT_TASK_SEED, u64::from(task));
                distribution.draw(*arms, *horizon, &mut rng).map(AnyEnvironment::Bandit)
            }
            Self::Custom { .. } => None,
        };
        made.ok_or_else(|| {
            Error::argument("environment", format!("{} has no simulator: it cannot be run", self.name()))
        })
    }

    /// Room and goal of a Dark Room task.
    fn dark_room(&self, task: u32) -> Result<(DarkRoomConfig, (u16, u16))> {
        let Self::DarkRoom { size, horizon, start, reward } = self else {
            return Err(Error::argument("environment", format!("expected dark-room, found {}", self.name())));
        };
        let config = DarkRoomConfig {
            size: *size,
            horizon: *horizon,
            start: *start,
            reward_once: *reward == GoalReward::Once,
        };
        let side = u32::from(*size);
        if task >= side * side {
            return Err(Error::argument(
                "task",
                format!("is {task}, but a {side}x{side} dark-room has tasks 0 to {}", side * side - 1),
            ));
        }
        Ok((config, ((task / side) as u16, (task % side) as u16)))
    }

    /// Largest expected return of an episode of `task` (exact).
    pub fn optimal_return(&self, task: u32) -> Result<f64> {
        Ok(match self.make(task)? {
            AnyEnvironment::DarkRoom(room) => {
                let config = room.config();
                // The goal pays on arrival, and by staying put where it is the start: one step at least.
                let steps = distance(config.start, room.goal()).max(1);
                match (config.horizon + 1).saturating_sub(steps) {
                    paying if config.reward_once => f64::from(paying.min(1)),
                    paying => f64::from(paying),
                }
            }
            AnyEnvironment::Bandit(bandit) => {
                let best = bandit.probabilities().iter().fold(0.0_f32, |best, &p| best.max(p));
                f64::from(bandit.horizon()) * f64::from(best)
            }
        })
    }

    /// Expected return of an episode of `task` under uniformly random actions (exact).
    pub fn random_return(&self, task: u32) -> Result<f64> {
        Ok(match self.make(task)? {
            AnyEnvironment::DarkRoom(room) => random_dark_room_return(&room),
            AnyEnvironment::Bandit(bandit) => {
                let sum: f64 = bandit.probabilities().iter().map(|&p| f64::from(p)).sum();
                f64::from(bandit.horizon()) * sum / bandit.probabilities().len() as f64
            }
        })
    }

    /// Mean return over all tasks, episode by episode, of the ideal in-context learner of a Dark Room: it sweeps four rotated
    /// snakes over all cells but the start, one an episode, stays where it is paid, and goes straight to a goal it
    /// knows. `None` for other environments, and for rooms that four snakes from the centre do not cover exactly.
    pub fn ideal_sweep(&self) -> Option<[f64; 5]> {
        let Self::DarkRoom { size, horizon, start, reward: GoalReward::EveryStep } = self else {
            return None;
        };
        let arm = size / 2;
        if size % 2 == 0 || *start != (arm, arm) || *horizon != u32::from(arm) * u32::from(arm + 1) {
            return None;
        }
        let mut curve = [0.0; 5];
        let mut add = |task: u32, episode_found: usize, first_return: f64| -> Option<()> {
            let exploited = self.optimal_return(task).ok()?;
            for (episode, mean) in curve.iter_mut().enumerate().skip(episode_found) {
                *mean += if episode == episode_found { first_return } else { exploited };
            }
            Some(())
        };
        for turn in 0..4 {
            for (step, (row, column)) in snake(i32::from(arm)).enumerate() {
                let (mut row, mut column) = (row, column);
                for _ in 0..turn {
                    (row, column) = (column, -row);
                }
                let cell = (row + i32::from(arm)) * i32::from(*size) + column + i32::from(arm);
                add(u32::try_from(cell).ok()?, turn, f64::from(*horizon) - step as f64)?;
            }
        }
        // Not found anywhere else, so it is the start itself: known from the fifth episode on.
        let centre = u32::from(arm) * u32::from(*size) + u32::from(arm);
        add(centre, 4, self.optimal_return(centre).ok()?)?;
        let tasks = f64::from(self.task_count()?);
        Some(curve.map(|sum| sum / tasks))
    }

    /// An optimal policy for `task`, told the task: for demonstrations and noise distillation.
    pub fn optimal_policy(&self, task: u32) -> Result<OptimalPolicy> {
        Ok(match self.make(task)? {
            AnyEnvironment::DarkRoom(room) => OptimalPolicy::DarkRoom { goal: room.goal() },
            AnyEnvironment::Bandit(bandit) => {
                let arms = bandit.probabilities().iter().enumerate();
                let best =
                    arms.fold((0, f32::MIN), |best, (arm, &p)| if p > best.1 { (arm, p) } else { best });
                OptimalPolicy::Bandit { best: best.0 }
            }
        })
    }

    /// Splits the tasks by `seed`. Where tasks are finite they are shuffled, the first `held_out` are held out and the
    /// next `training` (`None`: all the others) are for training; where they have no end, training is `0..training` and held-out
    /// the `held_out` after it.
    pub fn split(&self, seed: u64, training: Option<u32>, held_out: u32) -> Result<TaskSplit> {
        let Some(count) = self.task_count() else {
            let training = training.ok_or_else(|| {
                Error::argument(
                    "--tasks",
                    format!("is needed: there is no end to the tasks of {}", self.name()),
                )
            })?;
            let end = training.saturating_add(held_out);
            if end > MAX_TASKS {
                let problem =
                    format!("{training} and {held_out} held-out tasks are too many, at most {MAX_TASKS}");
                return Err(Error::argument("--tasks", problem));
            }
            return Ok(TaskSplit { training: (0..training).collect(), held_out: (training..end).collect() });
        };
        let available = count.saturating_sub(held_out);
        let training = training.unwrap_or(available);
        if training > available || training == 0 {
            return Err(Error::argument(
                "--tasks",
                format!(
                    "{training} training and {held_out} held-out tasks do not fit the {count} of {}",
                    self.name()
                ),
            ));
        }
        let mut tasks: Vec<u32> = (0..count).collect();
        shuffle(&mut tasks, &mut PortableRng::new(seed, 0));
        let (held_out, rest) = tasks.split_at(held_out as usize);
        let mut split =
            TaskSplit { training: rest[..training as usize].to_vec(), held_out: held_out.to_vec() };
        split.training.sort_unstable();
        split.held_out.sort_unstable();
        Ok(split)
    }
}

/// Which tasks are trained on and which are kept for evaluation; each ascending, disjoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSplit {
    /// Tasks whose histories are trained on.
    pub training: Vec<u32>,
    /// Tasks that training never sees.
    pub held_out: Vec<u32>,
}

/// Shuffles tasks (Fisher and Yates).
pub(crate) fn shuffle(tasks: &mut [u32], rng: &mut PortableRng) {
    for last in (1..tasks.len()).rev() {
        tasks.swap(last, rng.below(last as u32 + 1) as usize);
    }
}

/// A task of any environment.
#[derive(Clone, Debug, PartialEq)]
// Few exist at a time, and a box would cost an indirection a step.
#[allow(clippy::large_enum_variant)]
pub enum AnyEnvironment {
    /// A Dark Room.
    DarkRoom(DarkRoom),
    /// A Bernoulli bandit.
    Bandit(Bandit),
}

/// Calls the same method of whichever environment it is.
macro_rules! dispatch {
    ($self:ident, $environment:ident => $call:expr) => {
        match $self {
            AnyEnvironment::DarkRoom($environment) => $call,
            AnyEnvironment::Bandit($environment) => $call,
        }
    };
}

impl Environment for AnyEnvironment {
    fn interface(&self) -> Interface {
        dispatch!(self, environment => environment.interface())
    }

    fn horizon(&self) -> u32 {
        dispatch!(self, environment => environment.horizon())
    }

    fn reset(&mut self, rng: &mut PortableRng) {
        dispatch!(self, environment => environment.reset(rng))
    }

    fn observe(&self, observation: &mut [i32]) {
        dispatch!(self, environment => environment.observe(observation))
    }

    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        dispatch!(self, environment => environment.step(action, rng))
    }
}

/// The best policy of a task that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimalPolicy {
    /// Goes to the goal on a shortest path, drawn at random, and stays.
    DarkRoom {
        /// Row and column of the goal.
        goal: (u16, u16),
    },
    /// Pulls the best arm.
    Bandit {
        /// Its index.
        best: usize,
    },
}

impl OptimalPolicy {
    /// An optimal action where `observation` is seen.
    #[inline]
    pub fn act(&self, observation: &[i32], rng: &mut PortableRng) -> usize {
        match self {
            Self::DarkRoom { goal } => step_towards(cell(observation), *goal, rng),
            Self::Bandit { best } => *best,
        }
    }
}

/// Row and column in a Dark Room observation.
#[inline]
pub(crate) fn cell(observation: &[i32]) -> (u16, u16) {
    (observation[0] as u16, observation[1] as u16)
}

/// Steps between two cells.
#[inline]
pub(crate) fn distance(a: (u16, u16), b: (u16, u16)) -> u32 {
    u32::from(a.0.abs_diff(b.0)) + u32::from(a.1.abs_diff(b.1))
}

/// The Dark Room action that brings `from` nearer to `to`, at random where a row and a column step both do.
#[inline]
pub(crate) fn step_towards(from: (u16, u16), to: (u16, u16), rng: &mut PortableRng) -> usize {
    let row = if to.0 < from.0 { 1 } else { 3 };
    let column = if to.1 > from.1 { 2 } else { 4 };
    match (from.0 != to.0, from.1 != to.1) {
        (false, false) => 0,
        (true, false) => row,
        (false, true) => column,
        (true, true) if rng.below(2) == 0 => row,
        (true, true) => column,
    }
}

/// Rows and columns, relative to the centre, of the quarter of a room of side `2 arm + 1` that lies above it: `arm` rows of
/// `arm + 1` cells, swept from the centre's neighbour outwards.
fn snake(arm: i32) -> impl Iterator<Item = (i32, i32)> {
    (0..arm).flat_map(move |line| {
        (0..=arm).map(move |place| (-1 - line, if line % 2 == 0 { place } else { arm - place }))
    })
}

/// Follows the distribution over cells forward in time.
fn random_dark_room_return(room: &DarkRoom) -> f64 {
    let config = room.config();
    let size = usize::from(config.size);
    let index = |cell: (u16, u16)| usize::from(cell.0) * size + usize::from(cell.1);
    let mut probabilities = vec![0.0; size * size];
    probabilities[index(config.start)] = 1.0;
    let share = 1.0 / f64::from(DarkRoomConfig::ACTIONS);
    let mut total = 0.0;
    for _ in 0..config.horizon {
        let mut next = vec![0.0; size * size];
        for row in 0..config.size {
            for column in 0..config.size {
                let here = probabilities[index((row, column))];
                for action in 0..usize::from(DarkRoomConfig::ACTIONS) {
                    next[index(config.moved((row, column), action))] += here * share;
                }
            }
        }
        let goal = &mut next[index(room.goal())];
        total += *goal;
        if config.reward_once {
            // Whoever was paid is no longer followed.
            *goal = 0.0;
        }
        probabilities = next;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(environment: &EnvironmentConfig, value: impl Fn(u32) -> Result<f64>) -> f64 {
        let tasks = environment.task_count().unwrap();
        (0..tasks).map(|task| value(task).unwrap()).sum::<f64>() / f64::from(tasks)
    }

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() < tolerance, "{a} is not {b}");
    }

    #[test]
    fn reference_returns_are_those_of_the_specification() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        close(mean(&room, |task| room.optimal_return(task)), 16.543, 1e-3);
        close(mean(&room, |task| room.random_return(task)), 0.247, 1e-3);
        let hard = EnvironmentConfig::preset("dark-room-hard").unwrap();
        close(mean(&hard, |task| hard.optimal_return(task)), 1.0, 1e-9);
        close(mean(&hard, |task| hard.random_return(task)), 0.037, 1e-3);
        let once =
            EnvironmentConfig::DarkRoom { size: 9, horizon: 20, start: (4, 4), reward: GoalReward::Once };
        close(mean(&once, |task| once.random_return(task)), 0.126, 1e-3);
        let bandit = EnvironmentConfig::preset("bandit").unwrap();
        let over =
            |value: &dyn Fn(u32) -> Result<f64>| (0..3_000).map(|t| value(t).unwrap()).sum::<f64>() / 3_000.0;
        close(over(&|task| bandit.optimal_return(task)), 91.8, 0.5);
        close(over(&|task| bandit.random_return(task)), 50.2, 0.5);
    }

    #[test]
    fn the_ideal_sweep_is_that_of_the_specification() {
        let curve = EnvironmentConfig::preset("dark-room").unwrap().ideal_sweep().unwrap();
        for (mean, expected) in curve.into_iter().zip([2.59, 6.67, 10.74, 14.81, 16.54]) {
            close(mean, expected, 0.01);
        }
        assert_eq!(EnvironmentConfig::preset("dark-room-hard").unwrap().ideal_sweep(), None);
        assert_eq!(EnvironmentConfig::preset("bandit").unwrap().ideal_sweep(), None);
    }

    #[test]
    fn the_optimal_policy_reaches_the_optimal_return() {
        let mut rng = PortableRng::new(0, 0);
        for name in ["dark-room", "dark-room-hard"] {
            let config = EnvironmentConfig::preset(name).unwrap();
            for task in 0..config.task_count().unwrap() {
                let (mut room, policy) = (config.make(task).unwrap(), config.optimal_policy(task).unwrap());
                let (mut observation, mut sum, mut done) = ([0; 2], 0.0, false);
                room.reset(&mut rng);
                while !done {
                    room.observe(&mut observation);
                    let transition = room.step(policy.act(&observation, &mut rng), &mut rng);
                    sum += f64::from(transition.reward);
                    done = transition.done;
                }
                close(sum, config.optimal_return(task).unwrap(), 1e-9);
            }
        }
    }

    #[test]
    fn splits_are_disjoint_reproducible_and_complete() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let split = room.split(7, None, 16).unwrap();
        assert_eq!(split, room.split(7, None, 16).unwrap());
        assert_ne!(split, room.split(8, None, 16).unwrap());
        let mut all = [split.training.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..81).collect::<Vec<_>>());
        // Fewer training tasks keep the same held-out ones.
        assert_eq!(room.split(7, Some(10), 16).unwrap().held_out, split.held_out);
        assert!(room.split(7, Some(66), 16).is_err());
        let bandit = EnvironmentConfig::preset("bandit").unwrap();
        let split = bandit.split(0, Some(5), 2).unwrap();
        assert_eq!((split.training, split.held_out), (vec![0, 1, 2, 3, 4], vec![5, 6]));
        assert!(bandit.split(0, None, 2).is_err());
    }

    #[test]
    fn configurations_are_read_strictly() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let text = serde_json::to_string(&room).unwrap();
        assert_eq!(text, r#"{"name":"dark-room","size":9,"horizon":20,"start":[4,4],"reward":"every-step"}"#);
        assert_eq!(serde_json::from_str::<EnvironmentConfig>(&text).unwrap(), room);
        assert!(serde_json::from_str::<EnvironmentConfig>(&text.replace("size", "sise")).is_err());
        assert!(serde_json::from_str::<EnvironmentConfig>(&text.replace("}", r#","extra":1}"#)).is_err());
        let bad =
            EnvironmentConfig::DarkRoom { size: 9, horizon: 20, start: (9, 0), reward: GoalReward::Once };
        assert!(bad.interface().unwrap_err().to_string().contains("environment.start"));
        let unknown = EnvironmentConfig::preset("dark-rom").unwrap_err().to_string();
        assert!(unknown.contains("bandit-one-good-arm"), "{unknown}");
    }
}
