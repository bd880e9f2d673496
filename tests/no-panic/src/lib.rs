//! Everything that firmware calls, reachable from one exported function.
#![no_std]

use algodistill_core::env::bandit::Bandit;
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomConfig};
use algodistill_core::{Agent, Environment, Error, Kernels, Model, PortableRng, Sampling};

extern "C" {
    /// Defined nowhere: the library links only where the optimizer removed every call.
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: never linked.
    unsafe { a_panic_is_reachable() }
}

/// Exercises the whole API on data from outside.
///
/// # Safety
/// The pointers are valid for their lengths.
#[no_mangle]
pub unsafe extern "C" fn exercise(
    file: *const u8,
    file_len: usize,
    workspace: *mut u32,
    workspace_len: usize,
    snapshot: *mut u8,
    snapshot_len: usize,
    words: *const i32,
    words_len: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let (file, workspace, snapshot, words) = unsafe {
        (
            core::slice::from_raw_parts(file, file_len),
            core::slice::from_raw_parts_mut(workspace, workspace_len),
            core::slice::from_raw_parts_mut(snapshot, snapshot_len),
            core::slice::from_raw_parts(words, words_len),
        )
    };
    match agent(file, workspace, snapshot, words) {
        Ok(value) => value,
        Err(_) => -1,
    }
}

fn agent(file: &[u8], workspace: &mut [u32], snapshot: &mut [u8], words: &[i32]) -> Result<i32, Error> {
    let model = Model::decode(file)?;
    let mut agent = Agent::new(model, workspace)?;
    let mut rng = PortableRng::new(words.len() as u64, file.len() as u64);
    agent.restore(snapshot)?;
    for (step, observation) in words.chunks(2).enumerate() {
        let action = agent.act(observation, &mut rng)?;
        agent.feedback(action as f32, step % 7 == 0)?;
    }
    agent.demonstrate(words, words.len())?;
    agent.set_sampling(Sampling::Temperature(words.len() as f32))?;
    agent.set_kernels(Kernels::Scalar);
    agent.act(words, &mut rng)?;
    let written = agent.snapshot(snapshot)?;
    agent.reset();

    let cell = |index: usize| words.get(index).copied().unwrap_or(0) as u16;
    let config = DarkRoomConfig {
        size: cell(0),
        horizon: words.len() as u32,
        start: (cell(1), cell(2)),
        reward_once: cell(3) == 0,
    };
    let mut total = written as i32 + agent.logits().iter().fold(0, |sum: i32, logit| sum.wrapping_add(*logit));
    if let Some(room) = DarkRoom::new(config, (cell(4), cell(5))) {
        total += play(room, words, &mut rng);
    }
    if let Some(bandit) = Bandit::new(&[0.5, total as f32], cell(6).into()) {
        total += play(bandit, words, &mut rng);
    }
    Ok(total)
}

fn play(mut environment: impl Environment, words: &[i32], rng: &mut PortableRng) -> i32 {
    let mut observation = [0; 3];
    environment.reset(rng);
    for action in words {
        environment.observe(&mut observation);
        let transition = environment.step(*action as usize, rng);
        if transition.done {
            environment.reset(rng);
        }
    }
    observation.iter().fold(environment.interface().actions.into(), |sum: i32, word| sum.wrapping_add(*word))
}
