//! `faults`: what a device in the field sees, on the host.

use crate::arguments::{DrawnArguments, FaultArguments};
use crate::environment::Folder;
use crate::flash::Shape;
use crate::host::{read_model, Apart, Run};
use crate::{random_model, update};
use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use algodistill_core::model::weights::{checksum, CRC_OFFSET, HEADER_LEN};
use algodistill_core::{workspace_words, Agent, Error, Interface, Model, PortableRng, Transition};
use anyhow::{bail, Context};
use firmware_session::session::{self, Monitor, World};
use std::path::Path;

/// See [`crate::arguments::Command::Faults`].
pub fn run(arguments: &FaultArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for environment in &arguments.environment.0 {
        let model = environment.model(arguments.model.as_deref(), &folder)?;
        let DrawnArguments { task, seed } = arguments.drawn;
        let task = environment.task(task, seed)?;
        let run =
            |episodes| Run { model: &model, environment, task, episodes, seed, apart: false, log: false };
        let file = read_model(&model)?;
        environment.check(&model, &Model::decode(&file).with_context(|| model.display().to_string())?)?;
        let Dropouts { dropped, steps, total_return } =
            dropouts(&run(arguments.episodes), arguments.dropout, &file)?;
        let brown_outs = brown_outs(&run(arguments.brown_out_episodes), &file)?;
        let bits = flipped_bits(&file, &model)?;
        let shape = Shape { page: arguments.flash_page, unit: arguments.flash_unit };
        // Not the seed of the models of environments without a shipped one.
        let other = random_model::small(environment, 1)?;
        let cuts = update::cuts(&file, &other, shape, seed).context("model update")?;
        if arguments.json {
            let json = serde_json::json!({
                "environment": environment.preset,
                "task": task,
                "dropouts": dropped,
                "steps": steps,
                "return_with_dropouts": total_return,
                "brown_outs_survived": brown_outs,
                "flipped_bits_detected": bits,
                "update": cuts.json(shape),
            });
            println!("{json}");
        } else {
            println!("{}, task {task}, with {}:", environment.preset, model.display());
            println!("  sensor dropouts: {dropped} of {steps} observations held at their last value, return {total_return}");
            println!(
                "  brown-outs: {brown_outs}, each restored from its snapshot and continued with identical actions"
            );
            println!(
                "  flash: a flip of any of the {bits} bits changes the CRC-32, which the decoder checks"
            );
            println!("{}", cuts.text(shape));
        }
    }
    Ok(())
}

/// What a run with sensor dropouts left behind.
#[derive(Default)]
struct Dropouts {
    dropped: u32,
    steps: u32,
    total_return: f64,
}

impl Monitor for Dropouts {
    fn acted(&mut self, _agent: &Agent, _observation: &[i32], _action: usize) {
        self.steps += 1;
    }

    fn fed_back(&mut self, _interface: &Interface, transition: Transition, _seen: Option<&[i32]>) {
        self.total_return += f64::from(transition.reward);
    }
}

/// A world seen through a sensor that fails now and then.
struct BadSensor<W> {
    world: W,
    rng: PortableRng,
    probability: f32,
    last: [i32; MAX_OBSERVATION_WORDS],
    seen: bool,
    dropped: u32,
}

impl<W: World> World for BadSensor<W> {
    fn observe(&mut self, observation: &mut [i32], rng: &mut PortableRng) -> bool {
        let running = self.world.observe(observation, rng);
        if running {
            self.sense(observation);
        }
        running
    }

    fn apply(&mut self, action: usize, observation: &mut [i32], rng: &mut PortableRng) -> Transition {
        let transition = self.world.apply(action, observation, rng);
        if transition.done {
            self.sense(observation);
        }
        transition
    }
}

impl<W> BadSensor<W> {
    /// What the sensor makes of an observation.
    fn sense(&mut self, observation: &mut [i32]) {
        if self.seen && !observation.is_empty() && self.rng.uniform() < self.probability {
            self.dropped += 1;
            self.last.iter().zip(observation).for_each(|(last, word)| *word = *last);
        } else {
            self.seen = true;
            self.last.iter_mut().zip(observation).for_each(|(last, word)| *last = *word);
        }
    }
}

fn dropouts(run: &Run, probability: f32, file: &[u8]) -> anyhow::Result<Dropouts> {
    let mut workspace = workspace(file)?;
    let mut agent = Agent::new(Model::decode(file)?, &mut workspace)?;
    let Apart { world, mut rng } = run.world()?;
    // A stream of its own: the sensor's failures do not change what else is random.
    let sensor = PortableRng::new(run.seed, 2);
    let last = [0; MAX_OBSERVATION_WORDS];
    let mut world = BadSensor { world, rng: sensor, probability, last, seen: false, dropped: 0 };
    let mut result = Dropouts::default();
    session::run(&mut agent, &mut world, &mut rng, &mut result, &mut vec![0; MAX_OBSERVATION_WORDS])?;
    Ok(Dropouts { dropped: world.dropped, ..result })
}

/// A device at the start of a step: what survives a brown-out is in storage (snapshot, generator),
/// the world goes on by itself.
struct Device<W> {
    world: W,
    rng: PortableRng,
    observation: [i32; MAX_OBSERVATION_WORDS],
}

impl<W: World> Device<W> {
    /// One step; the action and the CRC of its logits, or `None` at the end.
    fn step(&mut self, agent: &mut Agent) -> Result<Option<(usize, Vec<i32>)>, Error> {
        let len = agent.model().interface().observation_len();
        let observation = self.observation.get_mut(..len).unwrap_or(&mut []);
        if !self.world.observe(observation, &mut self.rng) {
            return Ok(None);
        }
        let action = agent.act(observation, &mut self.rng)?;
        let logits = agent.logits().to_vec();
        let transition = self.world.apply(action, observation, &mut self.rng);
        agent.feedback(transition.reward, transition.done.then_some(observation))?;
        Ok(Some((action, logits)))
    }
}

/// Cuts the power before every step of the first episodes, restores the snapshot into memory full
/// of garbage, and compares all that follows. The number of brown-outs.
fn brown_outs(run: &Run, file: &[u8]) -> anyhow::Result<usize> {
    let model = Model::decode(file)?;
    let mut memory = workspace(file)?;
    let mut agent = Agent::new(model.clone(), &mut memory)?;
    let Apart { world, rng } = run.world()?;
    let mut device = Device { world, rng, observation: [0; MAX_OBSERVATION_WORDS] };
    let mut saved = Vec::new();
    let mut reference = Vec::new();
    loop {
        let mut snapshot = vec![0; agent.snapshot_len()];
        agent.snapshot(&mut snapshot)?;
        saved.push((snapshot, device.rng.state(), device.world.clone()));
        match device.step(&mut agent)? {
            Some(step) => reference.push(step),
            None => break,
        }
    }
    for (brown_out, (snapshot, state, world)) in saved.iter().enumerate() {
        let mut memory = vec![0xDEAD_BEEF; memory_words(file)?];
        let mut agent = Agent::new(model.clone(), &mut memory)?;
        agent.restore(snapshot)?;
        let rng = PortableRng::from_state(*state);
        let mut device = Device { world: world.clone(), rng, observation: [0; MAX_OBSERVATION_WORDS] };
        for (step, expected) in reference.iter().enumerate().skip(brown_out) {
            if device.step(&mut agent)?.as_ref() != Some(expected) {
                bail!("after a brown-out before step {brown_out}, step {step} differs");
            }
        }
    }
    // The last one was cut after the last step: nothing follows.
    Ok(reference.len())
}

/// The number of bits of the file, after showing of every one that its flip is detected.
///
/// CRC-32 is linear: what a flipped bit changes in the checksum depends on its place alone, and is
/// found for all places by walking from the end. A change of 0 would go unnoticed. The decoder
/// itself is asked about every bit of the header and about a sample of the others.
fn flipped_bits(file: &[u8], path: &Path) -> anyhow::Result<usize> {
    let original = checksum(file);
    let mut changes: [u32; 8] = std::array::from_fn(|bit| after_a_byte(1 << bit));
    let mut damaged = file.to_vec();
    for place in (0..file.len()).rev() {
        let sampled = place < HEADER_LEN || place % 1021 == 0;
        let covered = !(CRC_OFFSET..CRC_OFFSET + 4).contains(&place);
        for (bit, change) in changes.iter().enumerate() {
            if covered && *change == 0 {
                bail!("{}: bit {bit} of byte {place} can flip unnoticed", path.display());
            }
            if sampled {
                damaged[place] ^= 1 << bit;
                let predicted = if covered { original ^ change } else { original };
                if checksum(&damaged) != predicted || Model::decode(&damaged).is_ok() {
                    bail!("{}: bit {bit} of byte {place} was flipped unnoticed", path.display());
                }
                damaged[place] ^= 1 << bit;
            }
        }
        if covered {
            changes = changes.map(after_a_byte);
        }
    }
    Ok(8 * file.len())
}

/// The CRC-32 register, without its initial value, after eight more zero bits.
fn after_a_byte(register: u32) -> u32 {
    (0..8).fold(register, |r, _| r >> 1 ^ if r & 1 == 1 { 0xEDB8_8320 } else { 0 })
}

fn memory_words(file: &[u8]) -> anyhow::Result<usize> {
    workspace_words(file).context("no header")
}

fn workspace(file: &[u8]) -> anyhow::Result<Vec<u32>> {
    Ok(vec![0; memory_words(file)?])
}
