//! Prints what weights files compute on this processor, with each set of kernels that it has: lines of
//! file, set, and the CRC-32 of all actions and logits of a stream of random observations. They are
//! the same everywhere: `cargo run --release -p algodistill-core --example checksums -- models/*.adw`.
//! `.ci/aarch64` compares them.

use algodistill_core::{Agent, Kernels, Model, PortableRng};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        return Err("name at least one weights file".into());
    }
    for path in paths {
        let file = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        let model = Model::decode(&file).map_err(|error| format!("{path}: {error}"))?;
        for kernels in Kernels::ALL.iter().filter(|kernels| kernels.is_available()) {
            println!("{path} {} {:08x}", kernels.name(), stream(&model, *kernels)?);
        }
    }
    Ok(())
}

/// Two windows and a half, so that the ring wraps twice.
fn stream(model: &Model, kernels: Kernels) -> Result<u32, algodistill_core::Error> {
    let mut workspace = vec![0; model.workspace_words()];
    let mut agent = Agent::new(model.clone(), &mut workspace)?;
    agent.set_kernels(kernels);
    let interface = model.interface();
    let (mut rng, mut worlds) = (PortableRng::new(1, 0), PortableRng::new(1, 1));
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut results = crc.digest();
    for _ in 0..model.dimensions().window * 5 / 2 {
        let mut observe = || {
            let mut words = vec![0; interface.observation_len()];
            let mut rest = &mut words[..];
            for channel in &interface.channels {
                let (own, after) = rest.split_at_mut(channel.words());
                channel.sample(own, &mut worlds);
                rest = after;
            }
            words
        };
        let (observation, last) = (observe(), observe());
        results.update(&(agent.act(&observation, &mut rng)? as u32).to_le_bytes());
        agent.logits().iter().for_each(|logit| results.update(&logit.to_le_bytes()));
        let level = worlds.below(interface.reward_levels.len() as u32) as usize;
        let ended = worlds.below(10) == 0;
        agent.feedback(interface.reward_levels[level], ended.then_some(&last[..]))?;
    }
    Ok(results.finalize())
}
