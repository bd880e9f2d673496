//! The fused engine against a plain double-precision network and against dfdx; runs, killed and
//! resumed; damaged files.

use super::objective::{Expert, OfflineQ};
use super::*;
use crate::history::{Histories, History, Slots, Steps};
use crate::model::{normaliser, Dimensions, Parameters, Previous, Role, Tokens, NORM_EPSILON};
use crate::nn::masks::Site;
use crate::nn::parts;
use crate::nn::random::Purpose;
use crate::nn::transformer::{
    forward_logits, initial_parameters, ActionValueOptions, Batch, Composed, Engine, LossOptions, NO_ROW,
    NO_TARGET,
};
use crate::nn::Masks;
use crate::progress::{NoProgress, Progress};
use algodistill_core::{Channel, Interface, PortableRng};
use std::path::Path;

/// Random histories of two channels and three actions, episodes of 5 steps. What was observed at
/// the end of an episode is known of two in three.
fn histories(count: usize, episodes: usize) -> Histories {
    let interface = Interface::discrete(&[4, 3], 3, &[0.0, 1.0]).unwrap();
    let mut rng = PortableRng::new(11, count as u64);
    let mut steps = Steps { observations: vec![Vec::new(); 2], ..Steps::default() };
    let mut index = Vec::new();
    for id in 0..count as u32 {
        let first = steps.actions.len();
        for step in 0..5 * episodes {
            steps.episodes.push(step as u32 / 5);
            steps.observations[0].push(rng.below(4) as i32);
            steps.observations[1].push(rng.below(3) as i32);
            // Half of the actions can be told from the observation.
            let copied = steps.observations[1].last().map_or(0, |&word| word as u16);
            steps.actions.push(if rng.below(2) == 0 { copied } else { rng.below(3) as u16 });
            steps.rewards.push(rng.below(2) as f32);
            steps.dones.push(step % 5 == 4);
            if step % 5 == 4 && rng.below(3) > 0 {
                let words = [rng.below(4) as i32, rng.below(3) as i32];
                steps.final_observations.push(steps.dones.len() - 1, &words);
            }
        }
        index.push(History { task: id, id, steps: first..steps.actions.len() });
    }
    Histories { interface, index, steps }
}

/// Two layers, heads narrower than a vector, a band shorter than the sequence, sequences longer
/// than a block of queries.
fn small() -> TrainConfig {
    TrainConfig {
        dimensions: Dimensions {
            layers: 2,
            d_model: 32,
            heads: 4,
            d_ff: 48,
            window: 21,
            final_observation: true,
            ..Dimensions::default()
        },
        sequence_length: Some(50),
        batch: 7,
        updates: 12,
        warm_up: 3,
        validation_sequences: 4,
        validation_every: 5,
        checkpoint_every: 4,
        log_every: 2,
        threads: Some(2),
        seed: 3,
        ..TrainConfig::default()
    }
}

fn masks(config: &TrainConfig) -> Masks {
    Masks {
        seed: config.seed,
        update: 5,
        attention: config.dropout,
        residual: config.residual_dropout,
        token: config.token_masking,
    }
}

/// Initial parameters with gains that are not 1.
fn parameters(config: &TrainConfig, interface: &Interface) -> Parameters {
    let mut parameters = initial_parameters(&config.dimensions, interface, 8);
    let mut rng = PortableRng::new(1, 2);
    for tensor in parameters.layout().iter().filter(|tensor| tensor.role == Role::Norm) {
        parameters.values[tensor.range()].iter_mut().for_each(|gain| *gain = 0.5 + rng.uniform());
    }
    parameters
}

/// The equations of [`crate::model`] in double precision, one number at a time.
fn reference_loss(parameters: &Parameters, values: &[f64], batch: &Batch, options: &LossOptions) -> f64 {
    let dimensions = parameters.dimensions;
    let (d, heads, kv_heads) =
        (dimensions.d_model, dimensions.heads, dimensions.kv_heads.unwrap_or(dimensions.heads));
    let width = d / heads;
    let layout = parameters.layout();
    let tensor = |name: &str| {
        let tensor = layout.iter().find(|tensor| tensor.name == name).unwrap();
        (&values[tensor.range()], tensor.shape)
    };
    let linear = |input: &[f64], name: &str| -> Vec<f64> {
        let (matrix, [_, inputs]) = tensor(name);
        matrix.chunks(inputs).map(|row| row.iter().zip(input).map(|(a, b)| a * b).sum()).collect()
    };
    let norm = |input: &[f64], name: &str| -> Vec<f64> {
        let mean = input.iter().map(|x| x * x).sum::<f64>() / d as f64;
        let scale = 1.0 / (mean + f64::from(NORM_EPSILON)).sqrt();
        input.iter().zip(tensor(name).0).map(|(x, gain)| x * scale * gain).collect()
    };
    let tables = batch.inputs.rows.len() / batch.targets.len();
    let actions = usize::from(parameters.interface.actions);
    let mut loss = 0.0;
    for (number, place) in batch.sequences.iter().enumerate() {
        let masks = options.masks.map(|masks| masks.sequence(number));
        let factor = |site: Site, row: usize, column: usize| {
            masks.map_or(1.0, |masks| {
                let rate = if matches!(site, Site::Attention(_)) { masks.attention } else { masks.residual };
                f64::from(rate.factor(masks.key(site, row), column as u32))
            })
        };
        let mut stream: Vec<Vec<f64>> = place
            .clone()
            .enumerate()
            .map(|(position, token)| {
                let rows = &batch.inputs.rows[token * tables..(token + 1) * tables];
                let shown = masks.is_none_or(|masks| !masks.hides(position));
                let rows = rows.iter().filter(|&&row| row != NO_ROW);
                let sum = |column| rows.clone().map(|&row| values[row as usize * d + column]).sum::<f64>();
                (0..d).map(|column| if shown { sum(column) } else { 0.0 }).collect()
            })
            .collect();
        for layer in 0..dimensions.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let wide: Vec<Vec<f64>> = stream
                .iter()
                .map(|x| linear(&norm(x, &name("attention_norm")), &name("query_key_value")))
                .collect();
            for query in 0..stream.len() {
                let mut attended = vec![0.0; d];
                let keys = (query + 1).saturating_sub(dimensions.window)..query + 1;
                for head in 0..heads {
                    let shared = head / (heads / kv_heads);
                    let first = [head, heads + shared, heads + kv_heads + shared];
                    let part = |which: usize| first[which] * width..(first[which] + 1) * width;
                    let weights: Vec<f64> = keys
                        .clone()
                        .map(|key| {
                            let pairs = wide[query][part(0)].iter().zip(&wide[key][part(1)]);
                            (pairs.map(|(q, k)| q * k).sum::<f64>() / (width as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = weights.iter().sum();
                    for (key, weight) in keys.clone().zip(&weights) {
                        let kept = factor(Site::Attention(layer * heads + head), query, key);
                        for (sum, value) in attended[part(0)].iter_mut().zip(&wide[key][part(2)]) {
                            *sum += weight / total * kept * value;
                        }
                    }
                }
                let output = linear(&attended, &name("attention_output"));
                for (column, output) in output.iter().enumerate() {
                    stream[query][column] += output * factor(Site::AttentionOutput(layer), query, column);
                }
                let hidden =
                    linear(&norm(&stream[query], &name("feed_forward_norm")), &name("feed_forward_up"));
                let hidden: Vec<f64> = hidden.iter().map(|x| x.max(0.0)).collect();
                for (column, output) in linear(&hidden, &name("feed_forward_down")).iter().enumerate() {
                    stream[query][column] += output * factor(Site::FeedForward(layer), query, column);
                }
            }
        }
        for (token, x) in place.clone().zip(&stream) {
            let target = batch.targets[token];
            if target == NO_TARGET {
                continue;
            }
            let mut logits = linear(&norm(x, "final_norm"), "head");
            let mut weight = 1.0;
            if let Some(own) = options.action_values {
                if !batch.returns[token].is_nan() {
                    loss += 0.5 * (logits[usize::from(target)] - f64::from(batch.returns[token])).powi(2);
                }
                logits.iter_mut().for_each(|logit| *logit /= f64::from(own.temperature));
                weight = f64::from(own.conservatism) * f64::from(own.temperature);
            }
            let log_sum = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            let smoothing = f64::from(options.label_smoothing);
            let even = logits.iter().map(|logit| log_sum - logit).sum::<f64>() / actions as f64;
            loss += weight * ((1.0 - smoothing) * (log_sum - logits[usize::from(target)]) + smoothing * even);
        }
    }
    loss / batch.target_count() as f64
}

fn sized(change: impl Fn(&mut Dimensions)) -> TrainConfig {
    let mut config = small();
    change(&mut config.dimensions);
    config
}

/// Plain; label smoothing; every mask; one head of a whole vector's width; without final
/// observations; keys and values for several heads, of which the last are no whole panels.
fn variants() -> Vec<TrainConfig> {
    vec![
        small(),
        TrainConfig { label_smoothing: 0.2, ..sized(|d| d.window = 64) },
        TrainConfig { dropout: 0.4, residual_dropout: 0.1, token_masking: 0.3, ..small() },
        sized(|d| (d.heads, d.layers, d.window, d.d_ff) = (1, 1, 1, 16)),
        sized(|d| d.final_observation = false),
        sized(|d| d.kv_heads = Some(2)),
        TrainConfig { dropout: 0.4, residual_dropout: 0.1, ..sized(|d| d.kv_heads = Some(1)) },
        sized(|d| (d.d_model, d.kv_heads) = (16, Some(1))),
    ]
}

fn case(config: &TrainConfig, histories: &Histories) -> (Parameters, Batch, LossOptions) {
    let sequences = Sequences::new(histories, config, &[]).unwrap();
    let batch = sequences.batch(Purpose::Batch, 1, config.batch).unwrap();
    let label_smoothing = config.label_smoothing;
    let options = LossOptions { label_smoothing, masks: Some(masks(config)), action_values: None };
    (parameters(config, &histories.interface), batch, options)
}

/// Tokens of two kinds in turn, as of an objective with several tokens per step: one without
/// feedback and without a target, one of the feedback alone.
fn of_two_kinds(batch: &mut Batch) {
    let tables = batch.inputs.rows.len() / batch.targets.len();
    for (token, rows) in batch.inputs.rows.chunks_mut(tables).enumerate() {
        match token % 2 {
            0 => (rows[tables - 1], batch.targets[token]) = (NO_ROW, NO_TARGET),
            _ => rows[..tables - 1].fill(NO_ROW),
        }
    }
}

/// Some actions have a return, others do not.
fn of_values(batch: &mut Batch, options: &mut LossOptions) {
    let returns =
        (0..batch.targets.len()).map(|token| if token % 3 == 0 { f32::NAN } else { token as f32 / 100.0 });
    batch.returns = returns.collect();
    options.action_values = Some(ActionValueOptions { temperature: 0.5, conservatism: 0.3 });
}

/// The batches of all variants, one of tokens of two kinds, and the same two as values of actions.
fn cases(histories: &Histories) -> Vec<(TrainConfig, Parameters, Batch, LossOptions)> {
    let mut cases = Vec::new();
    for config in variants() {
        let (parameters, batch, options) = case(&config, histories);
        cases.push((config, parameters, batch, options));
    }
    let mut mixed = cases[1].clone();
    of_two_kinds(&mut mixed.2);
    let as_values = [cases[2].clone(), mixed.clone()];
    cases.push(mixed);
    for mut case in as_values {
        of_values(&mut case.2, &mut case.3);
        cases.push(case);
    }
    cases
}

#[test]
fn gradient_agrees_with_finite_differences_in_double_precision() {
    // Histories of 40 steps give sequences of differing lengths.
    let histories = histories(6, 8);
    for (config, parameters, batch, options) in cases(&histories) {
        let mut engine = Engine::new(&config.dimensions, &histories.interface, 2).unwrap();
        let mut gradient = vec![f32::NAN; parameters.values.len()];
        let loss = engine.loss_and_gradient(&parameters.values, &batch, &options, &mut gradient);
        let mut values: Vec<f64> = parameters.values.iter().map(|&value| value.into()).collect();
        let expected = reference_loss(&parameters, &values, &batch, &options);
        assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} {expected}");
        assert_eq!(loss, engine.loss(&parameters.values, &batch, &options));
        let largest = gradient.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        let mut rng = PortableRng::new(3, 1);
        for tensor in parameters.layout() {
            for _ in 0..4 {
                let place = tensor.offset + rng.below(tensor.range().len() as u32) as usize;
                let step = 1e-5;
                let value = values[place];
                values[place] = value + step;
                let above = reference_loss(&parameters, &values, &batch, &options);
                values[place] = value - step;
                let below = reference_loss(&parameters, &values, &batch, &options);
                values[place] = value;
                let expected = (above - below) / (2.0 * step);
                let error = (f64::from(gradient[place]) - expected).abs();
                assert!(error < 1e-4 * f64::from(largest), "{}: {} {expected}", tensor.name, gradient[place]);
            }
        }
    }
}

#[test]
fn fused_agrees_with_composed() {
    let histories = histories(6, 8);
    for (config, parameters, batch, options) in cases(&histories) {
        let mut engine = Engine::new(&config.dimensions, &histories.interface, 1).unwrap();
        let composed = Composed::new(dfdx::prelude::Cpu::default(), &config.dimensions, &histories.interface);
        let mut fused_gradient = vec![0.0; parameters.values.len()];
        let mut composed_gradient = vec![f32::NAN; parameters.values.len()];
        let fused = engine.loss_and_gradient(&parameters.values, &batch, &options, &mut fused_gradient);
        let value =
            composed.loss_and_gradient(&parameters.values, &batch, &options, &mut composed_gradient).unwrap();
        assert!((fused - value).abs() < 1e-5, "{fused} {value}");
        assert!((fused - composed.loss(&parameters.values, &batch, &options).unwrap()).abs() < 1e-5);
        let logits = engine.logits(&parameters.values, &batch);
        assert_eq!(logits.len(), batch.targets.len() * 3);
        for (fused, composed) in logits.iter().zip(composed.logits(&parameters.values, &batch).unwrap()) {
            assert!((fused - composed).abs() < 1e-4, "{fused} {composed}");
        }
        for tensor in parameters.layout() {
            for place in tensor.range() {
                let (fused, composed) = (fused_gradient[place], composed_gradient[place]);
                assert!((fused - composed).abs() < 1e-5, "{} {place}: {fused} {composed}", tensor.name);
            }
        }
    }
}

#[test]
fn the_whole_network_is_one_operation_on_the_tape() {
    use dfdx::prelude::{Backward, Cpu, Rank0, SumTo, TensorFromVec, Trace};
    let histories = histories(6, 8);
    let (parameters, batch, options) = case(&small(), &histories);
    let mut engine = Engine::new(&parameters.dimensions, &histories.interface, 2).unwrap();
    let mut expected = vec![0.0; parameters.values.len()];
    let loss = engine.loss_and_gradient(&parameters.values, &batch, &options, &mut expected);
    let shape = (1, parameters.values.len());
    let values = Cpu::default().tensor_from_vec(parameters.values, shape);
    assert_eq!(engine.loss_on_tape(values.clone(), &batch, &options).as_vec(), [loss]);
    let traced = engine.loss_on_tape(values.leaky_trace(), &batch, &options);
    let gradients = (traced * 3.0).sum::<Rank0, _>().backward();
    for (found, expected) in gradients.get(&values).as_vec().iter().zip(&expected) {
        assert!((found - 3.0 * expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
    }
}

#[test]
fn gradient_depends_on_neither_threads_nor_time() {
    let histories = histories(9, 20);
    let config = TrainConfig { batch: 37, dropout: 0.2, ..small() };
    let (parameters, batch, options) = case(&config, &histories);
    let mut results = Vec::new();
    for threads in [1, 2, 5] {
        let mut engine = Engine::new(&config.dimensions, &histories.interface, threads).unwrap();
        for _ in 0..3 {
            let mut gradient = vec![0.0; parameters.values.len()];
            let loss = engine.loss_and_gradient(&parameters.values, &batch, &options, &mut gradient);
            results.push((loss.to_bits(), gradient.iter().map(|g| g.to_bits()).collect::<Vec<_>>()));
        }
    }
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn logits_of_a_stream_give_the_loss_of_its_sequence() {
    let histories = histories(1, 12);
    let config = TrainConfig { batch: 1, sequence_length: Some(60), history_start_fraction: 1.0, ..small() };
    let (parameters, batch, _) = case(&config, &histories);
    let mut tokens = Tokens::new(&config.dimensions, &histories.interface, &[]);
    let steps = &histories.steps;
    for step in 0..60 {
        let observation = [steps.observations[0][step], steps.observations[1][step]];
        let previous = step.checked_sub(1).map(|step| Previous {
            action: steps.actions[step],
            reward: steps.rewards[step],
            ended: steps.dones[step].then(|| steps.final_observations.after(step).unwrap_or(&[])),
        });
        tokens.push(&histories.interface, &observation, previous);
    }
    assert_eq!(tokens.inputs().rows, batch.inputs.rows);
    assert_eq!(tokens.inputs().len(), 60);
    let logits = forward_logits(&parameters, &tokens);
    let mut engine = Engine::new(&config.dimensions, &histories.interface, 1).unwrap();
    assert_eq!(logits, engine.logits(&parameters.values, &batch));
    assert_eq!(logits.len(), 60 * 3);
    let mut loss = 0.0;
    for (logits, &target) in logits.chunks(3).zip(&batch.targets) {
        loss += logits.iter().map(|logit| logit.exp()).sum::<f32>().ln() - logits[usize::from(target)];
    }
    let expected = engine.loss(&parameters.values, &batch, &LossOptions::default());
    assert!((loss / 60.0 - expected).abs() < 1e-5);
}

#[test]
fn sequences_begin_at_episodes_and_stay_in_their_history() {
    let histories = histories(5, 9);
    let config = TrainConfig { sequence_length: Some(22), ..small() };
    // Behind both kinds of observations.
    let none = 2 * (4 + 3) + 3;
    let of = |config: &TrainConfig| {
        let sequences = Sequences::new(&histories, config, &[]).unwrap();
        (0..50)
            .flat_map(|update| sequences.batch(Purpose::Batch, update, 8).unwrap().split())
            .collect::<Vec<_>>()
    };
    let all = of(&config);
    // Episodes 0 to 4 leave 22 steps; the fifth is the first that does not, and reaches the end of
    // the history.
    assert!(all.iter().all(|(rows, targets)| targets.len() >= 20 && rows.len() == 6 * targets.len()));
    assert!(all.iter().any(|(_, targets)| targets.len() == 20));
    let begins = all.iter().filter(|(rows, _)| rows[4] == none).count();
    assert!((100..260).contains(&begins), "{begins}");
    // Expert distillation: ceil(9 / 10) = 1 episode, its beginning a history's beginning.
    let expert =
        of(&TrainConfig { objective: ObjectiveConfig::Expert(Expert { fraction: 0.1 }), ..config.clone() });
    assert!(expert.iter().all(|(rows, targets)| targets.len() == 5 && rows[4] == none));
    let mut last: Vec<_> = histories
        .index
        .iter()
        .map(|h| histories.steps.actions[h.steps.end - 5..h.steps.end].to_vec())
        .collect();
    last.sort();
    assert!(expert.iter().all(|(_, targets)| last.binary_search(targets).is_ok()));
}

#[test]
fn decision_pretraining_answers_every_step_with_its_optimal_action_where_it_is_known() {
    let mut histories = histories(5, 9);
    let config = TrainConfig { objective: ObjectiveConfig::named("decision-pretrained").unwrap(), ..small() };
    let refused = |histories: &Histories| Sequences::new(histories, &config, &[]).err().unwrap().to_string();
    assert!(refused(&histories).contains("have no optimal actions"));
    let count = histories.steps.len();
    histories.steps.optimal_actions = vec![NO_TARGET; count];
    assert!(refused(&histories).contains("no step whose optimal action is known"));
    histories.steps.optimal_actions = vec![3; count];
    assert!(refused(&histories).contains("is 3, must be below 3"));
    // Known on every other step: the opposite of what was observed.
    for (step, optimal) in histories.steps.optimal_actions.iter_mut().enumerate() {
        let observed = histories.steps.observations[1][step] as u16;
        *optimal = if step % 2 == 0 { 2 - observed } else { NO_TARGET };
    }
    let found = Sequences::new(&histories, &config, &[]).unwrap().batch(Purpose::Batch, 0, 7).unwrap();
    let imitated = Sequences::new(&histories, &small(), &[]).unwrap().batch(Purpose::Batch, 0, 7).unwrap();
    assert_eq!((&found.inputs.rows, &found.sequences), (&imitated.inputs.rows, &imitated.sequences));
    let known = found.inputs.rows.chunks(6).zip(&found.targets).filter(|(_, &target)| target != NO_TARGET);
    assert!(known.clone().count() == found.target_count() && found.target_count() > 100);
    for (rows, &target) in known {
        assert_eq!(u32::from(target), 2 - (rows[1] - 4));
    }
}

#[test]
fn a_rank_draws_its_sequences_of_the_batch() {
    let mut histories = histories(30, 9);
    let config = TrainConfig { batch: 7, ..small() };
    let whole = Sequences::new(&histories, &config, &[]).unwrap().batch(Purpose::Batch, 4, 7).unwrap();
    let whole = (whole.first_sequence, whole.split());
    assert_eq!(whole.0, 0);
    let slots = Slots { range: 2..5, batch: 7 };
    // The rank has no other steps than its own.
    let needed = slots.histories(30);
    for (number, history) in histories.index.iter_mut().enumerate() {
        if !needed.contains(&number) {
            history.steps.end = history.steps.start;
        }
    }
    let sequences = Sequences::of_slots(&histories, &config, &[], &slots).unwrap();
    let part = sequences.part(Purpose::Batch, 4, &slots).unwrap();
    assert_eq!(part.first_sequence, 2);
    assert_eq!(part.split(), whole.1[2..5]);
    let more = Slots { range: 0..5, batch: 7 };
    let problem = Sequences::of_slots(&histories, &config, &[], &more).err().unwrap().to_string();
    assert!(problem.contains("history 0 has no step"), "{problem}");
}

#[test]
fn parts_of_a_batch_add_up_to_the_whole() {
    let histories = histories(9, 20);
    let config = TrainConfig { batch: 16, dropout: 0.2, token_masking: 0.1, ..small() };
    let (parameters, batch, options) = case(&config, &histories);
    let mut engine = Engine::new(&config.dimensions, &histories.interface, 2).unwrap();
    let sequences = Sequences::new(&histories, &config, &[]).unwrap();
    let mut sum = |batch: &Batch| {
        let mut gradient = vec![0.0; parameters.values.len()];
        let loss = engine.sum_and_gradient(&parameters.values, batch, &options, &mut gradient);
        (loss, gradient)
    };
    let whole = sum(&batch);
    let parts: Vec<_> = (0..2)
        .map(|rank| {
            let slots = Slots { range: parts::part(0..16, rank, 2), batch: 16 };
            sum(&sequences.part(Purpose::Batch, 1, &slots).unwrap())
        })
        .collect();
    assert_eq!(parts[0].0 + parts[1].0, whole.0);
    let added: Vec<f32> = parts[0].1.iter().zip(&parts[1].1).map(|(a, b)| a + b).collect();
    assert!(added == whole.1, "the gradients differ");
}

impl Batch {
    fn split(self) -> Vec<(Vec<u32>, Vec<u16>)> {
        let tables = self.inputs.rows.len() / self.targets.len();
        let part = |place: &std::ops::Range<usize>| {
            (
                self.inputs.rows[place.start * tables..place.end * tables].to_vec(),
                self.targets[place.clone()].to_vec(),
            )
        };
        self.sequences.iter().map(part).collect()
    }
}

#[test]
fn histories_that_do_not_fit_the_interface_are_refused() {
    let valid = histories(2, 2);
    let refused = |change: fn(&mut Histories)| {
        let mut histories = valid.clone();
        change(&mut histories);
        Sequences::new(&histories, &small(), &[]).err().unwrap().to_string()
    };
    assert!(refused(|h| h.index.clear()).contains("no step"));
    assert!(refused(|h| h.steps.actions[3] = 3).contains("action of step 3"));
    assert!(refused(|h| h.steps.observations[1][4] = -1).contains("channel 1 of step 4"));
    assert!(refused(|h| h.steps.observations[0][4] = 4).contains("channel 0 of step 4"));
    assert!(refused(|h| h.steps.final_observations.push(h.steps.len() - 1, &[4, 0]))
        .contains("final observation of"));
    assert!(refused(|h| h.steps.final_observations.push(h.steps.len() + 4, &[0, 0]))
        .contains("final observation of"));
    assert!(refused(|h| h.index[1].steps.end += 1).contains("history 1"));
    assert!(refused(|h| h.steps.dones.truncate(3)).contains("columns"));
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_run_is_not_gone_on_with_on_another_scale() {
    let mut histories = histories(6, 12);
    histories.interface.channels = [Channel::Vector { size: 2 }].into_iter().collect();
    let folder = tempfile::tempdir().unwrap();
    train(&histories, None, &small(), folder.path(), false, &NoProgress).unwrap();
    train(&histories, None, &small(), folder.path(), true, &NoProgress).unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::load(&path).unwrap();
    checkpoint.parameters.normalisers[1] = normaliser(-7, 7);
    checkpoint.save(&path).unwrap();
    let error = train(&histories, None, &small(), folder.path(), true, &NoProgress).unwrap_err().to_string();
    assert!(
        error.contains("checkpoint.safetensors: was begun by a version that gives the numbers"),
        "{error}"
    );
}

#[test]
fn resumed_run_ends_with_the_same_bytes() {
    let histories = histories(6, 12);
    let config = TrainConfig { dropout: 0.2, token_masking: 0.1, ..small() };
    let alone = crate::ranks::Ranks::alone();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let outcome = train(&histories, Some(&histories), &config, &whole, false, &NoProgress).unwrap();
    assert_eq!(outcome.training.update, 12);
    assert!(outcome.validation_loss.is_some());
    let (loaded, training) = load_parameters(&outcome.model).unwrap();
    assert_eq!((loaded, training), (outcome.parameters, outcome.training));

    let parts = folder.path().join("parts");
    let killed = folder.path().join("killed");
    let mut stopped = run::Run::open(&alone, &histories, Some(&histories), &config, &parts, false).unwrap();
    for _ in 0..11 {
        stopped.step(false).unwrap();
    }
    drop(stopped);
    let threads = TrainConfig { threads: Some(1), ..config.clone() };
    train(&histories, Some(&histories), &threads, &parts, true, &NoProgress).unwrap();
    assert_eq!(read(&whole, "model.safetensors"), read(&parts, "model.safetensors"));
    assert_eq!(read(&whole, "checkpoint.safetensors"), read(&parts, "checkpoint.safetensors"));
    let updates = |folder: &Path| -> Vec<u64> {
        let text = String::from_utf8(read(folder, "metrics.jsonl")).unwrap();
        text.lines().map(|l| serde_json::from_str::<metrics::MetricsLine>(l).unwrap().update).collect()
    };
    assert_eq!(updates(&whole), [2, 4, 5, 6, 8, 10, 12]);
    assert_eq!(updates(&parts), updates(&whole));
    // Killed before the first checkpoint, then resumed, then resumed after the end.
    let mut stopped = run::Run::open(&alone, &histories, Some(&histories), &config, &killed, false).unwrap();
    for _ in 0..3 {
        stopped.step(false).unwrap();
    }
    drop(stopped);
    train(&histories, Some(&histories), &config, &killed, true, &NoProgress).unwrap();
    train(&histories, Some(&histories), &config, &killed, true, &NoProgress).unwrap();
    assert_eq!(read(&whole, "model.safetensors"), read(&killed, "model.safetensors"));
    assert_eq!(updates(&killed), updates(&whole));

    let again = train(&histories, None, &config, &whole, false, &NoProgress).unwrap_err().to_string();
    assert!(again.starts_with("run_dir: ") && again.contains("resume it"), "{again}");
    let other = TrainConfig { batch: 8, ..config.clone() };
    let error = train(&histories, None, &other, &whole, true, &NoProgress).unwrap_err().to_string();
    assert!(
        error.starts_with("train.batch: is 8") && error.contains("checkpoint.safetensors was made with 7"),
        "{error}"
    );
    let error =
        train(&self::histories(6, 11), None, &config, &whole, true, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("other histories"), "{error}");
    assert_eq!(read_config(&whole.join("config.toml")).unwrap(), config);
}

#[test]
fn a_resumed_run_of_values_has_the_same_slow_copy_and_a_model_of_logits() {
    let histories = histories(6, 12);
    let q = OfflineQ { temperature: 0.5, copy_rate: 0.3, ..OfflineQ::default() };
    let config = TrainConfig { objective: ObjectiveConfig::OfflineQ(q), ..small() };
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let outcome = train(&histories, Some(&histories), &config, &whole, false, &NoProgress).unwrap();
    assert!(outcome.validation_loss.is_some());
    assert_eq!(load_parameters::<TrainingRecord>(&outcome.model).unwrap().0, outcome.parameters);
    let alone = crate::ranks::Ranks::alone();
    let mut stopped = run::Run::open(&alone, &histories, Some(&histories), &config, &parts, false).unwrap();
    for _ in 0..6 {
        stopped.step(false).unwrap();
    }
    drop(stopped);
    train(&histories, Some(&histories), &config, &parts, true, &NoProgress).unwrap();
    for file in ["model.safetensors", "checkpoint.safetensors"] {
        assert!(read(&whole, file) == read(&parts, file), "{file}");
    }
    let checkpoint = Checkpoint::load(&whole.join("checkpoint.safetensors")).unwrap();
    let values = &checkpoint.parameters.values;
    assert!(checkpoint.slow.is_some_and(|slow| slow.len() == values.len() && slow != *values));
    for tensor in outcome.parameters.layout() {
        let factor = if tensor.role == Role::Head { 0.5 } else { 1.0 };
        for (logit, value) in outcome.parameters.values[tensor.range()].iter().zip(&values[tensor.range()]) {
            assert_eq!(logit * factor, *value, "{}", tensor.name);
        }
    }
}

#[test]
fn values_find_what_pays_in_histories_of_random_actions() {
    // The action that repeats the second word is paid.
    let mut histories = histories(20, 30);
    let Steps { observations, actions, rewards, .. } = &mut histories.steps;
    let mut rng = PortableRng::new(2, 2);
    for ((action, reward), &word) in actions.iter_mut().zip(rewards).zip(&observations[1]) {
        *action = rng.below(3) as u16;
        *reward = f32::from(u8::from(i32::from(*action) == word));
    }
    let q = OfflineQ { discount: 0.5, temperature: 0.1, copy_rate: 0.1, ..OfflineQ::default() };
    let config = TrainConfig {
        objective: ObjectiveConfig::OfflineQ(q),
        updates: 150,
        learning_rate: 0.01,
        validation_every: 0,
        ..small()
    };
    let folder = tempfile::tempdir().unwrap();
    let model = train(&histories, None, &config, folder.path(), false, &NoProgress).unwrap().parameters;
    let mut tokens = Tokens::new(&model.dimensions, &model.interface, &[]);
    let words: Vec<i32> = (0..60).map(|_| rng.below(3) as i32).collect();
    for word in &words {
        tokens.push(&model.interface, &[rng.below(4) as i32, *word], None);
    }
    let likelihoods = forward_logits(&model, &tokens)
        .chunks(3)
        .zip(&words)
        .map(|(logits, &word)| {
            let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
            logits[word as usize].exp() / total
        })
        .sum::<f32>();
    assert!(likelihoods / 60.0 > 0.9, "{}", likelihoods / 60.0);
}

/// Wants to stop after some updates.
struct Impatient(std::sync::atomic::AtomicI64);

impl Progress for Impatient {
    fn begin(&self, _: &str, _: u64) {}

    fn advance(&self, count: u64, _: &dyn Fn() -> String) {
        self.0.fetch_sub(count as i64, std::sync::atomic::Ordering::Relaxed);
    }

    fn finish(&self, _: &str) {}

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) <= 0
    }
}

#[test]
fn a_cancelled_run_goes_on_where_it_stopped() {
    let histories = histories(6, 12);
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    train(&histories, None, &small(), &whole, false, &NoProgress).unwrap();
    let impatient = Impatient(6.into());
    let error = train(&histories, None, &small(), &stopped, false, &impatient).unwrap_err();
    assert!(matches!(error, crate::Error::Cancelled { .. }), "{error}");
    assert_eq!(Checkpoint::load(&stopped.join("checkpoint.safetensors")).unwrap().training.update, 7);
    train(&histories, None, &small(), &stopped, true, &NoProgress).unwrap();
    assert_eq!(read(&whole, "model.safetensors"), read(&stopped, "model.safetensors"));
}

#[test]
fn damaged_checkpoints_give_errors_that_name_the_file() {
    let histories = histories(2, 4);
    let config = TrainConfig { updates: 1, ..sized(|d| (d.layers, d.d_model, d.d_ff) = (1, 16, 16)) };
    let folder = tempfile::tempdir().unwrap();
    train(&histories, None, &config, folder.path(), false, &NoProgress).unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let whole = read(folder.path(), "checkpoint.safetensors");
    let expected = Checkpoint::load(&path).unwrap();
    let mut rng = PortableRng::new(9, 9);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as u32;
    for round in 0..1_000 {
        let mut bytes = whole.clone();
        match round % 4 {
            0 => bytes.truncate(rng.below(whole.len() as u32) as usize),
            1 => bytes[rng.below(header) as usize] ^= 1 << rng.below(8),
            2 => bytes[rng.below(whole.len() as u32) as usize] ^= 1 << rng.below(8),
            _ => (0..20).for_each(|_| bytes[rng.below(header) as usize] = rng.below(256) as u8),
        }
        std::fs::write(&path, &bytes).unwrap();
        match Checkpoint::load(&path) {
            Err(error) => assert!(error.to_string().contains("checkpoint.safetensors"), "{error}"),
            // For example a space of the header's padding that became a line break.
            Ok(loaded) => assert_eq!(loaded, expected),
        }
    }
    std::fs::write(&path, b"").unwrap();
    let error = train(&histories, None, &config, folder.path(), true, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn damaged_configurations_give_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    for (text, problem) in [
        ("[train]\nbatch = -1", "batch"),
        ("[train]\nbatches = 1", "batches"),
        ("train = 3", "train"),
        ("[train", "TOML"),
        ("", "train"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read_config(&path).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains(problem), "{error}");
    }
}

#[test]
fn loss_that_overflows_is_an_error() {
    let histories = histories(2, 4);
    let config = TrainConfig { learning_rate: 1.0, warm_up: 0, clip: 0.0, updates: 500, ..small() };
    let folder = tempfile::tempdir().unwrap();
    match train(&histories, None, &config, folder.path(), false, &NoProgress) {
        Ok(outcome) => assert!(outcome.parameters.values.iter().all(|value| value.is_finite())),
        Err(error) => assert!(error.to_string().starts_with("train.learning_rate: "), "{error}"),
    }
}
