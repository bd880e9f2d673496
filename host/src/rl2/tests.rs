//! The loss against finite differences; trials against the engine; runs on any number of threads,
//! stopped and resumed; what is learned.

use super::ppo::{log_softmax, Ppo, PpoSums, ValueHead};
use super::*;
use crate::environment::EnvironmentConfig;
use crate::model::{Dimensions, Tokens};
use crate::nn::transformer::{initial_parameters, Batch, Engine};
use crate::progress::{NoProgress, Progress};
use crate::Error;
use algodistill_core::{Interface, Normaliser, PortableRng};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

/// Two sequences of random tokens, answered with random actions.
fn batch(dimensions: &Dimensions, interface: &Interface) -> Batch {
    let mut rng = PortableRng::new(3, 3);
    let mut tokens = Tokens::new(dimensions, interface, &[]);
    let (mut targets, mut returns) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        tokens.push(interface, &[rng.below(4) as i32], None);
        targets.push(rng.below(3) as u16);
        returns.push(rng.uniform() - 0.5);
    }
    Batch {
        inputs: tokens.into_inputs(),
        targets,
        outcomes: Vec::new(),
        returns,
        sequences: vec![0..5, 5..9],
        first_sequence: 0,
    }
}

/// The gradient of the whole network, value head included, where some ratios are beyond the clip and
/// some are not.
#[test]
fn the_gradient_of_the_loss_is_that_of_finite_differences() {
    let interface = Interface::discrete(&[4], 3, &[0.0, 1.0]).unwrap();
    let dimensions = Dimensions {
        layers: 1,
        d_model: 16,
        heads: 2,
        d_ff: 16,
        window: 4,
        final_observation: false,
        ..Dimensions::default()
    };
    let batch = batch(&dimensions, &interface);
    let mut rng = PortableRng::new(5, 5);
    let log_probabilities: Vec<f32> = (0..9).map(|_| (0.2 + 0.6 * rng.uniform()).ln()).collect();
    let advantages: Vec<f32> = (0..9).map(|_| 2.0 * rng.uniform() - 1.0).collect();
    let value_head = ValueHead::new(16);
    let loss = Ppo {
        batch: &batch,
        log_probabilities: &log_probabilities,
        advantages: &advantages,
        actions: 3,
        clip_ratio: 0.2,
        entropy_weight: 0.1,
        value_weight: 0.5,
        value_head: &value_head,
    };
    let mut values = initial_parameters(&dimensions, &interface, 1).values;
    values.extend(value_head.initial(1).iter().map(|value| 3.0 * value));
    let mut engine = Engine::new(&dimensions, &interface, 1).unwrap();
    let mut scratch = vec![0.0; values.len()];
    let mut gradient = vec![0.0; values.len()];
    let mut sums = |values: &[f32], gradient: &mut [f32]| -> PpoSums {
        engine.sums_and_gradient(values, &batch, &loss, None, gradient)
    };
    sums(&values, &mut gradient);
    // Along the gradient, and along random directions.
    for direction in 0..12 {
        let mut rng = PortableRng::new(7, direction);
        let along: Vec<f32> = match direction {
            0 => gradient.clone(),
            _ => gradient.iter().map(|_| 2.0 * rng.uniform() - 1.0).collect(),
        };
        let norm = along.iter().map(|x| x * x).sum::<f32>().sqrt();
        let step = 2e-3 / norm;
        let mut moved = |factor: f32| {
            let values: Vec<f32> = values.iter().zip(&along).map(|(v, a)| v + factor * a).collect();
            sums(&values, &mut scratch).loss
        };
        let found = (moved(step) - moved(-step)) / f64::from(2.0 * step) / f64::from(norm);
        let expected =
            gradient.iter().zip(&along).map(|(g, a)| f64::from(g * a)).sum::<f64>() / f64::from(norm);
        assert!((found - expected).abs() < 2e-2 * (1.0 + expected.abs()), "{direction}: {found} {expected}");
    }
}

/// A run of seconds: in a room of 3x3 cells, trials of three episodes of four steps.
fn small() -> Rl2Config {
    let environment = EnvironmentConfig::preset("dark-room").unwrap();
    let parameters = ["size=3", "horizon=4"].iter().map(|text| text.parse().unwrap()).collect();
    Rl2Config {
        environment: environment.with(&parameters).unwrap(),
        layers: 1,
        d_model: 16,
        heads: 2,
        d_ff: 32,
        held_out: Some(2),
        episodes: Some(3),
        iterations: 6,
        trials: 20,
        minibatch: 8,
        evaluate_every: 3,
        evaluation_trials: 10,
        checkpoint_every: 4,
        threads: Some(1),
        ..Rl2Config::default()
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// The lines of metrics, without the speed.
fn metrics(folder: &Path) -> Vec<MetricsLine> {
    let text = String::from_utf8(read(folder, "metrics.jsonl")).unwrap();
    let line = |line| MetricsLine { steps_per_second: 0.0, ..serde_json::from_str(line).unwrap() };
    text.lines().map(line).collect()
}

#[test]
fn the_number_of_threads_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    train(&small(), &one, false, &NoProgress).unwrap();
    train(&Rl2Config { threads: Some(2), ..small() }, &two, false, &NoProgress).unwrap();
    assert!(read(&one, "model.safetensors") == read(&two, "model.safetensors"));
    assert_eq!(metrics(&one), metrics(&two));
    let lines = metrics(&one);
    let evaluated: Vec<u64> =
        lines.iter().filter(|line| line.held_out.is_some()).map(|line| line.iteration).collect();
    assert_eq!((lines.len(), evaluated), (6, vec![3, 6]));
    assert!(lines.iter().all(|line| line.returns.len() == 3 && line.updates > 0));
}

#[test]
fn numbers_and_pictures_are_seen_and_a_resumed_run_keeps_their_scale() {
    for (preset, parameters) in [("watermaze-pose", ""), ("watermaze", "rows=2")] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        let mut environment = EnvironmentConfig::preset(preset).unwrap();
        let parameters = ["horizon=6", parameters].into_iter().filter(|text| !text.is_empty());
        environment = environment.with(&parameters.map(|text| text.parse().unwrap()).collect()).unwrap();
        let config =
            Rl2Config { environment, tasks: Some(30), iterations: 3, checkpoint_every: 2, ..small() };
        let outcome = train(&config, &whole, false, &NoProgress).unwrap();
        train(&config, &stopped, false, &Impatient(1.into())).unwrap_err();
        let two = Rl2Config { threads: Some(2), ..config };
        train(&two, &stopped, true, &NoProgress).unwrap();
        assert!(read(&whole, "model.safetensors") == read(&stopped, "model.safetensors"), "{preset}");
        let normalisers = outcome.parameters.normalisers;
        assert_eq!(normalisers.len(), if preset == "watermaze" { 0 } else { 4 });
        assert!(normalisers.iter().all(|own| *own != Normaliser::default()));
    }
}

/// Wants to stop after some iterations.
struct Impatient(AtomicI64);

impl Progress for Impatient {
    fn begin(&self, _: &str, _: u64) {}

    fn advance(&self, count: u64, _: &dyn Fn() -> String) {
        self.0.fetch_sub(count as i64, Ordering::Relaxed);
    }

    fn finish(&self, _: &str) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

#[test]
fn a_cancelled_run_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    train(&small(), &whole, false, &NoProgress).unwrap();
    let error = train(&small(), &stopped, false, &Impatient(2.into())).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(metrics(&stopped), metrics(&whole)[..2]);
    // As after a kill: back to the checkpoint, with a line of metrics cut short.
    let mut lines = read(&stopped, "metrics.jsonl");
    lines.extend_from_slice(b"{\"iteration\":3,\"st");
    std::fs::write(stopped.join("metrics.jsonl"), lines).unwrap();
    let more = Rl2Config { threads: Some(2), checkpoint_every: 1, ..small() };
    train(&more, &stopped, true, &NoProgress).unwrap();
    assert!(read(&whole, "model.safetensors") == read(&stopped, "model.safetensors"));
    assert_eq!(metrics(&whole), metrics(&stopped));
    let done = train(&small(), &stopped, true, &NoProgress).unwrap();
    assert!(done.last.is_none() && done.record.iteration == 6);
}

#[test]
fn what_helps_training_has_no_part_in_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let evaluated = |name: &str, novelty, barren| {
        // So slow that the policy stays what it is.
        let config =
            Rl2Config { iterations: 1, evaluate_every: 1, learning_rate: 1e-30, novelty, barren, ..small() };
        let run = folder.path().join(name);
        train(&config, &run, false, &NoProgress).unwrap();
        let line = metrics(&run).remove(0);
        assert!(line.training.iter().flatten().any(|paid| *paid > 0.0), "{line:?}");
        (line.training, line.held_out)
    };
    assert_eq!(evaluated("without", 0.0, 0.0), evaluated("with", 5.0, 0.9));
}

#[test]
fn a_folder_holds_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = Rl2Config { iterations: 1, ..small() };
    train(&config, folder.path(), false, &NoProgress).unwrap();
    let error = |config: &Rl2Config, resume| {
        train(config, folder.path(), resume, &NoProgress).unwrap_err().to_string()
    };
    assert!(error(&config, false).contains("holds a run already"));
    let other = Rl2Config { discount: 0.5, ..config.clone() };
    assert!(error(&other, true).starts_with("rl2.discount: is 0.5, but "), "{}", error(&other, true));
    // The folder of the other command, whatever it holds so far.
    let refused = crate::train::run_files::refuse_another_command(folder.path(), "train").unwrap_err();
    assert!(refused.to_string().contains("holds a run of `train-rl2`; choose another folder"), "{refused}");
    let refused = crate::train::read_config(&folder.path().join("config.toml")).unwrap_err();
    assert!(refused.to_string().contains("is a configuration of `train-rl2`"), "{refused}");
    std::fs::write(folder.path().join("config.toml"), "[train]\n").unwrap();
    assert!(error(&config, true).contains("holds a run of `train`"));
}

#[test]
fn it_learns_to_find_the_goal_and_to_go_back_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = Rl2Config {
        iterations: 120,
        evaluate_every: 60,
        trials: 64,
        minibatch: 16,
        held_out: Some(0),
        learning_rate: 5e-3,
        weight_decay: 0.0,
        evaluation_trials: 200,
        threads: None,
        ..small()
    };
    let outcome = train(&config, folder.path(), false, &NoProgress).unwrap();
    let returns = outcome.last.unwrap().training.unwrap();
    // Who knows the goal earns 3.6; in the first episode nobody does.
    assert!(returns[2] > 2.6 && returns[2] > returns[0] + 1.0, "{returns:?}");
}

#[test]
fn logits_become_logarithms_of_probabilities() {
    let mut logits = [1000.0, 1000.0 + 3f32.ln()];
    log_softmax(&mut logits);
    assert!((logits[0].exp() - 0.25).abs() < 1e-4 && (logits[1].exp() - 0.75).abs() < 1e-4, "{logits:?}");
}
