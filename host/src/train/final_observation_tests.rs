//! What was observed at the end of an episode, from the histories to the agent.

use super::{load_parameters, read_config, train, Sequences, TrainConfig, TrainingRecord};
use crate::export::{encode, quantize};
use crate::history::{Histories, History, Steps};
use crate::model::{Dimensions, FloatAgent, NO_ROW};
use crate::nn::random::Purpose;
use crate::progress::NoProgress;
use algodistill_core::{Agent, Interface, Model, PortableRng, Sampling};

/// Cells that may end an episode; number 0 is the start.
const CELLS: u16 = 4;

/// Episodes of one step. Whichever cell ends one, the next action names it, and nothing else tells
/// which it was.
fn histories(count: u32) -> Histories {
    let interface = Interface::discrete(&[CELLS + 1], CELLS, &[0.0, 1.0]).unwrap();
    let mut rng = PortableRng::new(6, 0);
    let (mut steps, mut index) = (Steps::new(1), Vec::new());
    for id in 0..count {
        let first = steps.len();
        let mut cell = rng.below(u32::from(CELLS));
        for episode in 0..20 {
            steps.episodes.push(episode);
            steps.observations[0].push(0);
            steps.actions.push(cell as u16);
            steps.rewards.push(0.0);
            steps.dones.push(true);
            cell = rng.below(u32::from(CELLS));
            steps.final_observations.push(steps.len() - 1, &[1 + cell as i32]);
        }
        index.push(History { task: id, id, steps: first..steps.len() });
    }
    Histories { interface, index, steps }
}

/// Without the final observations of history `number` and those after it.
fn known_before(mut histories: Histories, number: usize) -> Histories {
    let known = histories.steps.final_observations;
    histories.steps.final_observations = Default::default();
    for (step, words) in known.iter().filter(|(step, _)| *step < histories.index[number].steps.start) {
        histories.steps.final_observations.push(step, words);
    }
    histories
}

fn config(updates: u64) -> TrainConfig {
    TrainConfig {
        dimensions: Dimensions {
            layers: 1,
            d_model: 16,
            heads: 1,
            d_ff: 16,
            window: 4,
            ..Dimensions::default()
        },
        updates,
        warm_up: 1,
        learning_rate: 1e-2,
        validation_every: 0,
        ..TrainConfig::default()
    }
}

#[test]
fn a_model_learns_what_only_the_final_observation_teaches() {
    let histories = histories(200);
    let folder = tempfile::tempdir().unwrap();
    let trained = |name: &str, final_observation: bool| {
        let mut config = config(150);
        config.dimensions.final_observation = final_observation;
        train(&histories, None, &config, &folder.path().join(name), false, &NoProgress).unwrap()
    };
    // The first action of a history cannot be foreseen, nor any without the final observation.
    let (with, without) = (trained("with", true), trained("without", false));
    assert!(with.loss.unwrap() < 0.4 && without.loss.unwrap() > 1.3, "{:?} {:?}", with.loss, without.loss);

    let file = encode(&quantize(&with.parameters).unwrap(), "{}").unwrap();
    let model = Model::decode(&file).unwrap();
    assert_eq!(model.dimensions().final_words, 1);
    let mut workspace = vec![0; model.workspace_words()];
    let mut int8 = Agent::new(model, &mut workspace).unwrap();
    int8.set_sampling(Sampling::Greedy).unwrap();
    let mut float = FloatAgent::new(&with.parameters);
    let mut rng = PortableRng::new(1, 0);
    int8.act(&[0], &mut rng).unwrap();
    float.act(&[0], 0.0, &mut rng);
    for step in 0..40 {
        let cell = step * 7 % usize::from(CELLS);
        let last = [1 + cell as i32];
        int8.feedback(0.0, Some(&last)).unwrap();
        float.feedback(0.0, Some(&last));
        assert_eq!(int8.act(&[0], &mut rng), Ok(cell));
        assert_eq!(float.act(&[0], 0.0, &mut rng), cell);
    }
}

#[test]
fn a_run_has_tables_for_final_observations_where_they_are_known_and_wanted() {
    let folder = tempfile::tempdir().unwrap();
    for (name, known, wanted) in [("both", 1, true), ("unknown", 0, true), ("unwanted", 1, false)] {
        let histories = known_before(histories(3), known);
        let mut config = config(1);
        config.dimensions.final_observation = wanted;
        let run = folder.path().join(name);
        let outcome = train(&histories, None, &config, &run, false, &NoProgress).unwrap();
        let (loaded, record) = load_parameters::<TrainingRecord>(&outcome.model).unwrap();
        let written = read_config(&run.join("config.toml")).unwrap();
        for dimensions in [loaded.dimensions, record.config.dimensions, written.dimensions] {
            assert_eq!(dimensions.final_observation, name == "both", "{name}");
        }
        assert_eq!((written.sequence_length, &written), (Some(10), &record.config));
        let model = encode(&quantize(&loaded).unwrap(), "{}").unwrap();
        assert_eq!(Model::decode(&model).unwrap().dimensions().final_words, usize::from(name == "both"));
        // Going on needs no more than was asked for at first.
        train(&histories, None, &config, &run, true, &NoProgress).unwrap();
    }
}

#[test]
fn histories_that_do_not_know_them_add_nothing() {
    let histories = known_before(histories(8), 4);
    let batch = Sequences::new(&histories, &config(1), &[]).unwrap().batch(Purpose::Batch, 0, 8).unwrap();
    for (number, place) in batch.sequences.iter().enumerate() {
        let tokens = batch.inputs.rows[4 * place.start..4 * place.end].chunks(4);
        let known = tokens.filter(|rows| rows[1] != NO_ROW).count();
        // Sequence i is drawn from history i.
        assert_eq!(known > 0, number < 4, "sequence {number}");
    }
}
