//! Golden files of the report formats, on a learner whose curve is known.

use super::golden::assert_golden;
use super::{Kind, Series};
use crate::environment::{EnvironmentConfig, Expert};
use crate::evaluate::evaluation::{Evaluation, ModelSummary};
use crate::evaluate::policy::{Policy, UniformRandom};
use crate::evaluate::report;
use crate::evaluate::rollout::{Contexts, Stream};
use crate::progress::NoProgress;
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

pub(super) fn evaluation(name: &str, episodes: u32) -> Evaluation {
    evaluation_of(name, episodes, None)
}

fn evaluation_of(name: &str, episodes: u32, stream: Option<Stream>) -> Evaluation {
    let environment = EnvironmentConfig::preset(name).expect("a preset");
    let contexts = Contexts { tasks: vec![3, 70], runs: 2, episodes, seed: 1, demonstration: None, stream };
    let summary = episodes as usize / 2..episodes as usize;
    let mut evaluation =
        Evaluation::new(name, environment.clone(), contexts, summary).expect("an evaluation");
    let (file, parameters) = ("model.adw".into(), 103_000);
    evaluation.models = vec![ModelSummary { file, parameters, bytes: 110_000, ring_bytes: 36_864 }];
    evaluation.sampling = "temperature 1".into();
    let learner = |task| {
        let optimum = environment.expert(task)?.expect("an expert");
        Ok(Revelation { optimum, revealed: false })
    };
    evaluation.measure(Series::of(Kind::Main), &[&learner, &learner], &NoProgress).expect("measured");
    let actions = environment.interface().expect("an interface").actions;
    let random = move |_| Ok(UniformRandom { actions });
    evaluation.measure(Series::of(Kind::Random), &[&random], &NoProgress).expect("measured");
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
fn a_stream_is_told_by_the_reward_of_its_blocks() {
    let evaluation = evaluation_of("bandit-even", 1, Some(Stream { steps: 400, block: 100 }));
    let json = report::json(&evaluation);
    for (key, low, high) in [("int8", 0.0, 60.0), ("random", 40.0, 60.0)] {
        let blocks = json["reward_per_block"][key].as_array().expect("an array");
        assert_eq!(blocks.len(), 4);
        assert!(
            blocks.iter().all(|block| (low..high).contains(&block.as_f64().expect("a sum"))),
            "{blocks:?}"
        );
    }
    assert_eq!((&json["steps"], &json["steps_per_block"]), (&400.into(), &100.into()));
    // What a block of the optimum is worth, not the whole stream.
    assert!((80.0..100.0).contains(&json["curves"]["optimal"].as_f64().expect("an optimum")));
    assert_eq!(evaluation.results_of("int8", 0).expect("results").steps, Some(400));
    assert!(report::text(&evaluation, 80).contains("reward of a block of 100 steps"));
}

#[test]
fn further_models_are_lines_of_their_own() {
    let mut evaluation = evaluation("dark-room", 2);
    for (place, name) in ["mine", "yours"].into_iter().enumerate() {
        let learner = |_| Ok(UniformRandom { actions: 5 });
        evaluation.measure(Series::other(place, name, name), &[&learner], &NoProgress).expect("measured");
    }
    let json = report::json(&evaluation);
    assert!(json["curves"]["mine"].is_array() && json["mean_return"]["yours"]["mean"].is_number());
    let chart = report::chart(&evaluation);
    assert!(chart.csv().contains("\nyours,2,"));
    let order: Vec<&str> = chart.lines.iter().map(|line| line.series.key.as_str()).collect();
    assert_eq!(order, ["optimal", "ideal", "random", "yours", "mine", "int8"], "the main line is drawn last");
    let svg = report::svg::render(&chart);
    assert!(svg.contains("#D55E00") && svg.contains("#56B4E9"), "each in a colour of its own");
}

/// Walks in a circle, wherever it is: no libm, so that every machine draws the same.
struct Circling {
    steps: usize,
}

impl Policy for Circling {
    fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> Result<usize> {
        self.steps += 1;
        Ok(if self.steps.is_multiple_of(4) { 1 } else { 0 })
    }

    fn feedback(&mut self, _reward: f32, _ended: Option<&[i32]>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn trajectories_are_those_of_the_episodes_that_were_counted() {
    let environment = EnvironmentConfig::preset("watermaze").expect("a preset");
    let parameters = ["horizon=30".parse().expect("an assignment")].into_iter().collect();
    let environment = environment.with(&parameters).expect("an environment");
    let contexts =
        Contexts { tasks: vec![3, 70], runs: 2, episodes: 4, seed: 1, demonstration: None, stream: None };
    let mut evaluation = Evaluation::new("watermaze", environment, contexts, 0..4).expect("an evaluation");
    let circling = |_| Ok(Circling { steps: 0 });
    evaluation.measure(Series::of(Kind::Main), &[&circling, &circling], &NoProgress).expect("measured");
    assert_eq!(evaluation.drawn.len(), 4, "episodes 1 and 3 of two tasks, of one context each");
    for drawn in &evaluation.drawn {
        let cluster = evaluation.measured[0].clusters.iter().find(|cluster| cluster.task == drawn.task);
        assert_eq!(cluster.expect("measured").runs[0][drawn.number as usize - 1], drawn.total);
    }
    assert_golden("trajectories.svg", &report::trajectories::render(&evaluation).expect("drawn"));
    // Nobody is above a bandit.
    assert_eq!(report::trajectories::render(&evaluation_of("bandit-even", 1, None)), None);
}

#[test]
fn rooms_are_drawn_from_above() {
    let svg = report::trajectories::render(&evaluation("dark-room", 3)).expect("drawn");
    assert!(svg.contains("circle start, dot end, G goal") && svg.contains(">task 70<"), "{svg}");
    // Who stays is not paid; who knows the goal, task 3, is there after five steps.
    assert!(svg.contains("episode 1: 0 in 20 steps"), "{svg}");
    assert!(svg.contains("episode 3: 16 in 20 steps"), "{svg}");
}

#[test]
fn files_lie_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths =
        report::write_files(&evaluation("dark-room", 2), &folder.path().join("curve.v1")).expect("written");
    let names: Vec<_> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["curve.v1.json", "curve.v1.csv", "curve.v1.svg", "curve.v1.trajectories.svg"]);
    assert!(paths.iter().all(|path| path.exists()));
}
