//! The agent on a chip. What is yours to write is in `device.rs`.

#![no_std]
#![no_main]

mod device;
mod model;

use algodistill_core::{Agent, Error, Model, PortableRng};
use device::Device;
use embassy_executor::Spawner;
use embassy_futures::yield_now;
use model::{OBSERVATION_WORDS, WORKSPACE};
use panic_halt as _;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let mut device = Device::new();
    if let Err(error) = learn(&mut device).await {
        device.stop(error);
    }
}

/// The loop of an agent. What it learns stays in its context from one episode to the next.
async fn learn(device: &mut Device) -> Result<(), Error> {
    // Checks every byte.
    let model = Model::decode(model::BYTES)?;
    let mut agent = Agent::new(model, WORKSPACE.take())?;
    let mut rng = PortableRng::new(device.seed(), 0);
    let mut observation = [0; OBSERVATION_WORDS];
    device.begin_episode().await;
    device.sense(&mut observation).await;
    loop {
        let action = agent.act(&observation, &mut rng)?;
        let feedback = device.actuate(action, agent.logits()).await;
        device.sense(&mut observation).await;
        // Where the episode ended, what is seen now is the last thing of it, before the device is brought back.
        agent.feedback(feedback.reward, feedback.done.then_some(&observation[..]))?;
        if feedback.done {
            device.begin_episode().await;
            device.sense(&mut observation).await;
        }
        // Other tasks have their turn.
        yield_now().await;
    }
}
