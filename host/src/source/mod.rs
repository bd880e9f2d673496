//! Source algorithms: the reinforcement learning whose learning histories are distilled.

use crate::environment::{AnyEnvironment, EnvironmentConfig};
use crate::{Error, Result};
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Environment, PortableRng, Transition};
use serde::{Deserialize, Serialize};

pub mod epsilon_greedy;
pub mod noise;
pub mod psrl;
pub mod q_learning;
pub mod thompson;
pub mod ucb;

/// A learning algorithm on one task: implemented by sources, called by [`crate::history::generate()`] and by evaluation.
///
/// Order of calls: `begin_history`; then for each episode `begin_episode`, and `act` and `learn` in turn until `done`.
/// A source may be used for another history of the same task: `begin_history` forgets everything learned.
pub trait Source {
    /// Starts from no experience.
    fn begin_history(&mut self);

    /// Starts episode number `episode` of the history, counted from 0 without gaps.
    fn begin_episode(&mut self, episode: u32);

    /// Chooses an action where `observation` is seen.
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize;

    /// Learns from what followed the last [`Source::act`].
    fn learn(&mut self, outcome: &Outcome);
}

/// What followed an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// The action.
    pub action: usize,
    /// Its reward.
    pub reward: f32,
    /// What is seen now, before any reset.
    pub next_observation: &'a [i32],
    /// Whether the episode ended.
    pub done: bool,
}

/// A source algorithm and its parameters, as written in configurations and cards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// [`ucb::Ucb`], for bandits.
    Ucb {
        /// Width of the confidence bound. Textbook UCB1 is 2, a weak teacher over 100 pulls.
        #[serde(default = "defaults::alpha")]
        alpha: f64,
        /// Which of several arms with the largest bound it pulls.
        #[serde(default)]
        ties: ucb::Ties,
    },
    /// [`thompson::Thompson`], for bandits.
    Thompson {},
    /// [`epsilon_greedy::EpsilonGreedy`], for bandits.
    EpsilonGreedy {
        /// Probability of a random arm.
        #[serde(default = "defaults::epsilon")]
        epsilon: f32,
    },
    /// [`q_learning::QLearning`], for Dark Room.
    QLearning(q_learning::Parameters),
    /// [`psrl::Psrl`], for Dark Room.
    Psrl {
        /// Which possible goal it goes to.
        #[serde(default)]
        target: psrl::Target,
    },
    /// [`noise::Noise`], for every environment with a simulator.
    Noise {
        /// Fraction of the steps over which the noise falls linearly from 1 to 0.
        #[serde(default = "defaults::decay")]
        decay: f32,
    },
}

mod defaults {
    pub fn alpha() -> f64 {
        0.3
    }
    pub fn epsilon() -> f32 {
        0.1
    }
    pub fn decay() -> f32 {
        0.8
    }
}

/// Names of the sources that can learn in `environment`.
pub fn possible_sources(environment: &EnvironmentConfig) -> &'static [&'static str] {
    match environment {
        EnvironmentConfig::DarkRoom { .. } => &["psrl", "q-learning", "noise"],
        EnvironmentConfig::Bandit { .. } => &["ucb", "thompson", "epsilon-greedy", "noise"],
        EnvironmentConfig::Custom { .. } => &[],
    }
}

impl SourceConfig {
    /// The source called `name` with its default parameters.
    pub fn preset(name: &str) -> Result<Self> {
        Ok(match name {
            "ucb" => Self::Ucb { alpha: defaults::alpha(), ties: ucb::Ties::default() },
            "thompson" => Self::Thompson {},
            "epsilon-greedy" => Self::EpsilonGreedy { epsilon: defaults::epsilon() },
            "q-learning" => Self::QLearning(q_learning::Parameters::default()),
            "psrl" => Self::Psrl { target: psrl::Target::default() },
            "noise" => Self::Noise { decay: defaults::decay() },
            _ => {
                return Err(Error::argument(
                    "--source",
                    format!(
                    "unknown name {name:?}; known are ucb, thompson, epsilon-greedy, q-learning, psrl, noise"
                ),
                ))
            }
        })
    }

    /// The name of the algorithm, as in the field `name` of a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ucb { .. } => "ucb",
            Self::Thompson {} => "thompson",
            Self::EpsilonGreedy { .. } => "epsilon-greedy",
            Self::QLearning(_) => "q-learning",
            Self::Psrl { .. } => "psrl",
            Self::Noise { .. } => "noise",
        }
    }

    /// Refuses parameters out of range, and environments the algorithm cannot learn in.
    pub fn validate(&self, environment: &EnvironmentConfig) -> Result<()> {
        let possible = possible_sources(environment);
        if !possible.contains(&self.name()) {
            let what = match possible {
                [] => "no source algorithm can run there: it has no simulator".to_owned(),
                names => format!("possible there: {}", names.join(", ")),
            };
            return Err(Error::argument(
                "--source",
                format!("{} cannot learn in {}; {what}", self.name(), environment.name()),
            ));
        }
        let check = |field: &str, value: f64, good: bool, expected: &str| {
            if good {
                return Ok(());
            }
            Err(Error::argument(format!("source.{field}"), format!("is {value}, expected {expected}")))
        };
        let fraction = |field: &str, value: f32| {
            check(field, value.into(), (0.0..=1.0).contains(&value), "a number from 0 to 1")
        };
        match *self {
            Self::Ucb { alpha, .. } => check(
                "alpha",
                alpha,
                alpha.is_finite() && alpha >= 0.0,
                "a finite number that is not negative",
            ),
            Self::EpsilonGreedy { epsilon } => fraction("epsilon", epsilon),
            Self::QLearning(parameters) => {
                let q_learning::Parameters { learning_rate, discount, exploration, initial_value } =
                    parameters;
                fraction("learning_rate", learning_rate)?;
                check("learning_rate", learning_rate.into(), learning_rate > 0.0, "more than 0")?;
                fraction("discount", discount)?;
                fraction("exploration", exploration)?;
                check("initial_value", initial_value.into(), initial_value.is_finite(), "a finite number")
            }
            Self::Noise { decay } => fraction("decay", decay),
            Self::Thompson {} | Self::Psrl { .. } => Ok(()),
        }
    }
}

/// Code that works with any environment and any source; [`with_source`] calls it with the concrete types, so that
/// the choice is made once a history and not twice a step.
pub trait Visitor {
    /// What it returns.
    type Output;

    /// Is called once.
    fn visit(self, environment: impl Environment, source: impl Source) -> Self::Output;
}

/// Builds `task` and a source that will learn it for `episodes` episodes, and hands both to `visitor`.
pub fn with_source<V: Visitor>(
    environment: &EnvironmentConfig,
    source: &SourceConfig,
    task: u32,
    episodes: u32,
    visitor: V,
) -> Result<V::Output> {
    source.validate(environment)?;
    let made = environment.make(task)?;
    let optimal = environment.optimal_policy(task)?;
    Ok(match (made, *source) {
        (AnyEnvironment::DarkRoom(room), SourceConfig::Psrl { target }) => {
            let source = psrl::Psrl::new(*room.config(), target);
            visitor.visit(room, source)
        }
        (AnyEnvironment::DarkRoom(room), SourceConfig::QLearning(parameters)) => {
            let source = q_learning::QLearning::new(&room.interface(), parameters, episodes)?;
            visitor.visit(room, source)
        }
        (AnyEnvironment::DarkRoom(room), SourceConfig::Noise { decay }) => {
            let source = noise::Noise::new(optimal, &room, decay, episodes);
            visitor.visit(room, source)
        }
        (AnyEnvironment::Bandit(bandit), SourceConfig::Ucb { alpha, ties }) => {
            let source = ucb::Ucb::new(bandit.probabilities().len(), alpha, ties);
            visitor.visit(bandit, source)
        }
        (AnyEnvironment::Bandit(bandit), SourceConfig::Thompson {}) => {
            let source = thompson::Thompson::new(bandit.probabilities().len());
            visitor.visit(bandit, source)
        }
        (AnyEnvironment::Bandit(bandit), SourceConfig::EpsilonGreedy { epsilon }) => {
            let source = epsilon_greedy::EpsilonGreedy::new(bandit.probabilities().len(), epsilon);
            visitor.visit(bandit, source)
        }
        (AnyEnvironment::Bandit(bandit), SourceConfig::Noise { decay }) => {
            let source = noise::Noise::new(optimal, &bandit, decay, episodes);
            visitor.visit(bandit, source)
        }
        (_, source) => {
            return Err(Error::argument("--source", format!("{} cannot learn here", source.name())));
        }
    })
}

/// Returns of `episodes` episodes of `source` learning `task` from nothing: the source's own learning curve.
pub fn episode_returns(
    environment: &EnvironmentConfig,
    source: &SourceConfig,
    task: u32,
    episodes: u32,
    rng: &mut PortableRng,
) -> Result<Vec<f32>> {
    struct Returns<'a> {
        episodes: u32,
        rng: &'a mut PortableRng,
    }
    impl Visitor for Returns<'_> {
        type Output = Vec<f32>;

        fn visit(self, mut environment: impl Environment, mut source: impl Source) -> Vec<f32> {
            source.begin_history();
            let episode = |episode| {
                let mut sum = 0.0;
                run_episode::<MAX_CHANNELS>(
                    &mut environment,
                    &mut source,
                    episode,
                    self.rng,
                    |_, outcome| {
                        sum += outcome.reward;
                    },
                );
                sum
            };
            (0..self.episodes).map(episode).collect()
        }
    }
    with_source(environment, source, task, episodes, Returns { episodes, rng })
}

/// Runs one episode; `record` sees each observation and what followed it. `WORDS` is at least the number of words of an observation; the words
/// past it are 0. The exact number makes loops over an observation straight code.
#[inline]
pub fn run_episode<const WORDS: usize>(
    environment: &mut impl Environment,
    source: &mut impl Source,
    episode: u32,
    rng: &mut PortableRng,
    mut record: impl FnMut(&[i32; WORDS], &Outcome),
) {
    let mut next = [0; WORDS];
    environment.reset(rng);
    source.begin_episode(episode);
    environment.observe(&mut next);
    loop {
        let seen = next;
        let action = source.act(&seen, rng);
        let Transition { reward, done } = environment.step(action, rng);
        environment.observe(&mut next);
        let outcome = Outcome { action, reward, next_observation: &next, done };
        source.learn(&outcome);
        record(&seen, &outcome);
        if done {
            return;
        }
    }
}

/// Pulls and rewards of the arms of a bandit.
#[derive(Clone, Debug)]
struct Arms {
    pulls: Vec<f64>,
    sums: Vec<f64>,
}

impl Arms {
    fn new(arms: usize) -> Self {
        Self { pulls: vec![0.0; arms], sums: vec![0.0; arms] }
    }

    fn clear(&mut self) {
        self.pulls.fill(0.0);
        self.sums.fill(0.0);
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.pulls[outcome.action] += 1.0;
        self.sums[outcome.action] += f64::from(outcome.reward);
    }

    /// Pulls and sum of rewards, arm by arm.
    fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pulls.iter().copied().zip(self.sums.iter().copied())
    }
}

/// Index of the largest value, at random where several are the largest: ties broken towards the first action
/// would be learned by the student as a preference.
fn random_argmax(values: impl Iterator<Item = f64>, rng: &mut PortableRng) -> usize {
    let (mut best, mut best_value, mut ties) = (0, f64::NEG_INFINITY, 0);
    for (index, value) in values.enumerate() {
        if value > best_value {
            (best, best_value, ties) = (index, value, 1);
        } else if value == best_value {
            ties += 1;
            if rng.below(ties) == 0 {
                best = index;
            }
        }
    }
    best
}

/// Index of the largest value, the first where several are the largest.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let largest = |best: (usize, f64), value: (usize, f64)| if value.1 > best.1 { value } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), largest).0
}

/// `probability` as a bound on 32 random bits: the event is `u64::from(bits) < threshold`.
fn threshold(probability: f32) -> u64 {
    (f64::from(probability) * 4_294_967_296.0) as u64
}
