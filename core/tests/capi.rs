//! The C API called from Rust, so that miri (`.ci/miri`) sees its pointers.
//! What C sees of it is tested by `core/capi/tests/arguments.c`.

use algodistill_core::capi::*;
use algodistill_core::model::weights::{checksum, CRC_OFFSET};
use algodistill_core::{workspace_words, Agent, Model, PortableRng};
use std::mem::{size_of, MaybeUninit};
use std::ptr;

static BANDIT: &[u8] = if cfg!(miri) {
    // A tiny one: the shipped model takes miri 20 s a pull.
    include_bytes!("../fuzz/corpus/weights/bandit")
} else {
    include_bytes!("../../models/bandit.adw")
};

/// Memory as firmware has it: a static agent is zeros, the workspace holds anything.
fn memory() -> (Box<MaybeUninit<AdAgent>>, Vec<u32>) {
    (Box::new(MaybeUninit::zeroed()), vec![0xaaaa_aaaa; workspace_words(BANDIT).unwrap()])
}

fn init(agent: *mut AdAgent, workspace: &mut [u32]) -> AdStatus {
    // SAFETY: all pointers come from slices and live as long as the test.
    unsafe {
        ad_agent_init(
            agent,
            size_of::<AdAgent>(),
            BANDIT.as_ptr(),
            BANDIT.len(),
            workspace.as_mut_ptr(),
            workspace.len(),
        )
    }
}

#[test]
fn actions_and_logits_are_those_of_the_rust_api() {
    let ((mut memory, mut workspace), mut rust_workspace) = (memory(), memory().1);
    let mut rust = Agent::new(Model::decode(BANDIT).unwrap(), &mut rust_workspace).unwrap();
    let mut rust_rng = PortableRng::new(3, 0);
    let mut logits = vec![0; rust.model().interface().actions.into()];
    let agent = memory.as_mut_ptr();
    let mut rng = AdRng { state: [0; 4] };
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
    // SAFETY: as above; no observation is two arguments, null and 0.
    unsafe {
        assert_eq!(ad_rng_init(&mut rng, 3, 0), AdStatus::Ok);
        for pull in 0..if cfg!(miri) { 4 } else { 300 } {
            let mut action = 0;
            assert_eq!(ad_agent_act(agent, ptr::null(), 0, &mut rng, &mut action), AdStatus::Ok);
            assert_eq!(ad_agent_logits(agent, logits.as_mut_ptr(), logits.len()), AdStatus::Ok);
            assert_eq!(ad_agent_feedback(agent, pull as f32, 2 * (pull % 2), ptr::null(), 0), AdStatus::Ok);
            assert_eq!(rust.act(&[], &mut rust_rng).unwrap(), action as usize);
            assert_eq!(rust.logits(), logits);
            rust.feedback(pull as f32, (pull % 2 == 1).then_some(&[])).unwrap();
        }
        assert_eq!(rng.state, rust_rng.state());
        assert_eq!(ad_agent_destroy(agent), AdStatus::Ok);
    }
}

#[test]
fn the_workspace_is_the_callers_after_the_end() {
    let (mut memory, mut workspace) = memory();
    let agent = memory.as_mut_ptr();
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
    // Replaces the first one, which need not have been destroyed.
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
    // SAFETY: as above.
    unsafe {
        assert_eq!(ad_agent_destroy(agent), AdStatus::Ok);
        assert_eq!(ad_agent_reset(agent), AdStatus::Agent);
    }
    workspace.fill(0);
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
}

#[test]
fn a_copy_of_an_agent_is_none() {
    let ((mut memory, mut workspace), mut copy) = (memory(), memory().0);
    assert_eq!(init(memory.as_mut_ptr(), &mut workspace), AdStatus::Ok);
    // SAFETY: both have the size and alignment of an agent.
    unsafe {
        ptr::copy_nonoverlapping(memory.as_ptr(), copy.as_mut_ptr(), 1);
        assert_eq!(ad_agent_reset(copy.as_mut_ptr()), AdStatus::Agent);
        assert_eq!(ad_agent_reset(memory.as_mut_ptr()), AdStatus::Ok);
    }
}

#[test]
fn a_snapshot_is_restored() {
    let (mut memory, mut workspace) = memory();
    let agent = memory.as_mut_ptr();
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
    let mut info = MaybeUninit::uninit();
    // SAFETY: as above; `info` is written before it is read.
    unsafe {
        assert_eq!(ad_agent_demonstrate(agent, ptr::null(), 0, 1), AdStatus::Ok);
        assert_eq!(ad_agent_info(agent, info.as_mut_ptr()), AdStatus::Ok);
        let mut bytes = vec![0; info.assume_init().snapshot_bytes];
        let mut written = 0;
        assert_eq!(ad_agent_snapshot(agent, bytes.as_mut_ptr(), bytes.len(), &mut written), AdStatus::Ok);
        assert_eq!(ad_agent_reset(agent), AdStatus::Ok);
        assert_eq!(ad_agent_restore(agent, bytes.as_ptr(), written), AdStatus::Ok);
        // The demonstrated action still waits for its feedback.
        assert_eq!(ad_agent_feedback(agent, 1.0, 1, ptr::null(), 0), AdStatus::Ok);
        assert_eq!(ad_agent_restore(agent, bytes.as_ptr(), written - 1), AdStatus::Truncated);
    }
}

/// What firmware asks before it runs a model, and after a snapshot was refused.
#[test]
fn a_model_is_known_without_an_agent_and_a_snapshot_without_its_model() {
    let (mut memory, mut workspace) = memory();
    let (agent, mut info) = (memory.as_mut_ptr(), MaybeUninit::<AdModelInfo>::uninit());
    let model = Model::decode(BANDIT).unwrap();
    // SAFETY: as above; `info` is written before it is read.
    unsafe {
        assert_eq!(ad_weights_info(BANDIT.as_ptr(), BANDIT.len(), info.as_mut_ptr()), AdStatus::Ok);
        let info = info.assume_init();
        assert_eq!((info.crc32, info.interface_crc32), (model.crc(), model.interface().crc()));
        assert_eq!(info.format_version, u32::from(model.format_version()));
        match model.environment() {
            Some(name) => {
                let bytes =
                    std::slice::from_raw_parts(info.environment.cast::<u8>(), info.environment_length);
                assert_eq!(bytes, name.as_bytes());
            }
            None => assert!(info.environment.is_null() && info.environment_length == 0),
        }
        assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
        let (mut bytes, mut written, mut crc32) = (vec![0; info.snapshot_bytes], 0, 0);
        assert_eq!(ad_agent_snapshot(agent, bytes.as_mut_ptr(), bytes.len(), &mut written), AdStatus::Ok);
        assert_eq!(ad_snapshot_model(bytes.as_ptr(), written, &mut crc32), AdStatus::Ok);
        assert_eq!(crc32, model.crc());
        // Of another model: the CRC-32 of its weights in the snapshot's header, and the snapshot's own.
        bytes[16] ^= 1;
        let crc = checksum(&bytes);
        bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(ad_agent_restore(agent, bytes.as_ptr(), written), AdStatus::SnapshotModel);
        assert_eq!(ad_snapshot_model(bytes.as_ptr(), written, &mut crc32), AdStatus::Ok);
        assert_eq!(crc32, model.crc() ^ 1);
    }
}

#[test]
fn every_status_has_a_text_of_its_own() {
    let text = |status| {
        // SAFETY: the texts are C strings that live forever.
        unsafe { std::ffi::CStr::from_ptr(ad_status_text(status)) }
    };
    let unknown = text(-1);
    let known: std::collections::HashSet<_> = (0..=100).map(text).filter(|text| *text != unknown).collect();
    // 9 of the API, 19 of the errors of the core.
    assert_eq!(known.len(), 28);
}
