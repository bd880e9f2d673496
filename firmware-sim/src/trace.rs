//! What a run leaves behind, and where two runs part.

use algodistill_core::Transition;
use firmware_session::link::{logits_crc, CRC};
use firmware_session::session::Monitor;

/// What is compared of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: u32,
    /// CRC-32 of its logits.
    pub logits_crc: u32,
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub steps: Vec<Step>,
    pub total_return: f64,
    pub last_episode_return: f64,
    pub actions_crc: u32,
    pub logits_crc: u32,
}

impl Trace {
    /// The first difference to another run, in words.
    pub fn difference(&self, device: &[Step]) -> Option<String> {
        for (index, (host, device)) in self.steps.iter().zip(device).enumerate() {
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
        (host != device).then(|| format!("{host} steps on the host, {device} on the device"))
    }
}

/// Keeps the trace of a run on the host. Its memory is reserved beforehand: nothing may allocate
/// while the agent runs.
pub struct Recorder {
    trace: Trace,
    actions: crc::Digest<'static, u32>,
    logits: crc::Digest<'static, u32>,
    episode_starts: bool,
}

impl Recorder {
    pub fn new(steps: usize) -> Self {
        let trace = Trace { steps: Vec::with_capacity(steps), ..Trace::default() };
        Self { trace, actions: CRC.digest(), logits: CRC.digest(), episode_starts: true }
    }

    pub fn finish(self) -> Trace {
        let (actions_crc, logits_crc) = (self.actions.finalize(), self.logits.finalize());
        Trace { actions_crc, logits_crc, ..self.trace }
    }
}

impl Monitor for Recorder {
    fn acted(&mut self, action: usize, logits: &[i32]) {
        self.actions.update(&[action as u8]);
        for logit in logits {
            self.logits.update(&logit.to_le_bytes());
        }
        self.trace.steps.push(Step { action: action as u32, logits_crc: logits_crc(logits) });
    }

    fn fed_back(&mut self, Transition { reward, done }: Transition) {
        if self.episode_starts {
            self.trace.last_episode_return = 0.0;
        }
        self.episode_starts = done;
        self.trace.last_episode_return += f64::from(reward);
        self.trace.total_return += f64::from(reward);
    }
}
