//! From an experiment to its reports: generate, train, export, evaluate, in one folder.
//!
//! ```text
//! experiment.toml         what was asked for, with every default filled in
//! histories.parquet       learning histories by their name, and their card, histories.card.json;
//!                         histories.unfiltered.parquet where a filter took them from others
//! seed-0/                 a training run of the first model: config.toml, metrics.jsonl,
//!                         checkpoint, model.safetensors
//! seed-0.adw              its int8 model
//! expert-seed-0/, .adw    those of another model, called expert; of a model of RL2, a run of train-rl2
//! stages.json             how long each stage took
//! dark-room.json          the report of an evaluation, by its name (and .csv, .svg, .trajectories.svg)
//! report.html             all evaluations on one page, which needs nothing else
//! results.json            all of it in short: which reports, which claims hold
//! ```
//!
//! A stage that is complete is not run again, and an interrupted training goes on: running an
//! experiment again in its folder finishes what is missing.

pub mod all;
mod claims;
mod config;
mod estimate;
mod figures;
mod folder;
mod page;
mod results;
mod rl2;
mod scale;
mod vary;

pub use claims::{Claim, Verdict};
use config::within;
pub use config::{names, EvaluationConfig, Experiment, FigureKind, HistoriesConfig, ModelConfig};
pub use estimate::Estimate;
pub use results::Results;
pub use scale::Scale;

use crate::evaluate::report::{Kind, Series};
use crate::evaluate::{evaluate, recorded, Contestant, Contestants, Evaluation};
use crate::export::{encode, quantize, Training, TrainingCard};
use crate::files::{read_text, write_bytes, FolderLock};
use crate::history::card::card_path;
use crate::history::{filter, generate_to_file, GenerateConfig, Mixture, Storage};
use crate::model::Parameters;
use crate::progress::Progress;
use crate::train::{load_parameters, snapshot_path, train, TrainConfig, TrainOutcome};
use crate::{Error, Result};
use figures::Planned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What an experiment came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One for each evaluation of the experiment.
    pub evaluations: Vec<Evaluation>,
    /// What became of the experiment's claims.
    pub verdicts: Vec<Verdict>,
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
    /// Wall-clock seconds of generation, by name of the histories.
    pub generation: BTreeMap<String, f64>,
    /// By name of the training run.
    pub training: BTreeMap<String, TrainingTime>,
}

/// What a training run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingTime {
    /// Wall-clock seconds of the process that finished it.
    pub seconds: f64,
    /// Tokens per second of the process that finished it; of RL2, environment steps, a token each.
    pub tokens_per_second: f64,
}

/// Runs `experiment` in `folder`.
///
/// # Errors
/// [`Error::Argument`] for what cannot be run, with the name of the field, or where the folder
/// holds a run of another experiment; [`Error::File`] and [`Error::Io`] for its files;
/// [`Error::Cancelled`].
pub fn run(experiment: &Experiment, folder: &Path, progress: &dyn Progress) -> Result<Outcome> {
    // What cannot be run must not claim the folder.
    experiment.validate()?;
    let _lock = FolderLock::take(folder)?;
    experiment.refuse_other(folder)?;
    // What is there must not pass for complete while it is made anew.
    results::remove(folder)?;
    experiment.claim(folder)?;
    let run = Run { experiment, folder, progress };
    let mut stages = run.read_stages()?;
    let before = stages.clone();
    for histories in &experiment.histories {
        run.make(histories, &mut stages)?;
    }
    let mut lines = Vec::new();
    for place in 0..experiment.models.len() {
        lines.push(run.train_line(place, &mut stages)?);
    }
    let mut evaluations = run.evaluate(&lines)?;
    run.write_results_into(&mut lines, &mut evaluations)?;
    let mut files: Vec<PathBuf> = lines.iter().flatten().map(|model| model.weights.clone()).collect();
    let results = results::write(experiment, folder, &evaluations, &mut files)?;
    let made_before = stages == before;
    Ok(Outcome { verdicts: results.claims, stages, made_before, files, evaluations })
}

/// A model that is trained and exported.
struct Trained {
    weights: PathBuf,
    /// The weights files of what it was along the way, by updates.
    snapshots: BTreeMap<u64, PathBuf>,
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

/// Whether a file of histories is there as a whole.
fn is_made(histories: &Path) -> bool {
    histories.exists() && card_path(histories).exists()
}

/// One experiment in one folder.
struct Run<'a> {
    experiment: &'a Experiment,
    folder: &'a Path,
    progress: &'a dyn Progress,
}

impl Run<'_> {
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

    fn histories_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.parquet"))
    }

    fn generate(&self, name: &str, config: &GenerateConfig, stages: &mut Stages) -> Result<()> {
        let path = self.histories_path(name);
        // The card is written last, and the time after it.
        if !is_made(&path) || !stages.generation.contains_key(name) {
            let begun = Instant::now();
            generate_to_file(config, &path, self.progress)?;
            stages.generation.insert(name.into(), begun.elapsed().as_secs_f64());
            self.write_stages(stages)?;
        }
        Ok(())
    }

    /// Generates histories, and filters them where that is asked for.
    fn make(&self, histories: &HistoriesConfig, stages: &mut Stages) -> Result<()> {
        let (name, config) = (&histories.name, histories.resolve()?);
        let Some(asked) = &histories.filter else { return self.generate(name, &config, stages) };
        let path = self.histories_path(name);
        let whole = self.experiment.unfiltered(histories);
        let is_shown =
            self.experiment.evaluations.iter().any(|evaluation| evaluation.figure == FigureKind::Histories);
        let is_there = is_made(&path) && (!is_shown || is_made(&self.histories_path(&whole)));
        if !is_there || !stages.generation.contains_key(name) {
            self.generate(&whole, &config, stages)?;
            let begun = Instant::now();
            filter(asked, &self.histories_path(&whole), &path)?;
            stages.generation.insert(name.into(), begun.elapsed().as_secs_f64());
            self.write_stages(stages)?;
        }
        Ok(())
    }

    /// Trains and exports the models of number `place`, one per seed.
    fn train_line(&self, place: usize, stages: &mut Stages) -> Result<Vec<Trained>> {
        let model = &self.experiment.models[place];
        let name = |seed: u32| match place {
            0 => format!("seed-{seed}"),
            _ => format!("{}-seed-{seed}", model.name),
        };
        let mut line = Vec::new();
        if model.rl2.is_some() {
            for seed in 0..model.seeds {
                if let Some(config) = self.experiment.rl2_of(model, seed)? {
                    line.push(self.trained_by_rl2(name(seed), &config, stages)?);
                }
            }
            return Ok(line);
        }
        let paths: Vec<PathBuf> = model.histories.iter().map(|name| self.histories_path(name)).collect();
        let histories = Mixture::read_with(&paths, &Storage::beside(self.folder))?;
        for seed in 0..model.seeds {
            line.push(self.trained(name(seed), &model.resolve(seed)?, &histories, stages)?);
        }
        Ok(line)
    }

    /// Trains and exports the model called `name`.
    fn trained(
        &self,
        name: String,
        config: &TrainConfig,
        histories: &Mixture,
        stages: &mut Stages,
    ) -> Result<Trained> {
        let folder = self.folder.join(&name);
        let model = folder.join("model.safetensors");
        let done = stages.training.contains_key(&name) && model.exists();
        let (parameters, training) = match done {
            true => load_parameters(&model)?,
            false => {
                let held_out = (!histories.held_out.index.is_empty()).then_some(&histories.held_out);
                let outcome = train(&histories.training, held_out, config, &folder, true, self.progress)?;
                let TrainOutcome { seconds, tokens_per_second, .. } = outcome;
                stages.training.insert(name.clone(), TrainingTime { seconds, tokens_per_second });
                self.write_stages(stages)?;
                (outcome.parameters, outcome.training)
            }
        };
        let cards = histories.files.iter().map(|file| &file.card);
        let card = TrainingCard::of_histories(cards, Training::Histories(training));
        let weights = |name: String| self.folder.join(format!("{name}.adw"));
        let mut snapshots = BTreeMap::new();
        for update in config.snapshots() {
            let (parameters, training) = load_parameters(&snapshot_path(&model, update))?;
            let (weights, card) = (
                weights(format!("{name}-after-{update}")),
                TrainingCard { training: Training::Histories(training), ..card.clone() },
            );
            Trained { weights: weights.clone(), snapshots: BTreeMap::new(), parameters, card }.export()?;
            snapshots.insert(update, weights);
        }
        let trained = Trained { weights: weights(name), snapshots, parameters, card };
        trained.export()?;
        Ok(trained)
    }

    fn evaluate(&self, lines: &[Vec<Trained>]) -> Result<Vec<Evaluation>> {
        let evaluate_one = |config: &EvaluationConfig| {
            let found = match config.figure {
                FigureKind::Histories => self.look_at_histories(config),
                _ => self.compare(config, lines),
            };
            let mut evaluation = found.map_err(|error| match self.experiment.stem(config) {
                Ok(stem) => within("evaluation", &stem, error),
                Err(_) => error,
            })?;
            evaluation.note = self.experiment.scale.note().map(String::from);
            evaluation.warnings.extend(evaluation.note.clone());
            Ok(evaluation)
        };
        self.experiment.evaluations.iter().map(evaluate_one).collect()
    }

    /// Runs the models of an evaluation against each other.
    fn compare(&self, config: &EvaluationConfig, lines: &[Vec<Trained>]) -> Result<Evaluation> {
        let files = |planned: &Planned| -> Vec<PathBuf> {
            let weights = |model: &Trained| match planned.snapshot {
                None => Some(model.weights.clone()),
                Some(update) => model.snapshots.get(&update).cloned(),
            };
            lines[planned.place].iter().filter_map(weights).collect()
        };
        let planned = self.experiment.contestants(config)?;
        let other = |planned: &Planned| Contestant {
            name: planned.name.clone(),
            label: planned.label.clone().unwrap_or_else(|| planned.name.clone()),
            models: files(planned),
            prompt: planned.prompt,
        };
        let contestants = Contestants {
            models: files(&planned[0]),
            label: planned[0].label.clone(),
            others: planned[1..].iter().map(other).collect(),
            ..Contestants::default()
        };
        let mut evaluation = evaluate(&config.config, &contestants, self.progress)?;
        evaluation.figure = self.experiment.figure(config)?;
        Ok(evaluation)
    }

    /// How the sources of all histories learned: of a filter's, before it.
    fn look_at_histories(&self, config: &EvaluationConfig) -> Result<Evaluation> {
        let file = |one: &HistoriesConfig| match one.filter {
            None => one.name.clone(),
            Some(_) => self.experiment.unfiltered(one),
        };
        let name = |one: &HistoriesConfig| (one.name.clone(), self.histories_path(&file(one)));
        let files: Vec<(String, PathBuf)> = self.experiment.histories.iter().map(name).collect();
        recorded(&self.experiment.stem(config)?, &files, self.progress)
    }

    /// Exports the models again, each with its results of its first evaluation in its card.
    fn write_results_into(&self, lines: &mut [Vec<Trained>], evaluations: &mut [Evaluation]) -> Result<()> {
        for (place, line) in lines.iter_mut().enumerate() {
            for (seed, model) in line.iter_mut().enumerate() {
                let of_models = |one: &&EvaluationConfig| one.figure != FigureKind::Histories;
                let configs = self.experiment.evaluations.iter().zip(&*evaluations);
                let mut configs = configs.filter(|(config, _)| of_models(config));
                model.card.evaluation = configs.find_map(|(config, evaluation)| {
                    let of_it =
                        self.experiment.entrants(config).iter().position(|entrant| *entrant == place)?;
                    match of_it {
                        0 => evaluation.results_of(&Series::of(Kind::Main).key, seed),
                        _ => evaluation.results_of(&self.experiment.models[place].name, seed),
                    }
                });
                let (bytes, file) = (model.export()?, model.weights.display().to_string());
                let all = evaluations.iter_mut().flat_map(Evaluation::all_models_mut);
                all.filter(|summary| summary.file == file).for_each(|summary| summary.bytes = bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use serde_json::json;

    fn toy() -> Experiment {
        small("dark-room")
    }

    fn small(name: &str) -> Experiment {
        Experiment::named(name).and_then(|experiment| experiment.at_scale(Scale::Toy)).expect(name)
    }

    const RESULTS: [&str; 5] =
        ["seed-0.adw", "expert-seed-0.adw", "histories.parquet", "dark-room.csv", "dark-room.svg"];

    fn results(folder: &Path) -> Vec<Vec<u8>> {
        RESULTS.iter().map(|name| std::fs::read(folder.join(name)).expect("a result")).collect()
    }

    #[test]
    fn a_run_that_lost_any_file_ends_with_the_same_results() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&toy(), folder.path(), &NoProgress).expect("the first run");
        assert_eq!((outcome.stages.training.len(), outcome.made_before), (2, false));
        let first = results(folder.path());
        assert!(run(&toy(), folder.path(), &NoProgress).expect("again").made_before);
        for lost in [
            "histories.card.json",
            "histories.parquet",
            "stages.json",
            "seed-0.adw",
            "seed-0/model.safetensors",
            "dark-room.csv",
        ] {
            std::fs::remove_file(folder.path().join(lost)).expect("removed");
            let again = run(&toy(), folder.path(), &NoProgress).expect(lost);
            assert!(again.stages.generation.contains_key("histories"), "{lost}");
            assert!(results(folder.path()) == first, "other results after {lost} was lost");
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn one_page_has_all_of_it_and_says_how_to_repeat_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&toy(), folder.path(), &NoProgress).expect("a run");
        let page = read_text(&folder.path().join("report.html")).expect("a page");
        let place = folder.path().display();
        let repeat = format!("algodistill reproduce {place}/experiment.toml --out {place}");
        for expected in [&repeat, "[[histories]]", "TOY SCALE", "By place of the goal"] {
            assert!(page.contains(expected), "{expected}");
        }
        assert_eq!(page.matches("<li><strong>").count(), outcome.verdicts.len());
        assert!(outcome.files.iter().any(|file| file.ends_with("report.html")));
    }

    #[test]
    fn another_experiment_is_refused_in_the_same_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&toy(), folder.path(), &NoProgress).expect("the first run");
        let mut other = toy();
        other.models[0].set("updates", 5);
        let error = run(&other, folder.path(), &NoProgress).expect_err("refused").to_string();
        assert!(error.contains("experiment.toml") && error.contains("another"), "{error}");
        // Another look at the same models is not.
        let mut looked_at_again = toy();
        looked_at_again.claims.clear();
        looked_at_again.evaluations[0].config.runs = Some(2);
        looked_at_again.models[0].label = Some("mine".into());
        assert!(run(&looked_at_again, folder.path(), &NoProgress).expect("the same models").made_before);
        // What was written down is an experiment as well, and the same.
        let written = Experiment::read(&folder.path().join("experiment.toml")).expect("an experiment");
        assert!(run(&written, folder.path(), &NoProgress).expect("the same").made_before);
    }

    #[test]
    fn more_seeds_and_models_go_on_from_those_that_are_there() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&toy(), folder.path(), &NoProgress).expect("the first run");
        let trained = std::fs::metadata(folder.path().join("seed-0/model.safetensors")).expect("a model");
        let mut more = toy();
        more.models[0].seeds = 2;
        let other = ModelConfig { name: "other".into(), label: None, ..more.models[1].clone() };
        more.models.insert(1, other);
        let outcome = run(&more, folder.path(), &NoProgress).expect("the rest");
        let names: Vec<&str> = outcome.stages.training.keys().map(String::as_str).collect();
        assert_eq!(names, ["expert-seed-0", "other-seed-0", "seed-0", "seed-1"]);
        let kept = std::fs::metadata(folder.path().join("seed-0/model.safetensors")).expect("a model");
        assert_eq!(kept.modified().expect("a time"), trained.modified().expect("a time"));
        assert_eq!(outcome.evaluations[0].models.len(), 2);
        // As if all had been asked for at once.
        let at_once = tempfile::tempdir().expect("a folder");
        run(&more, at_once.path(), &NoProgress).expect("all at once");
        for name in ["dark-room.csv", "seed-1.adw", "other-seed-0.adw", "results.json"] {
            let read = |folder: &Path| std::fs::read(folder.join(name)).expect(name);
            assert!(read(folder.path()) == read(at_once.path()), "{name} differs");
        }
        // A model that is there is not left behind, a seed is.
        let error = run(&toy(), folder.path(), &NoProgress).expect_err("refused").to_string();
        assert!(error.contains("it has a model \"other\", this has none"), "{error}");
        more.models[0].seeds = 1;
        assert!(run(&more, folder.path(), &NoProgress).expect("one of the two").made_before);
    }

    #[test]
    fn what_is_under_way_does_not_pass_for_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&toy(), folder.path(), &NoProgress).expect("the first run");
        let mut more = toy();
        more.models[0].seeds = 2;
        assert!(Results::of(&toy(), folder.path()).expect("readable").is_some());
        // The second seed cannot be begun.
        let in_the_way = folder.path().join("seed-1");
        write_bytes(&in_the_way, b"a file").expect("written");
        run(&more, folder.path(), &NoProgress).expect_err("refused");
        assert!(Results::of(&more, folder.path()).expect("readable").is_none());
        std::fs::remove_file(in_the_way).expect("removed");
        run(&more, folder.path(), &NoProgress).expect("both");
        assert!(Results::of(&more, folder.path()).expect("readable").is_some());
    }

    #[test]
    fn no_report_takes_the_place_of_a_file_of_the_run() {
        for name in ["stages", "results", "histories.card"] {
            let mut experiment = toy();
            experiment.claims.clear();
            experiment.evaluations[0].name = Some(name.into());
            let error = experiment.validate().expect_err(name).to_string();
            assert!(error.contains("a file of the run is called"), "{error}");
        }
    }

    #[test]
    fn results_travel_with_every_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&toy(), folder.path(), &NoProgress).expect("the run");
        let evaluation = &outcome.evaluations[0];
        assert_eq!(evaluation.others[0].0, "expert");
        for (file, summary) in
            [("seed-0.adw", &evaluation.models[0]), ("expert-seed-0.adw", &evaluation.others[0].1[0])]
        {
            let path = folder.path().join(file);
            let bytes = std::fs::read(&path).expect("the model");
            let model = algodistill_core::Model::decode(&bytes).expect("valid");
            let card = TrainingCard::parse(&path, model.card()).expect("a card");
            let results = card.evaluation.expect("results");
            assert_eq!((results.tasks, results.runs, results.episodes), (2, 1, [2, 3]));
            assert_eq!(summary.bytes, bytes.len());
        }
    }

    #[test]
    fn values_and_trajectories_are_distilled_exported_and_evaluated_as_learning_is() {
        for name in
            ["offline-q-key-to-door", "objectives-key-to-door", "decision-transformer-light-key-to-door"]
        {
            let folder = tempfile::tempdir().expect("a folder");
            let experiment = small(name);
            let outcome = run(&experiment, folder.path(), &NoProgress).expect(name);
            assert_eq!(outcome.evaluations.len(), experiment.evaluations.len(), "{name}");
            let mut lines = outcome.evaluations[0].measured.iter();
            assert!(lines.any(|line| line.series.label == "algorithm distillation"), "{name}");
            assert!(run(&experiment, folder.path(), &NoProgress).expect(name).made_before, "{name}");
        }
    }

    #[test]
    fn filtered_histories_are_taken_from_those_they_are_beside() {
        let mut experiment = toy();
        let whole = experiment.histories[0].clone();
        let asked: crate::history::FilterConfig =
            serde_json::from_value(json!({"keep": 0.5})).expect("a filter");
        for (name, seed) in [("best", 0), ("best-of-others", 1)] {
            let (name, seed) = (name.to_owned(), Some(seed));
            let filter = Some(asked.clone());
            experiment.histories.push(HistoriesConfig { name, seed, filter, ..whole.clone() });
        }
        experiment.models[1].histories = vec!["best".into(), "best-of-others".into()];
        let folder = tempfile::tempdir().expect("a folder");
        let there = |name: &str| folder.path().join(name);
        run(&experiment, folder.path(), &NoProgress).expect("the run");
        let all = crate::history::read(&there("histories.parquet")).expect("histories");
        let best = crate::history::read(&there("best.parquet")).expect("histories");
        assert_eq!(best.card.filters[0].from_sha256, all.digest());
        assert!(best.training.index.len() < all.training.index.len());
        assert!(
            there("best-of-others.unfiltered.parquet").exists() && !there("best.unfiltered.parquet").exists()
        );
        assert!(run(&experiment, folder.path(), &NoProgress).expect("again").made_before);
        let before = std::fs::read(there("best.parquet")).expect("a file");
        std::fs::remove_file(there("best.card.json")).expect("removed");
        run(&experiment, folder.path(), &NoProgress).expect("what was missing");
        assert!(std::fs::read(there("best.parquet")).expect("a file") == before);
    }

    #[test]
    fn histories_and_models_and_evaluations_go_together_as_the_file_says() {
        let mut experiment = toy();
        experiment.claims.clear();
        let mut once = experiment.histories[0].clone();
        once.name = "once".into();
        once.parameters = serde_json::from_value(json!({"reward": "once"})).expect("parameters");
        experiment.histories.push(once);
        experiment.models[1].name = "both".into();
        experiment.models[1].histories.push("once".into());
        let mut second = experiment.evaluations[0].clone();
        (second.name, second.models) = (Some("paid-once".into()), vec!["both".into()]);
        second.config.environment = Some("dark-room".into());
        second.config.parameters = experiment.histories[1].parameters.clone();
        experiment.evaluations.push(second);
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = run(&experiment, folder.path(), &NoProgress).expect("the run");
        assert_eq!(outcome.stages.generation.len(), 2);
        for file in ["once.parquet", "both-seed-0.adw", "dark-room.svg", "paid-once.json"] {
            assert!(folder.path().join(file).exists(), "{file}");
        }
        let [first, second] = outcome.evaluations.as_slice() else { panic!("two evaluations") };
        assert_eq!(first.measured[1].series.key, "both");
        assert!(second.models[0].file.ends_with("both-seed-0.adw") && second.others.is_empty());
    }
}
