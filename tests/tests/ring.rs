//! Streamed `act` is the banded full forward pass, for any stream length and wrap position.

use algodistill_core::interface::MAX_ENCODERS;
use algodistill_core::{Agent, Channel, Dimensions, Encoders, Interface, Kernels, Model, PortableRng};
use algodistill_tests::dark_room_interface;
use algodistill_tests::int8::{Int8Model, REFERENCE, TINY};
use algodistill_tests::oracle::{banded_forward, Token};
use proptest::prelude::*;

/// A random stream: what the agent is told, and the same as tokens.
struct Stream {
    steps: Vec<Step>,
    tokens: Vec<Token>,
}

struct Step {
    observation: Vec<i32>,
    action: usize,
    reward: f32,
    /// The final observation, empty where it is not known.
    ended: Option<Vec<i32>>,
}

fn random_stream(interface: &Interface, length: usize, seed: u64) -> Stream {
    let mut rng = PortableRng::new(seed, 1);
    let (mut steps, mut tokens) = (Vec::new(), Vec::new());
    let mut ended: Option<Vec<i32>> = None;
    let (mut action_row, mut feedback_row) = (interface.action_rows() - 1, interface.feedback_rows() - 1);
    for _ in 0..length {
        let observation = random_observation(interface, &mut rng);
        tokens.push(Token {
            observation: observation.clone(),
            ended: ended.unwrap_or_default(),
            rows: [action_row, feedback_row],
        });
        let action = rng.below(u32::from(interface.actions)) as usize;
        let level = rng.below(interface.reward_levels.len() as u32) as usize;
        ended = match rng.below(8) {
            0 | 1 => Some(random_observation(interface, &mut rng)),
            2 => Some(Vec::new()),
            _ => None,
        };
        (action_row, feedback_row) = (action, 2 * level + usize::from(ended.is_some()));
        let reward = interface.reward_levels[level];
        steps.push(Step { observation, action, reward, ended: ended.clone() });
    }
    Stream { steps, tokens }
}

fn random_observation(interface: &Interface, rng: &mut PortableRng) -> Vec<i32> {
    let mut words = vec![0; interface.observation_len()];
    let mut rest = &mut words[..];
    for channel in &interface.channels {
        let (own, after) = rest.split_at_mut(channel.words());
        channel.sample(own, rng);
        rest = after;
    }
    words
}

fn assert_streamed_equals_banded(
    dimensions: Dimensions,
    interface: Interface,
    length: usize,
    seed: u64,
    kernels: Kernels,
) {
    let int8 = Int8Model::random(dimensions, interface.clone(), seed);
    let file = int8.file();
    let model = Model::decode(&file).unwrap();
    let mut workspace = vec![0xA5A5_A5A5; model.workspace_words()];
    let mut agent = Agent::new(model, &mut workspace).unwrap();
    agent.set_kernels(kernels);
    let stream = random_stream(&interface, length, seed);
    let expected = banded_forward(&int8, &stream.tokens);
    for (position, (step, expected)) in stream.steps.iter().zip(expected).enumerate() {
        if position % 2 == 1 {
            // What firmware measures has no part in what follows.
            agent.encode(&step.observation).unwrap();
        }
        agent.demonstrate(&step.observation, step.action).unwrap();
        let logits: Vec<i128> = agent.logits().iter().map(|l| i128::from(*l)).collect();
        assert_eq!(logits, expected, "position {position} of {length}, seed {seed}");
        agent.feedback(step.reward, step.ended.as_deref()).unwrap();
    }
}

/// Every set that this processor runs.
fn available() -> impl Iterator<Item = Kernels> {
    Kernels::ALL.iter().copied().filter(|kernels| kernels.is_available())
}

/// All stream lengths from 1 step to 5 windows end at every wrap position; a prefix of a stream is
/// a stream, so one long stream checks them all.
#[test]
fn all_wrap_positions_of_five_windows() {
    for kernels in available() {
        for final_words in [0, 2] {
            let dimensions = Dimensions { final_words, ..TINY };
            assert_streamed_equals_banded(
                dimensions,
                dark_room_interface(),
                5 * TINY.window + 1,
                11,
                kernels,
            );
        }
    }
}

#[test]
fn reference_model_over_two_windows() {
    for kernels in available() {
        assert_streamed_equals_banded(REFERENCE, dark_room_interface(), 330, 12, kernels);
    }
}

/// Any kind of channel, small.
fn any_channel() -> impl Strategy<Value = Channel> {
    prop_oneof![
        2 => (1u16..=12).prop_map(|size| Channel::Discrete { size }),
        1 => (1u16..=20).prop_map(|size| Channel::Vector { size }),
        1 => (1u16..=9, 1u16..=9, 1u8..=3).prop_map(|(height, width, colours)| Channel::Pixels { height, width, colours }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape_and_stream(
        layers in 1usize..=4,
        (heads, kv_heads) in prop::sample::select(vec![(1usize, 1usize), (2, 2), (2, 1), (4, 4), (4, 2), (4, 1)]), blocks in 1usize..=3, window in 1usize..=33,
        ff_blocks in 1usize..=4, channels in prop::collection::vec(any_channel(), 0..=3), actions in 2u16..=9, levels in 1usize..=4,
        windows in 1usize..=5, final_tables in any::<bool>(), hidden in (0usize..=3, 0usize..=3), seed in any::<u32>()
    ) {
        let mut dense = 0;
        let channels = channels.into_iter().filter(|channel| {
            dense += usize::from(channel.inputs() > 0);
            channel.inputs() == 0 || dense <= MAX_ENCODERS
        });
        let reward_levels = (0..levels).map(|level| level as f32 - 1.0).collect();
        let interface = Interface { channels: channels.collect(), actions, reward_levels };
        let final_words = if final_tables { interface.observation_len() } else { 0 };
        let encoders = Encoders::new(&interface, 16 * hidden.0, 16 * hidden.1);
        let (d_model, d_ff, actions) = (16 * blocks, 16 * ff_blocks, usize::from(actions));
        let dimensions =
            Dimensions { layers, d_model, heads, kv_heads, d_ff, window, actions, final_words, encoders };
        let length = (windows * window).min(100);
        for kernels in available() {
            assert_streamed_equals_banded(dimensions, interface.clone(), length, u64::from(seed), kernels);
        }
    }
}

/// The widest picture and vector that there may be, with extreme words.
#[test]
fn the_largest_observation() {
    let picture = Channel::Pixels { height: 64, width: 64, colours: 1 };
    let channels = [picture, Channel::Vector { size: 64 }].into_iter().collect();
    let interface = Interface { channels, actions: 5, reward_levels: [0.0].into_iter().collect() };
    for hidden in [0, 16] {
        let dimensions = Dimensions {
            final_words: interface.observation_len(),
            encoders: Encoders::new(&interface, hidden, hidden),
            ..TINY
        };
        for kernels in available() {
            assert_streamed_equals_banded(dimensions, interface.clone(), 9, 3, kernels);
        }
    }
}
