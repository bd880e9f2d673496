//! From a recipe to a report: generate, train, export, evaluate, in one folder.
//!
//! ```text
//! recipe.toml             what was asked for
//! histories.parquet       and its card, histories.card.json
//! seed-0/                 the training run: config.toml, metrics.jsonl, checkpoint, model.safetensors
//! seed-0.adw              its int8 model
//! expert-seed-0/, .adw    expert distillation, where the recipe asks for it
//! stages.json             how long each stage took
//! dark-room.json          the report (and .csv, .svg)
//! ```
//!
//! A stage that is complete is not run again, and an interrupted training goes on: running a recipe again in its folder
//! finishes what is missing.

mod recipe;

pub use recipe::{Recipe, FIGURES};

use crate::evaluate::{evaluate, report, Contestants, Evaluation, TrainingCard};
use crate::export::{encode, quantize};
use crate::files::{read_text, write_bytes, FolderLock};
use crate::history::card::card_path;
use crate::history::{generate_to_file, read, HistoryFile};
use crate::model::Parameters;
use crate::progress::Bar as Progress;
use crate::train::{load_parameters, train, ObjectiveConfig, TrainConfig, TrainOutcome};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a recipe came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One for each evaluation of the recipe.
    pub evaluations: Vec<Evaluation>,
    /// How long it took.
    pub stages: Stages,
    /// Whether histories and models were there already, so that only the evaluation was run.
    pub made_before: bool,
    /// Weights files and reports.
    pub files: Vec<PathBuf>,
}

/// What the stages took, also those that an earlier process finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Wall-clock seconds of generation.
    pub generate_seconds: Option<f64>,
    /// By name of the training run.
    pub training: BTreeMap<String, TrainingTime>,
}

/// What a training run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingTime {
    /// Wall-clock seconds, over all processes that worked on it and wrote so down.
    pub seconds: f64,
    /// Tokens a second of the process that finished it.
    pub tokens_per_second: f64,
}

/// Runs `recipe` in `folder`.
pub fn run(recipe: &Recipe, folder: &Path) -> Result<Outcome> {
    // What cannot be run must not claim the folder.
    recipe.generate.validate()?;
    let last_seed = recipe.train.seed.saturating_add(u64::from(recipe.seeds));
    TrainConfig { seed: last_seed, ..recipe.train.clone() }.validate()?;
    let _lock = FolderLock::take(folder)?;
    let run = Run { recipe, folder };
    run.claim_folder()?;
    let mut stages = run.read_stages()?;
    let before = stages.clone();
    let histories = run.histories(&mut stages)?;
    let (mut models, mut experts) = (Vec::new(), Vec::new());
    for seed in 0..recipe.seeds {
        let config = TrainConfig { seed: recipe.train.seed + u64::from(seed), ..recipe.train.clone() };
        models.push(run.trained(format!("seed-{seed}"), &config, &histories, &mut stages)?);
        if recipe.expert {
            let config = TrainConfig { objective: ObjectiveConfig::named("expert")?, ..config };
            experts.push(run.trained(format!("expert-seed-{seed}"), &config, &histories, &mut stages)?);
        }
    }
    let mut evaluations = run.evaluations(&models, &experts)?;
    run.write_results_into(&mut models, &mut evaluations)?;
    let reports = run.write_reports(&evaluations)?;
    let weights = models.iter().chain(&experts).map(|model| model.weights.clone());
    let made_before = stages == before;
    Ok(Outcome { evaluations, stages, made_before, files: weights.chain(reports).collect() })
}

/// A model that is trained and exported.
struct Trained {
    weights: PathBuf,
    parameters: Parameters,
    card: TrainingCard,
}

impl Trained {
    /// Writes the weights file; returns its size in bytes.
    fn export(&self) -> Result<usize> {
        let bytes = encode(&quantize(&self.parameters)?, &self.card.to_json())?;
        write_bytes(&self.weights, &bytes)?;
        Ok(bytes.len())
    }
}

/// One recipe in one folder.
struct Run<'a> {
    recipe: &'a Recipe,
    folder: &'a Path,
}

impl Run<'_> {
    /// Writes the recipe down, or refuses a folder that belongs to another.
    fn claim_folder(&self) -> Result<()> {
        let path = self.folder.join("recipe.toml");
        let text = toml::to_string(self.recipe).map_err(|error| Error::file(&path, error))?;
        if !path.exists() {
            return write_bytes(&path, text.as_bytes());
        }
        if read_text(&path)? == text {
            return Ok(());
        }
        // What was asked for is wrong, not the file.
        Err(Error::argument(
            path.display().to_string(),
            "this folder holds a run of another recipe; choose another --out, or remove it",
        ))
    }

    fn stages_path(&self) -> PathBuf {
        self.folder.join("stages.json")
    }

    fn read_stages(&self) -> Result<Stages> {
        let path = self.stages_path();
        if !path.exists() {
            return Ok(Stages::default());
        }
        serde_json::from_str(&read_text(&path)?).map_err(|error| Error::file(&path, error))
    }

    fn write_stages(&self, stages: &Stages) -> Result<()> {
        let path = self.stages_path();
        let text = serde_json::to_string_pretty(stages).map_err(|error| Error::file(&path, error))?;
        write_bytes(&path, text.as_bytes())
    }

    fn histories(&self, stages: &mut Stages) -> Result<HistoryFile> {
        let path = self.folder.join("histories.parquet");
        // The card is written last, and the time after it.
        if !card_path(&path).exists() || stages.generate_seconds.is_none() {
            let config = &self.recipe.generate;
            let begun = Instant::now();
            let progress = Progress::new("generate", config.source_steps()?);
            let card = generate_to_file(config, &path, &progress)?;
            progress.finish(&format!("{} histories, {} steps", card.histories, card.steps));
            stages.generate_seconds = Some(begun.elapsed().as_secs_f64());
            self.write_stages(stages)?;
        }
        read(&path)
    }

    /// Trains and exports the model called `name`.
    fn trained(
        &self,
        name: String,
        config: &TrainConfig,
        histories: &HistoryFile,
        stages: &mut Stages,
    ) -> Result<Trained> {
        let folder = self.folder.join(&name);
        let model = folder.join("model.safetensors");
        let (parameters, training) = match stages.training.contains_key(&name) && model.exists() {
            true => load_parameters(&model)?,
            false => {
                let progress = crate::cli::progress::Terminal::default();
                let held_out = Some(&histories.held_out);
                let outcome = train(&histories.training, held_out, config, &folder, true, &progress)?;
                let TrainOutcome { seconds, tokens_per_second, .. } = outcome;
                stages.training.insert(name.clone(), TrainingTime { seconds, tokens_per_second });
                self.write_stages(stages)?;
                (outcome.parameters, outcome.training)
            }
        };
        let card =
            TrainingCard { generations: vec![histories.card.generation.clone()], training, evaluation: None };
        let trained = Trained { weights: self.folder.join(format!("{name}.adw")), parameters, card };
        trained.export()?;
        Ok(trained)
    }

    fn evaluations(&self, models: &[Trained], experts: &[Trained]) -> Result<Vec<Evaluation>> {
        let paths = |models: &[Trained]| models.iter().map(|model| model.weights.clone()).collect();
        let contestants =
            Contestants { models: paths(models), experts: paths(experts), ..Contestants::default() };
        self.recipe.evaluate.iter().map(|config| evaluate(config, &contestants)).collect()
    }

    /// Exports the models again, with their results of the first evaluation in their cards.
    fn write_results_into(&self, models: &mut [Trained], evaluations: &mut [Evaluation]) -> Result<()> {
        for (number, model) in models.iter_mut().enumerate() {
            model.card.evaluation = evaluations.first().and_then(|evaluation| evaluation.results_of(number));
            let bytes = model.export()?;
            for evaluation in &mut *evaluations {
                evaluation.models[number].bytes = bytes;
            }
        }
        Ok(())
    }

    fn write_reports(&self, evaluations: &[Evaluation]) -> Result<Vec<PathBuf>> {
        let write =
            |evaluation: &Evaluation| report::write_files(evaluation, &self.folder.join(&evaluation.name));
        Ok(evaluations.iter().map(write).collect::<Result<Vec<_>>>()?.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Dimensions;

    /// Seconds, not minutes: the pipeline's every stage, and nothing learned.
    fn toy() -> Recipe {
        let mut recipe = Recipe::quickstart().expect("a recipe");
        recipe.expert = true;
        recipe.generate.histories_per_task = 1;
        recipe.train = TrainConfig {
            dimensions: Dimensions {
                layers: 1,
                d_model: 16,
                heads: 2,
                d_ff: 16,
                window: 20,
                final_observation: true,
            },
            sequence_length: Some(20),
            batch: 2,
            updates: 4,
            warm_up: 1,
            validation_sequences: 2,
            ..TrainConfig::default()
        };
        for evaluate in &mut recipe.evaluate {
            (evaluate.tasks, evaluate.runs, evaluate.episodes, evaluate.mean_over) =
                (Some(2), Some(1), Some(3), None);
        }
        recipe
    }

    const RESULTS: [&str; 5] =
        ["seed-0.adw", "expert-seed-0.adw", "histories.parquet", "dark-room.csv", "dark-room.svg"];

    fn results(folder: &Path) -> Vec<Vec<u8>> {
        RESULTS.iter().map(|name| std::fs::read(folder.join(name)).expect("a result")).collect()
    }

    #[test]
    fn a_run_that_lost_any_file_ends_with_the_same_results() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&toy(), folder.path()).expect("the first run");
        assert_eq!((outcome.stages.training.len(), outcome.made_before), (2, false));
        let first = results(folder.path());
        assert!(run(&toy(), folder.path()).expect("again").made_before);
        for lost in
            ["histories.card.json", "stages.json", "seed-0.adw", "seed-0/model.safetensors", "dark-room.csv"]
        {
            std::fs::remove_file(folder.path().join(lost)).expect("removed");
            let again = run(&toy(), folder.path()).expect(lost);
            assert!(again.stages.generate_seconds.is_some(), "{lost}");
            assert!(results(folder.path()) == first, "other results after {lost} was lost");
        }
    }

    #[test]
    fn another_recipe_is_refused_in_the_same_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&toy(), folder.path()).expect("the first run");
        let mut other = toy();
        other.train.updates += 1;
        let error = run(&other, folder.path()).expect_err("refused").to_string();
        assert!(error.contains("recipe.toml") && error.contains("another"), "{error}");
    }

    #[test]
    fn results_travel_with_the_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&toy(), folder.path()).expect("the run");
        let path = folder.path().join("seed-0.adw");
        let bytes = std::fs::read(&path).expect("the model");
        let model = algodistill_core::Model::decode(&bytes).expect("valid");
        let card = TrainingCard::parse(&path, model.card()).expect("a card");
        let results = card.evaluation.expect("results");
        assert_eq!((results.tasks, results.runs, results.episodes), (2, 1, [2, 3]));
        assert_eq!(outcome.evaluations[0].models[0].bytes, bytes.len());
    }
}
