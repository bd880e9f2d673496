//! From model files and options to an [`Evaluation`].

use super::asking::Asked;
use super::entrant::Entrants;
use super::evaluation::Evaluation;
use super::policy::{Learner, UniformRandom};
use super::report::chart::{Kind, Series, RESERVED_KEYS};
use super::rollout::{Axis, Contexts, Stream};
use super::tasks::untrained_tasks;
use crate::environment::EnvironmentConfig;
use crate::export::TrainingCard;
use crate::history::GenerateConfig;
use crate::parameters::Parameters;
use crate::progress::Progress;
use crate::{Error, Result};
use algodistill_core::Sampling;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::PathBuf;

/// Most returns (where an episode is a whole context, rewards) of an evaluation: all are kept, for
/// each curve.
const MAX_VALUES: u64 = 10_000_000;

/// How models are evaluated. Fields that are absent follow the environment: 40 episodes and 4 runs
/// of every held-out task, or, where one episode is long enough to learn in (bandits), 1 and 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Name of a preset; absent: the environment the first model was trained in.
    pub environment: Option<String>,
    /// What differs from the preset.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// Held-out tasks to use; absent: all of the training card.
    pub tasks: Option<u32>,
    /// Contexts of each task.
    pub runs: Option<u32>,
    /// Episodes of each context.
    pub episodes: Option<u32>,
    /// In place of episodes: steps of each context, one unbroken stream, reported by blocks as long
    /// as an episode is elsewhere, or nearly so where they are no multiple of that.
    pub steps: Option<u32>,
    /// Seed of everything random.
    pub seed: u64,
    /// Softmax temperature; absent: 1. 0 is greedy.
    pub temperature: Option<f32>,
    /// Percentage of optimal actions of the demonstration that begins each context; absent: no
    /// demonstration.
    pub prompt: Option<u8>,
    /// Return that models are asked for that are (Decision Transformers); absent: the optimum of the
    /// task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_return: Option<f32>,
    /// First and last episode (block) of the summary, from 1; absent: the second half.
    pub mean_over: Option<(u32, u32)>,
}

/// The files to be compared.
#[derive(Clone, Debug, Default)]
pub struct Contestants {
    /// Weights files that the evaluation is about: training seeds of one configuration, at least
    /// one.
    pub models: Vec<PathBuf>,
    /// What they are called in legends; absent: `int8 model, in context`.
    pub label: Option<String>,
    /// Further models, each a line of its own.
    pub others: Vec<Contestant>,
    /// Float model of the first weights file.
    pub float: Option<PathBuf>,
    /// Whether to compare the float model's action distributions with those of the first weights
    /// file.
    pub compare_float: bool,
}

/// A further model on the same axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// Key of its line in JSON and CSV.
    pub name: String,
    /// Its name in legends.
    pub label: String,
    /// Weights files: training seeds of one configuration.
    pub models: Vec<PathBuf>,
    /// Its own [`EvaluateConfig::prompt`]; absent: that of all.
    pub prompt: Option<u8>,
}

/// Refuses a name that cannot be the key of a line.
///
/// # Errors
/// [`Error::Argument`] `name`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
        return Err(Error::argument(
            "name",
            format!("is {name:?}, expected letters, digits, '-', '_' and '.'"),
        ));
    }
    if RESERVED_KEYS.contains(&name) {
        let problem =
            format!("is {name:?}, which every chart has; these are taken: {}", RESERVED_KEYS.join(", "));
        return Err(Error::argument("name", problem));
    }
    Ok(())
}

impl EvaluateConfig {
    pub(super) fn sampling(&self) -> Sampling {
        match self.temperature {
            Some(0.0) => Sampling::Greedy,
            temperature => Sampling::Temperature(temperature.unwrap_or(1.0)),
        }
    }

    /// The environment and its name.
    pub(crate) fn environment(&self, card: &TrainingCard) -> Result<(String, EnvironmentConfig)> {
        if let Some(name) = &self.environment {
            let environment = EnvironmentConfig::preset(name)?.with(&self.parameters)?;
            return Ok((name.clone(), environment));
        }
        if !self.parameters.is_empty() {
            return Err(Error::argument("environment", "is needed: its parameters were given"));
        }
        let trained_in = card.trained_in().next().ok_or_else(|| {
            Error::argument(
                "environment",
                "is needed: the model was trained on histories without a simulator",
            )
        })?;
        let trained_in = trained_in.environment();
        Ok((trained_in.preset_name().into(), trained_in.clone()))
    }

    /// Refuses numbers that are out of range wherever it is run.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub(super) fn check_ranges(&self) -> Result<()> {
        let refuse = |field: &str, found: String, expected: &str| {
            Err(Error::argument(field, format!("is {found}, expected {expected}")))
        };
        for (field, given, most, expected) in [
            ("tasks", self.tasks, 1_000_000, "1 to 1,000,000"),
            ("runs", self.runs, 1_000_000, "1 to 1,000,000"),
            ("episodes", self.episodes, 100_000, "1 to 100,000"),
        ] {
            if let Some(found) = given.filter(|given| !(1..=most).contains(given)) {
                return refuse(field, found.to_string(), expected);
            }
        }
        if let Some(found) = self.prompt.filter(|percent| *percent > 100) {
            return refuse("prompt", found.to_string(), "a percentage, 0 to 100");
        }
        if let Some(found) = self.wanted_return.filter(|wanted| !wanted.is_finite()) {
            return refuse("wanted_return", found.to_string(), "a finite number");
        }
        let valid = |temperature: &f32| *temperature == 0.0 || (0.01..=100.0).contains(temperature);
        if let Some(found) = self.temperature.filter(|temperature| !valid(temperature)) {
            return refuse("temperature", found.to_string(), "0 (greedy) or 0.01 to 100");
        }
        Ok(())
    }

    /// Refuses what cannot be run in `environment`, before a model is there.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn check(&self, environment: &EnvironmentConfig) -> Result<()> {
        self.check_ranges()?;
        let points = match self.stream(environment)? {
            Some(stream) => stream.steps / stream.block,
            None => self.episodes.unwrap_or(environment.defaults()?.context_episodes),
        };
        self.summary(points).map(drop)
    }

    fn contexts(&self, environment: &EnvironmentConfig, cards: &[TrainingCard]) -> Result<Contexts> {
        let defaults = environment.defaults()?;
        let contexts = Contexts {
            tasks: untrained_tasks(environment, cards, self.tasks, self.seed)?,
            runs: self.runs.unwrap_or(defaults.runs),
            episodes: if self.steps.is_some() {
                1
            } else {
                self.episodes.unwrap_or(defaults.context_episodes)
            },
            seed: self.seed,
            demonstration: demonstration(self.prompt),
            stream: self.stream(environment)?,
        };
        let points = match contexts.axis() {
            Axis::Episode => contexts.episodes,
            Axis::Block(_) => contexts.blocks(),
            Axis::Step => environment.horizon().unwrap_or(1),
        };
        check_values(contexts.tasks.len(), contexts.runs as usize, points as usize)?;
        Ok(contexts)
    }

    fn stream(&self, environment: &EnvironmentConfig) -> Result<Option<Stream>> {
        let Some(steps) = self.steps else { return Ok(None) };
        if self.episodes.is_some() {
            return Err(Error::argument("steps", "takes the place of episodes: give one of them"));
        }
        if steps == 0 {
            return Err(Error::argument("steps", "is 0, expected 1 or more"));
        }
        let stream = Stream { steps, block: block(steps, environment.horizon().unwrap_or(1)) };
        stream.running(environment)?;
        Ok(Some(stream))
    }

    /// Episodes of the summary, from 0.
    fn summary(&self, episodes: u32) -> Result<Range<usize>> {
        summary(self.mean_over, episodes)
    }
}

/// Refuses more values than are kept of a curve.
pub(super) fn check_values(tasks: usize, runs: usize, points: usize) -> Result<()> {
    let values = (tasks as u64).saturating_mul(runs as u64).saturating_mul(points as u64);
    if values > MAX_VALUES {
        let problem = format!(
            "{runs} runs of {tasks} tasks, {points} points each, are {values} values to keep, at most {MAX_VALUES}"
        );
        return Err(Error::argument("runs", problem));
    }
    Ok(())
}

/// Episodes of the summary, from 0, of `episodes`: the second half unless told.
pub(super) fn summary(mean_over: Option<(u32, u32)>, episodes: u32) -> Result<Range<usize>> {
    let (first, last) = mean_over.unwrap_or((episodes / 2 + 1, episodes));
    if first == 0 || first > last || last > episodes {
        let problem = format!("is {first}-{last}, expected FIRST-LAST within 1-{episodes}");
        return Err(Error::argument("mean_over", problem));
    }
    Ok(first as usize - 1..last as usize)
}

/// How actions are chosen.
pub(super) fn in_words(sampling: Sampling) -> String {
    match sampling {
        Sampling::Greedy => "greedy".into(),
        Sampling::Temperature(temperature) => format!("temperature {temperature}"),
    }
}

/// Share of optimal actions of a demonstration with this percentage of them.
fn demonstration(percent: Option<u8>) -> Option<f32> {
    percent.map(|percent| f32::from(percent) / 100.0)
}

/// Steps of a block of a stream of `steps`, all of the same length: as near to `horizon` as can be.
fn block(steps: u32, horizon: u32) -> u32 {
    let pairs =
        (1..=steps.isqrt()).filter(|small| steps.is_multiple_of(*small)).map(|small| [small, steps / small]);
    let unlike = |block: u32| f64::from(block.max(horizon)) / f64::from(block.min(horizon));
    pairs.flatten().min_by(|a, b| unlike(*a).total_cmp(&unlike(*b))).unwrap_or(steps)
}

/// Evaluates `contestants` and every baseline that exists for the environment.
///
/// # Errors
/// [`Error::Argument`] for a configuration that cannot be run, with the name of its field;
/// [`Error::File`] and [`Error::Io`] for files; [`Error::Cancelled`].
pub fn evaluate(
    config: &EvaluateConfig,
    contestants: &Contestants,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    let sampling = config.sampling();
    let entrants = Entrants::read(contestants, sampling)?;
    let Entrants { main, others, float } = &entrants;
    let (first, card) = (entrants.first(), &main.cards[0]);
    let (name, environment) = config.environment(card)?;
    config.check(&environment)?;
    entrants.check(&name, &environment, config.wanted_return)?;
    let cards = entrants.cards();
    let contexts = config.contexts(&environment, &cards)?;
    let summary = config.summary(contexts.stream.map_or(contexts.episodes, |_| contexts.blocks()))?;
    let steps = u64::from(contexts.episodes) * u64::from(environment.horizon().unwrap_or(0));
    let stream = contexts.stream.map_or(steps, |stream| stream.steps.into());
    let mut evaluation = Evaluation::new(&name, environment, contexts, summary)?;
    evaluation.held_out = cards.iter().all(TrainingCard::knows_all_tasks);
    evaluation.models = main.summarize()?;
    for (contestant, entrant) in others {
        evaluation.others.push((contestant.name.clone(), entrant.summarize()?));
    }
    let horizon = evaluation.environment.horizon().unwrap_or(0);
    let uneven = evaluation.contexts.stream.filter(|stream| stream.block != horizon).map(|stream| {
        let Stream { steps, block } = stream;
        format!("{steps} steps are no multiple of the {horizon} of an episode: reported in blocks of {block}")
    });
    evaluation.warnings = entrants
        .all()
        .flat_map(|entrant| [entrant.warning(stream), entrant.foreign(&name, &evaluation.environment)])
        .chain([uneven])
        .flatten()
        .collect();
    evaluation.sampling = in_words(sampling);

    let series = contestants.label.as_deref().map_or_else(|| Series::of(Kind::Main), Series::main);
    let running = evaluation.running().clone();
    let wanted = config.wanted_return;
    let usual = config.prompt;
    let mut measure = |prompt: Option<u8>, series: Series, models: &[Asked]| {
        let learners: Vec<&dyn Learner> = models.iter().map(|model| model as &dyn Learner).collect();
        evaluation.measure_after(demonstration(prompt), series, &learners, progress)
    };
    measure(usual, series, &main.asked(&running, wanted))?;
    if let Some(float) = float {
        let asked = Asked { model: float, objective: first.goal(), wanted, environment: &running };
        measure(usual, Series::of(Kind::Float), &[asked])?;
    }
    for (place, (contestant, entrant)) in others.iter().enumerate() {
        let series = Series::other(place, &contestant.name, &contestant.label);
        measure(contestant.prompt.or(usual), series, &entrant.asked(&running, wanted))?;
    }
    if let Some(generation) = source_of(card, &evaluation.environment) {
        evaluation.measure_source(&generation.source, generation.episodes, progress)?;
    }
    let actions = evaluation.environment.interface()?.actions;
    evaluation.measure(Series::of(Kind::Random), &[&move |_| Ok(UniformRandom { actions })], progress)?;
    if let Some(float) = float.as_ref().filter(|_| contestants.compare_float) {
        evaluation.compare(first, float, config.wanted_return, progress)?;
    }
    Ok(evaluation)
}

/// Where the source of `environment` is configured: with its own histories, or else with the first
/// that fit.
fn source_of<'a>(card: &'a TrainingCard, environment: &EnvironmentConfig) -> Option<&'a GenerateConfig> {
    // An agent of many tasks is not to be seen in the histories of one.
    let all = || card.known_generations().filter(|one| one.tasks_per_history.is_one());
    let own = all().find(|one| one.environment == *environment);
    own.or_else(|| all().find(|one| one.source.validate(environment).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_any_length_is_reported_in_equal_blocks_about_as_long_as_an_episode() {
        for (steps, horizon, expected) in [
            (3_000, 300, 300),
            (3_000, 608, 600),
            (1_216, 608, 608),
            (50, 20, 25),
            (100, 608, 100),
            (3_001, 608, 3_001),
            (1, 20, 1),
        ] {
            assert_eq!(block(steps, horizon), expected, "{steps} with {horizon}");
        }
        let room = EnvironmentConfig::preset("dark-room").expect("a preset");
        let check = |steps| EvaluateConfig { steps: Some(steps), ..EvaluateConfig::default() }.check(&room);
        assert!(check(1_000_000).is_ok());
        let problem = check(2_000_000).expect_err("too long").to_string();
        assert_eq!(problem, "steps: sets horizon, which is 2000000, expected 1 to 1,000,000");
        assert!(check(0).is_err());
    }

    #[test]
    fn the_summary_is_the_second_half_unless_told() {
        let config = EvaluateConfig::default();
        assert_eq!(config.summary(40).ok(), Some(20..40));
        assert_eq!(config.summary(1).ok(), Some(0..1));
        let told = EvaluateConfig { mean_over: Some((3, 5)), ..config };
        assert_eq!(told.summary(5).ok(), Some(2..5));
        assert!(told.summary(4).is_err());
    }
}
