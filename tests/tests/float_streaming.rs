//! The float agent, one token at a time over a ring, against the trainer's banded full forward
//! pass.

use algodistill::model::{Dimensions, FloatAgent, Previous, Tokens};
use algodistill::nn::transformer::forward_logits;
use algodistill_core::PortableRng;
use algodistill_tests::{dark_room_interface, random_parameters, REFERENCE, TINY};

/// Largest difference of a logit over a random stream of episodes, whose ends are known but for one
/// in four.
fn largest_difference(dimensions: Dimensions, steps: usize, seed: u64) -> f32 {
    let interface = dark_room_interface();
    let parameters = random_parameters(dimensions, interface.clone(), seed);
    let mut agent = FloatAgent::new(&parameters);
    let mut tokens = Tokens::new(&dimensions, &interface, &parameters.normalisers);
    let mut streamed = Vec::new();
    let mut rng = PortableRng::new(seed, 2);
    let mut before: Option<(u16, f32, Option<Vec<i32>>)> = None;
    for step in 0..steps {
        let mut observe = || vec![rng.below(9) as i32, rng.below(9) as i32];
        let (observation, at_end) = (observe(), observe());
        let (action, reward) = (rng.below(5) as u16, rng.below(2) as f32);
        let ended = (step % 5 == 4).then(|| if rng.below(4) > 0 { at_end } else { Vec::new() });
        let previous = before.as_ref().map(|(action, reward, ended)| Previous {
            action: *action,
            reward: *reward,
            ended: ended.as_deref(),
        });
        tokens.push(&interface, &observation, previous);
        agent.demonstrate(&observation, usize::from(action));
        streamed.extend_from_slice(agent.logits());
        agent.feedback(reward, ended.as_deref());
        before = Some((action, reward, ended));
    }
    let full = forward_logits(&parameters, &tokens);
    assert_eq!(full.len(), streamed.len());
    full.iter().zip(&streamed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn streamed_equals_banded_within_1e_4() {
    let without = Dimensions { final_observation: false, ..TINY };
    let shared = Dimensions { kv_heads: Some(1), ..TINY };
    for (dimensions, steps) in
        [(REFERENCE, 2 * REFERENCE.window + 7), (TINY, 5 * TINY.window + 1), (without, 40), (shared, 40)]
    {
        for seed in 0..3 {
            let difference = largest_difference(dimensions, steps, seed);
            println!("{steps} steps, window {}: largest difference {difference:e}", dimensions.window);
            assert!(difference <= 1e-4, "{difference}");
        }
    }
}
