//! The int8 agent against the float agent on the same contexts, with untrained weights.

use algodistill::export::{encode, quantize};
use algodistill::model::{Dimensions, FloatAgent};
use algodistill_core::{Agent, Kernels, Model, PortableRng};
use algodistill_tests::{dark_room_interface, int8, random_parameters, REFERENCE};

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|l| (l - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

#[test]
fn distributions_agree_over_two_windows() {
    // As many heads of keys and values as of queries, in a file of the version of before; fewer.
    for (kv_heads, version) in [(None, 3), (Some(2), 5), (Some(1), 5)] {
        distributions_agree(Dimensions { kv_heads, ..REFERENCE }, version);
    }
}

fn distributions_agree(dimensions: Dimensions, version: u8) {
    let parameters = random_parameters(dimensions, dark_room_interface(), 1);
    let file = encode(&quantize(&parameters).unwrap(), "{}").unwrap();
    let model = Model::decode(&file).unwrap();
    assert_eq!((file[4], model.dimensions().kv_heads), (version, dimensions.kv_heads()));
    let mut workspace = vec![0; model.workspace_words()];
    let mut int8 = Agent::new(model, &mut workspace).unwrap();
    let mut float = FloatAgent::new(&parameters);
    let mut rng = PortableRng::new(2, 0);
    let steps = 2 * REFERENCE.window;
    let (mut kl, mut agreed) = (0.0, 0);
    for step in 0..steps {
        let observation = [rng.below(9) as i32, rng.below(9) as i32];
        let action = rng.below(5) as usize;
        let reward = rng.below(2) as f32;
        let at_end = [rng.below(9) as i32, rng.below(9) as i32];
        let ended = (step % 5 == 4).then_some(&at_end[..rng.below(2) as usize * 2]);
        int8.demonstrate(&observation, action).unwrap();
        float.demonstrate(&observation, action);
        let p = softmax(&float.logits().iter().map(|l| f64::from(*l)).collect::<Vec<_>>());
        let q = softmax(&int8.logits().iter().map(|l| f64::from(*l) / 65_536.0).collect::<Vec<_>>());
        kl += p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        let top = |d: &[f64]| (0..d.len()).max_by(|a, b| d[*a].total_cmp(&d[*b])).unwrap();
        agreed += usize::from(top(&p) == top(&q));
        int8.feedback(reward, ended).unwrap();
        float.feedback(reward, ended);
    }
    let (kl, agreement) = (kl / steps as f64, agreed as f64 / steps as f64);
    println!("mean KL {kl:.5} nats, top-1 agreement {agreement:.3}");
    assert!(kl < 0.01, "mean KL {kl}");
    assert!(agreement > 0.95, "agreement {agreement}");
}

#[test]
fn kernels_give_the_same_logits() {
    let file = int8::random_weights(int8::REFERENCE, dark_room_interface(), 3);
    let model = Model::decode(&file).unwrap();
    let (mut memory_a, mut memory_b) = (vec![0; model.workspace_words()], vec![0; model.workspace_words()]);
    let mut fast = Agent::new(model.clone(), &mut memory_a).unwrap();
    let mut oracle = Agent::new(model, &mut memory_b).unwrap();
    oracle.set_kernels(Kernels::Scalar);
    let mut rng = PortableRng::new(4, 0);
    for _ in 0..3 * REFERENCE.window {
        let observation = [rng.below(9) as i32, rng.below(9) as i32];
        let mut same = rng.clone();
        let action = fast.act(&observation, &mut rng).unwrap();
        assert_eq!(oracle.act(&observation, &mut same).unwrap(), action);
        assert_eq!(fast.logits(), oracle.logits());
        fast.feedback(0.0, None).unwrap();
        oracle.feedback(0.0, None).unwrap();
    }
}
