//! What a run leaves behind, and where two runs part.

use algodistill_core::log::{Ended, StepLog};
use algodistill_core::{Agent, Error, Interface, Transition};
use firmware_session::link::{logits_crc, Seen, CRC};
use firmware_session::session::Monitor;

/// What is compared of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: u32,
    /// CRC-32 of its logits.
    pub logits_crc: u32,
    /// CRC-32 of all observations up to this one.
    pub observations_crc: u32,
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub steps: Vec<Step>,
    pub total_return: f64,
    pub last_episode_return: f64,
    pub actions_crc: u32,
    pub logits_crc: u32,
    pub observations_crc: u32,
    /// The log of the steps, where one was asked for.
    pub log: Vec<u8>,
}

impl Trace {
    /// The first difference of a log to that of this run, in words.
    pub fn log_difference(&self, device: &[u8]) -> Option<String> {
        let (host, found) = (self.log.len(), device.len());
        match self.log.iter().zip(device).position(|(host, device)| host != device) {
            Some(byte) => Some(format!("byte {byte} of the log is another one than on the host")),
            None if host != found => {
                Some(format!("the log has {host} bytes on the host, {found} on the device"))
            }
            None => None,
        }
    }

    /// The first difference to another run and to the CRC-32 of all its observations, in words.
    pub fn difference(&self, device: &[Step], observations_crc: u32) -> Option<String> {
        let observed = |step: usize, host: u32, device: u32| {
            (host != device).then(|| {
                format!(
                    "step {step}: CRC-32 of all that was observed {host:08x} on the host, {device:08x} on the device"
                )
            })
        };
        for (index, (host, device)) in self.steps.iter().zip(device).enumerate() {
            // First: the rest follows from it.
            if let Some(difference) = observed(index, host.observations_crc, device.observations_crc) {
                return Some(difference);
            }
            if host.action != device.action {
                return Some(format!(
                    "step {index}: the host's action is {}, the device's {}",
                    host.action, device.action
                ));
            }
            if host.logits_crc != device.logits_crc {
                let (host, device) = (host.logits_crc, device.logits_crc);
                return Some(format!(
                    "step {index}: CRC-32 of the logits {host:08x} on the host, {device:08x} on the device"
                ));
            }
        }
        let (host, device) = (self.steps.len(), device.len());
        if host != device {
            return Some(format!("{host} steps on the host, {device} on the device"));
        }
        // What ended the last episode is in no step.
        observed(host, self.observations_crc, observations_crc)
    }
}

/// Keeps the trace of a run on the host. Its memory is reserved beforehand: nothing may allocate
/// while the agent runs.
pub struct Recorder {
    trace: Trace,
    actions: crc::Digest<'static, u32>,
    logits: crc::Digest<'static, u32>,
    seen: Seen,
    episode_starts: bool,
    log: Option<StepLog<'static>>,
    /// Whether all steps could be logged.
    pub logged: Result<(), Error>,
}

impl Recorder {
    pub fn new(steps: usize) -> Self {
        let trace = Trace { steps: Vec::with_capacity(steps), ..Trace::default() };
        let (actions, logits) = (CRC.digest(), CRC.digest());
        let seen = Seen::nothing();
        Self { trace, actions, logits, seen, episode_starts: true, log: None, logged: Ok(()) }
    }

    /// Also keeps a log, of at most so many bytes.
    pub fn logging(mut self, log: StepLog<'static>, bytes: usize) -> Self {
        (self.log, self.trace.log) = (Some(log), Vec::with_capacity(bytes));
        self
    }

    pub fn finish(self) -> Trace {
        let (actions_crc, logits_crc) = (self.actions.finalize(), self.logits.finalize());
        Trace { actions_crc, logits_crc, observations_crc: self.seen.crc(), ..self.trace }
    }
}

impl Monitor for Recorder {
    fn observed(&mut self, agent: &mut Agent, observation: &[i32]) {
        self.seen.add(agent.model().interface(), observation);
    }

    fn acted(&mut self, agent: &Agent, observation: &[i32], action: usize) {
        let logits = agent.logits();
        self.actions.update(&[action as u8]);
        for logit in logits {
            self.logits.update(&logit.to_le_bytes());
        }
        self.trace.steps.push(Step {
            action: action as u32,
            logits_crc: logits_crc(logits),
            observations_crc: self.seen.crc(),
        });
        if let Some(log) = &mut self.log {
            let mut sink = |piece: &[u8]| self.trace.log.extend_from_slice(piece);
            let done = log.acted(agent.model().interface(), observation, action, &mut sink);
            self.logged = self.logged.and(done);
        }
    }

    fn fed_back(&mut self, interface: &Interface, transition: Transition, seen: Option<&[i32]>) {
        let Transition { reward, done } = transition;
        if self.episode_starts {
            self.trace.last_episode_return = 0.0;
        }
        self.episode_starts = done;
        self.trace.last_episode_return += f64::from(reward);
        self.trace.total_return += f64::from(reward);
        if let Some(seen) = seen {
            self.seen.add(interface, seen);
        }
        if let Some(log) = &mut self.log {
            let mut sink = |piece: &[u8]| self.trace.log.extend_from_slice(piece);
            let ended = seen.map(|seen| Ended { seen, cut_off: None });
            let done = log.fed_back(interface, reward, ended, &mut sink);
            self.logged = self.logged.and(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::random_model;
    use algodistill_core::env::AnyTask;
    use algodistill_core::{Model, PortableRng};
    use firmware_session::session::{self, Simulated, World};

    /// A renderer that gets the lowest bit of one byte of one picture wrong.
    struct Flipped {
        world: Simulated<AnyTask>,
        wrong: Option<usize>,
        shown: usize,
    }

    impl Flipped {
        fn show(&mut self, observation: &mut [i32]) {
            if self.wrong == Some(self.shown) {
                observation[40] ^= 1 << 16;
            }
            self.shown += 1;
        }
    }

    impl World for Flipped {
        fn observe(&mut self, observation: &mut [i32], rng: &mut PortableRng) -> bool {
            let goes_on = self.world.observe(observation, rng);
            self.show(observation);
            goes_on
        }

        fn apply(&mut self, action: usize, observation: &mut [i32], rng: &mut PortableRng) -> Transition {
            let transition = self.world.apply(action, observation, rng);
            if transition.done {
                self.show(observation);
            }
            transition
        }
    }

    fn trace(wrong: Option<usize>) -> Trace {
        let environment = Environment::find("watermaze").unwrap();
        let file = random_model::small(&environment, 0).unwrap();
        let model = Model::decode(&file).unwrap();
        let mut workspace = vec![0; model.workspace_words()];
        let mut agent = Agent::new(model, &mut workspace).unwrap();
        let mut recorder = Recorder::new(100);
        let world = Simulated::new(environment.family.task(3).unwrap(), 2);
        let mut world = Flipped { world, wrong, shown: 0 };
        let mut rng = PortableRng::new(7, 0);
        session::run(&mut agent, &mut world, &mut rng, &mut recorder, &mut [0; 96]).unwrap();
        recorder.finish()
    }

    /// Not even where no logit depends on it: the encoder halves the bytes of a picture.
    #[test]
    fn a_flipped_bit_of_a_picture_does_not_go_unnoticed() {
        let right = trace(None);
        assert_eq!(right.difference(&trace(None).steps, right.observations_crc), None);
        let last = right.steps.len() + 1;
        for (wrong, step) in [(0, 0), (5, 5), (last, right.steps.len())] {
            let flipped = trace(Some(wrong));
            assert_eq!((flipped.actions_crc, flipped.logits_crc), (right.actions_crc, right.logits_crc));
            let difference = right.difference(&flipped.steps, flipped.observations_crc).unwrap();
            assert!(
                difference.starts_with(&format!("step {step}: CRC-32 of all that was observed")),
                "{difference}"
            );
        }
    }
}
