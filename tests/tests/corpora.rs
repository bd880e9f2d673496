//! The committed corpora of the fuzz targets, run by what the fuzzer runs; `.ci/fuzz` looks for
//! more.

#[path = "../../core/fuzz/src/lib.rs"]
mod fuzz;

use algodistill_core::{Agent, Dimensions, Interface, Model, PortableRng};
use algodistill_tests::dark_room_interface;
use algodistill_tests::int8::{random_weights, tiny_with_encoders, TINY};
use std::path::{Path, PathBuf};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/fuzz/corpus").join(target)
}

/// The number of files, and of those that were accepted.
fn replay(target: &str, run: impl Fn(&[u8]) -> bool) -> (usize, usize) {
    let files = std::fs::read_dir(folder(target)).unwrap();
    files
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .fold((0, 0), |(count, accepted), bytes| (count + 1, accepted + usize::from(run(&bytes))))
}

/// A corpus of which little is accepted is of another format: the fuzzer would not get past the
/// header. After a change of the format `OVERWRITE_EXPECTED=1` writes the files to start from
/// again; delete those that are refused now.
#[test]
fn corpora_hold_files_that_are_accepted() {
    if std::env::var_os("OVERWRITE_EXPECTED").is_some() {
        for (target, name, bytes) in seeds() {
            std::fs::create_dir_all(folder(target)).unwrap();
            std::fs::write(folder(target).join(name), bytes).unwrap();
        }
    }
    for (count, accepted) in [replay("weights", fuzz::weights), replay("snapshot", fuzz::snapshot)] {
        assert!(accepted >= 4, "{accepted} of {count} accepted");
    }
}

/// What the fuzzer started from: small models and snapshots at different times.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let bandit = Dimensions {
        layers: 1,
        heads: 1,
        kv_heads: 1,
        d_ff: 16,
        window: 3,
        actions: 2,
        final_words: 0,
        ..TINY
    };
    let channels =
        Dimensions { layers: 1, heads: 4, kv_heads: 4, window: 1, actions: 9, final_words: 3, ..TINY };
    let (no_channel, two_levels) = (&[], &[0.0, 1.0]);
    let bandit = random_weights(bandit, Interface::discrete(no_channel, 2, two_levels).unwrap(), 1);
    let interface = Interface::discrete(&[1, 3, 2], 9, &[-1.0, 0.0, 0.5, 1.0]).unwrap();
    let channels = random_weights(channels, interface, 2);
    // Every scale and weight that is not 0 is the largest.
    let mut large = bandit.clone();
    large[128..].iter_mut().filter(|byte| **byte != 0).for_each(|byte| *byte = 0xff);

    let tiny = random_weights(TINY, dark_room_interface(), 5);
    let model = Model::decode(&tiny).unwrap();
    let mut memory = vec![0; model.workspace_words()];
    let mut agent = Agent::new(model, &mut memory).unwrap();
    let mut rng = PortableRng::new(6, 0);
    let mut after = |steps: i32| {
        agent.reset();
        for step in 0..steps {
            let _ = agent.feedback(1.0, (step % 5 == 0).then_some(&[step % 9, 0]));
            agent.act(&[step % 9, 8 - step % 9], &mut rng).unwrap();
        }
        if steps == 12 {
            agent.feedback(0.0, Some(&[8, 7])).unwrap();
        }
        let mut bytes = vec![0; agent.snapshot_len()];
        agent.snapshot(&mut bytes).unwrap();
        bytes
    };
    let snapshots = [("empty-v3", 0), ("begun-v3", 3), ("full-v3", 7), ("ended-v3", 12)];
    let snapshots = snapshots.map(|(name, steps)| ("snapshot", name, after(steps)));
    let (dimensions, interface) = tiny_with_encoders();
    let encoders = random_weights(dimensions, interface, 3);
    let models = [
        ("tiny-v3", tiny.clone()),
        ("bandit-v3", bandit),
        ("channels-v3", channels),
        ("large-v3", large),
        ("encoders-v4", encoders),
    ];
    models.into_iter().map(|(name, bytes)| ("weights", name, bytes)).chain(snapshots).collect()
}
