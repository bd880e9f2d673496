//! Everything that firmware calls, reachable from one exported function.
#![no_std]

use ab_update::{start, Flash, Requirements};
use algodistill_core::context::snapshot_model;
use algodistill_core::env::{AnyFamily, AnyTask};
use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use algodistill_core::log::{About, Ended, StepLog};
use algodistill_core::{Agent, Channel, Environment, Error, Kernels, Model, PortableRng, Sampling};

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
    let named = model.environment().map_or(0, str::len) + usize::from(model.format_version());
    let fits = model.interface().crc() ^ snapshot_model(snapshot)?;
    let mut agent = Agent::new(model, workspace)?;
    let mut rng = PortableRng::new(named as u64, fits.into());
    agent.restore(snapshot)?;
    for (step, observation) in words.chunks(2).enumerate() {
        let action = agent.act(observation, &mut rng)?;
        agent.feedback(action as f32, (step % 7 == 0).then_some(words))?;
    }
    agent.demonstrate(words, words.len())?;
    agent.set_sampling(Sampling::Temperature(words.len() as f32))?;
    agent.set_kernels(Kernels::Scalar);
    agent.act(words, &mut rng)?;
    let written = agent.snapshot(snapshot)?;
    agent.reset();

    let name = core::str::from_utf8(file).unwrap_or("");
    let about = About { model_crc: agent.model().crc(), environment: name, ..About::default() };
    let mut log = StepLog::resumed(about, written as u32, words.len() as u32);
    let mut sum = 0u32;
    for observation in words.chunks(2) {
        let mut sink =
            |bytes: &[u8]| sum = bytes.iter().fold(sum, |sum, byte| sum.rotate_left(1) ^ u32::from(*byte));
        let interface = agent.model().interface();
        log.acted(interface, observation, observation.len(), &mut sink)?;
        let ended = Ended { seen: words, cut_off: None };
        log.fed_back(interface, written as f32, (written % 7 == 0).then_some(ended), &mut sink)?;
    }

    let mut total = sum as i32
        + written as i32
        + agent.logits().iter().fold(0, |sum: i32, logit| sum.wrapping_add(*logit));
    // To the optimizer these are environments with any parameters.
    for family in AnyFamily::preset_names().filter_map(AnyFamily::preset).map(core::hint::black_box) {
        let number = words.get(family.horizon() as usize).copied().unwrap_or(0);
        if let Some(task) = family.task(number as u32) {
            total = total.wrapping_add(play(task, words, &mut rng));
        }
    }
    total = total.wrapping_add(updates(file, snapshot, words));
    Ok(total)
}

/// Two slots of any flash in `memory`: the file as a new model, in chunks of any length.
fn updates(file: &[u8], memory: &mut [u8], words: &[i32]) -> i32 {
    let (a, b) = memory.split_at_mut(memory.len() / 2);
    let size = |index: usize| words.get(index).map_or(0, |word| *word as usize);
    let mut slots = [a, b].map(|bytes| Slot { bytes, page: size(0), unit: size(1) });
    let name = core::str::from_utf8(file).ok();
    let channels = &[Channel::Discrete { size: size(2) as u16 }];
    let requirements =
        Requirements { channels, actions: size(3) as u16, environment: name, workspace_words: size(4) };
    let mut updater = start(&mut slots, &requirements).updater;
    let mut update = match updater.begin(size(5)) {
        Ok(update) => update,
        Err(_) => return 1,
    };
    for chunk in file.chunks(size(6).max(1)) {
        if update.write(chunk).is_err() {
            return 2;
        }
    }
    i32::from(update.finish(&requirements).is_ok())
}

struct Slot<'m> {
    bytes: &'m mut [u8],
    page: usize,
    unit: usize,
}

impl Flash for Slot<'_> {
    type Error = ();

    fn page_len(&self) -> usize {
        self.page
    }

    fn unit_len(&self) -> usize {
        self.unit
    }

    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn erase(&mut self, page: usize) -> Result<(), ()> {
        self.bytes.get_mut(page..).ok_or(())?.fill(0xff);
        Ok(())
    }

    fn program(&mut self, offset: usize, units: &[u8]) -> Result<(), ()> {
        let bytes = self.bytes.get_mut(offset..).ok_or(())?;
        bytes.iter_mut().zip(units).for_each(|(byte, value)| *byte &= value);
        Ok(())
    }
}

fn play(mut task: AnyTask, words: &[i32], rng: &mut PortableRng) -> i32 {
    let mut observation = [0; MAX_OBSERVATION_WORDS];
    task.reset(rng);
    for action in words {
        task.observe(&mut observation);
        let transition = task.step(*action as usize, rng);
        if transition.done {
            task.reset(rng);
        }
    }
    observation.iter().fold(0, |sum: i32, word| sum.wrapping_add(*word))
}
