//! What the fuzz targets do with their bytes. Panics where a promise is broken.

use algodistill_core::context::SNAPSHOT_VERSION;
use algodistill_core::model::weights::{checksum, CRC_OFFSET};
use algodistill_core::{Agent, Interface, Kernels, Model, PortableRng, Sampling};

/// Larger models would make the fuzzer slow, and run the same code.
const MOST_WORDS: usize = 1 << 16;

/// The models that snapshots are for, of every version that is read.
const MODELS: [&[u8]; 2] =
    [include_bytes!("../../../tests/fixtures/v2.adw"), include_bytes!("../../../tests/fixtures/v3.adw")];

/// Where snapshots and weights files have their version.
const VERSION_OFFSET: usize = 4;

const LENGTH_OFFSET: usize = 8;
const MODEL_CRC_OFFSET: usize = 16;

/// Whatever the bytes, an error or a model that acts, with the same logits whichever kernels run.
/// The bytes are tried as they are and with the fields repaired that no fuzzer guesses; returns
/// whether a model came out of either.
pub fn weights(bytes: &[u8]) -> bool {
    let mut accepted = decode(bytes);
    let mut repaired = bytes.to_vec();
    if set(&mut repaired, LENGTH_OFFSET, bytes.len() as u32) && set_checksum(&mut repaired) {
        accepted |= repaired != bytes && decode(&repaired);
    }
    accepted
}

fn decode(file: &[u8]) -> bool {
    let Ok(model) = Model::decode(file) else { return false };
    assert!(model.environment().is_none_or(|name| model.card().contains(name)));
    let words = model.workspace_words();
    assert_eq!(algodistill_core::workspace_words(file), Some(words));
    if words <= MOST_WORDS {
        let (mut memory, mut scalar_memory) = (vec![0xaaaa_aaaa; words], vec![0; words]);
        let mut agent = Agent::new(model.clone(), &mut memory).expect("the workspace suffices");
        let mut scalar = Agent::new(model, &mut scalar_memory).expect("the workspace suffices");
        scalar.set_kernels(Kernels::Scalar);
        play(&mut agent, &mut scalar, 9);
    }
    true
}

/// Whatever the bytes, the context is as before after an error, and after success it is the one in
/// the bytes, with which the agent acts. Returns whether the bytes were accepted, as they are or
/// with length and checksums repaired.
pub fn snapshot(bytes: &[u8]) -> bool {
    MODELS.iter().filter(|file| snapshot_of(file, bytes)).count() > 0
}

fn snapshot_of(file: &[u8], bytes: &[u8]) -> bool {
    let model = Model::decode(file).expect("a model of a format that is read");
    let mut accepted = restore(&model, bytes);
    let mut repaired = bytes.to_vec();
    if set(&mut repaired, LENGTH_OFFSET, bytes.len() as u32)
        && set(&mut repaired, MODEL_CRC_OFFSET, model.crc())
        && set_checksum(&mut repaired)
    {
        accepted |= repaired != bytes && restore(&model, &repaired);
    }
    accepted
}

fn restore(model: &Model, bytes: &[u8]) -> bool {
    let (mut memory, mut scalar_memory) = ([0; 1 << 10], [0; 1 << 10]);
    let mut agent = Agent::new(model.clone(), &mut memory).expect("the workspace suffices");
    let mut scalar = Agent::new(model.clone(), &mut scalar_memory).expect("the workspace suffices");
    scalar.set_kernels(Kernels::Scalar);
    play(&mut agent, &mut scalar, 2);
    let before = taken(&agent);
    let restored = agent.restore(bytes);
    assert_eq!(scalar.restore(bytes), restored);
    if restored.is_err() {
        assert!(taken(&agent) == before, "an error changed the context");
        return false;
    }
    let mut written = bytes.to_vec();
    set(&mut written, VERSION_OFFSET, SNAPSHOT_VERSION.into());
    set_checksum(&mut written);
    assert!(taken(&agent) == written, "the context is not the one in the snapshot");
    // The restored step may still wait for its feedback.
    let _ = (agent.feedback(0.0, None), scalar.feedback(0.0, None));
    play(&mut agent, &mut scalar, 9);
    assert!(taken(&agent) == taken(&scalar));
    true
}

fn taken(agent: &Agent) -> Vec<u8> {
    let mut bytes = vec![0; agent.snapshot_len()];
    assert_eq!(agent.snapshot(&mut bytes), Ok(bytes.len()));
    bytes
}

/// Both agents take the same steps, with every sampling.
fn play(agent: &mut Agent, scalar: &mut Agent, steps: u32) {
    let mut rng = PortableRng::new(1, 0);
    let interface = agent.model().interface().clone();
    for step in 0..steps {
        let sampling = match step % 4 {
            0 => Sampling::Temperature(1.0),
            1 => Sampling::Temperature(0.01),
            2 => Sampling::Temperature(100.0),
            _ => Sampling::Greedy,
        };
        let observation = observe(&interface, &mut rng);
        let level = step as usize % interface.reward_levels.len();
        let mut same = rng.clone();
        let act = |agent: &mut Agent, rng: &mut PortableRng| {
            agent.set_sampling(sampling).expect("within the limits");
            let action = agent.act(&observation, rng).expect("a valid observation");
            let ended = match step % 5 {
                3 => Some(&[][..]),
                4 => Some(&observation[..]),
                _ => None,
            };
            agent.feedback(interface.reward_levels[level], ended).expect("after an action");
            action
        };
        let action = act(agent, &mut rng);
        assert!(action < usize::from(interface.actions));
        assert_eq!(act(scalar, &mut same), action);
        assert_eq!(agent.logits(), scalar.logits());
    }
}

fn observe(interface: &Interface, rng: &mut PortableRng) -> Vec<i32> {
    let mut words = Vec::new();
    for channel in &interface.channels {
        let mut own = vec![0; channel.words()];
        channel.sample(&mut own, rng);
        words.extend(own);
    }
    words
}

/// Whether the bytes have this field.
fn set(bytes: &mut [u8], offset: usize, value: u32) -> bool {
    let field = bytes.get_mut(offset..offset + 4);
    field.map(|field| field.copy_from_slice(&value.to_le_bytes())).is_some()
}

fn set_checksum(bytes: &mut [u8]) -> bool {
    let crc = checksum(bytes);
    set(bytes, CRC_OFFSET, crc)
}
