//! Which task a seed stands for: the same on host and device.

use algodistill_core::env::bandit::BanditTask;
use algodistill_core::env::{AnyFamily, AnyTask};
use algodistill_core::{Family, PortableRng};

/// Stream of the seed that draws actions where the environment is elsewhere, and has a generator of
/// its own (stream 0, as in a run in one place).
pub const AGENT_STREAM: u64 = 1;

/// Draws a task with `rng`, which the run then goes on with. `None` does not happen for a preset.
pub fn draw(environment: &AnyFamily, rng: &mut PortableRng) -> Option<AnyTask> {
    match environment {
        AnyFamily::DarkRoom(room) => {
            let size = u32::from(room.size);
            let (row, column) = (rng.below(size), rng.below(size));
            room.task(row * size + column).map(AnyTask::DarkRoom)
        }
        AnyFamily::Bandit(_) => {
            let probabilities: [f32; 10] = core::array::from_fn(|_| rng.uniform());
            BanditTask::new(&probabilities, 100).map(AnyTask::Bandit)
        }
    }
}
