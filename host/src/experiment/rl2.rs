//! Models of an experiment that are trained by RL2, beside those that are distilled: in the
//! environment of its histories, and with the same tasks held out.

use super::config::{Experiment, ModelConfig};
use super::{Run, Stages, Trained, TrainingTime};
use crate::export::{Training, TrainingCard};
use crate::parameters::{fields, Parameters};
use crate::rl2::{self, Rl2Config, Rl2Outcome, Rl2Record};
use crate::train::load_parameters;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The field of [`Rl2Config`] that an experiment has no word in: its histories say where.
const ENVIRONMENT: &str = "environment";

impl Experiment {
    /// The training of number `seed` of `model`, with everything that is absent filled in, and
    /// validated; `None` where it is distilled. Tasks and their split are those of the first
    /// histories, unless the model says otherwise.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub(super) fn rl2_of(&self, model: &ModelConfig, seed: u32) -> Result<Option<Rl2Config>> {
        let Some(asked) = &model.rl2 else { return Ok(None) };
        let histories = self.histories.first().ok_or_else(|| {
            Error::argument("rl2", "histories are needed: they say where it is trained and on which tasks")
        })?;
        let generation = histories.resolve()?;
        let mut config = Rl2Config {
            tasks: generation.tasks,
            held_out: Some(generation.held_out),
            split_seed: generation.split_seed,
            environment: generation.environment.with(&model.parameters)?,
            ..Rl2Config::default()
        };
        for (field, value) in &asked.0 {
            if field == ENVIRONMENT {
                let problem =
                    format!("is that of the histories {:?}; what differs goes in parameters", histories.name);
                return Err(Error::argument("rl2.environment", problem));
            }
            config.set(field, value.clone())?;
        }
        config.seed = config.seed.saturating_add(seed.into());
        config.validate()?;
        Ok(Some(config))
    }

    /// Refuses what is said of RL2 and is not, and a model of RL2 that has learned from tasks which
    /// others are evaluated on.
    pub(super) fn check_rl2(&self, model: &ModelConfig) -> Result<()> {
        let Some(config) = self.rl2_of(model, model.seeds.saturating_sub(1))? else {
            let problem =
                "are those of RL2's environment, and the model has no rl2: its histories say where it is";
            return match model.parameters.is_empty() {
                true => Ok(()),
                false => Err(Error::argument("parameters", problem)),
            };
        };
        if !model.histories.is_empty() || model.objective.is_some() || !model.train.is_empty() {
            let problem =
                "takes the place of histories, objective and train: a model is distilled or trained by RL2";
            return Err(Error::argument("rl2", problem));
        }
        for (place, histories) in self.histories.iter().enumerate() {
            let generation = histories.resolve()?;
            let counts = [&config.environment, &generation.environment].map(|one| one.task_count());
            if config.environment.name() != generation.environment.name() || counts[0] != counts[1] {
                // It is in the environment of the first; others are of something else.
                if place > 0 {
                    continue;
                }
                let [own, theirs] = counts.map(|count| count.map_or("no end of".into(), |n| n.to_string()));
                let name = &histories.name;
                let problem = format!(
                    "make an environment of {own} tasks, expected the {theirs} of the histories {name:?}"
                );
                return Err(Error::argument("parameters", problem));
            }
            if config.split()?.held_out != generation.split()?.held_out {
                let problem = format!(
                    "holds out other tasks than the histories {:?}: expected split_seed = {} and held_out = {}{}",
                    histories.name,
                    generation.split_seed,
                    generation.held_out,
                    // Where there is no end of tasks, held out are those after the last one.
                    generation.tasks.map_or(String::new(), |tasks| format!(" (tasks = {tasks})")),
                );
                return Err(Error::argument("rl2", problem));
            }
        }
        Ok(())
    }

    /// `model`, which RL2 trains as `config` says, with everything that is absent filled in.
    pub(super) fn rl2_resolved(model: &ModelConfig, config: &Rl2Config) -> Result<ModelConfig> {
        let mut said = fields(&config.resolved()?);
        said.remove(ENVIRONMENT);
        Ok(ModelConfig {
            rl2: Some(super::config::parameters(said)),
            parameters: super::config::parameters(config.environment.fields()),
            train: Parameters::default(),
            ..model.clone()
        })
    }
}

impl Run<'_> {
    /// Trains by RL2 and exports the model called `name`.
    pub(super) fn trained_by_rl2(
        &self,
        name: String,
        config: &Rl2Config,
        stages: &mut Stages,
    ) -> Result<Trained> {
        let folder = self.folder.join(&name);
        let model = folder.join("model.safetensors");
        let done = stages.training.contains_key(&name) && model.exists();
        let (parameters, record) = match done {
            true => load_parameters::<Rl2Record>(&model)?,
            false => {
                let outcome = rl2::train(config, &folder, true, self.progress)?;
                let Rl2Outcome { seconds, steps_per_second, .. } = outcome;
                let time = TrainingTime { seconds, tokens_per_second: steps_per_second };
                stages.training.insert(name.clone(), time);
                self.write_stages(stages)?;
                (outcome.parameters, outcome.record)
            }
        };
        let card = TrainingCard { origins: Vec::new(), training: Training::Rl2(record), evaluation: None };
        let weights = self.folder.join(format!("{name}.adw"));
        let trained = Trained { weights, snapshots: BTreeMap::new(), parameters, card };
        trained.export()?;
        Ok(trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{run, Scale};
    use crate::files::read_text;
    use crate::progress::{NoProgress, Progress};
    use serde_json::Value;
    use std::path::Path;
    use std::sync::Mutex;

    const NAME: &str = "methods-dark-room";

    fn toy() -> Experiment {
        Experiment::named(NAME).and_then(|one| one.at_scale(Scale::Toy)).expect(NAME)
    }

    /// Cancels as soon as RL2 has done some.
    #[derive(Default)]
    struct Impatient(Mutex<(bool, u64)>);

    impl Progress for Impatient {
        fn begin(&self, stage: &str, _length: u64) {
            self.0.lock().expect("unpoisoned").0 = stage == "train-rl2";
        }

        fn advance(&self, count: u64, _message: &dyn Fn() -> String) {
            let mut state = self.0.lock().expect("unpoisoned");
            state.1 += if state.0 { count } else { 0 };
        }

        fn finish(&self, _message: &str) {}

        fn cancelled(&self) -> bool {
            self.0.lock().expect("unpoisoned").1 > 0
        }
    }

    fn results(folder: &Path) -> Vec<Vec<u8>> {
        let names = ["rl2-seed-0.adw", "seed-0.adw", "by-steps.csv", "by-episode.csv", "results.json"];
        names.map(|name| std::fs::read(folder.join(name)).expect(name)).into()
    }

    #[test]
    fn a_model_of_rl2_is_trained_resumed_and_reported_beside_those_that_are_distilled() {
        let place = tempfile::tempdir().expect("a folder");
        let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
        let outcome = run(&toy(), &whole, &NoProgress).expect("the run");
        assert!(outcome.stages.training.contains_key("rl2-seed-0"));
        let by_steps: Value =
            serde_json::from_str(&read_text(&whole.join("by-steps.json")).expect("a report")).expect("JSON");
        assert_eq!(by_steps["labels"]["rl2"], "RL2", "{by_steps}");
        for key in ["int8", "q-learning", "rl2", "source"] {
            assert!(by_steps["curves"][key].is_array(), "{key}: {by_steps}");
        }
        let again = run(&toy(), &whole, &NoProgress).expect("again");
        assert!(again.made_before);

        let stopped = run(&toy(), &parts, &Impatient::default()).expect_err("cancelled");
        assert!(matches!(stopped, Error::Cancelled { .. }), "{stopped}");
        let metrics = read_text(&parts.join("rl2-seed-0/metrics.jsonl")).expect("some iterations");
        let iterations = toy().rl2_of(&toy().models[2], 0).expect("valid").expect("RL2").iterations;
        assert!((metrics.lines().count() as u64) < iterations, "{metrics}");
        run(&toy(), &parts, &NoProgress).expect("the rest");
        assert!(results(&parts) == results(&whole));
        std::fs::remove_file(parts.join("rl2-seed-0/model.safetensors")).expect("removed");
        run(&toy(), &parts, &NoProgress).expect("what was lost");
        assert!(results(&parts) == results(&whole));
    }

    #[test]
    fn a_tenth_of_rl2_is_fewer_iterations_on_the_tasks_of_its_histories() {
        let rl2 = |scale| {
            let one = Experiment::named(NAME).and_then(|one| one.at_scale(scale)).expect(NAME);
            one.validate().expect("valid");
            let estimate = one.estimate().expect("an estimate");
            (one.rl2_of(&one.models[2], 0).expect("valid").expect("RL2"), estimate)
        };
        let [(full, all), (small, tenth)] = [Scale::Full, Scale::Small].map(rl2);
        assert_eq!(small.iterations, full.iterations / 10);
        assert!(full.iterations * full.trials as u64 * 200 < all.rl2_steps, "evaluations count");
        assert!((9..=11).contains(&(all.rl2_steps / tenth.rl2_steps)), "{all:?} {tenth:?}");
        let few = Experiment::named(NAME).and_then(|one| one.with_updates(30)).expect(NAME);
        let rl2_few = few.rl2_of(&few.models[2], 0).expect("valid").expect("RL2");
        assert_eq!((rl2_few.iterations, rl2_few.warm_up), (3, 0), "8 updates each");
        assert_eq!(few.models[0].resolve(0).expect("valid").updates, 30);
        let (toy, _) = rl2(Scale::Toy);
        assert!(toy.iterations * toy.trials as u64 <= 16);
    }

    #[test]
    fn what_does_not_go_with_the_histories_is_refused_by_name() {
        type Change = fn(&mut ModelConfig);
        let set = |field: &'static str, value: Value| {
            let mut experiment = toy();
            experiment.models[2].set(field, value);
            experiment
        };
        let with = |change: Change| {
            let mut experiment = toy();
            change(&mut experiment.models[2]);
            experiment
        };
        let sized = |model: &mut ModelConfig| {
            model.parameters.0.insert("size".into(), 5.into());
        };
        let distilled = |model: &mut ModelConfig| {
            (model.rl2, model.histories) = (None, vec!["psrl".into()]);
            model.parameters.0.insert("start".into(), "random".into());
        };
        let mut without = toy();
        without.histories.clear();
        without.models.drain(..2);
        for (experiment, expected) in [
            (set("split_seed", 1.into()), "rl2: holds out other tasks than the histories \"psrl\": expected split_seed = 0 and held_out = 12"),
            (set("held_out", 5.into()), "rl2: holds out other tasks"),
            (set("iteration", 5.into()), "rl2.iteration: is not a parameter of the configuration of RL2"),
            (set("environment", "bandit".into()), "rl2.environment: is that of the histories \"psrl\""),
            (with(sized), "parameters: make an environment of 25 tasks, expected the 81 of the histories"),
            (with(|model| model.histories = vec!["psrl".into()]), "rl2: takes the place of histories"),
            (with(distilled), "parameters: are those of RL2's environment"),
            (without, "histories are needed"),
        ] {
            let error = experiment.validate().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mut kept = toy();
        kept.evaluations[0].figure = crate::experiment::FigureKind::Training;
        kept.evaluations[0].models = vec!["rl2".into()];
        let error = kept.validate().expect_err("refused").to_string();
        assert!(
            error.contains("the model \"rl2\" is trained by RL2, which keeps none along the way"),
            "{error}"
        );
    }
}
