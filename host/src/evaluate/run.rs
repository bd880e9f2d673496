//! From model files and options to an [`Evaluation`].

use super::card::TrainingCard;
use super::chart::Series;
use super::evaluation::{Evaluation, ModelSummary};
use super::fidelity::fidelity;
use super::models::{FloatModel, Int8Model};
use super::policy::{Learner, UniformRandom};
use super::rollout::{Axis, Contexts};
use crate::environment::{EnvironmentConfig, Parameters, PRESETS};
use crate::history::GenerateConfig;
use crate::train::load_parameters;
use crate::{Error, Result};
use algodistill_core::{PortableRng, Sampling};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Most returns (where an episode is a whole context, rewards) of an evaluation: all are kept, for each curve.
const MAX_VALUES: u64 = 10_000_000;

/// Tasks of an environment without an end to them, unless the histories or the user say how many.
const DEFAULT_TASKS: u32 = 500;

/// How models are evaluated. Fields that are absent follow the environment: 40 episodes and 4 runs of every held-out
/// task, or, where one episode is long enough to learn in (bandits), 1 and 1.
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
    /// Seed of everything random.
    pub seed: u64,
    /// Softmax temperature; absent: 1. 0 is greedy.
    pub temperature: Option<f32>,
    /// Percentage of optimal actions of the demonstration that begins each context; absent: no demonstration.
    pub prompt: Option<u8>,
    /// First and last episode of the summary, from 1; absent: the second half.
    pub mean_over: Option<(u32, u32)>,
}

/// The files to be compared.
#[derive(Clone, Debug, Default)]
pub struct Contestants {
    /// Weights files: training seeds of one configuration, at least one.
    pub models: Vec<PathBuf>,
    /// Weights files of expert distillation.
    pub experts: Vec<PathBuf>,
    /// Float model of the first weights file.
    pub float: Option<PathBuf>,
    /// Whether to compare the float model's action distributions with those of the first weights file.
    pub compare_float: bool,
}

impl EvaluateConfig {
    fn sampling(&self) -> Sampling {
        match self.temperature {
            Some(0.0) => Sampling::Greedy,
            temperature => Sampling::Temperature(temperature.unwrap_or(1.0)),
        }
    }

    /// The environment and its name.
    pub(crate) fn environment(&self, card: &TrainingCard) -> Result<(String, EnvironmentConfig)> {
        if let Some(name) = &self.environment {
            return Ok((name.clone(), self.parameters.apply(name)?));
        }
        if !self.parameters.is_empty() {
            return Err(Error::argument("--environment", "is needed: its parameters were given"));
        }
        let generation = card.known_generations().next().ok_or_else(|| {
            Error::argument(
                "--environment",
                "is needed: the model was trained on histories without a simulator",
            )
        })?;
        let trained_in = &generation.environment;
        let is_it = |name: &&&str| EnvironmentConfig::preset(name).is_ok_and(|preset| preset == *trained_in);
        let name = PRESETS.iter().find(is_it).copied().unwrap_or(trained_in.name());
        Ok((name.into(), trained_in.clone()))
    }

    fn contexts(&self, environment: &EnvironmentConfig, cards: &[TrainingCard]) -> Result<Contexts> {
        let bandit = matches!(environment, EnvironmentConfig::Bandit { .. });
        let default = |many| if bandit { 1 } else { many };
        let contexts = Contexts {
            tasks: self.tasks(environment, cards)?,
            runs: self.runs.unwrap_or(default(4)),
            episodes: self.episodes.unwrap_or(default(40)),
            seed: self.seed,
            demonstration: self.prompt.map(|percent| f32::from(percent) / 100.0),
        };
        let points = match contexts.axis() {
            Axis::Episode => contexts.episodes,
            Axis::Step => environment.horizon().unwrap_or(1),
        };
        let values = (contexts.count() as u64).saturating_mul(points.into());
        if values > MAX_VALUES {
            let Contexts { tasks, runs, .. } = &contexts;
            let problem = format!(
                "{runs} runs of {} tasks, {points} points each, are {values} values to keep, at most {MAX_VALUES}",
                tasks.len()
            );
            return Err(Error::argument("--runs", problem));
        }
        Ok(contexts)
    }

    /// Tasks that no model was trained on: held out where `environment` was trained in, and not trained on in another environment either, where the
    /// same number is a related task (the same goal, or arms of the same draws). Of histories that another program wrote the tasks are not
    /// known; models of such histories only are run on all tasks.
    pub(crate) fn tasks(&self, environment: &EnvironmentConfig, cards: &[TrainingCard]) -> Result<Vec<u32>> {
        let generations: Vec<&GenerateConfig> =
            cards.iter().flat_map(TrainingCard::known_generations).collect();
        let own = generations.iter().find(|one| one.environment == *environment).or(generations.first());
        let splits = generations.iter().map(|one| one.split()).collect::<Result<Vec<_>>>()?;
        let Some(count) = environment.task_count() else {
            // There is no end to the tasks, and training used the first ones.
            let first = splits.iter().map(|split| split.training.len() as u32).max().unwrap_or(0);
            let count = self.tasks.unwrap_or(own.map_or(0, |one| one.held_out));
            let count = if count == 0 { DEFAULT_TASKS } else { count };
            return Ok((first..first.saturating_add(count)).collect());
        };
        let trained: HashSet<u32> = splits.iter().flat_map(|split| split.training.iter().copied()).collect();
        let mut tasks = match own {
            Some(own) => own.split()?.held_out,
            None => (0..count).collect(),
        };
        tasks.retain(|task| !trained.contains(task));
        if tasks.is_empty() {
            let problem = "has no task that the model was not trained on; generate histories with --held-out, all with the same --split-seed";
            return Err(Error::argument("--environment", problem));
        }
        let Some(wanted) = self.tasks else { return Ok(tasks) };
        if wanted as usize > tasks.len() {
            let problem = format!("is {wanted}, but the model has {} held-out tasks", tasks.len());
            return Err(Error::argument("--tasks", problem));
        }
        Ok(choose(tasks, wanted as usize, self.seed))
    }

    /// Episodes of the summary, from 0.
    fn summary(&self, episodes: u32) -> Result<std::ops::Range<usize>> {
        let (first, last) = self.mean_over.unwrap_or((episodes / 2 + 1, episodes));
        if first == 0 || first > last || last > episodes {
            let problem = format!("is {first}-{last}, expected FIRST-LAST within 1-{episodes}");
            return Err(Error::argument("--mean-over", problem));
        }
        Ok(first as usize - 1..last as usize)
    }
}

/// `wanted` of `tasks`, drawn by `seed`, ascending.
fn choose(mut tasks: Vec<u32>, wanted: usize, seed: u64) -> Vec<u32> {
    // The stream lies apart from those of rollouts, whose upper half is a task number, and from that of the bootstrap.
    let mut rng = PortableRng::new(seed, u64::MAX - 1);
    for place in 0..wanted {
        let left = (tasks.len() - place) as u32;
        tasks.swap(place, place + rng.below(left) as usize);
    }
    tasks.truncate(wanted);
    tasks.sort_unstable();
    tasks
}

/// Evaluates `contestants` and every baseline that exists for the environment.
pub fn evaluate(config: &EvaluateConfig, contestants: &Contestants) -> Result<Evaluation> {
    let sampling = config.sampling();
    let read = |paths: &[PathBuf]| -> Result<Vec<Int8Model>> {
        paths.iter().map(|path| Int8Model::read(path, sampling)).collect()
    };
    let (models, experts) = (read(&contestants.models)?, read(&contestants.experts)?);
    let first = models.first().ok_or_else(|| Error::argument("MODEL.adw", "at least one is needed"))?;
    let card_of = |model: &Int8Model| TrainingCard::parse(model.path(), model.decode()?.card());
    let cards = models.iter().chain(&experts).map(card_of).collect::<Result<Vec<_>>>()?;
    let card = &cards[0];
    let (name, environment) = config.environment(card)?;
    for model in models.iter().chain(&experts) {
        model.check_interface(&name, &environment)?;
    }
    let float =
        contestants.float.as_deref().map(|path| read_float(path, first, card, sampling)).transpose()?;
    let contexts = config.contexts(&environment, &cards)?;
    let summary = config.summary(contexts.episodes)?;
    let mut evaluation = Evaluation::new(&name, environment, contexts, summary)?;
    evaluation.held_out = cards.iter().all(|card| card.generations.iter().all(Option::is_some));
    evaluation.models = models.iter().map(summarize).collect::<Result<_>>()?;
    evaluation.sampling = match sampling {
        Sampling::Greedy => "greedy".into(),
        Sampling::Temperature(temperature) => format!("temperature {temperature}"),
    };

    evaluation.measure(Series::Int8, &learners(&models))?;
    if let Some(float) = &float {
        evaluation.measure(Series::Float, &[float])?;
    }
    if !experts.is_empty() {
        evaluation.measure(Series::Expert, &learners(&experts))?;
    }
    if let Some(generation) = source_of(card, &evaluation.environment) {
        evaluation.measure_source(&generation.source, generation.episodes)?;
    }
    let actions = evaluation.environment.interface()?.actions;
    evaluation.measure(Series::Random, &[&move |_| Ok(UniformRandom { actions })])?;
    if let Some(float) = float.filter(|_| contestants.compare_float) {
        let compared = fidelity(&evaluation.environment, &evaluation.contexts, first, &float)?;
        evaluation.fidelity = Some(compared);
    }
    Ok(evaluation)
}

/// Where the source of `environment` is configured: with its own histories, or else with the first that fit.
fn source_of<'a>(card: &'a TrainingCard, environment: &EnvironmentConfig) -> Option<&'a GenerateConfig> {
    let own = card.known_generations().find(|one| one.environment == *environment);
    own.or_else(|| card.known_generations().find(|one| one.source.validate(environment).is_ok()))
}

fn learners(models: &[Int8Model]) -> Vec<&dyn Learner> {
    models.iter().map(|model| model as &dyn Learner).collect()
}

fn summarize(model: &Int8Model) -> Result<ModelSummary> {
    Ok(ModelSummary {
        file: model.path().display().to_string(),
        parameters: model.decode()?.parameters(),
        bytes: model.file_len(),
    })
}

/// The same configuration, histories and updates give the same parameters, so they identify the model.
fn read_float(path: &Path, int8: &Int8Model, card: &TrainingCard, sampling: Sampling) -> Result<FloatModel> {
    let (parameters, training) = load_parameters(path)?;
    if training != card.training || parameters.interface != *int8.decode()?.interface() {
        let problem = format!(
            "is not the model that {} was exported from: seed {}, update {} on histories {:.8}, expected seed {}, update {} \
             on {:.8} and the same configuration",
            int8.path().display(),
            training.config.seed,
            training.update,
            training.dataset,
            card.training.config.seed,
            card.training.update,
            card.training.dataset,
        );
        return Err(Error::file(path, problem));
    }
    Ok(FloatModel { parameters, sampling })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_tasks_are_ascending_and_distinct() {
        let chosen = choose((10..30).collect(), 7, 3);
        assert_eq!(chosen.len(), 7);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(chosen.iter().all(|task| (10..30).contains(task)));
        assert_eq!(chosen, choose((10..30).collect(), 7, 3));
    }

    /// The card of a model that was trained on histories of `environments` with these numbers of training tasks and seeds of the split.
    fn card(files: &[(&str, Option<u32>, u64)]) -> TrainingCard {
        let generation = |&(name, tasks, split_seed): &(&str, Option<u32>, u64)| {
            let environment = EnvironmentConfig::preset(name).expect("a preset");
            let source = crate::source::possible_sources(&environment)[0];
            let source = crate::source::SourceConfig::preset(source).expect("a source");
            let defaults = GenerateConfig::recommended(environment, source);
            Some(GenerateConfig { tasks, split_seed, held_out: 10, ..defaults })
        };
        TrainingCard {
            generations: files.iter().map(generation).collect(),
            training: crate::train::TrainingRecord {
                config: crate::train::TrainConfig::default(),
                dataset: String::new(),
                update: 0,
            },
            evaluation: None,
        }
    }

    fn tasks(name: &str, wanted: Option<u32>, cards: &[TrainingCard]) -> Result<Vec<u32>> {
        let config = EvaluateConfig { tasks: wanted, ..EvaluateConfig::default() };
        config.tasks(&EnvironmentConfig::preset(name).expect("a preset"), cards)
    }

    #[test]
    fn no_task_of_an_evaluation_was_trained_on() {
        let split = |seed| {
            let room = EnvironmentConfig::preset("dark-room").expect("a preset");
            room.split(seed, None, 10).expect("a split")
        };
        let (a, b) = (card(&[("dark-room", None, 0)]), card(&[("dark-room", None, 1)]));
        assert_eq!(tasks("dark-room", None, &[a.clone()]).expect("tasks"), split(0).held_out);
        // Held out in both, where two files or two models have splits of their own.
        let mut both = split(0).held_out;
        both.retain(|task| split(1).held_out.contains(task));
        let mixed = card(&[("dark-room", None, 0), ("dark-room", None, 1)]);
        for cards in [&[a.clone(), b.clone()][..], &[mixed]] {
            match tasks("dark-room", None, cards) {
                Ok(found) => assert_eq!(found, both),
                Err(error) => {
                    assert!(both.is_empty() && error.to_string().contains("--split-seed"), "{error}")
                }
            }
        }
        assert!(tasks("dark-room", Some(11), &[a])
            .expect_err("too many")
            .to_string()
            .contains("10 held-out"));
        // Where tasks have no end, those after the last one of any file.
        let bandits = card(&[("bandit-odd", Some(200), 0), ("bandit-uniform", Some(300), 0)]);
        for name in ["bandit-odd", "bandit-uniform", "bandit-even"] {
            let cards = [bandits.clone()];
            assert_eq!(tasks(name, None, &cards).expect("tasks"), (300..310).collect::<Vec<_>>(), "{name}");
            assert_eq!(tasks(name, Some(3), &cards).expect("tasks"), [300, 301, 302], "{name}");
        }
    }

    #[test]
    fn histories_without_held_out_tasks_leave_a_dark_room_nothing_to_evaluate_on() {
        let mut all = card(&[("dark-room", None, 0), ("bandit", Some(200), 0)]);
        all.generations.iter_mut().flatten().for_each(|generation| generation.held_out = 0);
        let refused = tasks("dark-room", None, &[all.clone()]).expect_err("every goal was trained on");
        assert!(refused.to_string().contains("--held-out"), "{refused}");
        all.generations.remove(0);
        assert_eq!(tasks("bandit", Some(2), &[all]).expect("tasks"), [200, 201]);
    }

    #[test]
    fn the_card_of_one_file_is_that_of_the_shipped_models() {
        let one = card(&[("dark-room", None, 0)]);
        assert!(one.to_json().starts_with(r#"{"generation":{"environment":{"name":"dark-room""#));
        let mut several = card(&[("dark-room", None, 0), ("bandit", Some(5), 1)]);
        several.generations.push(None);
        let foreign = TrainingCard { generations: vec![None], ..one.clone() };
        for card in [one, several, foreign] {
            assert_eq!(TrainingCard::parse(Path::new("x.adw"), &card.to_json()).expect("a card"), card);
        }
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
