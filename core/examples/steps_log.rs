//! Writes the log of the steps of 40 episodes of Dark Room to standard output:
//! `cargo run --release -p algodistill-core --example steps_log -- models/dark-room.adw > steps.adl`.
//! The same bytes as `algodistill-firmware-sim run --target host --environment dark-room --task 65
//! --episodes 40 --log FILE`; `.ci/c-api` compares those of `examples/c/steps_log.c`.

use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::log::{About, Ended};
use algodistill_core::{Agent, Environment, Family, Model, PortableRng, StepLog};
use std::error::Error;
use std::io::Write;

const TASK: u32 = 65;
const SEED: u64 = 7;
const EPISODES: u32 = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a weights file of Dark Room")?;
    let file = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    std::io::stdout().write_all(&steps(&file).map_err(|error| format!("{path}: {error}"))?)?;
    Ok(())
}

/// The log of an agent with the weights of `file`.
fn steps(file: &[u8]) -> Result<Vec<u8>, algodistill_core::Error> {
    let model = Model::decode(file)?;
    let interface = model.interface().clone();
    let about = About {
        model_crc: model.crc(),
        task: Some(TASK),
        seed: Some(SEED),
        environment: "dark-room",
        ..About::default()
    };
    let (mut log, mut bytes) = (StepLog::new(about), Vec::new());
    let mut link = |piece: &[u8]| bytes.extend_from_slice(piece);
    let mut workspace = vec![0; model.workspace_words()];
    let mut agent = Agent::new(model, &mut workspace)?;
    let mut rng = PortableRng::new(SEED, 0);
    let mut room = DarkRoom::STANDARD.task(TASK).expect("a goal in the room");
    for _ in 0..EPISODES {
        room.reset(&mut rng);
        let (mut observation, mut done) = ([0; 2], false);
        while !done {
            room.observe(&mut observation);
            let action = agent.act(&observation, &mut rng)?;
            log.acted(&interface, &observation, action, &mut link)?;
            let transition = room.step(action, &mut rng);
            done = transition.done;
            room.observe(&mut observation);
            agent.feedback(transition.reward, done.then_some(&observation))?;
            let ended = done.then_some(Ended { seen: &observation, cut_off: None });
            log.fed_back(&interface, transition.reward, ended, &mut link)?;
        }
    }
    Ok(bytes)
}
