//! What a run on a target showed, for people and for machines.

use crate::device::Report;
use crate::host::Run;
use crate::image::Image;
use crate::target::Target;
use crate::trace::Trace;
use serde_json::{json, Value};
use std::fmt::{self, Display};

/// A run on a target, with its image.
pub struct Measured {
    pub target: &'static Target,
    pub preset: &'static str,
    /// Number of the task.
    pub task: u32,
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

    /// Instructions a step with the ring full.
    pub fn instructions(&self) -> Option<u64> {
        self.report.instructions_full_ring(self.image.window)
    }

    pub fn json(&self) -> Value {
        let Self { target, preset, task, difference, image, report } = self;
        json!({
            "environment": preset,
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
            "kernels": report.kernels,
            "instructions_first_step": report.instructions.first(),
            "instructions_per_step_full_ring": self.instructions(),
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
        writeln!(f, "  actions CRC-32 {:08x}, logits CRC-32 {:08x}", report.actions_crc, report.logits_crc)?;
        let largest = report.instructions.iter().max().copied().unwrap_or(0);
        let full = self.instructions().map_or("-".into(), |count| count.to_string());
        writeln!(
            f,
            "  instructions per step (not cycles): {full} with a full ring, {largest} at most; kernels {}",
            report.kernels
        )?;
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
    })
}
