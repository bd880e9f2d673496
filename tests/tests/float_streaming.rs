//! The float agent, one token at a time over a ring, against the trainer's banded full forward pass.

use algodistill::model::{Dimensions, FloatAgent, Tokens};
use algodistill::nn::transformer::forward_logits;
use algodistill_core::PortableRng;
use algodistill_tests::{dark_room_interface, random_parameters, REFERENCE, TINY};

/// Largest difference of a logit over a random stream.
fn largest_difference(dimensions: Dimensions, steps: usize, seed: u64) -> f32 {
    let interface = dark_room_interface();
    let parameters = random_parameters(dimensions, interface.clone(), seed);
    let mut agent = FloatAgent::new(&parameters);
    let mut tokens = Tokens::new(&interface);
    let mut streamed = Vec::new();
    let mut rng = PortableRng::new(seed, 2);
    let mut previous = None;
    for step in 0..steps {
        let observation = [rng.below(9) as i32, rng.below(9) as i32];
        let (action, reward, done) = (rng.below(5) as u16, rng.below(2) as f32, step % 20 == 19);
        tokens.push(&interface, &observation, previous);
        agent.demonstrate(&observation, usize::from(action));
        streamed.extend_from_slice(agent.logits());
        agent.feedback(reward, done.then_some(&[]));
        previous = Some((action, reward, done));
    }
    let full = forward_logits(&parameters, &tokens);
    assert_eq!(full.len(), streamed.len());
    full.iter().zip(&streamed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn streamed_equals_banded_within_1e_4() {
    for (dimensions, steps) in [(REFERENCE, 2 * REFERENCE.window + 7), (TINY, 5 * TINY.window + 1)] {
        for seed in 0..3 {
            let difference = largest_difference(dimensions, steps, seed);
            println!("{steps} steps, window {}: largest difference {difference:e}", dimensions.window);
            assert!(difference <= 1e-4, "{difference}");
        }
    }
}
