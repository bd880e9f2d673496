//! Golden files of the report formats, on a learner whose curve is known.

use super::chart::Series;
use super::evaluation::{Evaluation, ModelSummary};
use super::golden::assert_golden;
use super::policy::{Policy, UniformRandom};
use super::report;
use super::rollout::Contexts;
use crate::environment::{EnvironmentConfig, Expert};
use crate::Result;
use algodistill_core::PortableRng;

/// Stays for one episode, then does what is optimal.
struct Revelation {
    optimum: Box<dyn Expert>,
    revealed: bool,
}

impl Policy for Revelation {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        Ok(if self.revealed { self.optimum.act(observation, rng) } else { 0 })
    }

    fn feedback(&mut self, _reward: f32, ended: Option<&[i32]>) -> Result<()> {
        self.revealed |= ended.is_some();
        Ok(())
    }
}

fn evaluation(name: &str, episodes: u32) -> Evaluation {
    let environment = EnvironmentConfig::preset(name).expect("a preset");
    let contexts = Contexts { tasks: vec![3, 70], runs: 2, episodes, seed: 1, demonstration: None };
    let summary = episodes as usize / 2..episodes as usize;
    let mut evaluation =
        Evaluation::new(name, environment.clone(), contexts, summary).expect("an evaluation");
    evaluation.models = vec![ModelSummary { file: "model.adw".into(), parameters: 103_000, bytes: 110_000 }];
    evaluation.sampling = "temperature 1".into();
    let learner = |task| {
        let optimum = environment.expert(task)?.expect("an expert");
        Ok(Revelation { optimum, revealed: false })
    };
    evaluation.measure(Series::Int8, &[&learner, &learner]).expect("measured");
    let actions = environment.interface().expect("an interface").actions;
    evaluation.measure(Series::Random, &[&move |_| Ok(UniformRandom { actions })]).expect("measured");
    evaluation
}

#[test]
fn json_of_episodes() {
    assert_golden("episodes.json", &format!("{:#}\n", report::json(&evaluation("dark-room", 6))));
}

#[test]
fn text_of_episodes() {
    assert_golden("episodes.txt", &report::text(&evaluation("dark-room", 6), 100));
}

#[test]
fn text_of_one_long_episode() {
    assert_golden("steps.txt", &report::text(&evaluation("bandit-even", 1), 100));
}

#[test]
fn one_long_episode_gives_one_mean_and_the_steps_beside_it() {
    let json = report::json(&evaluation("bandit-even", 1));
    let total = json["curves"]["int8"][0].as_f64().expect("one mean an episode");
    let steps: Vec<f64> = json["step_rewards"]["int8"]
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|step| step.as_f64())
        .collect();
    assert_eq!(steps.len(), 100);
    assert!((total - steps.iter().sum::<f64>()).abs() < 1e-6);
}

#[test]
fn files_lie_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths =
        report::write_files(&evaluation("dark-room", 2), &folder.path().join("curve.v1")).expect("written");
    let names: Vec<_> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["curve.v1.json", "curve.v1.csv", "curve.v1.svg"]);
    assert!(paths.iter().all(|path| path.exists()));
}
