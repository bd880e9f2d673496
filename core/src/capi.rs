//! The C API: the agent for firmware that is not written in Rust. `core/include/algodistill.h` is
//! generated from this file (`.ci/c-api`), so the comments here are written for readers of C.
//!
//! A caller in C can pass anything. Whatever can be told from the arguments alone (null,
//! misaligned, too short, overlapping, an agent that is not one) is refused with a status; what
//! cannot (an address that is not memory) is the caller's promise, and the only one.

#![allow(unsafe_code)]

use crate::context::{snapshot_len, snapshot_model};
use crate::interface::MAX_ACTIONS;
use crate::log::{About, Ended};
use crate::{Agent, Error, Interface, Model, PortableRng, Sampling, StepLog};
use core::ffi::{c_char, c_void, CStr};
use core::mem::{align_of, size_of, MaybeUninit};
use core::ops::Range;
use core::ptr;

/// What a call answers. Everything but `AD_STATUS_OK` means that nothing was done, unless the call
/// says otherwise.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdStatus {
    /// Done.
    Ok = 0,
    /// A pointer is null.
    Null = 1,
    /// A pointer is not aligned for what it points to.
    Misaligned = 2,
    /// A buffer does not fit the address space.
    Buffer = 3,
    /// Buffers overlap each other, the agent, its workspace or its weights, or the log or the name that
    /// it refers to.
    Overlap = 4,
    /// The memory for the agent is shorter than `AD_AGENT_SIZE`.
    AgentMemory = 5,
    /// Not an agent: never initialised, destroyed, or copied to another address.
    Agent = 6,
    /// The state of the random number generator is all zeros: never initialised.
    Rng = 7,
    /// The buffer for the logits is shorter than the number of actions.
    LogitsLength = 8,
    /// The memory for the log is shorter than `AD_LOG_SIZE`.
    LogMemory = 9,
    /// Not a log: never initialised, copied to another address, or its sink is at work in another call.
    Log = 10,
    /// The name of the environment is not UTF-8.
    EnvironmentName = 11,
    /// `end` is none of `AD_GOES_ON`, `AD_ENDED`, `AD_TERMINATED` and `AD_CUT_OFF`.
    End = 12,
    /// The bytes end before the header or before what the header announces.
    Truncated = 16,
    /// The bytes do not start with the magic of this kind of file.
    Magic = 17,
    /// The format version is not one this build reads.
    Version = 18,
    /// The length in the header is not the number of bytes given.
    Length = 19,
    /// The CRC-32 does not match: a byte was changed.
    Checksum = 20,
    /// A dimension in the header is out of its limits.
    Dimension = 21,
    /// The metadata cannot be decoded or breaks a limit.
    Metadata = 22,
    /// Reserved or padding bytes are not zero, or bytes are left over.
    Leftover = 23,
    /// The workspace is too small for the model.
    Workspace = 24,
    /// The buffer for a snapshot is too small, or the snapshot's length is not the model's.
    SnapshotLength = 25,
    /// The snapshot was taken with another model: `ad_snapshot_model` says with which.
    SnapshotModel = 26,
    /// The snapshot's counters contradict the model.
    SnapshotState = 27,
    /// The observation does not have as many words as the model expects.
    ObservationLength = 28,
    /// A word of the observation is out of its channel's range.
    Observation = 29,
    /// The action is not one of the model's.
    Action = 30,
    /// An action was asked for, or logged, before the feedback of the one before.
    FeedbackMissing = 31,
    /// Feedback was given before an action.
    FeedbackUnexpected = 32,
    /// The reward is NaN, or, where it is to be logged, infinite.
    Reward = 33,
    /// The temperature is neither `AD_GREEDY` nor a number between 0.01 and 100.
    Temperature = 34,
}

impl From<Error> for AdStatus {
    fn from(error: Error) -> Self {
        match error {
            Error::Truncated => Self::Truncated,
            Error::Magic => Self::Magic,
            Error::Version(_) => Self::Version,
            Error::Length => Self::Length,
            Error::Checksum => Self::Checksum,
            Error::Dimension { .. } => Self::Dimension,
            Error::Metadata => Self::Metadata,
            Error::Leftover => Self::Leftover,
            Error::Workspace { .. } => Self::Workspace,
            Error::SnapshotLength { .. } => Self::SnapshotLength,
            Error::SnapshotModel { .. } => Self::SnapshotModel,
            Error::SnapshotState => Self::SnapshotState,
            Error::ObservationLength { .. } => Self::ObservationLength,
            Error::Observation { .. } => Self::Observation,
            Error::Action(_) => Self::Action,
            Error::FeedbackMissing => Self::FeedbackMissing,
            Error::FeedbackUnexpected => Self::FeedbackUnexpected,
            Error::Reward => Self::Reward,
            Error::Temperature => Self::Temperature,
        }
    }
}

/// Texts of the statuses. Not `Display` of the errors: that would link the formatting machinery
/// into the firmware.
const TEXTS: [(AdStatus, &CStr); 32] = [
    (AdStatus::Ok, c"done"),
    (AdStatus::Null, c"a pointer is null"),
    (AdStatus::Misaligned, c"a pointer is misaligned"),
    (AdStatus::Buffer, c"a buffer does not fit the address space"),
    (AdStatus::Overlap, c"buffers overlap"),
    (AdStatus::AgentMemory, c"the memory for the agent is too small"),
    (AdStatus::Agent, c"not an initialised agent"),
    (AdStatus::Rng, c"the random number generator is not initialised"),
    (AdStatus::LogitsLength, c"the buffer for the logits is too small"),
    (AdStatus::LogMemory, c"the memory for the log is too small"),
    (AdStatus::Log, c"not an initialised log, or its sink is at work"),
    (AdStatus::EnvironmentName, c"the name of the environment is not UTF-8"),
    (AdStatus::End, c"not an end of an episode"),
    (AdStatus::Truncated, c"truncated"),
    (AdStatus::Magic, c"wrong magic"),
    (AdStatus::Version, c"format version not supported"),
    (AdStatus::Length, c"the length in the header is not the number of bytes"),
    (AdStatus::Checksum, c"the CRC-32 does not match"),
    (AdStatus::Dimension, c"a dimension is out of its limits"),
    (AdStatus::Metadata, c"the metadata is not valid"),
    (AdStatus::Leftover, c"reserved bytes are not zero or bytes are left over"),
    (AdStatus::Workspace, c"the workspace is too small"),
    (AdStatus::SnapshotLength, c"wrong length of the snapshot"),
    (AdStatus::SnapshotModel, c"the snapshot was taken with another model"),
    (AdStatus::SnapshotState, c"the snapshot's counters contradict the model"),
    (AdStatus::ObservationLength, c"wrong number of words in the observation"),
    (AdStatus::Observation, c"a word of the observation is out of range"),
    (AdStatus::Action, c"the action is not one of the model's"),
    (AdStatus::FeedbackMissing, c"act was called again before feedback"),
    (AdStatus::FeedbackUnexpected, c"feedback was called before act"),
    (AdStatus::Reward, c"the reward is NaN, or infinite in a log"),
    (AdStatus::Temperature, c"the temperature is out of its limits"),
];

/// Temperature that stands for the first action with the largest logit.
pub const AD_GREEDY: f32 = 0.0;

/// Pointer-sized words of an agent.
pub const AD_AGENT_WORDS: usize = 128;

/// Words of 64 bits of a log.
pub const AD_LOG_WORDS: usize = 40;

/// How a step left its episode (`ad_log_fed_back`): it goes on.
pub const AD_GOES_ON: i32 = 0;
/// It ended, by the environment itself or cut off: which of them is not known.
pub const AD_ENDED: i32 = 1;
/// It was ended by the environment itself.
pub const AD_TERMINATED: i32 = 2;
/// It was cut off, by a time limit or a reset.
pub const AD_CUT_OFF: i32 = 3;

/// Memory of an agent: `static ad_agent agent;` has the right size and alignment. Not to be copied
/// or moved while it is an agent.
#[repr(C)]
pub struct AdAgent {
    /// Not for the caller.
    opaque: [MaybeUninit<usize>; AD_AGENT_WORDS],
}

/// What lies in an [`AdAgent`].
struct Slot {
    agent: Agent<'static>,
    /// Addresses that no buffer of a call may touch: the agent holds references to them. Weights,
    /// workspace.
    held: [Range<usize>; 2],
}

/// Memory of a log: `static ad_log log;` has the right size and alignment. Not to be copied or moved
/// while it is a log.
#[repr(C)]
pub struct AdLog {
    /// Not for the caller. Not pointers: a seed of 64 bits lies in it.
    opaque: [MaybeUninit<u64>; AD_LOG_WORDS],
}

/// What lies in an [`AdLog`].
struct Log {
    steps: StepLog<'static>,
    /// That of the agent's model.
    interface: Interface,
    /// Addresses of the environment's name, which `steps` refers to.
    name: Range<usize>,
    sink: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    context: *mut c_void,
}

/// [`AdAgent`] (`T` is [`Slot`]) or [`AdLog`] (`T` is [`Log`]) as this file sees it.
#[repr(C)]
struct Memory<T> {
    /// [`seal`] of the memory's own address, else there is no `T`. Written last, cleared first.
    seal: usize,
    content: MaybeUninit<T>,
}

const _: () = assert!(size_of::<Memory<Slot>>() <= size_of::<AdAgent>(), "raise AD_AGENT_WORDS");
const _: () =
    assert!(align_of::<Memory<Slot>>() <= align_of::<AdAgent>(), "an agent needs more than word alignment");
const _: () = assert!(size_of::<Memory<Log>>() <= size_of::<AdLog>(), "raise AD_LOG_WORDS");
const _: () = assert!(align_of::<Memory<Log>>() <= align_of::<AdLog>(), "a log needs more alignment");

/// What tells the memory of an agent from any other.
const AGENT: usize = 0x4144_4147;
/// The same of a log.
const LOG: usize = 0x4144_4c4f;

/// The magic word of what lies at `address`. The address is in it because a byte-wise copy of an
/// agent would be a second owner of its workspace.
fn seal(address: usize, magic: usize) -> usize {
    address ^ magic
}

/// Whether a `T` lies in `memory`.
///
/// # Safety
/// `memory` is aligned and points to memory.
unsafe fn is_sealed<T>(memory: *const Memory<T>, magic: usize) -> bool {
    // SAFETY: aligned and not null. Volatile, because the memory may never have been written: any value
    // will do.
    let found = unsafe { ptr::addr_of!((*memory).seal).read_volatile() };
    found == seal(memory.addr(), magic)
}

/// State of the random number generator (xoshiro128++), kept by the caller. Save it beside a
/// snapshot to continue with identical actions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AdRng {
    /// Never all zeros once initialised.
    pub state: [u32; 4],
}

/// What the caller must know about a model.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AdModelInfo {
    /// Words of an observation; 0 where there is nothing to observe.
    pub observation_words: usize,
    /// Words of a final observation (`ad_agent_feedback`) that the model looks at: those of an
    /// observation, or 0.
    pub final_observation_words: usize,
    /// Number of actions, hence of logits.
    pub actions: usize,
    /// Bytes of a snapshot.
    pub snapshot_bytes: usize,
    /// Words of 32 bits of the workspace.
    pub workspace_words: usize,
    /// int8 parameters.
    pub parameters: usize,
    /// Version of the weights format that the file is written in.
    pub format_version: u32,
    /// CRC-32 of the weights file, its card included: tells one model from another, and is what
    /// snapshots name. No signature.
    pub crc32: u32,
    /// CRC-32 of channels and actions: the same for all models that fit the same sensors and
    /// actuators.
    pub interface_crc32: u32,
    /// Name of the environment that the model was trained in: UTF-8 within the weights file, without a
    /// zero at its end. Null where its card names none.
    pub environment: *const c_char,
    /// Bytes of that name.
    pub environment_length: usize,
}

impl AdModelInfo {
    fn new(model: &Model) -> Self {
        let (interface, dimensions) = (model.interface(), model.dimensions());
        let environment = model.environment();
        Self {
            observation_words: interface.observation_len(),
            final_observation_words: dimensions.final_words,
            actions: interface.actions.into(),
            snapshot_bytes: snapshot_len(&dimensions),
            workspace_words: model.workspace_words(),
            parameters: model.parameters(),
            format_version: model.format_version().into(),
            crc32: model.crc(),
            interface_crc32: interface.crc(),
            environment: environment.map_or(ptr::null(), |name| name.as_ptr().cast()),
            environment_length: environment.map_or(0, str::len),
        }
    }
}

/// What a log is of, and where it begins. As zeros: nothing is known, and the run begins.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AdLogAbout {
    /// Name of the environment, of a preset of `algodistill list` where it is one; null where it is not
    /// known. UTF-8; a zero at its end is not needed. Of more than 32 bytes the front is written, up to
    /// the end of a letter. The bytes stay where they are and as they are as long as the log is in use;
    /// those of `ad_model_info` will do.
    pub environment: *const c_char,
    /// Bytes of that name.
    pub environment_length: usize,
    /// Seed of all that is random.
    pub seed: u64,
    /// Not 0 where the seed is known.
    pub seed_known: i32,
    /// Number of the task.
    pub task: u32,
    /// Not 0 where the task is known.
    pub task_known: i32,
    /// Number that tells devices or runs apart.
    pub device: u32,
    /// Number of the episode with which the log begins: 0, or after a restart what `ad_log_position`
    /// gave when the snapshot was taken that the agent was restored from.
    pub episode: u32,
    /// Number of the first step within that episode, likewise.
    pub step: u32,
}

/// Takes the next `len` bytes of a log: a UART, a file. `context` is that of `ad_log_init`. The bytes
/// are the sink's until it returns, which it must do; it does not write to the observation of the call.
/// A sink has no way to fail: what it loses, a reader finds missing, and reads on. Calls of its own log
/// are refused while it is at work, and `ad_log_init` has no effect on it then.
pub type AdLogSink = Option<unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, len: usize)>;

/// Turns the result of a function body with `?` into a status.
fn status(result: Result<(), AdStatus>) -> AdStatus {
    match result {
        Ok(()) => AdStatus::Ok,
        Err(status) => status,
    }
}

/// Addresses of `count` elements at `start`, if such a buffer can exist. Nothing at null is an
/// empty buffer.
fn addresses<T>(start: *const T, count: usize) -> Result<Range<usize>, AdStatus> {
    if count == 0 {
        return Ok(0..0);
    }
    if start.is_null() {
        return Err(AdStatus::Null);
    }
    if !start.is_aligned() {
        return Err(AdStatus::Misaligned);
    }
    let bytes = count.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    let end = bytes.and_then(|bytes| start.addr().checked_add(bytes)).ok_or(AdStatus::Buffer)?;
    Ok(start.addr()..end)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// `start[0..count]` as a slice.
///
/// # Safety
/// [`addresses`] accepted the two, the memory is the caller's, and nothing writes to it during
/// `'s`.
unsafe fn slice<'s, T>(start: *const T, count: usize) -> &'s [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: not null, aligned, of a possible length; the rest is the caller's promise.
    unsafe { core::slice::from_raw_parts(start, count) }
}

/// `start[0..count]` as a mutable slice.
///
/// # Safety
/// As for [`slice`], and nothing else reads the memory during `'s`.
unsafe fn slice_mut<'s, T>(start: *mut T, count: usize) -> &'s mut [T] {
    if count == 0 {
        return &mut [];
    }
    // SAFETY: not null, aligned, of a possible length; the rest is the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(start, count) }
}

/// The agent in `memory`, where `buffers`, the other arguments of the call, stay clear of all that
/// it holds.
///
/// # Safety
/// `memory` is null or points to memory, and no other call with it runs.
unsafe fn slot<'s>(memory: *mut AdAgent, buffers: &[Range<usize>]) -> Result<&'s mut Slot, AdStatus> {
    let own = addresses(memory, 1)?;
    let memory = memory.cast::<Memory<Slot>>();
    // SAFETY: aligned and not null.
    if !unsafe { is_sealed(memory, AGENT) } {
        return Err(AdStatus::Agent);
    }
    // SAFETY: the seal is written after the slot, and only at this address.
    let slot = unsafe { (*memory).content.assume_init_mut() };
    let [weights, workspace] = &slot.held;
    let clear = |buffer| [&own, weights, workspace].iter().all(|held| !overlap(held, buffer));
    if buffers.iter().all(clear) {
        Ok(slot)
    } else {
        Err(AdStatus::Overlap)
    }
}

/// Runs `call` with the log in `memory`, where `buffers`, the other arguments, stay clear of all that it
/// holds. Meanwhile there is none in the memory, so that a sink which calls back is refused.
///
/// # Safety
/// `memory` is null or points to memory, and no other call with it runs.
unsafe fn with_log(
    memory: *mut AdLog,
    buffers: &[Range<usize>],
    call: impl FnOnce(&mut Log) -> Result<(), AdStatus>,
) -> Result<(), AdStatus> {
    let own = addresses(memory, 1)?;
    let memory = memory.cast::<Memory<Log>>();
    // SAFETY: aligned and not null.
    if !unsafe { is_sealed(memory, LOG) } {
        return Err(AdStatus::Log);
    }
    // SAFETY: the seal is written after the log, and only at this address. It is written back below,
    // or dropped, which does nothing.
    let mut log = unsafe { ptr::addr_of!((*memory).content).read().assume_init() };
    if buffers.iter().any(|buffer| overlap(&own, buffer) || overlap(&log.name, buffer)) {
        return Err(AdStatus::Overlap);
    }
    // SAFETY: as for the seal above.
    unsafe { ptr::addr_of_mut!((*memory).seal).write(0) };
    let result = call(&mut log);
    // SAFETY: the memory is one of a log, and nothing refers to it.
    unsafe { put_log(memory, log) };
    result
}

/// Makes `memory` one of `log`.
///
/// # Safety
/// `memory` is aligned and points to the memory of a log.
unsafe fn put_log(memory: *mut Memory<Log>, log: Log) {
    let content = MaybeUninit::new(log);
    // SAFETY: the caller's promise; `AdLog` has the size and alignment of `Memory`, asserted above.
    unsafe { memory.write(Memory { seal: seal(memory.addr(), LOG), content }) };
}

impl Log {
    /// The log, the interface, and the sink as the log wants it.
    fn parts(&mut self) -> (&mut StepLog<'static>, &Interface, impl FnMut(&[u8])) {
        let Self { steps, interface, sink, context, .. } = self;
        let (sink, context) = (*sink, *context);
        // SAFETY: the caller promised a sink that takes the bytes and returns.
        (steps, interface, move |bytes: &[u8]| unsafe { sink(context, bytes.as_ptr(), bytes.len()) })
    }
}

/// The generator at `rng`.
///
/// # Safety
/// `addresses(rng, 1)` accepted it, and it points to memory.
unsafe fn generator(rng: *const AdRng) -> Result<PortableRng, AdStatus> {
    // SAFETY: aligned and not null; the rest is the caller's promise.
    match unsafe { rng.read() }.state {
        [0, 0, 0, 0] => Err(AdStatus::Rng),
        state => Ok(PortableRng::from_state(state)),
    }
}

/// Text of a status, for a log. Never null.
#[no_mangle]
pub extern "C" fn ad_status_text(status: i32) -> *const c_char {
    let text = TEXTS.iter().find(|(known, _)| *known as i32 == status);
    text.map_or(c"unknown status", |(_, text)| text).as_ptr()
}

/// Bytes of an agent in this library, for callers that cannot use `sizeof(ad_agent)`.
#[no_mangle]
pub extern "C" fn ad_agent_size() -> usize {
    size_of::<AdAgent>()
}

/// Bytes of a log in this library, for callers that cannot use `sizeof(ad_log)`.
#[no_mangle]
pub extern "C" fn ad_log_size() -> usize {
    size_of::<AdLog>()
}

/// Writes the number of 32-bit words of the workspace of a model to `words`. Reads the fixed header
/// of the weights file only (64 bytes); `AD_WORKSPACE_WORDS` is the same number at compile time.
///
/// # Safety
/// `weights` points to `weights_len` bytes, `words` to one word.
#[no_mangle]
pub unsafe extern "C" fn ad_workspace_words(
    weights: *const u8,
    weights_len: usize,
    words: *mut usize,
) -> AdStatus {
    status((|| {
        addresses(weights, weights_len.max(1))?;
        addresses(words, 1)?;
        // SAFETY: checked above; only read during this call.
        let weights = unsafe { slice(weights, weights_len) };
        let needed = crate::workspace_words(weights).ok_or(match weights.len() {
            crate::model::weights::HEADER_LEN.. => AdStatus::Dimension,
            _ => AdStatus::Truncated,
        })?;
        // SAFETY: aligned and not null.
        unsafe { words.write(needed) };
        Ok(())
    })())
}

/// Validates a weights file as `ad_agent_init` does, and writes what its model is to `info`: for a
/// new model that is to replace the one at work. No agent is touched, and no workspace is needed.
///
/// # Safety
/// The pointers are null or point to as much memory as the length says, and to their type.
#[no_mangle]
pub unsafe extern "C" fn ad_weights_info(
    weights: *const u8,
    weights_len: usize,
    info: *mut AdModelInfo,
) -> AdStatus {
    status((|| {
        if overlap(&addresses(weights, weights_len.max(1))?, &addresses(info, 1)?) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: checked above; only read during this call.
        let model = Model::decode(unsafe { slice(weights, weights_len) })?;
        // SAFETY: aligned, not null, and clear of the weights.
        unsafe { info.write(AdModelInfo::new(&model)) };
        Ok(())
    })())
}

/// Seeds a generator. Different streams of one seed are independent.
///
/// # Safety
/// `rng` points to an `ad_rng`.
#[no_mangle]
pub unsafe extern "C" fn ad_rng_init(rng: *mut AdRng, seed: u64, stream: u64) -> AdStatus {
    status((|| {
        addresses(rng, 1)?;
        // SAFETY: aligned and not null.
        unsafe { rng.write(AdRng { state: PortableRng::new(seed, stream).state() }) };
        Ok(())
    })())
}

/// Draws a number in `0..bound`, all equally likely; 0 where `bound` is 0.
///
/// # Safety
/// `rng` points to an `ad_rng`, `value` to one word.
#[no_mangle]
pub unsafe extern "C" fn ad_rng_below(rng: *mut AdRng, bound: u32, value: *mut u32) -> AdStatus {
    // SAFETY: passed on.
    unsafe { draw(rng, value, |rng| rng.below(bound)) }
}

/// Draws a number in [0, 1), a multiple of 2^-24.
///
/// # Safety
/// `rng` points to an `ad_rng`, `value` to one float.
#[no_mangle]
pub unsafe extern "C" fn ad_rng_uniform(rng: *mut AdRng, value: *mut f32) -> AdStatus {
    // SAFETY: passed on.
    unsafe { draw(rng, value, PortableRng::uniform) }
}

/// One draw from a generator of the caller's.
///
/// # Safety
/// The pointers are null or point to their types.
unsafe fn draw<T>(rng: *mut AdRng, value: *mut T, next: impl FnOnce(&mut PortableRng) -> T) -> AdStatus {
    status((|| {
        if overlap(&addresses(rng, 1)?, &addresses(value, 1)?) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: checked above.
        let mut generator = unsafe { generator(rng) }?;
        let drawn = next(&mut generator);
        // SAFETY: both aligned and not null.
        unsafe {
            value.write(drawn);
            rng.write(AdRng { state: generator.state() });
        }
        Ok(())
    })())
}

/// Validates the weights and makes an agent with an empty context that samples at temperature 1.
///
/// `agent_size` is `sizeof(ad_agent)`. `weights` are the bytes of an `.adw` file; they stay where
/// they are (flash) and nothing is copied. `workspace` has at least `ad_workspace_words` words; its
/// content does not matter. Both belong to the agent until `ad_agent_destroy`. An agent that
/// already lies in the memory is replaced; where the weights or the workspace do not fit
/// (`AD_STATUS_TRUNCATED` and above) there is none.
///
/// # Safety
/// The pointers are null or point to as much memory as the lengths say. No other agent uses the
/// workspace.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_init(
    agent: *mut AdAgent,
    agent_size: usize,
    weights: *const u8,
    weights_len: usize,
    workspace: *mut u32,
    workspace_len: usize,
) -> AdStatus {
    status((|| {
        let own = addresses(agent, 1)?;
        if agent_size < size_of::<AdAgent>() {
            return Err(AdStatus::AgentMemory);
        }
        let held = [addresses(weights, weights_len.max(1))?, addresses(workspace, workspace_len.max(1))?];
        let [file, words] = &held;
        if overlap(&own, file) || overlap(&own, words) || overlap(file, words) {
            return Err(AdStatus::Overlap);
        }
        let memory = agent.cast::<Memory<Slot>>();
        // SAFETY: `AdAgent` has the size and alignment of `Memory`, asserted above.
        unsafe { ptr::addr_of_mut!((*memory).seal).write(0) };
        // SAFETY: checked above; until the agent is destroyed the caller lends both.
        let (weights, workspace) =
            unsafe { (slice(weights, weights_len), slice_mut(workspace, workspace_len)) };
        let agent = Agent::new(Model::decode(weights)?, workspace)?;
        // SAFETY: as for the seal above, which makes the slot an agent once it is complete.
        unsafe {
            ptr::addr_of_mut!((*memory).content).write(MaybeUninit::new(Slot { agent, held }));
            ptr::addr_of_mut!((*memory).seal).write(seal(memory.addr(), AGENT));
        }
        Ok(())
    })())
}

/// Ends the agent: its memory, its workspace and its weights are the caller's again.
///
/// # Safety
/// `agent` points to an `ad_agent`.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_destroy(agent: *mut AdAgent) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        unsafe { slot(agent, &[]) }?;
        // SAFETY: an agent lies there.
        unsafe { ptr::addr_of_mut!((*agent.cast::<Memory<Slot>>()).seal).write(0) };
        Ok(())
    })())
}

/// Writes what the model of an agent is to `info`.
///
/// # Safety
/// The pointers are null or point to their types.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_info(agent: *mut AdAgent, info: *mut AdModelInfo) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[addresses(info, 1)?]) }?;
        // SAFETY: aligned, not null, and clear of the agent.
        unsafe { info.write(AdModelInfo::new(agent.model())) };
        Ok(())
    })())
}

/// How actions are drawn: from softmax(logits / temperature), 0.01 to 100 (1 is what the model was
/// trained for), or with `AD_GREEDY` the first action with the largest logit.
///
/// # Safety
/// `agent` points to an `ad_agent`.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_set_sampling(agent: *mut AdAgent, temperature: f32) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[]) }?;
        let sampling =
            if temperature == AD_GREEDY { Sampling::Greedy } else { Sampling::Temperature(temperature) };
        Ok(agent.set_sampling(sampling)?)
    })())
}

/// Forgets the task: empties the context.
///
/// # Safety
/// `agent` points to an `ad_agent`.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_reset(agent: *mut AdAgent) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[]) }?;
        agent.reset();
        Ok(())
    })())
}

/// One step: runs the observation (and the action and feedback before it) through the model, draws
/// an action and writes it to `action`. `observation` may be null where the model observes nothing
/// and `count` is 0.
///
/// An observation is the words of its channels, one after the other. A picture is its bytes, four a
/// word, the first in the lowest bits; the next channel begins with a word of its own, and bytes that
/// are left over before it do not matter.
///
/// # Safety
/// The pointers are null or point to their types, `observation` to `count` words.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_act(
    agent: *mut AdAgent,
    observation: *const i32,
    count: usize,
    rng: *mut AdRng,
    action: *mut u32,
) -> AdStatus {
    status((|| {
        let buffers = [addresses(observation, count)?, addresses(rng, 1)?, addresses(action, 1)?];
        let [_, state, out] = &buffers;
        if overlap(state, out) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &buffers) }?;
        // SAFETY: checked above.
        let mut generator = unsafe { generator(rng) }?;
        // SAFETY: checked above; only read until the action is drawn.
        let drawn = agent.act(unsafe { slice(observation, count) }, &mut generator)?;
        // SAFETY: both aligned, not null, and clear of the agent and of each other.
        unsafe {
            action.write(drawn as u32);
            rng.write(AdRng { state: generator.state() });
        }
        Ok(())
    })())
}

/// One step of a demonstration: as `ad_agent_act`, but the action is given.
///
/// # Safety
/// The pointers are null or point to their types, `observation` to `count` words.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_demonstrate(
    agent: *mut AdAgent,
    observation: *const i32,
    count: usize,
    action: u32,
) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[addresses(observation, count)?]) }?;
        // SAFETY: checked above; only read during this call.
        Ok(agent.demonstrate(unsafe { slice(observation, count) }, action as usize)?)
    })())
}

/// What the last action brought. `done` is not 0 where the episode ended: the next observation is
/// that of a new one, the context is kept. `final_observation` is then what was observed after the
/// last action, before the reset, `count` words; null and 0 where nothing was. It is not
/// looked at where `done` is 0, so the caller may pass the same buffer in every step.
///
/// # Safety
/// The pointers are null or point to their types, `final_observation` to `count` words.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_feedback(
    agent: *mut AdAgent,
    reward: f32,
    done: i32,
    final_observation: *const i32,
    count: usize,
) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[addresses(final_observation, count)?]) }?;
        // SAFETY: checked above; only read during this call.
        let words = unsafe { slice(final_observation, count) };
        Ok(agent.feedback(reward, (done != 0).then_some(words))?)
    })())
}

/// Copies the logits of the last step, one per action, in units of 2^-16, to `logits`, which has
/// room for `capacity` of them.
///
/// # Safety
/// The pointers are null or point to their types, `logits` to `capacity` words.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_logits(agent: *mut AdAgent, logits: *mut i32, capacity: usize) -> AdStatus {
    status((|| {
        let buffer = addresses(logits, capacity.clamp(1, MAX_ACTIONS))?;
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[buffer]) }?;
        let found = agent.logits();
        if capacity < found.len() {
            return Err(AdStatus::LogitsLength);
        }
        for (index, logit) in found.iter().enumerate() {
            // SAFETY: `index < capacity`; aligned, not null, and clear of the agent.
            unsafe { logits.add(index).write(*logit) };
        }
        Ok(())
    })())
}

/// Writes the context to the front of `bytes`, which has room for `capacity` bytes, and their
/// number (`snapshot_bytes` of `ad_agent_info`) to `written`.
///
/// # Safety
/// The pointers are null or point to their types, `bytes` to `capacity` bytes that have been
/// written before (a `static` buffer has).
#[no_mangle]
pub unsafe extern "C" fn ad_agent_snapshot(
    agent: *mut AdAgent,
    bytes: *mut u8,
    capacity: usize,
    written: *mut usize,
) -> AdStatus {
    status((|| {
        let buffers = [addresses(bytes, capacity.max(1))?, addresses(written, 1)?];
        let [buffer, count] = &buffers;
        if overlap(buffer, count) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &buffers) }?;
        // SAFETY: checked above; clear of the agent.
        let len = agent.snapshot(unsafe { slice_mut(bytes, capacity) })?;
        // SAFETY: aligned, not null, and clear of the agent.
        unsafe { written.write(len) };
        Ok(())
    })())
}

/// Restores a context written by `ad_agent_snapshot` with the same model. On an error the context
/// is as before.
///
/// # Safety
/// The pointers are null or point to their types, `bytes` to `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn ad_agent_restore(agent: *mut AdAgent, bytes: *const u8, len: usize) -> AdStatus {
    status((|| {
        // SAFETY: the caller's promise.
        let Slot { agent, .. } = unsafe { slot(agent, &[addresses(bytes, len.max(1))?]) }?;
        // SAFETY: checked above; only read during this call.
        Ok(agent.restore(unsafe { slice(bytes, len) })?)
    })())
}

/// Writes the CRC-32 of the weights file that a snapshot was taken with (`crc32` of `ad_model_info`)
/// to `crc32`: which model one belongs to that `ad_agent_restore` refused. The snapshot is checked as
/// far as can be told without its model.
///
/// # Safety
/// The pointers are null or point to their types, `bytes` to `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn ad_snapshot_model(bytes: *const u8, len: usize, crc32: *mut u32) -> AdStatus {
    status((|| {
        if overlap(&addresses(bytes, len.max(1))?, &addresses(crc32, 1)?) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: checked above; only read during this call.
        let model = snapshot_model(unsafe { slice(bytes, len) })?;
        // SAFETY: aligned, not null, and clear of the snapshot.
        unsafe { crc32.write(model) };
        Ok(())
    })())
}

/// Makes a log of the steps of an agent, from its first one on, or as `about` says from where a
/// snapshot was taken. `docs/steps-log.md` is its format; `algodistill histories import` makes learning
/// histories of it.
///
/// `log_size` is `sizeof(ad_log)`. The agent is asked for its model and not kept: it may be destroyed,
/// and restored, while the log goes on. Nothing is written yet: the first `ad_log_acted` writes the
/// header. A log needs no end, and one that already lies in the memory is replaced; where the call is
/// refused it is as before.
///
/// # Safety
/// The pointers are null or point to their types, and `environment` of `about` to as many bytes as it
/// says; nothing writes to these as long as the log is in use. `sink` may be called with `context` by
/// any later call.
#[no_mangle]
pub unsafe extern "C" fn ad_log_init(
    log: *mut AdLog,
    log_size: usize,
    agent: *mut AdAgent,
    about: *const AdLogAbout,
    sink: AdLogSink,
    context: *mut c_void,
) -> AdStatus {
    status((|| {
        let (own, parameters) = (addresses(log, 1)?, addresses(about, 1)?);
        if log_size < size_of::<AdLog>() {
            return Err(AdStatus::LogMemory);
        }
        let sink = sink.ok_or(AdStatus::Null)?;
        // SAFETY: aligned and not null.
        let about = unsafe { about.read() };
        let start = about.environment.cast::<u8>();
        let name = addresses(start, about.environment_length)?;
        let buffers = [own, parameters];
        // SAFETY: the caller's promise.
        let Slot { agent: acting, held: [_, workspace] } = unsafe { slot(agent, &buffers) }?;
        let [own, parameters] = &buffers;
        // The name may lie in the weights, which nobody writes.
        let written = [own, workspace, &addresses(agent, 1)?];
        if overlap(own, parameters) || written.iter().any(|memory| overlap(memory, &name)) {
            return Err(AdStatus::Overlap);
        }
        // SAFETY: checked above; as long as the log is in use the caller lends the name.
        let environment = core::str::from_utf8(unsafe { slice(start, about.environment_length) })
            .map_err(|_| AdStatus::EnvironmentName)?;
        let model = acting.model();
        let known = About {
            model_crc: model.crc(),
            device: about.device,
            task: (about.task_known != 0).then_some(about.task),
            seed: (about.seed_known != 0).then_some(about.seed),
            environment,
        };
        let steps = StepLog::resumed(known, about.episode, about.step);
        let interface = model.interface().clone();
        // SAFETY: aligned and not null.
        unsafe { put_log(log.cast(), Log { steps, interface, name, sink, context }) };
        Ok(())
    })())
}

/// Writes the first half of a step: what `ad_agent_act` was given, and the action that it drew.
///
/// # Safety
/// The pointers are null or point to their types, `observation` to `count` words.
#[no_mangle]
pub unsafe extern "C" fn ad_log_acted(
    log: *mut AdLog,
    observation: *const i32,
    count: usize,
    action: u32,
) -> AdStatus {
    status((|| {
        let buffers = [addresses(observation, count)?];
        let acted = |log: &mut Log| {
            // SAFETY: checked above; only read during this call.
            let words = unsafe { slice(observation, count) };
            let (steps, interface, mut sink) = log.parts();
            Ok(steps.acted(interface, words, action as usize, &mut sink)?)
        };
        // SAFETY: the caller's promise.
        unsafe { with_log(log, &buffers, acted) }
    })())
}

/// Writes the second half of a step: what `ad_agent_feedback` was given. `end` is one of `AD_GOES_ON`,
/// `AD_ENDED`, `AD_TERMINATED` and `AD_CUT_OFF`, and may be given to `ad_agent_feedback` as `done`; of a
/// device that knows no more than `done`, 0 and 1 are the first two. The final observation is not looked
/// at where the episode goes on.
///
/// # Safety
/// The pointers are null or point to their types, `final_observation` to `count` words.
#[no_mangle]
pub unsafe extern "C" fn ad_log_fed_back(
    log: *mut AdLog,
    reward: f32,
    end: i32,
    final_observation: *const i32,
    count: usize,
) -> AdStatus {
    status((|| {
        let buffers = [addresses(final_observation, count)?];
        let fed_back = |log: &mut Log| {
            // SAFETY: checked above; only read during this call.
            let seen = unsafe { slice(final_observation, count) };
            let ended = match end {
                AD_GOES_ON => None,
                AD_ENDED => Some(Ended { seen, cut_off: None }),
                AD_TERMINATED => Some(Ended { seen, cut_off: Some(false) }),
                AD_CUT_OFF => Some(Ended { seen, cut_off: Some(true) }),
                _ => return Err(AdStatus::End),
            };
            let (steps, interface, mut sink) = log.parts();
            Ok(steps.fed_back(interface, reward, ended, &mut sink)?)
        };
        // SAFETY: the caller's promise.
        unsafe { with_log(log, &buffers, fed_back) }
    })())
}

/// Writes the number of the episode, and of the next step within it, to `episode` and `step`: what to
/// keep beside a snapshot. To be asked between two steps.
///
/// # Safety
/// The pointers are null or point to their types.
#[no_mangle]
pub unsafe extern "C" fn ad_log_position(log: *mut AdLog, episode: *mut u32, step: *mut u32) -> AdStatus {
    status((|| {
        let buffers = [addresses(episode, 1)?, addresses(step, 1)?];
        let [first, second] = &buffers;
        if overlap(first, second) {
            return Err(AdStatus::Overlap);
        }
        let position = |log: &mut Log| {
            let position = log.steps.position();
            // SAFETY: both aligned, not null, and clear of the log and of each other.
            unsafe {
                episode.write(position.0);
                step.write(position.1);
            }
            Ok(())
        };
        // SAFETY: the caller's promise.
        unsafe { with_log(log, &buffers, position) }
    })())
}
