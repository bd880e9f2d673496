//! Vector and pixels channels: engine, composed network and float agent agree.

use super::{forward_logits, initial_parameters, Batch, Composed, Engine, LossOptions};
use crate::model::{normaliser, Dimensions, FloatAgent, Parameters, Previous, Tokens};
use crate::nn::Masks;
use algodistill_core::{Channel, Interface, PortableRng};

fn interface() -> Interface {
    let picture = Channel::Pixels { height: 3, width: 3, colours: 2 };
    let channels = [Channel::Vector { size: 3 }, Channel::Discrete { size: 4 }, picture];
    Interface {
        channels: channels.into_iter().collect(),
        actions: 3,
        reward_levels: [0.0, 1.0].into_iter().collect(),
    }
}

fn model(hidden: usize, final_observation: bool) -> Parameters {
    let dimensions = Dimensions {
        layers: 2,
        d_model: 32,
        heads: 2,
        kv_heads: None,
        d_ff: 48,
        window: 7,
        final_observation,
        pixels_hidden: Some(hidden),
        vector_hidden: Some(hidden),
    };
    let mut parameters = initial_parameters(&dimensions, &interface(), 5);
    parameters.normalisers =
        vec![normaliser(-1_000, 3_000), normaliser(i32::MIN, i32::MAX), normaliser(0, 0)];
    parameters
}

/// The observation, then the action, its reward and what ended the episode, if anything did.
type Step = (Vec<i32>, u16, f32, Option<Vec<i32>>);

fn observe(rng: &mut PortableRng) -> Vec<i32> {
    let mut words = vec![0; interface().observation_len()];
    let mut rest = &mut words[..];
    for channel in &interface().channels {
        let own;
        (own, rest) = rest.split_at_mut(channel.words());
        channel.sample(own, rng);
    }
    words[0] = rng.below(5_000) as i32 - 2_000;
    words
}

fn steps(count: usize) -> Vec<Step> {
    let mut rng = PortableRng::new(2, 0);
    let step = |_| {
        let seen = observe(&mut rng);
        let ended = match rng.below(4) {
            0 => Some(observe(&mut rng)),
            1 => Some(Vec::new()),
            _ => None,
        };
        (seen, rng.below(3) as u16, rng.below(2) as f32, ended)
    };
    (0..count).map(step).collect()
}

fn tokens(parameters: &Parameters, steps: &[Step]) -> Tokens {
    let mut tokens = Tokens::new(&parameters.dimensions, &parameters.interface, &parameters.normalisers);
    let mut previous: Option<&Step> = None;
    for step in steps {
        let before = previous.map(|(_, action, reward, ended)| Previous {
            action: *action,
            reward: *reward,
            ended: ended.as_deref(),
        });
        tokens.push(&parameters.interface, &step.0, before);
        previous = Some(step);
    }
    tokens
}

/// Two sequences of different lengths.
fn batch(parameters: &Parameters) -> Batch {
    let steps = steps(41);
    Batch {
        inputs: tokens(parameters, &steps).into_inputs(),
        targets: steps.iter().map(|step| step.1).collect(),
        outcomes: Vec::new(),
        returns: Vec::new(),
        sequences: vec![0..30, 30..41],
        first_sequence: 0,
    }
}

#[test]
fn the_engine_computes_what_dfdx_does() {
    for (hidden, final_observation) in [(0, true), (16, true), (16, false)] {
        let parameters = model(hidden, final_observation);
        let batch = batch(&parameters);
        let (dimensions, interface) = (&parameters.dimensions, &parameters.interface);
        let mut engine = Engine::new(dimensions, interface, 2).unwrap();
        let composed = Composed::new(dfdx::prelude::Cpu::default(), dimensions, interface);
        let masks = Masks { seed: 1, update: 2, attention: 0.0, residual: 0.0, token: 0.3 };
        for masks in [None, Some(masks)] {
            let options = LossOptions { masks, ..LossOptions::default() };
            let count = parameters.values.len();
            let [mut found, mut expected] = [vec![7.0; count], vec![7.0; count]];
            let loss = engine.loss_and_gradient(&parameters.values, &batch, &options, &mut found);
            let of_dfdx =
                composed.loss_and_gradient(&parameters.values, &batch, &options, &mut expected).unwrap();
            assert!((loss - of_dfdx).abs() < 1e-5, "{loss} {of_dfdx}");
            for tensor in parameters.layout() {
                let largest =
                    expected[tensor.range()].iter().fold(0.0f32, |most, value| most.max(value.abs()));
                assert!(largest > 0.0, "{} has no gradient", tensor.name);
                for (found, expected) in found[tensor.range()].iter().zip(&expected[tensor.range()]) {
                    assert!(
                        (found - expected).abs() < 1e-3 * largest + 1e-7,
                        "{}: {found} {expected}",
                        tensor.name
                    );
                }
            }
        }
        let logits = engine.logits(&parameters.values, &batch);
        for (found, expected) in logits.iter().zip(composed.logits(&parameters.values, &batch).unwrap()) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn the_float_agent_says_what_the_engine_says() {
    for (hidden, final_observation) in [(0, true), (16, true), (16, false)] {
        let parameters = model(hidden, final_observation);
        let steps = steps(25);
        let expected = forward_logits(&parameters, &tokens(&parameters, &steps));
        let mut agent = FloatAgent::new(&parameters);
        for ((seen, action, reward, ended), expected) in steps.iter().zip(expected.chunks(3)) {
            agent.demonstrate(seen, usize::from(*action));
            for (found, expected) in agent.logits().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
            agent.feedback(*reward, ended.as_deref());
        }
    }
}
