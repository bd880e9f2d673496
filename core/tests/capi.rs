//! The C API called from Rust, so that miri (`.ci/miri`) sees its pointers.
//! What C sees of it is tested by `core/capi/tests/arguments.c`.

use algodistill_core::capi::*;
use algodistill_core::log::{About, Ended};
use algodistill_core::model::weights::{checksum, CRC_OFFSET};
use algodistill_core::{workspace_words, Agent, Model, PortableRng, StepLog};
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::{size_of, MaybeUninit};
use std::ptr;
use std::rc::Rc;

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
    init_of(agent, BANDIT, workspace)
}

fn init_of(agent: *mut AdAgent, weights: &[u8], workspace: &mut [u32]) -> AdStatus {
    // SAFETY: all pointers come from slices and live as long as the test.
    unsafe {
        ad_agent_init(
            agent,
            size_of::<AdAgent>(),
            weights.as_ptr(),
            weights.len(),
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

/// An index, numbers and a picture.
static MIXED: &[u8] = include_bytes!("../fuzz/corpus/weights/encoders-v4");

/// An agent of [`MIXED`] and a log, in memory of their own.
struct Logging {
    agent: Box<MaybeUninit<AdAgent>>,
    log: Box<MaybeUninit<AdLog>>,
    /// The agent's.
    _workspace: Vec<u32>,
    /// What the sink was given. Shared with it.
    bytes: Rc<RefCell<Vec<u8>>>,
}

impl Logging {
    fn new() -> Self {
        let (mut agent, log) = (memory().0, Box::new(MaybeUninit::zeroed()));
        let mut workspace = vec![0; workspace_words(MIXED).unwrap()];
        assert_eq!(init_of(agent.as_mut_ptr(), MIXED, &mut workspace), AdStatus::Ok);
        Self { agent, log, _workspace: workspace, bytes: Rc::default() }
    }

    fn init(&mut self, about: &AdLogAbout) -> AdStatus {
        let (log, agent) = (self.log.as_mut_ptr(), self.agent.as_mut_ptr());
        let bytes = Rc::as_ptr(&self.bytes).cast_mut().cast();
        // SAFETY: all lives as long as the test, and `append` is made for such a context.
        unsafe { ad_log_init(log, size_of::<AdLog>(), agent, about, Some(append), bytes) }
    }

    fn acted(&mut self, observation: &[i32], action: u32) -> AdStatus {
        // SAFETY: as above.
        unsafe { ad_log_acted(self.log.as_mut_ptr(), observation.as_ptr(), observation.len(), action) }
    }

    fn fed_back(&mut self, reward: f32, end: i32, seen: &[i32]) -> AdStatus {
        // SAFETY: as above.
        unsafe { ad_log_fed_back(self.log.as_mut_ptr(), reward, end, seen.as_ptr(), seen.len()) }
    }

    fn position(&mut self) -> (u32, u32) {
        let mut position = (u32::MAX, u32::MAX);
        // SAFETY: as above.
        let status = unsafe { ad_log_position(self.log.as_mut_ptr(), &mut position.0, &mut position.1) };
        assert_eq!(status, AdStatus::Ok);
        position
    }
}

/// A sink whose context is a `RefCell<Vec<u8>>`.
unsafe extern "C" fn append(context: *mut c_void, bytes: *const u8, len: usize) {
    // SAFETY: such a context, and bytes of this length.
    let (log, bytes) =
        unsafe { (&*context.cast::<RefCell<Vec<u8>>>(), std::slice::from_raw_parts(bytes, len)) };
    log.borrow_mut().extend_from_slice(bytes);
}

fn about(environment: &str) -> AdLogAbout {
    AdLogAbout {
        environment: environment.as_ptr().cast(),
        environment_length: environment.len(),
        seed: 0,
        seed_known: 0,
        task: 0,
        task_known: 0,
        device: 0,
        episode: 0,
        step: 0,
    }
}

/// Whatever is known of it, however an episode ends, and from wherever it begins.
#[test]
fn a_log_has_the_bytes_of_the_rust_log() {
    let model = Model::decode(MIXED).unwrap();
    let interface = model.interface();
    let long = "ä".repeat(20);
    for (name, task, seed, device, position) in [
        ("lab", Some(6), Some(u64::MAX), 5, (0, 0)),
        (&long, None, Some(0), 0, (7, 3)),
        ("", Some(0), None, u32::MAX, (0, 1)),
    ] {
        let known = About { model_crc: model.crc(), device, task, seed, environment: name };
        let (mut rust, mut expected) = (StepLog::resumed(known, position.0, position.1), Vec::new());
        let mut sink = |piece: &[u8]| expected.extend_from_slice(piece);
        let mut c = Logging::new();
        let status = c.init(&AdLogAbout {
            device,
            // A number that is not known is not looked at.
            task: task.unwrap_or(9),
            task_known: task.is_some().into(),
            seed: seed.unwrap_or(9),
            seed_known: -i32::from(seed.is_some()),
            episode: position.0,
            step: position.1,
            ..about(name)
        });
        assert_eq!(status, AdStatus::Ok);
        // The log does not need the agent any more.
        // SAFETY: an agent lies there.
        assert_eq!(unsafe { ad_agent_destroy(c.agent.as_mut_ptr()) }, AdStatus::Ok);
        assert!(c.bytes.borrow().is_empty(), "the first step writes the header");
        let mut rng = PortableRng::new(1, 0);
        for step in 0..if cfg!(miri) { 20 } else { 3000 } {
            let mut observe = || {
                let mut words = vec![0; interface.observation_len()];
                let mut rest = &mut words[..];
                for channel in &interface.channels {
                    let (own, after) = rest.split_at_mut(channel.words());
                    channel.sample(own, &mut rng);
                    rest = after;
                }
                words
            };
            let (observation, last) = (observe(), observe());
            let seen = if rng.below(2) == 0 { &last[..] } else { &[] };
            let action = rng.below(interface.actions.into());
            rust.acted(interface, &observation, action as usize, &mut sink).unwrap();
            assert_eq!(c.acted(&observation, action), AdStatus::Ok);
            let (end, ended) = match rng.below(8) {
                0 => (AD_ENDED, Some(None)),
                1 => (AD_TERMINATED, Some(Some(false))),
                2 => (AD_CUT_OFF, Some(Some(true))),
                _ => (AD_GOES_ON, None),
            };
            let reward = if rng.below(2) == 0 { interface.reward_levels[0] } else { step as f32 };
            let ended = ended.map(|cut_off| Ended { seen, cut_off });
            rust.fed_back(interface, reward, ended, &mut sink).unwrap();
            assert_eq!(c.fed_back(reward, end, seen), AdStatus::Ok);
            assert_eq!(c.position(), rust.position());
        }
        assert!(*c.bytes.borrow() == expected, "the log of {name:?} is another one");
    }
}

/// What was written by then stays, and the log goes on after it.
#[test]
fn a_refused_call_of_a_log_changes_nothing() {
    let mut c = Logging::new();
    let words = Model::decode(MIXED).unwrap().interface().observation_len();
    let (right, wrong) = (vec![0; words], vec![-1; words]);
    assert_eq!(c.acted(&right, 0), AdStatus::Log);
    assert_eq!(c.init(&about("lab")), AdStatus::Ok);
    assert_eq!(c.fed_back(0.0, AD_GOES_ON, &[]), AdStatus::FeedbackUnexpected);
    assert_eq!(c.acted(&right[1..], 0), AdStatus::ObservationLength);
    assert_eq!(c.acted(&wrong, 0), AdStatus::Observation);
    assert_eq!(c.acted(&right, u32::MAX), AdStatus::Action);
    assert!(c.bytes.borrow().is_empty());
    assert_eq!(c.acted(&right, 0), AdStatus::Ok);
    let written = c.bytes.borrow().len();
    assert_eq!(c.acted(&right, 0), AdStatus::FeedbackMissing);
    for reward in [f32::NAN, f32::INFINITY] {
        assert_eq!(c.fed_back(reward, AD_GOES_ON, &[]), AdStatus::Reward);
    }
    for end in [-1, 4, i32::MAX] {
        assert_eq!(c.fed_back(0.0, end, &[]), AdStatus::End);
    }
    assert_eq!(c.fed_back(0.0, AD_ENDED, &right[1..]), AdStatus::ObservationLength);
    assert_eq!(c.fed_back(0.0, AD_ENDED, &wrong), AdStatus::Observation);
    // A name that is none is no log, and the one before stays.
    let bytes = [b'l', 0xff];
    let no_text =
        AdLogAbout { environment: bytes.as_ptr().cast(), environment_length: bytes.len(), ..about("") };
    assert_eq!(c.init(&no_text), AdStatus::EnvironmentName);
    assert_eq!(c.bytes.borrow().len(), written);
    assert_eq!(c.position(), (0, 0));
    // Not looked at where the episode goes on.
    assert_eq!(c.fed_back(0.0, AD_GOES_ON, &wrong), AdStatus::Ok);
    assert_eq!(c.position(), (0, 1));
    assert!(c.bytes.borrow().len() > written);
}

/// The context is the log itself. Whatever the sink asks of it while it is at work is refused.
#[test]
fn a_sink_cannot_call_its_log() {
    unsafe extern "C" fn call_back(context: *mut c_void, _: *const u8, _: usize) {
        let (log, mut number) = (context.cast::<AdLog>(), [5, 6]);
        let [episode, step] = &mut number;
        // SAFETY: the context is a log.
        unsafe {
            assert_eq!(ad_log_acted(log, ptr::null(), 0, 0), AdStatus::Log);
            assert_eq!(ad_log_fed_back(log, 0.0, AD_GOES_ON, ptr::null(), 0), AdStatus::Log);
            assert_eq!(ad_log_position(log, episode, step), AdStatus::Log);
        }
        assert_eq!(number, [5, 6]);
    }
    let (mut memory, mut workspace) = memory();
    let mut log = Box::new(MaybeUninit::<AdLog>::zeroed());
    let (agent, log) = (memory.as_mut_ptr(), log.as_mut_ptr());
    assert_eq!(init(agent, &mut workspace), AdStatus::Ok);
    // SAFETY: all lives as long as the test.
    unsafe {
        let size = size_of::<AdLog>();
        assert_eq!(ad_log_init(log, size, agent, &about(""), Some(call_back), log.cast()), AdStatus::Ok);
        for _ in 0..2 {
            assert_eq!(ad_log_acted(log, ptr::null(), 0, 0), AdStatus::Ok);
            assert_eq!(ad_log_fed_back(log, 0.0, AD_ENDED, ptr::null(), 0), AdStatus::Ok);
        }
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
    // 13 of the API, 19 of the errors of the core.
    assert_eq!(known.len(), 32);
}
