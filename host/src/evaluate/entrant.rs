//! The models of an evaluation, from their files.

use super::asking::Asked;
use super::evaluation::ModelSummary;
use super::models::{FloatModel, Int8Model};
use super::run::{check_name, Contestant, Contestants};
use super::tasks::is_foreign;
use crate::environment::EnvironmentConfig;
use crate::export::{Training, TrainingCard};
use crate::train::load_parameters;
use crate::train::objective::DecisionTransformer;
use crate::{Error, Result};
use algodistill_core::Sampling;
use std::path::{Path, PathBuf};

/// All models of an evaluation.
pub(super) struct Entrants<'a> {
    /// Those that it is about, one or more.
    pub main: Entrant,
    /// The other lines.
    pub others: Vec<(&'a Contestant, Entrant)>,
    /// The float model of the first one.
    pub float: Option<FloatModel>,
}

impl<'a> Entrants<'a> {
    /// Reads `contestants`.
    ///
    /// # Errors
    /// [`Error::Argument`] for lines that cannot be told apart; [`Error::File`] and [`Error::Io`] for
    /// files.
    pub fn read(contestants: &'a Contestants, sampling: Sampling) -> Result<Self> {
        let main = Entrant::read(&contestants.models, sampling)?;
        if main.models.is_empty() {
            return Err(Error::argument("models", "at least one is needed"));
        }
        main.refuse_twice()?;
        let mut others: Vec<(&Contestant, Entrant)> = Vec::new();
        for other in &contestants.others {
            check_name(&other.name)?;
            if others.iter().any(|(known, _)| known.name == other.name) {
                return Err(Error::argument("name", format!("there are two lines called {}", other.name)));
            }
            let entrant = Entrant::read(&other.models, sampling)?;
            entrant.refuse_twice()?;
            others.push((other, entrant));
        }
        let read = |path: &PathBuf| read_float(path, &main.models[0], &main.cards[0], sampling);
        let float = contestants.float.as_ref().map(read).transpose()?;
        Ok(Self { main, others, float })
    }

    /// The first model of all.
    pub fn first(&self) -> &Int8Model {
        &self.main.models[0]
    }

    /// All lines of int8 models.
    pub fn all(&self) -> impl Iterator<Item = &Entrant> {
        std::iter::once(&self.main).chain(self.others.iter().map(|(_, entrant)| entrant))
    }

    /// The cards of all int8 models.
    pub fn cards(&self) -> Vec<TrainingCard> {
        self.all().flat_map(|entrant| entrant.cards.iter().cloned()).collect()
    }

    /// Refuses an environment, called `name`, that one of them cannot act in, and a `wanted` return
    /// that none can be asked for.
    pub fn check(&self, name: &str, environment: &EnvironmentConfig, wanted: Option<f32>) -> Result<()> {
        let models = || self.all().flat_map(|entrant| &entrant.models);
        for model in models() {
            model.check_interface(name, environment)?;
        }
        wanted.map_or(Ok(()), |wanted| check_wanted(wanted, models().filter_map(Int8Model::goal)))
    }
}

/// Refuses a return that none of the models can be asked for.
fn check_wanted(wanted: f32, objectives: impl Iterator<Item = DecisionTransformer>) -> Result<()> {
    let mut asked = false;
    for objective in objectives {
        let (lowest, highest) = (objective.lowest, objective.highest());
        if !(lowest..=highest).contains(&wanted) {
            let problem = format!("is {wanted}, expected {lowest} to {highest}, which the model tells apart");
            return Err(Error::argument("wanted_return", problem));
        }
        asked = true;
    }
    match asked {
        true => Ok(()),
        false => {
            Err(Error::argument("wanted_return", "is for a Decision Transformer, and no model here is one"))
        }
    }
}

/// The models of a line, and their cards.
pub(super) struct Entrant {
    pub models: Vec<Int8Model>,
    pub cards: Vec<TrainingCard>,
}

impl Entrant {
    fn read(paths: &[PathBuf], sampling: Sampling) -> Result<Self> {
        let models: Vec<Int8Model> =
            paths.iter().map(|path| Int8Model::read(path, sampling)).collect::<Result<_>>()?;
        let card_of = |model: &Int8Model| TrainingCard::parse(model.path(), model.decode()?.card());
        let cards = models.iter().map(card_of).collect::<Result<_>>()?;
        Ok(Self { models, cards })
    }

    /// Refuses a model that would count as two training seeds.
    fn refuse_twice(&self) -> Result<()> {
        for (place, model) in self.models.iter().enumerate() {
            if let Some(before) = self.models[..place].iter().find(|before| before.is_same(model)) {
                let problem = format!(
                    "is there twice: {} is the same model; the files of one line are training seeds, each given once",
                    before.path().display()
                );
                return Err(Error::argument(model.path().display().to_string(), problem));
            }
        }
        Ok(())
    }

    /// What must be known where it was trained elsewhere.
    pub fn foreign(&self, name: &str, environment: &EnvironmentConfig) -> Option<String> {
        let mut pairs = self.models.iter().zip(&self.cards);
        let (model, card) = pairs.find(|(_, card)| is_foreign(card, environment))?;
        let trained_in = card.environment_names().join(", ");
        Some(format!("{}: is a model of {trained_in}, it never saw a task of {name}", model.path().display()))
    }

    /// The models as learners in `environment`, asked for a `wanted` return where they are asked for
    /// any.
    pub fn asked<'a>(&'a self, environment: &'a EnvironmentConfig, wanted: Option<f32>) -> Vec<Asked<'a>> {
        let asked = |model: &'a Int8Model| Asked { model, objective: model.goal(), wanted, environment };
        self.models.iter().map(asked).collect()
    }

    pub fn summarize(&self) -> Result<Vec<ModelSummary>> {
        let summarize = |model: &Int8Model| -> Result<ModelSummary> {
            let decoded = model.decode()?;
            Ok(ModelSummary {
                file: model.path().display().to_string(),
                parameters: decoded.parameters(),
                bytes: model.file_len(),
                ring_bytes: decoded.dimensions().ring_bytes(),
            })
        };
        self.models.iter().map(summarize).collect()
    }

    /// What must be known of a model that runs for `steps` steps.
    pub fn warning(&self, steps: u64) -> Option<String> {
        let pairs = self.models.iter().zip(&self.cards);
        let mut warnings = pairs.filter_map(|(model, card)| {
            let window = card.never_wrapped()?;
            (steps > window as u64).then(|| {
                format!(
                    "{}: {steps} steps without a break, but no sequence of its training was longer than its window of \
                     {window}: it never learned to go on once the ring has forgotten how a stream began",
                    model.path().display()
                )
            })
        });
        warnings.next()
    }
}

/// The same configuration, histories and updates give the same parameters, so they identify the
/// model.
fn read_float(path: &Path, int8: &Int8Model, card: &TrainingCard, sampling: Sampling) -> Result<FloatModel> {
    let (parameters, training) = load_parameters::<Training>(path)?;
    if training != card.training || parameters.interface != *int8.decode()?.interface() {
        let problem = format!(
            "is not the model that {} was exported from: {training}, expected {} and the same configuration",
            int8.path().display(),
            card.training,
        );
        return Err(Error::file(path, problem));
    }
    Ok(FloatModel { parameters, sampling })
}
