//! Runs the agent the way firmware does, on the host: weights in a static slice, a static workspace of exactly the size that the weights' header asks
//! for, and an allocator that ends the program if anything allocates after start-up.
//!
//! Prints the CRC-32 of all actions and of all logits, which must be the same on every target.

mod sealed_allocator;

use algodistill_core::env::bandit::Bandit;
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomConfig};
use algodistill_core::{workspace_words, Agent, Environment, Error, Model, PortableRng};
use anyhow::{anyhow, Context};
use clap::{Parser, ValueEnum};
use sealed_allocator::SealedAllocator;
use std::process::ExitCode;
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator::new();

static DARK_ROOM: &[u8] = include_bytes!("../../models/dark-room.adw");
static BANDIT: &[u8] = include_bytes!("../../models/bandit.adw");
/// A damaged header does not compile.
const DARK_ROOM_WORDS: usize = workspace_words(DARK_ROOM).unwrap();
const BANDIT_WORDS: usize = workspace_words(BANDIT).unwrap();
static DARK_ROOM_WORKSPACE: Mutex<[u32; DARK_ROOM_WORDS]> = Mutex::new([0; DARK_ROOM_WORDS]);
static BANDIT_WORKSPACE: Mutex<[u32; BANDIT_WORDS]> = Mutex::new([0; BANDIT_WORDS]);

/// Most words of an observation of the environments here.
const OBSERVATION_WORDS: usize = 2;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EnvironmentName {
    DarkRoom,
    Bandit,
}

/// Run the shipped int8 agent as firmware would and print the CRC of its action trace.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// What the device lives in.
    #[arg(long, value_enum, default_value = "dark-room")]
    environment: EnvironmentName,
    /// Episodes; the context is kept from one to the next.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    episodes: u32,
    /// Decides the task and everything random.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a run leaves behind.
struct Trace {
    steps: u64,
    total_return: f64,
    last_episode_return: f64,
    actions_crc: u32,
    logits_crc: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(trace) => {
            print(&arguments, &trace);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<Trace> {
    let mut rng = PortableRng::new(arguments.seed, 0);
    match arguments.environment {
        EnvironmentName::DarkRoom => {
            let config = DarkRoomConfig::STANDARD;
            let size = u32::from(config.size);
            let goal = (rng.below(size) as u16, rng.below(size) as u16);
            let room = DarkRoom::new(config, goal).context("the goal is outside the room")?;
            run_sealed(DARK_ROOM, &DARK_ROOM_WORKSPACE, room, arguments.episodes, &mut rng)
        }
        EnvironmentName::Bandit => {
            let probabilities: [f32; 10] = core::array::from_fn(|_| rng.uniform());
            let bandit = Bandit::new(&probabilities, 100).context("the arms are not probabilities")?;
            run_sealed(BANDIT, &BANDIT_WORKSPACE, bandit, arguments.episodes, &mut rng)
        }
    }
}

/// Runs [`trace`] with the allocator sealed.
fn run_sealed<const WORDS: usize>(
    weights: &'static [u8],
    workspace: &'static Mutex<[u32; WORDS]>,
    environment: impl Environment,
    episodes: u32,
    rng: &mut PortableRng,
) -> anyhow::Result<Trace> {
    let mut workspace = workspace.lock().map_err(|_| anyhow!("the workspace is in use"))?;
    ALLOCATOR.seal();
    let trace = trace(weights, workspace.as_mut_slice(), environment, episodes, rng);
    ALLOCATOR.unseal();
    Ok(trace?)
}

/// The loop that firmware has.
fn trace(
    weights: &'static [u8],
    workspace: &mut [u32],
    mut environment: impl Environment,
    episodes: u32,
    rng: &mut PortableRng,
) -> Result<Trace, Error> {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let model = Model::decode(weights)?;
    let mut agent = Agent::new(model, workspace)?;
    let mut buffer = [0i32; OBSERVATION_WORDS];
    let words = agent.model().interface().observation_len();
    let observation = buffer
        .get_mut(..words)
        .ok_or(Error::ObservationLength { needed: words, found: OBSERVATION_WORDS })?;
    let (mut actions, mut logits) = (CRC.digest(), CRC.digest());
    let mut trace =
        Trace { steps: 0, total_return: 0.0, last_episode_return: 0.0, actions_crc: 0, logits_crc: 0 };
    for _ in 0..episodes {
        environment.reset(rng);
        trace.last_episode_return = 0.0;
        let mut done = false;
        while !done {
            environment.observe(observation);
            let action = agent.act(observation, rng)?;
            actions.update(&[action as u8]);
            for logit in agent.logits() {
                logits.update(&logit.to_le_bytes());
            }
            let transition = environment.step(action, rng);
            agent.feedback(transition.reward, transition.done)?;
            trace.steps += 1;
            trace.last_episode_return += f64::from(transition.reward);
            trace.total_return += f64::from(transition.reward);
            done = transition.done;
        }
    }
    trace.actions_crc = actions.finalize();
    trace.logits_crc = logits.finalize();
    Ok(trace)
}

fn print(arguments: &Arguments, trace: &Trace) {
    let Trace { steps, total_return, last_episode_return, actions_crc, logits_crc } = trace;
    if arguments.json {
        let json = serde_json::json!({
            "target": "host",
            "episodes": arguments.episodes,
            "seed": arguments.seed,
            "steps": steps,
            "total_return": total_return,
            "last_episode_return": last_episode_return,
            "actions_crc32": format!("{actions_crc:08x}"),
            "logits_crc32": format!("{logits_crc:08x}"),
        });
        println!("{json}");
    } else {
        println!("steps {steps}, return {total_return}, of the last episode {last_episode_return}");
        println!("actions CRC-32 {actions_crc:08x}, logits CRC-32 {logits_crc:08x}");
    }
}
