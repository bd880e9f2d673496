//! Experiments as data: everything that decides a result, in one TOML file.

use super::claims::Claim;
use super::scale::Scale;
use crate::environment::EnvironmentConfig;
use crate::error::in_plain_words;
use crate::evaluate::{check_name, same_tasks, unlike, EvaluateConfig};
use crate::files::read_text;
use crate::history::{FilterConfig, GenerateConfig, TasksPerHistory};
use crate::parameters::{fields, Parameters};
use crate::source::SourceConfig;
use crate::toml_text::from_toml;
use crate::train::objective::ObjectiveConfig;
use crate::train::TrainConfig;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::Path;

macro_rules! experiments {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of every experiment of this repository.
        const EXPERIMENTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../experiments/", $name, ".toml")))),+];
    };
}

// One line per file of host/experiments.
experiments! {
    "quickstart",
    "dark-room",
    "dark-room-q",
    "dark-room-sweep",
    "dark-room-hard",
    "key-to-door",
    "key-to-door-q",
    "key-to-door-networks",
    "light-key-to-door",
    "bandit",
    "linear-bandit",
    "restless-bandit",
    "watermaze",
    "watermaze-pose",
    "watermaze-dqn",
    "servo",
    "methods-dark-room",
    "objectives-key-to-door",
    "offline-q-key-to-door",
    "decision-transformer-light-key-to-door",
    "filtered-histories",
    "bc-key-to-door",
    "context-length",
    "training-progress",
    "light-key-to-door-sac",
    "source-curves",
    "model-size",
    "kv-heads",
    "microbit",
    "label-smoothing",
    "training-tasks",
    "token-masking",
    "prompts",
    "single-stream",
}

/// Names that no report can have: those of other files of a run, and the end of those of cards.
const RESERVED: [&str; 2] = ["stages", "results"];
const CARD: &str = ".card";
/// Most models of one name.
const MAX_SEEDS: u32 = 1_000;

/// How to make histories, models and reports. A program's or a user's own file is as good as those
/// of this repository; what a file does not say takes the recommended value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Its name: also that of its folder under `runs/`.
    pub name: String,
    /// What it makes, in one sentence.
    #[serde(default)]
    pub makes: String,
    /// The figure or table of the literature that it stands beside.
    #[serde(default)]
    pub beside: String,
    /// What is to be seen there, in a sentence or two.
    #[serde(default)]
    pub shows: String,
    /// How much of it is run.
    #[serde(default, skip_serializing_if = "Scale::is_full")]
    pub scale: Scale,
    /// The learning histories.
    pub histories: Vec<HistoriesConfig>,
    /// The models, trained on them. The first is what the experiment is about. There may be none
    /// where only the histories are looked at.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// The evaluations, one report each.
    #[serde(default)]
    pub evaluations: Vec<EvaluationConfig>,
    /// What the reports should say, where the original's effect is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// Learning histories under a name: where, by which source, and how many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoriesConfig {
    /// Their name; the file is NAME.parquet.
    pub name: String,
    /// Name of a preset.
    pub environment: String,
    /// What differs from the preset.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// Name of a source algorithm; absent: the first that can learn there.
    pub source: Option<String>,
    /// What differs from the defaults of the source.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub source_parameters: Parameters,
    /// Seed of the histories; absent: 0.
    pub seed: Option<u64>,
    /// Seed of the split into training and held-out tasks; absent: 0.
    pub split_seed: Option<u64>,
    /// Training tasks.
    pub tasks: Option<u32>,
    /// Tasks held out from training.
    pub held_out: Option<u32>,
    /// Histories of each training task.
    pub histories_per_task: Option<u32>,
    /// Histories of each held-out task, for the validation loss.
    pub held_out_histories_per_task: Option<u32>,
    /// Episodes of a history.
    pub episodes: Option<u32>,
    /// Of these, every so many-th is written.
    pub keep_every: Option<u32>,
    /// Whether the optimal action of every step is written beside the one that was taken; absent:
    /// no.
    pub optimal_actions: Option<bool>,
    /// Of how many tasks each is, a number or "all"; absent: 1.
    pub tasks_per_history: Option<TasksPerHistory>,
    /// Which of them are trained on; absent: all.
    pub filter: Option<FilterConfig>,
    /// One of these fields and a list of values: in place of these histories, some for each value,
    /// called NAME-VALUE.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub vary: Parameters,
}

impl HistoriesConfig {
    /// With everything that is absent filled in, and validated.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn resolve(&self) -> Result<GenerateConfig> {
        let environment = EnvironmentConfig::preset(&self.environment)?.with(&self.parameters)?;
        let source = SourceConfig::chosen(self.source.as_deref(), &self.source_parameters, &environment)?;
        let usual = GenerateConfig::recommended(environment, source)?;
        let config = GenerateConfig {
            seed: self.seed.unwrap_or(usual.seed),
            split_seed: self.split_seed.unwrap_or(usual.split_seed),
            tasks: self.tasks.or(usual.tasks),
            held_out: self.held_out.unwrap_or(usual.held_out),
            histories_per_task: self.histories_per_task.unwrap_or(usual.histories_per_task),
            held_out_histories_per_task: self
                .held_out_histories_per_task
                .unwrap_or(usual.held_out_histories_per_task),
            episodes: self.episodes.unwrap_or(usual.episodes),
            keep_every: self.keep_every.unwrap_or(usual.keep_every),
            optimal_actions: self.optimal_actions.unwrap_or(usual.optimal_actions),
            tasks_per_history: self.tasks_per_history.unwrap_or(usual.tasks_per_history),
            ..usual
        };
        config.validate()?;
        self.filter.as_ref().map_or(Ok(()), FilterConfig::validate)?;
        Ok(config)
    }

    /// Name of the histories before the filter.
    pub(super) fn unfiltered_name(&self) -> String {
        format!("{}.unfiltered", self.name)
    }
}

/// A model under a name: on which histories, with which objective, and what differs from the usual
/// training; or trained by RL2 in the environment of the first histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name: of its line in reports, and of its files: `seed-N` of the first model,
    /// `NAME-seed-N` of the others.
    pub name: String,
    /// Its name in legends; absent: its name (of the first model of an evaluation: `int8 model, in
    /// context`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Names of the histories that it is trained on, all together; none of a model of RL2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histories: Vec<String>,
    /// Name of the training objective; absent: algorithm distillation. RL2 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Models to train; number `i` trains with seed `train.seed + i`.
    #[serde(default = "one")]
    pub seeds: u32,
    /// Fields of the training configuration that differ from the defaults.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub train: Parameters,
    /// In place of histories, objective and `train`: trained by RL2, with these fields of
    /// [`crate::rl2::Rl2Config`] that differ from the defaults. Environment, tasks and split are
    /// those of the first histories of the experiment. Number `i` trains with seed `rl2.seed + i`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rl2: Option<Parameters>,
    /// In what the environment that RL2 is trained in differs from that of the histories; their
    /// tasks are the same.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// A field of the training configuration and a list of numbers: in place of this model, one for
    /// each number, called NAME-NUMBER. A model of histories that vary is one for each of these.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub vary: Parameters,
    /// In what it differs from the others of its line: its place on the axis of a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    /// Name of its line in a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

fn one() -> u32 {
    1
}

impl ModelConfig {
    /// The training of model number `seed` on its histories, with everything that is absent filled
    /// in, and validated.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `train.field`.
    pub fn resolve(&self, seed: u32) -> Result<TrainConfig> {
        let mut config = TrainConfig::default();
        if let Some(objective) = &self.objective {
            config.objective = ObjectiveConfig::named(objective)?;
        }
        for (field, value) in &self.train.0 {
            config.set(field, value.clone())?;
        }
        config.seed = config.seed.saturating_add(seed.into());
        config.validate()?;
        Ok(config)
    }

    /// Puts `value` in place of a field of the training configuration, or of that of RL2.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.rl2.as_mut().unwrap_or(&mut self.train).0.insert(field.into(), value.into());
    }
}

/// An evaluation under a name: which models on the same axes, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct EvaluationConfig {
    /// Its name, that of its report's files; absent: the name of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names of the models on its axes, the one that it is about first; none: all, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What its figure shows.
    #[serde(skip_serializing_if = "FigureKind::is_curves")]
    pub figure: FigureKind,
    /// Name and unit of the horizontal axis of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_label: Option<String>,
    /// Whether that axis is logarithmic.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log_x: bool,
    /// For each of these percentages of optimal actions, each model once more after a demonstration
    /// of that quality: a line called NAME-prompt-PERCENT.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<u8>,
    /// Where and how they are run.
    #[serde(flatten)]
    pub config: EvaluateConfig,
}

/// What the figure of an evaluation shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureKind {
    /// Return by episode, a line for each model.
    #[default]
    Curves,
    /// Return by environment steps, a line for each model.
    Steps,
    /// Mean return over the summary by [`ModelConfig::x`], a line for each [`ModelConfig::line`].
    Sweep,
    /// Mean return over the summary by updates of the training, a line for each model, a point for
    /// each snapshot of it.
    Training,
    /// Return of the histories by their episodes, a line for each histories; no model is needed.
    Histories,
}

impl FigureKind {
    fn is_curves(&self) -> bool {
        *self == Self::Curves
    }
}

impl TryFrom<Map<String, Value>> for EvaluationConfig {
    type Error = String;

    /// By hand: a flattened struct would accept fields that nobody knows, and not say which field is
    /// wrong.
    fn try_from(mut fields: Map<String, Value>) -> std::result::Result<Self, Self::Error> {
        fn own<T: DeserializeOwned + Default>(
            fields: &mut Map<String, Value>,
            field: &str,
        ) -> std::result::Result<T, String> {
            let value = fields.remove(field).unwrap_or_default();
            let read = serde_json::from_value::<Option<T>>(value);
            Ok(read.map_err(|error| format!("{field} {}", in_plain_words(error)))?.unwrap_or_default())
        }
        let of_its_own = Self {
            name: own(&mut fields, "name")?,
            models: own(&mut fields, "models")?,
            figure: own(&mut fields, "figure")?,
            x_label: own(&mut fields, "x_label")?,
            log_x: own(&mut fields, "log_x")?,
            prompts: own(&mut fields, "prompts")?,
            config: EvaluateConfig::default(),
        };
        let said = |error: serde_json::Error| in_plain_words(error);
        for (field, value) in &fields {
            // TOML has no null: it was nan or inf, which JSON does not have.
            if value.is_null() {
                return Err(format!("{field} is no finite number"));
            }
            let one = Map::from_iter([(field.clone(), value.clone())]);
            serde_json::from_value::<EvaluateConfig>(one.into()).map_err(said).map_err(|problem| {
                match problem.starts_with(field) {
                    true => problem,
                    false => format!("{field} {problem}"),
                }
            })?;
        }
        Ok(Self { config: serde_json::from_value(fields.into()).map_err(said)?, ..of_its_own })
    }
}

/// Names of the experiments of this repository.
pub fn names() -> Vec<&'static str> {
    EXPERIMENTS.iter().map(|(name, _)| *name).collect()
}

impl Experiment {
    /// The experiment of a FILE.toml, or one of this repository by its name.
    ///
    /// # Errors
    /// Those of [`Experiment::read`] and [`Experiment::named`].
    pub fn find(name: &str) -> Result<Self> {
        let path = Path::new(name);
        match path.extension().is_some_and(|extension| extension == "toml") {
            true => Self::read(path),
            false => Self::named(name),
        }
    }

    /// An experiment of this repository.
    ///
    /// # Errors
    /// [`Error::Argument`] that lists the names.
    pub fn named(name: &str) -> Result<Self> {
        let (name, text) = EXPERIMENTS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            let problem =
                format!("unknown name {name:?}; known are {}, or give a FILE.toml", names().join(", "));
            Error::argument("experiment", problem)
        })?;
        let path = format!("host/experiments/{name}.toml");
        let written: Self = toml::from_str(text).map_err(|error| Error::file(path, error))?;
        written.written_out()
    }

    /// An experiment in a file.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::File`] for a file that cannot be read; [`Error::Argument`] that
    /// names the file for what is no experiment: it was written by whoever gave it.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |problem| Error::argument(path.display().to_string(), problem);
        let written: Self = from_toml(&read_text(path)?).map_err(wrong)?;
        written.written_out().map_err(|error| wrong(error.to_string()))
    }

    /// Refuses what cannot be run, before anything is.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn validate(&self) -> Result<()> {
        let distinct = |what: &str, names: &[&str]| -> Result<()> {
            let mut seen = HashSet::new();
            for name in names {
                check_name(name).map_err(|error| within(what, name, error))?;
                if !seen.insert(*name) {
                    return Err(Error::argument("name", format!("there are two {what} called {name:?}")));
                }
            }
            Ok(())
        };
        check_name(&self.name)?;
        let names: Vec<&str> = self.histories.iter().map(|one| one.name.as_str()).collect();
        let unfiltered = self.histories.iter().filter(|one| one.filter.is_some());
        let unfiltered: Vec<String> = unfiltered.map(HistoriesConfig::unfiltered_name).collect();
        distinct(
            "histories",
            &[&names[..], &unfiltered.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        )?;
        for histories in &self.histories {
            histories.resolve().map_err(|error| within("histories", &histories.name, error))?;
        }
        let models: Vec<&str> = self.models.iter().map(|one| one.name.as_str()).collect();
        distinct("models", &models)?;
        let needs_model = |one: &EvaluationConfig| one.figure != FigureKind::Histories;
        if models.is_empty() && (self.evaluations.is_empty() || self.evaluations.iter().any(needs_model)) {
            return Err(Error::argument("models", "at least one is needed"));
        }
        for model in &self.models {
            let refuse = |error| within("model", &model.name, error);
            let from_nothing = model.histories.is_empty() && model.rl2.is_none();
            if !(1..=MAX_SEEDS).contains(&model.seeds) || from_nothing {
                let problem = format!("needs 1 to {MAX_SEEDS} seeds, and histories or rl2");
                return Err(refuse(Error::argument("models", problem)));
            }
            if let Some(unknown) = model.histories.iter().find(|name| !names.contains(&name.as_str())) {
                let problem = format!("there are none called {unknown:?}; known are {}", names.join(", "));
                return Err(refuse(Error::argument("histories", problem)));
            }
            let config = model.resolve(model.seeds - 1).map_err(refuse)?;
            self.check_optimal_actions(model, &config).map_err(refuse)?;
            self.check_rl2(model).map_err(refuse)?;
        }
        let mut stems = Vec::new();
        for evaluation in &self.evaluations {
            let (stem, models_of_it) = (self.stem(evaluation)?, &evaluation.models);
            if let Some(unknown) = models_of_it.iter().find(|name| !models.contains(&name.as_str())) {
                let problem = format!("there is none called {unknown:?}; known are {}", models.join(", "));
                return Err(within("evaluation", &stem, Error::argument("models", problem)));
            }
            let mut seen = HashSet::new();
            if let Some(twice) = models_of_it.iter().find(|name| !seen.insert(*name)) {
                let problem = format!("{twice:?} is there twice");
                return Err(within("evaluation", &stem, Error::argument("models", problem)));
            }
            if RESERVED.contains(&stem.as_str()) || stem.ends_with(CARD) {
                let problem = format!("a file of the run is called {stem}.json; choose another name");
                return Err(within("evaluation", &stem, Error::argument("name", problem)));
            }
            self.check(evaluation).map_err(|error| within("evaluation", &stem, error))?;
            stems.push(stem);
        }
        distinct("evaluations", &stems.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.claims.iter().try_for_each(|claim| claim.check(self))
    }

    /// Refuses an objective whose histories will not have the optimal actions that it needs.
    fn check_optimal_actions(&self, model: &ModelConfig, config: &TrainConfig) -> Result<()> {
        let objective = config.objective.inner();
        let without =
            |one: &&HistoriesConfig| model.histories.contains(&one.name) && one.optimal_actions != Some(true);
        match self.histories.iter().find(without).filter(|_| objective.needs_optimal_actions()) {
            None => Ok(()),
            Some(histories) => {
                let problem = format!(
                    "{} is trained on optimal actions; say optimal_actions = true in histories {:?}",
                    objective.name(),
                    histories.name
                );
                Err(Error::argument("objective", problem))
            }
        }
    }

    /// Refuses an evaluation that could not be run once its models are there.
    fn check(&self, evaluation: &EvaluationConfig) -> Result<()> {
        self.check_figure(evaluation)?;
        let Some(environment) = self.environment_of(evaluation)? else { return Ok(()) };
        if evaluation.figure == FigureKind::Histories {
            return Ok(());
        }
        let entrants = self.entrants(evaluation);
        for place in &entrants {
            let Some(trained_in) = self.trained_in(*place)? else { continue };
            if let Some(problem) =
                unlike(&trained_in.interface()?, environment.preset_name(), &environment.interface()?)
            {
                let (model, from) = (&self.models[*place].name, trained_in.preset_name());
                let problem = format!("model {model:?}, of {from}, {problem}");
                return Err(Error::argument("environment", problem));
            }
        }
        self.check_tasks(evaluation, &environment)?;
        evaluation.config.check(&environment)
    }

    /// Where model number `place` is trained first.
    fn trained_in(&self, place: usize) -> Result<Option<EnvironmentConfig>> {
        if let Some(rl2) = self.rl2_of(&self.models[place], 0)? {
            return Ok(Some(rl2.environment));
        }
        let trained = self.first_histories(&self.models[place]);
        trained.map(|one| Ok(one.resolve()?.environment)).transpose()
    }

    /// The histories whose tasks `model` is trained on first.
    fn first_histories(&self, model: &ModelConfig) -> Option<&HistoriesConfig> {
        match model.histories.first() {
            None => self.histories.first(),
            first => self.histories.iter().find(|one| Some(&one.name) == first),
        }
    }

    /// Where `evaluation` is run.
    pub(super) fn environment_of(&self, evaluation: &EvaluationConfig) -> Result<Option<EnvironmentConfig>> {
        let EvaluateConfig { environment, parameters, .. } = &evaluation.config;
        if environment.is_none() && !parameters.is_empty() {
            return Err(Error::argument("environment", "is needed: its parameters were given"));
        }
        match (environment, self.entrants(evaluation).first()) {
            (Some(name), _) => Ok(Some(EnvironmentConfig::preset(name)?.with(parameters)?)),
            (None, Some(first)) => self.trained_in(*first),
            (None, None) => self.histories.first().map(|one| Ok(one.resolve()?.environment)).transpose(),
        }
    }

    /// Episodes of a context of `evaluation`; `None` where that is not for it to say: what is unbroken,
    /// and what is recorded.
    pub(super) fn episodes_of(&self, evaluation: &EvaluationConfig) -> Result<Option<u32>> {
        let recorded = evaluation.figure == FigureKind::Histories;
        let environment = self.environment_of(evaluation)?;
        let Some(environment) = environment.filter(|_| !recorded && evaluation.config.steps.is_none()) else {
            return Ok(None);
        };
        Ok(Some(evaluation.config.episodes.unwrap_or(environment.defaults()?.context_episodes)))
    }

    /// Refuses a figure that its models have no points for.
    fn check_figure(&self, evaluation: &EvaluationConfig) -> Result<()> {
        let entrants = self.entrants(evaluation).into_iter().map(|place| &self.models[place]);
        if evaluation.figure != FigureKind::Curves && !evaluation.prompts.is_empty() {
            return Err(Error::argument("prompts", "are lines of a figure of curves, no other"));
        }
        if let Some(percent) = evaluation.prompts.iter().find(|percent| **percent > 100) {
            return Err(Error::argument("prompts", format!("has {percent}, expected percentages, 0 to 100")));
        }
        for model in entrants {
            let problem = match evaluation.figure {
                FigureKind::Sweep if model.x.is_none() => "has no x: its place on the axis",
                FigureKind::Sweep if evaluation.log_x && model.x <= Some(0.0) => {
                    "has an x that is not above 0, on a logarithmic axis"
                }
                FigureKind::Training if model.rl2.is_some() => {
                    "is trained by RL2, which keeps none along the way"
                }
                FigureKind::Training if model.resolve(0)?.snapshots().next().is_none() => {
                    "keeps no model along the way: train.snapshot_every is 0, or not below train.updates"
                }
                _ => continue,
            };
            return Err(Error::argument("figure", format!("the model {:?} {problem}", model.name)));
        }
        Ok(())
    }

    /// Refuses more tasks than the histories of the first of its models hold out.
    fn check_tasks(&self, evaluation: &EvaluationConfig, environment: &EnvironmentConfig) -> Result<()> {
        match (evaluation.config.tasks, self.held_out(evaluation, environment)?) {
            (Some(wanted), Some((histories, held_out))) if wanted > held_out => {
                let problem = format!("is {wanted}, but the histories {histories:?} hold out {held_out}");
                Err(Error::argument("tasks", problem))
            }
            _ => Ok(()),
        }
    }

    /// The histories of the first model of `evaluation`, and how many tasks of `environment`, where it
    /// is run, they hold out; `None` where there are always more.
    pub(super) fn held_out(
        &self,
        evaluation: &EvaluationConfig,
        environment: &EnvironmentConfig,
    ) -> Result<Option<(&str, u32)>> {
        let first = self.entrants(evaluation).first().copied();
        let Some(histories) = first.and_then(|first| self.first_histories(&self.models[first])) else {
            return Ok(None);
        };
        let generation = histories.resolve()?;
        if !same_tasks(&generation.environment, environment) || environment.task_count().is_none() {
            return Ok(None);
        }
        Ok(Some((&histories.name, generation.split()?.held_out.len() as u32)))
    }

    /// Name of the file that `histories` are filtered from: others of this experiment that are the
    /// same but for the filter, or their own.
    pub(super) fn unfiltered(&self, histories: &HistoriesConfig) -> String {
        let same = |one: &&HistoriesConfig| {
            one.filter.is_none()
                && one.resolve().is_ok_and(|it| histories.resolve().is_ok_and(|own| it == own))
        };
        let found = self.histories.iter().find(same);
        found.map_or_else(|| histories.unfiltered_name(), |one| one.name.clone())
    }

    /// The models on the axes of `evaluation`, by their place.
    pub(super) fn entrants(&self, evaluation: &EvaluationConfig) -> Vec<usize> {
        if evaluation.models.is_empty() {
            return (0..self.models.len()).collect();
        }
        let place = |name: &String| self.models.iter().position(|model| model.name == *name);
        evaluation.models.iter().filter_map(place).collect()
    }

    /// The name of the files of `evaluation`.
    pub(super) fn stem(&self, evaluation: &EvaluationConfig) -> Result<String> {
        if let Some(name) = &evaluation.name {
            return Ok(name.clone());
        }
        if let Some(environment) = &evaluation.config.environment {
            EnvironmentConfig::preset(environment)?.with(&evaluation.config.parameters)?;
            return Ok(environment.clone());
        }
        let model = self.entrants(evaluation).first().map(|place| &self.models[*place]);
        let config = model.map_or_else(|| self.histories.first(), |model| self.first_histories(model));
        let name = |config: &HistoriesConfig| Ok(config.resolve()?.environment.preset_name().into());
        config.map_or_else(|| Ok(String::new()), name)
    }

    /// The same with everything that is absent filled in, so that it stays the same when defaults
    /// change.
    ///
    /// # Errors
    /// As [`Experiment::validate`].
    pub fn resolved(&self) -> Result<Self> {
        let mut all = self.clone();
        for histories in &mut all.histories {
            let config = histories.resolve()?;
            *histories = HistoriesConfig {
                name: histories.name.clone(),
                environment: config.environment.preset_name().into(),
                parameters: parameters(config.environment.fields()),
                source: Some(config.source.name().into()),
                source_parameters: parameters(fields(&config.source)),
                seed: Some(config.seed),
                split_seed: Some(config.split_seed),
                tasks: config.tasks,
                held_out: Some(config.held_out),
                histories_per_task: Some(config.histories_per_task),
                held_out_histories_per_task: Some(config.held_out_histories_per_task),
                episodes: Some(config.episodes),
                keep_every: Some(config.keep_every),
                optimal_actions: config.optimal_actions.then_some(true),
                tasks_per_history: Some(config.tasks_per_history).filter(|count| !count.is_one()),
                filter: histories.filter.clone(),
                vary: Parameters::default(),
            };
        }
        for model in &mut all.models {
            if let Some(config) = self.rl2_of(model, 0)? {
                *model = Self::rl2_resolved(model, &config)?;
                continue;
            }
            let config = model.resolve(0)?;
            let mut train = fields(&config);
            train.remove("objective");
            model.objective = Some(config.objective.inner().name().into());
            model.train = parameters(train);
        }
        Ok(all)
    }
}

/// `error`, with what it is about: so that a reader finds it among several of them.
pub(super) fn within(what: &str, name: &str, error: Error) -> Error {
    match error {
        Error::Argument { argument, problem } => {
            Error::argument(argument, format!("{problem} ({what} {name:?})"))
        }
        other => other,
    }
}

/// Parameters of these fields; TOML has no word for one that is absent.
pub(super) fn parameters(mut fields: Map<String, Value>) -> Parameters {
    fields.retain(|name, value| name != "name" && !value.is_null());
    Parameters(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_is_valid_and_survives_its_file() {
        for name in names() {
            let experiment = Experiment::named(name).expect(name);
            assert_eq!(experiment.name, name);
            experiment.validate().expect(name);
            for said in [&experiment.makes, &experiment.beside] {
                assert!(!said.is_empty(), "{name}");
            }
            let resolved = experiment.resolved().expect(name);
            let text = toml::to_string(&resolved).expect("TOML");
            let read: Experiment = toml::from_str(&text).expect("the same experiment");
            assert_eq!(read, resolved);
            assert_eq!(read.resolved().expect("resolved"), resolved, "nothing more to fill in");
            for (one, other) in experiment.models.iter().zip(&resolved.models) {
                assert_eq!(one.resolve(1).expect("valid"), other.resolve(1).expect("valid"));
                let rl2 = |of: &Experiment, model| of.rl2_of(model, 1).expect("valid");
                let same = rl2(&experiment, one).map(|config| config.resolved().expect("valid"));
                assert_eq!(same, rl2(&resolved, other));
            }
            for (one, other) in experiment.histories.iter().zip(&resolved.histories) {
                assert_eq!(one.resolve().expect("valid"), other.resolve().expect("valid"));
            }
        }
        assert!(Experiment::named("dark-rom").is_err_and(|error| error.to_string().contains("dark-room-q")));
    }

    /// The quickstart with `from` replaced.
    fn changed(from: &str, to: &str) -> Result<()> {
        let text = EXPERIMENTS[0].1;
        assert!(text.contains(from), "{from}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.toml");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
        let result = Experiment::read(&path).and_then(|experiment| experiment.validate());
        assert!(!matches!(result, Err(Error::File { .. })), "what a user wrote is an argument");
        result
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_by_name() {
        for (from, to, expected) in [
            ("histories_per_task = 100", "histories_per_tasks = 100", "histories_per_tasks"),
            ("histories_per_task = 100", "histories_per_task = 0", "histories_per_task: is 0"),
            (
                "mean_over = [21, 40]",
                "mean_ever = [21, 40]",
                "mean_ever is no field here; the fields are env",
            ),
            (
                "mean_over = [21, 40]",
                "tasks = -1",
                "tasks is -1, expected a whole number from 0 to 4294967295",
            ),
            (
                "mean_over = [21, 40]",
                "mean_over = [21]",
                "mean_over has 1 values, expected a list of 2 values",
            ),
            ("mean_over = [21, 40]", "environment = \"bandit\"", "of dark-room, does not fit bandit"),
            (
                "mean_over = [21, 40]",
                "models = [\"algorithm-distillation\", \"algorithm-distillation\"]",
                "\"algorithm-distillation\" is there twice (evaluation \"dark-room\")",
            ),
            ("updates = 2500", "learning_rate = 1e39", "train.learning_rate: is 1e+39, expected a number of"),
            ("updates = 2500", "learning_rate = inf", "learning_rate is no finite number"),
            (
                "histories_per_task = 100",
                "histories_per_task = \"many\"",
                "is \"many\", expected a whole number from 0 to 4294967295",
            ),
            ("updates = 2500", "update = 2500", "train.update: is not a parameter"),
            ("updates = 2500", "updates = 0", "train.updates: is 0"),
            ("[\"histories\"]", "[\"history\"]", "there are none called \"history\"; known are histories"),
            ("target = \"nearest\"", "target = \"next\"", "source.target"),
            ("mean_over = [21, 40]", "models = [\"b\"]", "known are algorithm-distillation"),
            ("name = \"algorithm-distillation\"", "name = \"random\"", "name: is \"random\""),
            ("name = \"histories\"", "name = \"../histories\"", "expected letters"),
            ("mean_over = [21, 40]", "temperature = nan", "temperature is no finite number"),
            (
                "mean_over = [21, 40]",
                "tasks = 17",
                "tasks: is 17, but the histories \"histories\" hold out 16",
            ),
            ("mean_over = [21, 40]", "parameters = { size = 5 }", "environment: is needed: its parameters"),
            ("histories_per_task = 100", "filter = { keep = 2.0 }", "keep: is 2, expected a number above 0"),
            ("histories_per_task = 100", "filter = { kept = 0.5 }", "kept"),
            ("histories_per_task = 100", "tasks_per_history = 2", "possible with several: q-learning, "),
            ("histories_per_task = 100", "tasks_per_history = 0", "1 to 4294967295"),
            ("mean_over = [21, 40]", "[[evaluations]]", "two evaluations called \"dark-room\""),
        ] {
            let problem = changed(from, to).expect_err(to).to_string();
            assert!(problem.contains(expected), "{to}: {problem}");
        }
    }
}
