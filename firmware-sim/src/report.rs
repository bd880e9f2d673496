//! What a run on a target showed, for people and for machines.

use crate::device::{mean_with_full_ring, Report};
use crate::host::Run;
use crate::image::Image;
use crate::target::Target;
use crate::trace::Trace;
use serde_json::{json, Value};
use std::fmt::{self, Display};
use std::path::PathBuf;

/// A run on a target, with its image.
pub struct Measured {
    pub target: &'static Target,
    pub preset: &'static str,
    /// Weights file.
    pub model: PathBuf,
    /// Number of the task.
    pub task: u32,
    /// The environment ran on the host.
    pub apart: bool,
    /// The first difference to the host, in words.
    pub difference: Option<String>,
    pub image: Image,
    pub report: Report,
}

impl Measured {
    /// Deepest stack of the whole run, in bytes.
    pub fn stack(&self) -> u32 {
        self.report.stack_act.max(self.report.stack_start_up)
    }

    /// Instructions a step with the ring full: the agent alone.
    pub fn instructions(&self) -> Option<u64> {
        mean_with_full_ring(&self.report.instructions, self.image.window)
    }

    /// How many of them the encoders of numbers and pictures take; `None` where the model has none.
    pub fn encoding(&self) -> Option<u64> {
        mean_with_full_ring(&self.report.encode, self.image.window).filter(|_| self.image.encoders)
    }

    /// Instructions a step of the environment that makes the numbers or paints the picture; `None`
    /// where there are no such, or where it did not do so on the target.
    pub fn observing(&self) -> Option<u64> {
        let made_there = self.image.encoders && !self.apart;
        mean_with_full_ring(&self.report.observe, self.image.window).filter(|_| made_there)
    }

    pub fn json(&self) -> Value {
        let Self { target, preset, model, task, difference, image, report, .. } = self;
        json!({
            "environment": preset,
            "model": model.display().to_string(),
            "task": task,
            "target": target.name,
            "machine": target.machine,
            "compiler": image.compiler,
            "parameters": image.parameters,
            "identical": difference.is_none(),
            "difference": difference,
            "steps": report.steps.len(),
            "total_return": report.total_return,
            "actions_crc32": format!("{:08x}", report.actions_crc),
            "logits_crc32": format!("{:08x}", report.logits_crc),
            "observations_crc32": format!("{:08x}", report.observations_crc),
            "kernels": report.kernels,
            "instructions_first_step": report.instructions.first(),
            "instructions_per_step_full_ring": self.instructions(),
            "instructions_encoders_per_step_full_ring": self.encoding(),
            "instructions_observing_per_step_full_ring": self.observing(),
            "instructions_largest_step": report.instructions.iter().max(),
            "flash_bytes": image.elf.flash,
            "flash_weights_bytes": image.weights,
            "flash_code_bytes": image.elf.flash.saturating_sub(image.weights),
            "ram_static_bytes": image.elf.ram,
            "stack_start_up_bytes": report.stack_start_up,
            "stack_act_bytes": report.stack_act,
            "ram_with_stack_bytes": image.elf.ram + u64::from(self.stack()),
        })
    }
}

impl Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, difference, image, report, .. } = self;
        let verdict = difference.as_deref().unwrap_or("identical to the host");
        writeln!(f, "{} ({}): {} steps, {verdict}", target.name, target.machine, report.steps.len())?;
        writeln!(
            f,
            "  CRC-32 of actions {:08x}, of logits {:08x}, of observations {:08x}",
            report.actions_crc, report.logits_crc, report.observations_crc
        )?;
        let largest = report.instructions.iter().max().copied().unwrap_or(0);
        let full = self.instructions().map_or("-".into(), |count| count.to_string());
        writeln!(
            f,
            "  instructions per step (not cycles): {full} with a full ring, {largest} at most; kernels {}",
            report.kernels
        )?;
        if let Some(encoders) = self.encoding() {
            let painting = self.observing().map_or("-".into(), |count| count.to_string());
            writeln!(f, "  of them {encoders} in the encoders; {painting} more to show an observation")?;
        }
        let (flash, ram, stack) = (image.elf.flash, image.elf.ram, self.stack());
        writeln!(
            f,
            "  flash {flash} bytes ({} of them weights), static RAM {ram}, stack {stack}",
            image.weights
        )
    }
}

/// A run on the host.
pub fn host_json(run: &Run, trace: &Trace) -> Value {
    json!({
        "target": "host",
        "environment": run.environment.preset,
        "task": run.task,
        "episodes": run.episodes,
        "seed": run.seed,
        "steps": trace.steps.len(),
        "total_return": trace.total_return,
        "last_episode_return": trace.last_episode_return,
        "actions_crc32": format!("{:08x}", trace.actions_crc),
        "logits_crc32": format!("{:08x}", trace.logits_crc),
        "observations_crc32": format!("{:08x}", trace.observations_crc),
    })
}
