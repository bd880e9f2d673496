//! A device that loses its power before every step. What remains is a snapshot.

use crate::device::MODEL;
use algodistill_core::context::snapshot_len;
use algodistill_core::{Agent, Dimensions, Error};
use core::ptr::addr_of_mut;

const LEN: usize = snapshot_len(&Dimensions::read(&MODEL.0).unwrap());
/// Stands for flash or another memory that keeps what it has.
static mut SNAPSHOT: [u8; LEN] = [0; LEN];

/// Saves the context, puts another one into the agent's memory, a full ring of it, and restores.
#[inline(never)]
pub fn lose_power(agent: &mut Agent, observation: &[i32]) -> Result<(), Error> {
    // SAFETY: the only reference to the snapshot, gone when this returns; it does not call itself.
    let snapshot = unsafe { &mut *addr_of_mut!(SNAPSHOT) };
    agent.snapshot(snapshot)?;
    agent.reset();
    for _ in 0..agent.model().dimensions().window {
        agent.demonstrate(observation, 0)?;
        agent.feedback(0.0, None)?;
    }
    agent.restore(snapshot)
}
