//! The weights file and the snapshot as trust boundaries: whatever the bytes, a typed error or the
//! same behaviour, never a panic.

use algodistill_core::context::snapshot_model;
use algodistill_core::{workspace_words, Agent, Dimensions, Error, Model, PortableRng};
use algodistill_tests::dark_room_interface;
use algodistill_tests::int8::{random_weights, tiny_with_encoders, TINY};

fn tiny() -> Vec<u8> {
    random_weights(TINY, dark_room_interface(), 5)
}

fn tiny_encoders() -> Vec<u8> {
    let (dimensions, interface) = tiny_with_encoders();
    random_weights(dimensions, interface, 5)
}

/// An observation of any model.
fn observed(model: &Model, rng: &mut PortableRng) -> Vec<i32> {
    let mut words = vec![0; model.interface().observation_len()];
    let mut rest = &mut words[..];
    for channel in &model.interface().channels {
        let own;
        (own, rest) = rest.split_at_mut(channel.words());
        channel.sample(own, rng);
    }
    words
}

/// An agent's context after `steps` steps.
fn played<'a>(model: &Model<'a>, workspace: &'a mut [u32], steps: usize) -> Agent<'a> {
    let mut agent = Agent::new(model.clone(), workspace).unwrap();
    let mut rng = PortableRng::new(6, 0);
    for step in 0..steps {
        let observation = observed(model, &mut rng);
        agent.act(&observation, &mut rng).unwrap();
        let ended = (step % 5 == 4).then_some(&observation[..]);
        agent.feedback(rng.below(2) as f32, ended).unwrap();
    }
    agent
}

#[test]
fn every_flipped_bit_of_a_weights_file_is_refused() {
    [tiny(), tiny_encoders()].into_iter().for_each(flip_bits);
}

fn flip_bits(mut file: Vec<u8>) {
    for index in 0..file.len() {
        for bit in 0..8 {
            file[index] ^= 1 << bit;
            assert!(Model::decode(&file).is_err(), "byte {index}, bit {bit}");
            file[index] ^= 1 << bit;
        }
    }
    assert!(Model::decode(&file).is_ok());
}

#[test]
fn every_truncation_and_extension_of_a_weights_file_is_refused() {
    [tiny(), tiny_encoders()].into_iter().for_each(truncate);
}

fn truncate(mut file: Vec<u8>) {
    for len in 0..file.len() {
        assert!(Model::decode(&file[..len]).is_err(), "{len} bytes");
    }
    file.push(0);
    assert_eq!(Model::decode(&file).unwrap_err(), Error::Length);
}

/// Past the checksum: a file whose bytes were changed by something that also wrote a matching CRC.
#[test]
fn changed_bytes_with_a_valid_checksum_never_panic() {
    [tiny(), tiny_encoders()].iter().for_each(|original| change_bytes(original));
}

fn change_bytes(original: &[u8]) {
    let mut rng = PortableRng::new(7, 0);
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut file = original.to_vec();
        // Mostly the header and the metadata, where structure can break.
        let reach = if round % 4 == 0 { file.len() as u32 } else { 160 };
        for _ in 0..=rng.below(3) {
            let index = rng.below(reach) as usize;
            file[index] = rng.next_u32() as u8;
        }
        let crc = algodistill_core::model::weights::checksum(&file);
        file[12..16].copy_from_slice(&crc.to_le_bytes());
        let Ok(model) = Model::decode(&file) else { continue };
        accepted += 1;
        let mut workspace = vec![0; model.workspace_words()];
        assert_eq!(workspace_words(&file), Some(workspace.len()));
        let observation = vec![0; model.interface().observation_len()];
        let mut agent = Agent::new(model, &mut workspace).unwrap();
        for _ in 0..10 {
            agent.act(&observation, &mut rng).unwrap();
            agent.feedback(1.0, Some(&observation)).unwrap();
        }
    }
    assert!(accepted > 100, "only {accepted} files were accepted: the test does not reach the agent");
}

/// Why a file is refused in which these bytes stand at an offset, with a CRC that matches.
fn refused(file: &[u8], offset: usize, bytes: &[u8]) -> Error {
    let mut changed = file.to_vec();
    changed[offset..offset + bytes.len()].copy_from_slice(bytes);
    let crc = algodistill_core::model::weights::checksum(&changed);
    changed[12..16].copy_from_slice(&crc.to_le_bytes());
    Model::decode(&changed).unwrap_err()
}

#[test]
fn errors_name_the_cause() {
    let file = tiny();
    let with = |offset: usize, bytes: &[u8]| refused(&file, offset, bytes);
    assert_eq!(Model::decode(b"").unwrap_err(), Error::Truncated);
    assert_eq!(with(0, b"GGUF"), Error::Magic);
    assert_eq!(with(4, &[1, 0]), Error::Version(1));
    assert_eq!(with(4, &[6, 0]), Error::Version(6));
    // Of version 5: heads of keys and values, none of which is in a file of version 3.
    assert_eq!(with(4, &[5, 0]).to_string(), "kv_heads is 0, expected a divisor of heads");
    assert_eq!(with(40, &[1, 0]), Error::Leftover);
    assert_eq!(with(16, &[0, 0]).to_string(), "layers is 0, expected 1 to 8");
    assert_eq!(with(18, &[15, 0]).to_string(), "d_model is 15, expected a multiple of 16, 16 to 4096");
    assert_eq!(
        with(20, &[3, 0]).to_string(),
        "heads is 3, expected a number that divides d_model into heads of a multiple of 4, at most 512 wide"
    );
    assert_eq!(with(22, &[1, 0]).to_string(), "d_ff is 1, expected a multiple of 16, 16 to 4096");
    assert_eq!(with(24, &[0, 0]).to_string(), "window is 0, expected 1 to 4096");
    assert_eq!(with(26, &[1, 0]).to_string(), "actions is 1, expected 2 to 256");
    assert_eq!(with(32, &[0xff, 0xff]).to_string(), "final_words is 65535, expected at most 1088");
    assert_eq!(with(32, &[1, 0]), Error::Metadata);
    assert_eq!(with(34, &[1]), Error::Leftover);
    // Version 2 had no final observation.
    assert_eq!(with(4, &[2, 0]), Error::Leftover);
    // Another file of version 4: encoders that the interface does not have, and fields after theirs.
    let file = tiny_encoders();
    let with = |offset: usize, bytes: &[u8]| refused(&file, offset, bytes);
    assert_eq!(with(34, &[7, 0]).to_string(), "encoder_columns is 7, expected a multiple of 8, at most 4608");
    assert_eq!(with(34, &[8, 0]), Error::Metadata);
    assert_eq!(with(36, &[1, 0]).to_string(), "pixels_hidden is 1, expected a multiple of 16, at most 4096");
    assert_eq!(with(36, &[0, 0]), Error::Metadata);
    assert_eq!(with(38, &[1, 0]).to_string(), "vector_hidden is 1, expected a multiple of 16, at most 4096");
    assert_eq!(with(40, &[1]), Error::Leftover);
    // Before there were encoders these fields were reserved.
    assert_eq!(with(4, &[3, 0]), Error::Leftover);
    let file = tiny();
    let with = |offset: usize, bytes: &[u8]| refused(&file, offset, bytes);
    // One layer less: the tensors of the second are left over, which the number of exponents shows
    // first.
    assert_eq!(with(16, &[1, 0]), Error::Metadata);
}

#[test]
fn every_flipped_bit_and_truncation_of_a_snapshot_is_refused_and_changes_nothing() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let (mut memory, mut other_memory) = (vec![0; model.workspace_words()], vec![0; model.workspace_words()]);
    let mut snapshot = vec![0; played(&model, &mut memory, 9).snapshot_len()];
    played(&model, &mut memory, 9).snapshot(&mut snapshot).unwrap();

    let mut agent = played(&model, &mut other_memory, 4);
    let mut before = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut before).unwrap();
    for index in 0..snapshot.len() {
        for bit in 0..8 {
            snapshot[index] ^= 1 << bit;
            assert!(agent.restore(&snapshot).is_err(), "byte {index}, bit {bit}");
            snapshot[index] ^= 1 << bit;
        }
        assert!(agent.restore(&snapshot[..index]).is_err(), "{index} bytes");
    }
    let mut after = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut after).unwrap();
    assert_eq!(before, after);
    agent.restore(&snapshot).unwrap();
    agent.snapshot(&mut after).unwrap();
    assert_eq!(snapshot, after);
}

#[test]
fn snapshots_with_a_valid_checksum_never_panic() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let (mut memory, mut other_memory) = (vec![0; model.workspace_words()], vec![0; model.workspace_words()]);
    let agent = played(&model, &mut memory, 20);
    let mut original = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut original).unwrap();
    let mut agent = played(&model, &mut other_memory, 0);
    let mut rng = PortableRng::new(8, 0);
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut snapshot = original.clone();
        let reach = if round % 2 == 0 { 32 } else { snapshot.len() as u32 };
        for _ in 0..=rng.below(3) {
            snapshot[rng.below(reach) as usize] = rng.next_u32() as u8;
        }
        let crc = algodistill_core::model::weights::checksum(&snapshot);
        snapshot[12..16].copy_from_slice(&crc.to_le_bytes());
        if agent.restore(&snapshot).is_ok() {
            accepted += 1;
            for _ in 0..3 {
                let _ = agent.feedback(0.0, None);
                agent.act(&[0, 8], &mut rng).unwrap();
            }
        }
    }
    assert!(accepted > 100, "only {accepted} snapshots were accepted");
}

#[test]
fn a_restored_agent_continues_with_identical_actions() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    for steps in 0..3 * TINY.window {
        let (mut memory, mut other_memory) =
            (vec![0; model.workspace_words()], vec![0; model.workspace_words()]);
        let mut agent = played(&model, &mut memory, steps);
        let mut snapshot = vec![0; agent.snapshot_len()];
        agent.snapshot(&mut snapshot).unwrap();
        let mut restored = Agent::new(model.clone(), &mut other_memory).unwrap();
        restored.restore(&snapshot).unwrap();
        let (mut rng, mut same) = (PortableRng::new(9, 0), PortableRng::new(9, 0));
        for step in 0..20 {
            let observation = [step % 9, 8 - step % 9];
            let action = agent.act(&observation, &mut rng).unwrap();
            assert_eq!(restored.act(&observation, &mut same).unwrap(), action);
            assert_eq!(restored.logits(), agent.logits());
            agent.feedback(1.0, None).unwrap();
            restored.feedback(1.0, None).unwrap();
        }
    }
}

#[test]
fn a_snapshot_of_other_weights_is_refused() {
    let (file, other) = (tiny(), random_weights(TINY, dark_room_interface(), 99));
    let (model, other) = (Model::decode(&file).unwrap(), Model::decode(&other).unwrap());
    let (mut memory, mut other_memory) = (vec![0; model.workspace_words()], vec![0; model.workspace_words()]);
    let agent = played(&model, &mut memory, 3);
    let mut snapshot = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut snapshot).unwrap();
    assert_eq!(snapshot_model(&snapshot), Ok(model.crc()));
    let refused = Error::SnapshotModel { snapshot: model.crc(), model: other.crc() };
    assert_eq!(played(&other, &mut other_memory, 0).restore(&snapshot), Err(refused));
    for crc in [model.crc(), other.crc()] {
        assert!(refused.to_string().contains(&format!("{crc:08x}")), "{refused}");
    }
}

#[test]
fn wrong_calls_get_a_typed_error_and_keep_the_context() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let mut short = vec![0; model.workspace_words() - 1];
    let needed = model.workspace_words();
    assert_eq!(
        Agent::new(model.clone(), &mut short).err(),
        Some(Error::Workspace { needed, found: needed - 1 })
    );
    let mut memory = vec![0; needed];
    let mut agent = Agent::new(model, &mut memory).unwrap();
    let mut rng = PortableRng::new(1, 1);
    assert_eq!(agent.feedback(0.0, None), Err(Error::FeedbackUnexpected));
    assert_eq!(agent.act(&[0], &mut rng), Err(Error::ObservationLength { needed: 2, found: 1 }));
    assert_eq!(agent.act(&[0, 9], &mut rng), Err(Error::Observation { channel: 1, value: 9 }));
    assert_eq!(agent.act(&[-1, 0], &mut rng), Err(Error::Observation { channel: 0, value: -1 }));
    assert_eq!(agent.demonstrate(&[0, 0], 5), Err(Error::Action(5)));
    agent.act(&[0, 0], &mut rng).unwrap();
    assert_eq!(agent.act(&[0, 0], &mut rng), Err(Error::FeedbackMissing));
    let mut before = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut before).unwrap();
    assert_eq!(agent.feedback(f32::NAN, None), Err(Error::Reward));
    let wrong_length = Error::ObservationLength { needed: 2, found: 3 };
    assert_eq!(agent.feedback(1.0, Some(&[0, 0, 0])), Err(wrong_length));
    assert_eq!(agent.feedback(1.0, Some(&[9, 0])), Err(Error::Observation { channel: 0, value: 9 }));
    let mut after = before.clone();
    agent.snapshot(&mut after).unwrap();
    assert_eq!(before, after);
    agent.feedback(f32::INFINITY, Some(&[8, 8])).unwrap();
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(
            agent.set_sampling(algodistill_core::Sampling::Temperature(temperature)),
            Err(Error::Temperature)
        );
    }
    assert!(matches!(agent.snapshot(&mut [0; 8]), Err(Error::SnapshotLength { .. })));
}

/// The logits of the step after an episode that ended as given.
fn logits_after(model: &Model, ended: Option<&[i32]>) -> Vec<i32> {
    let mut memory = vec![0; model.workspace_words()];
    let mut agent = played(model, &mut memory, 3);
    agent.demonstrate(&[1, 2], 3).unwrap();
    agent.feedback(1.0, ended).unwrap();
    agent.demonstrate(&[4, 4], 0).unwrap();
    agent.logits().to_vec()
}

#[test]
fn only_a_model_with_tables_for_it_sees_the_final_observation() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let [here, there, unseen] = [&[0, 0][..], &[8, 0], &[]].map(|words| logits_after(&model, Some(words)));
    assert!(here != there && here != unseen && there != unseen);
    let without = Dimensions { final_words: 0, ..TINY };
    let file = random_weights(without, dark_room_interface(), 5);
    let model = Model::decode(&file).unwrap();
    let [here, there, unseen] = [&[0, 0][..], &[8, 0], &[]].map(|words| logits_after(&model, Some(words)));
    assert!(here == there && here == unseen);
}

#[test]
fn a_final_observation_belongs_to_one_token_and_survives_a_power_cut_before_it() {
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let (mut memory, mut other_memory) = (vec![0; model.workspace_words()], vec![7; model.workspace_words()]);
    let mut agent = Agent::new(model.clone(), &mut memory).unwrap();
    agent.demonstrate(&[4, 4], 1).unwrap();
    agent.feedback(1.0, Some(&[8, 1])).unwrap();
    let mut snapshot = vec![0; agent.snapshot_len()];
    agent.snapshot(&mut snapshot).unwrap();
    let mut restored = Agent::new(model.clone(), &mut other_memory).unwrap();
    restored.restore(&snapshot).unwrap();
    for step in 0..20 {
        let observation = [step % 9, 4];
        agent.demonstrate(&observation, 2).unwrap();
        restored.demonstrate(&observation, 2).unwrap();
        assert_eq!(agent.logits(), restored.logits());
        agent.feedback(0.0, None).unwrap();
        restored.feedback(0.0, None).unwrap();
    }
    // Words that no observation has.
    let end = snapshot.len();
    snapshot[end - 1] = 0x7f;
    let crc = algodistill_core::model::weights::checksum(&snapshot);
    snapshot[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(restored.restore(&snapshot), Err(Error::SnapshotState));
}

fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The logits of a model from a file after a context of 15 steps: one from a file, or one of its own.
fn logits_of_fixtures(weights: &str, snapshot: Option<&str>) -> String {
    let file = std::fs::read(fixture(weights)).unwrap();
    let model = Model::decode(&file).unwrap();
    let mut memory = vec![0; model.workspace_words()];
    let observation = match model.interface().observation_len() {
        2 => vec![3, 4],
        _ => observed(&model, &mut PortableRng::new(8, 0)),
    };
    let mut agent = match snapshot {
        None => played(&model, &mut memory, 15),
        Some(_) => Agent::new(model, &mut memory).unwrap(),
    };
    if let Some(snapshot) = snapshot {
        agent.restore(&std::fs::read(fixture(snapshot)).unwrap()).unwrap();
    }
    agent.demonstrate(&observation, 1).unwrap();
    format!("{:?}\n", agent.logits())
}

/// Files made by the version of this program that introduced their format, and the logits after
/// them. Those are refreshed with `OVERWRITE_EXPECTED=1` where `docs/numerics.md` has changed; the
/// files never are.
#[test]
fn fixtures_of_earlier_versions_give_the_same_logits() {
    // Version 3 has a final observation, version 4 numbers and a picture.
    for version in ["v2", "v3", "v4"] {
        check_logits(version, &logits_of_fixtures(&format!("{version}.adw"), None));
    }
}

/// Two query heads to one of keys and values, and a context. A compatible change never needs to
/// refresh them.
#[test]
fn fixtures_of_version_5_give_the_same_logits() {
    if std::env::var_os("OVERWRITE_EXPECTED").is_some() {
        let file = random_weights(Dimensions { kv_heads: 1, ..TINY }, dark_room_interface(), 5);
        let model = Model::decode(&file).unwrap();
        let mut memory = vec![0; model.workspace_words()];
        let agent = played(&model, &mut memory, 15);
        let mut bytes = vec![0; agent.snapshot_len()];
        agent.snapshot(&mut bytes).unwrap();
        std::fs::write(fixture("v5.adw"), &file).unwrap();
        std::fs::write(fixture("v5.ads"), bytes).unwrap();
    }
    check_logits("v5", &logits_of_fixtures("v5.adw", Some("v5.ads")));
}

fn check_logits(version: &str, logits: &str) {
    let file = fixture(&format!("{version}.logits"));
    if std::env::var_os("OVERWRITE_EXPECTED").is_some() {
        std::fs::write(&file, logits).unwrap();
    }
    assert_eq!(logits, std::fs::read_to_string(&file).unwrap(), "{version}");
}

/// Version 1 stored rows plain, snapshots before version 4 the ring in another order. Nothing but their
/// numbers tell.
#[test]
fn files_of_old_layouts_are_refused_by_number() {
    let weights = std::fs::read(fixture("v1.adw")).unwrap();
    assert_eq!(Model::decode(&weights).unwrap_err(), Error::Version(1));
    let file = tiny();
    let model = Model::decode(&file).unwrap();
    let mut memory = vec![0; model.workspace_words()];
    let mut agent = Agent::new(model, &mut memory).unwrap();
    let version = |name| agent.restore(&std::fs::read(fixture(name)).unwrap());
    let refused = [1, 2, 3].map(|number| Err(Error::Version(number)));
    assert_eq!(["v1.ads", "v2.ads", "v3.ads"].map(version), refused);
}
