//! The trace that `algodistill-firmware-sim run` prints: the same loop, the same sums.

use crate::player::words;
use algodistill_core::env::AnyFamily;
use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use algodistill_core::{Agent, Interface, Model, PortableRng, Transition};
use firmware_session::link::{Seen, CRC};
use firmware_session::session::{self, Monitor, Simulated};

/// Adds up what the runner's recorder adds up.
struct Sums {
    actions: crc::Digest<'static, u32>,
    logits: crc::Digest<'static, u32>,
    seen: Seen,
    steps: u32,
    total_return: f64,
}

impl Monitor for Sums {
    fn observed(&mut self, agent: &mut Agent, observation: &[i32]) {
        self.seen.add(agent.model().interface(), observation);
    }

    fn acted(&mut self, agent: &Agent, _observation: &[i32], action: usize) {
        self.actions.update(&[action as u8]);
        agent.logits().iter().for_each(|logit| self.logits.update(&logit.to_le_bytes()));
        self.steps += 1;
    }

    fn fed_back(&mut self, interface: &Interface, transition: Transition, seen: Option<&[i32]>) {
        self.total_return += f64::from(transition.reward);
        if let Some(observation) = seen {
            self.seen.add(interface, observation);
        }
    }
}

/// Runs a new agent; the trace as JSON, with the names of the runner's.
pub fn run(
    model: &Model<'static>,
    family: &AnyFamily,
    task: u32,
    episodes: u32,
    seed: u32,
) -> Result<String, String> {
    let task = family.task(task).ok_or("there is no such task")?;
    let mut workspace = vec![0; model.workspace_words()];
    let mut agent = Agent::new(model.clone(), &mut workspace).map_err(words)?;
    let (actions, logits) = (CRC.digest(), CRC.digest());
    let mut sums = Sums { actions, logits, seen: Seen::nothing(), steps: 0, total_return: 0.0 };
    let mut world = Simulated::new(task, episodes);
    let mut rng = PortableRng::new(seed.into(), 0);
    let mut observation = [0; MAX_OBSERVATION_WORDS];
    session::run(&mut agent, &mut world, &mut rng, &mut sums, &mut observation).map_err(words)?;
    let Sums { actions, logits, seen, steps, total_return } = sums;
    Ok(format!(
        r#"{{"actions_crc32":"{:08x}","logits_crc32":"{:08x}","observations_crc32":"{:08x}","steps":{steps},"total_return":{total_return}}}"#,
        actions.finalize(),
        logits.finalize(),
        seen.crc(),
    ))
}
