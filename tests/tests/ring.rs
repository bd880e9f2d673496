//! Streamed `act` is the banded full forward pass, for any stream length and wrap position.

use algodistill::export::{encode, quantize};
use algodistill::model::Dimensions;
use algodistill_core::{Agent, Interface, Kernels, Model, PortableRng};
use algodistill_tests::oracle::{banded_forward, Token};
use algodistill_tests::{dark_room_interface, random_parameters, TINY};
use proptest::prelude::*;

/// A random stream: what the agent is told, and the same as tokens.
struct Stream {
    steps: Vec<(Vec<i32>, usize, f32, bool)>,
    tokens: Vec<Token>,
}

fn random_stream(interface: &Interface, length: usize, seed: u64) -> Stream {
    let mut rng = PortableRng::new(seed, 1);
    let (mut steps, mut tokens) = (Vec::new(), Vec::new());
    let (mut action_row, mut feedback_row) = (interface.action_rows() - 1, interface.feedback_rows() - 1);
    for _ in 0..length {
        let observation: Vec<i32> = interface
            .channels
            .iter()
            .map(|channel| match channel {
                algodistill_core::Channel::Discrete { size } => rng.below(u32::from(*size)) as i32,
                _ => unreachable!("only discrete channels here"),
            })
            .collect();
        let action = rng.below(u32::from(interface.actions)) as usize;
        let level = rng.below(interface.reward_levels.len() as u32) as usize;
        let done = rng.below(8) == 0;
        tokens
            .push(observation.iter().map(|word| *word as usize).chain([action_row, feedback_row]).collect());
        steps.push((observation, action, interface.reward_levels[level], done));
        (action_row, feedback_row) = (action, 2 * level + usize::from(done));
    }
    Stream { steps, tokens }
}

fn assert_streamed_equals_banded(
    dimensions: Dimensions,
    interface: Interface,
    length: usize,
    seed: u64,
    kernels: Kernels,
) {
    let quantized = quantize(&random_parameters(dimensions, interface.clone(), seed)).unwrap();
    let file = encode(&quantized, "{}").unwrap();
    let model = Model::decode(&file).unwrap();
    let mut workspace = vec![0xA5A5_A5A5; model.workspace_words()];
    let mut agent = Agent::new(model, &mut workspace).unwrap();
    agent.set_kernels(kernels);
    let stream = random_stream(&interface, length, seed);
    let expected = banded_forward(&quantized, &stream.tokens);
    for (position, ((observation, action, reward, done), expected)) in
        stream.steps.iter().zip(expected).enumerate()
    {
        agent.demonstrate(observation, *action).unwrap();
        let logits: Vec<i128> = agent.logits().iter().map(|l| i128::from(*l)).collect();
        assert_eq!(logits, expected, "position {position} of {length}, seed {seed}");
        agent.feedback(*reward, *done).unwrap();
    }
}

/// All stream lengths from 1 step to 5 windows end at every wrap position; a prefix of a stream is a stream, so one long stream
/// checks them all.
#[test]
fn all_wrap_positions_of_five_windows() {
    for kernels in [Kernels::Scalar, Kernels::detect()] {
        assert_streamed_equals_banded(TINY, dark_room_interface(), 5 * TINY.window + 1, 11, kernels);
    }
}

#[test]
fn reference_model_over_two_windows() {
    assert_streamed_equals_banded(
        algodistill_tests::REFERENCE,
        dark_room_interface(),
        330,
        12,
        Kernels::detect(),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape_and_stream(
        layers in 1usize..=4, heads in prop::sample::select(vec![1usize, 2, 4]), blocks in 1usize..=3, window in 1usize..=33,
        ff_blocks in 1usize..=4, channels in prop::collection::vec(1u16..=12, 0..=3), actions in 2u16..=9, levels in 1usize..=4,
        windows in 1usize..=5, seed in any::<u32>()
    ) {
        let levels: Vec<f32> = (0..levels).map(|level| level as f32 - 1.0).collect();
        let interface = Interface::discrete(&channels, actions, &levels).unwrap();
        let dimensions = Dimensions { layers, d_model: 16 * blocks, heads, d_ff: 16 * ff_blocks, window };
        let length = (windows * window).min(100);
        assert_streamed_equals_banded(dimensions, interface, length, u64::from(seed), Kernels::detect());
    }
}
