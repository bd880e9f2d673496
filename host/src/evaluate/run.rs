//! From model files and options to an [`Evaluation`].

use super::card::TrainingCard;
use super::chart::Series;
use super::evaluation::{Evaluation, ModelSummary};
use super::fidelity::fidelity;
use super::models::{FloatModel, Int8Model};
use super::policy::{Learner, UniformRandom};
use super::rollout::{Axis, Contexts};
use super::tasks::untrained_tasks;
use crate::environment::EnvironmentConfig;
use crate::history::GenerateConfig;
use crate::parameters::Parameters;
use crate::train::load_parameters;
use crate::{Error, Result};
use algodistill_core::Sampling;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Most returns (where an episode is a whole context, rewards) of an evaluation: all are kept, for each curve.
const MAX_VALUES: u64 = 10_000_000;

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
            let environment = EnvironmentConfig::preset(name)?.with(&self.parameters)?;
            return Ok((name.clone(), environment));
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
        Ok((trained_in.preset_name().into(), trained_in.clone()))
    }

    fn contexts(&self, environment: &EnvironmentConfig, cards: &[TrainingCard]) -> Result<Contexts> {
        let defaults = environment.defaults()?;
        let contexts = Contexts {
            tasks: untrained_tasks(environment, cards, self.tasks, self.seed)?,
            runs: self.runs.unwrap_or(defaults.runs),
            episodes: self.episodes.unwrap_or(defaults.context_episodes),
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
    fn the_summary_is_the_second_half_unless_told() {
        let config = EvaluateConfig::default();
        assert_eq!(config.summary(40).ok(), Some(20..40));
        assert_eq!(config.summary(1).ok(), Some(0..1));
        let told = EvaluateConfig { mean_over: Some((3, 5)), ..config };
        assert_eq!(told.summary(5).ok(), Some(2..5));
        assert!(told.summary(4).is_err());
    }
}
