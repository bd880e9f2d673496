//! Files are written, read, damaged and refused.

use super::check::Checker;
use super::foreign::{infer, reward_levels};
use super::*;
use crate::environment::EnvironmentConfig;
use crate::history::columns::{Kind, Rows};
use crate::history::generate;
use crate::history::GenerateConfig;
use crate::progress::NoProgress;
use crate::source::FinalObservations;
use crate::source::SourceConfig;
use algodistill_core::interface::MAX_REWARD_LEVELS;
use algodistill_core::{Channel, Interface, PortableRng};

fn config(environment: &str, source: &str) -> GenerateConfig {
    let environment = EnvironmentConfig::preset(environment).unwrap();
    let tasks = if environment.task_count().is_none() { 300 } else { 9 };
    GenerateConfig {
        tasks: Some(tasks),
        held_out: 5,
        histories_per_task: 3,
        ..GenerateConfig::recommended(environment, SourceConfig::preset(source).unwrap()).unwrap()
    }
}

fn progress() -> NoProgress {
    NoProgress
}

fn held_out(count: u32) -> Foreign {
    Foreign { held_out: Some(count), ..Foreign::default() }
}

/// A small file in a folder of its own.
fn small() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.parquet");
    let config = GenerateConfig { tasks: Some(4), held_out: 1, episodes: 3, ..config("dark-room", "psrl") };
    generate_to_file(&config, &path, &progress()).unwrap();
    (folder, path)
}

#[test]
fn what_is_read_is_what_was_generated() {
    let folder = tempfile::tempdir().unwrap();
    for (environment, source) in [("dark-room", "psrl"), ("dark-room", "q-learning"), ("bandit", "ucb")] {
        let config = config(environment, source);
        let path = folder.path().join(format!("new/{source}.parquet"));
        let card = generate_to_file(&config, &path, &progress()).unwrap();
        let read = read(&path).unwrap();
        let generated = generate(&config, &progress()).unwrap();
        assert_eq!(read.card, card);
        assert_eq!((read.training, read.held_out), (generated.training, generated.held_out));
        assert_eq!(card.split, generated.split);
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let config = GenerateConfig { histories_per_task: 200, ..config("dark-room", "q-learning") };
    let write = |threads: usize| {
        let path = folder.path().join(format!("{threads}.parquet"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate_to_file(&config, &path, &progress())).unwrap();
        (std::fs::read(&path).unwrap(), std::fs::read(card_path(&path)).unwrap())
    };
    assert!(write(1) == write(4));
}

/// Histories of one agent over several tasks each.
fn several(folder: &Path) -> PathBuf {
    let path = folder.join("several.parquet");
    let config = GenerateConfig {
        episodes: 30,
        tasks_per_history: "3".parse().unwrap(),
        ..config("dark-room", "q-learning")
    };
    let card = generate_to_file(&config, &path, &progress()).unwrap();
    let (read, generated) = (read(&path).unwrap(), generate(&config, &progress()).unwrap());
    assert_eq!(read.card, card);
    assert_eq!((read.training, read.held_out), (generated.training, generated.held_out));
    path
}

#[test]
fn the_tasks_of_a_history_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = several(folder.path());
    assert_share(&path, [1..7, 2..5]);
    // Without the card's word, a history is of one task.
    let problem = describe(&path, &Foreign::default()).unwrap_err().to_string();
    assert!(problem.contains("within history 0"), "{problem}");
    // A history must not be of training and of held-out tasks.
    let mut card = Card::read(&path).unwrap();
    let moved = read(&path).unwrap().training.steps.tasks.last().copied().unwrap();
    card.split.training.retain(|&task| task != moved);
    card.split.held_out.push(moved);
    card.write(&path).unwrap();
    let problem = read(&path).unwrap_err().to_string();
    assert!(problem.contains("is of training and of held-out tasks"), "{problem}");
}

/// The `wanted` training and held-out histories are those of the whole file; the others are
/// there without steps. Wherever its observations are.
fn assert_share(path: &Path, wanted: [Range<usize>; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage { in_memory: 0, folder: folder.path().into(), ..Storage::default() };
    let disk = storage.file(1).unwrap();
    assert_share_on(path, wanted.clone(), None);
    assert_share_on(path, wanted, disk.as_ref());
}

fn assert_share_on(path: &Path, wanted: [Range<usize>; 2], disk: Option<&Arc<Disk>>) {
    let whole = read(path).unwrap();
    let mut part = Opened::new(path, &Ranks::alone()).unwrap().read(wanted.clone(), disk).unwrap();
    let [training, held_out] = wanted;
    for (part, whole, wanted) in
        [(&mut part.training, &whole.training, training), (&mut part.held_out, &whole.held_out, held_out)]
    {
        let goes_out = !matches!(whole.interface.channels[..], [] | [Channel::Discrete { .. }, ..]);
        assert_eq!(part.steps.on_disk.is_some(), disk.is_some() && goes_out);
        part.steps.load().unwrap();
        assert_eq!(part.index.len(), whole.index.len());
        for (number, (history, expected)) in part.index.iter().zip(&whole.index).enumerate() {
            assert_eq!((history.id, history.task), (expected.id, expected.task));
            assert_eq!(history.steps.is_empty(), !wanted.contains(&number));
        }
        let [first, last] = [wanted.start, wanted.end - 1].map(|number| whole.index[number].steps.clone());
        let mut steps = Steps::new(whole.interface.observation_len());
        steps.extend(&whole.steps, first.start..last.end);
        assert_eq!(part.steps, steps);
    }
}

#[test]
fn a_rank_reads_its_share_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("several-row-groups.parquet");
    generate_to_file(
        &GenerateConfig { histories_per_task: 80, ..config("dark-room", "psrl") },
        &path,
        &progress(),
    )
    .unwrap();
    assert_share(&path, [0..271, 18..20]);
    assert_share(&path, [100..720, 0..7]);
    // Training and held-out tasks of a foreign file lie among each other.
    let (_folder, path) = small();
    std::fs::remove_file(card_path(&path)).unwrap();
    describe(&path, &held_out(2)).unwrap().0.write(&path).unwrap();
    let [training, held_out] = Opened::new(&path, &Ranks::alone()).unwrap().counts();
    assert_share(&path, [1..training - 1, 0..held_out]);
    assert_share(&path, [0..training, held_out - 1..held_out]);
}

/// Damages `bytes` in one of several ways.
fn damage(bytes: &mut Vec<u8>, rng: &mut PortableRng) {
    let at = rng.below(bytes.len() as u32) as usize;
    match rng.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << rng.below(8),
        2 => bytes[at] = rng.next_u32() as u8,
        _ => {
            let end = (at + 1 + rng.below(64) as usize).min(bytes.len());
            bytes[at..end].fill_with(|| rng.next_u32() as u8);
        }
    }
}

#[test]
fn a_damaged_file_or_card_is_refused_by_name() {
    let (_folder, path) = small();
    let good = read(&path).unwrap();
    let mut rng = PortableRng::new(1, 0);
    for victim in [path.clone(), card_path(&path)] {
        let original = std::fs::read(&victim).unwrap();
        for _ in 0..500 {
            let mut bytes = original.clone();
            damage(&mut bytes, &mut rng);
            std::fs::write(&victim, &bytes).unwrap();
            match read(&path) {
                Ok(same) => assert_eq!(same, good),
                Err(error) => assert!(error.to_string().contains("small."), "{error}"),
            }
        }
        std::fs::write(&victim, &original).unwrap();
    }
}

#[test]
fn a_damaged_file_without_a_card_never_panics() {
    let (_folder, path) = small();
    let original = std::fs::read(&path).unwrap();
    let mut rng = PortableRng::new(2, 0);
    for _ in 0..1000 {
        let mut bytes = original.clone();
        damage(&mut bytes, &mut rng);
        std::fs::write(&path, &bytes).unwrap();
        if let Err(error) = describe(&path, &Foreign::default()) {
            assert!(error.to_string().contains("small.parquet"), "{error}");
        }
    }
}

#[test]
fn a_file_of_another_program_is_described_and_can_then_be_read() {
    let (_folder, path) = small();
    let ours = read(&path).unwrap();
    std::fs::remove_file(card_path(&path)).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("small.card.json"));
    let (mut card, all) = describe(&path, &held_out(2)).unwrap();
    assert_eq!(all.index.len(), ours.training.index.len() + ours.held_out.index.len());
    assert_eq!(card.split.held_out.len(), 2);
    assert_eq!(card.environment.name(), "custom");
    assert_eq!(card.interface.reward_levels, [0.0, 1.0]);
    card.write(&path).unwrap();
    let read = read(&path).unwrap();
    assert_eq!(read.card, card);
    assert_eq!(read.training.steps.len() + read.held_out.steps.len(), all.steps.len());
    assert!(describe(&path, &held_out(5)).is_err());
}

#[test]
fn what_did_not_occur_in_a_file_can_be_said() {
    let (_folder, path) = small();
    let known = |sizes: &[u16], actions| Foreign {
        observation_sizes: Some(sizes.to_vec()),
        actions: Some(actions),
        ..Foreign::default()
    };
    let (card, all) = describe(&path, &known(&[16, 9], 7)).unwrap();
    assert_eq!(card.interface, Interface::discrete(&[16, 9], 7, &[0.0, 1.0]).unwrap());
    assert_eq!(all.interface, card.interface);
    for (sizes, actions, expected) in [
        (&[16][..], 5, "observation_sizes: is [16], but the file needs [9, 9] or more"),
        (&[16, 8], 5, "observation_sizes: is [16, 8]"),
        (&[9, 9], 4, "actions: is 4, but the file needs 5 or more"),
        (&[9, 9], 300, "actions: is 300, expected 2 to 256"),
        (&[9, 5000], 5, "observation_sizes: has 5000, expected 1 to 4096 values of each word"),
    ] {
        let problem = describe(&path, &known(sizes, actions)).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
}

/// A few short histories.
fn few(preset: &str) -> GenerateConfig {
    GenerateConfig {
        tasks: Some(3),
        held_out: 2,
        histories_per_task: 1,
        episodes: 3,
        ..config(preset, "psrl")
    }
}

#[test]
fn numbers_and_pictures_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    for preset in ["watermaze", "watermaze-pose"] {
        let path = folder.path().join(format!("{preset}.parquet"));
        let config = GenerateConfig { tasks: Some(5), histories_per_task: 2, ..few(preset) };
        generate_to_file(&config, &path, &NoProgress).unwrap();
        let file = read(&path).unwrap();
        let all = generate(&config, &NoProgress).unwrap();
        assert!(!all.training.steps.final_observations.is_empty());
        assert_eq!((file.training, file.held_out), (all.training, all.held_out), "{preset}");
        assert_share(&path, [1..5, 0..1]);
        assert_share(&path, [0..2, 1..2]);
    }
}

#[test]
fn pictures_of_other_programs_need_their_shape() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures.parquet");
    generate_to_file(&few("watermaze"), &pictures, &NoProgress).unwrap();
    std::fs::remove_file(card_path(&pictures)).unwrap();
    let with =
        |pixels: &[[u16; 3]]| describe(&pictures, &Foreign { pixels: pixels.into(), ..Foreign::default() });
    let (card, _) = with(&[[8, 16, 3]]).unwrap();
    assert_eq!(card.interface.channels[..], [Channel::Pixels { height: 8, width: 16, colours: 3 }]);
    for (pixels, expected) in [
        (&[][..], "observation_0, which has 384 bytes a row"),
        (&[[8, 16, 1]], "are 8x16x1 for observation_0"),
        (&[[8, 16, 3], [1, 1, 1]], "has 1 columns of bytes"),
    ] {
        let problem = with(pixels).unwrap_err().to_string();
        assert!(problem.starts_with("pixels") && problem.contains(expected), "{problem}");
    }
    let numbers = folder.path().join("numbers.parquet");
    generate_to_file(&few("watermaze-pose"), &numbers, &NoProgress).unwrap();
    // A card of another environment.
    let sha256 = Card::read(&numbers).unwrap().sha256;
    Card { sha256, ..with(&[[8, 16, 3]]).unwrap().0 }.write(&numbers).unwrap();
    let problem = read(&numbers).unwrap_err().to_string();
    assert!(problem.contains("observation_0 holds a list of 4 integers, expected 384 bytes"), "{problem}");
}

/// Two histories of two episodes of two steps.
fn rows() -> Rows {
    Rows {
        kinds: vec![Kind::Integer],
        tasks: vec![3, 3, 3, 3, 5, 5, 5, 5],
        histories: vec![0, 0, 0, 0, 1, 1, 1, 1],
        numbers: vec![0, 1, 0, 1, 0, 1, 0, 1],
        steps: Steps {
            episodes: vec![0, 0, 4, 4, 0, 0, 4, 4],
            observations: vec![vec![0, 1, 2, 0, 1, 2, 0, 1]],
            actions: vec![0, 1, 2, 0, 1, 2, 0, 1],
            rewards: vec![0.0, 0.5, -1.0, 0.0, 0.5, 0.0, 0.0, 0.5],
            dones: vec![false, true, false, true, false, true, false, false],
            final_observations: FinalObservations::default(),
            optimal_actions: Vec::new(),
            truncations: Vec::new(),
            tasks: Vec::new(),
            on_disk: None,
        },
    }
}

fn check(rows: &Rows) -> std::result::Result<Vec<History>, String> {
    let interface = Interface::discrete(&[3], 3, &[0.0]).unwrap();
    let mut checker = Checker::new(&interface, false);
    match checker.check(rows) {
        Ok(()) => Ok(checker.index),
        Err(Problem::Content(problem)) => Err(problem),
        Err(Problem::Disk(error)) => panic!("{error}"),
    }
}

#[test]
fn every_inconsistency_is_named() {
    let good = check(&rows()).unwrap();
    assert_eq!(good, [History { task: 3, id: 0, steps: 0..4 }, History { task: 5, id: 1, steps: 4..8 }]);
    type Case = (&'static str, fn(&mut Rows));
    let cases: [Case; 10] = [
        ("truncated is true in row 2, where no episode ends: done is false", |r| {
            r.steps.truncations = vec![Some(false), Some(true), Some(true), None, None, None, None, None]
        }),
        ("observation_0 is 3 in row 2, expected 0 to 2", |r| r.steps.observations[0][2] = 3),
        ("observation_0 is -1 in row 2, expected 0 to 2", |r| r.steps.observations[0][2] = -1),
        ("action is 3 in row 6, expected 0 to 2", |r| r.steps.actions[6] = 3),
        ("task_id changes from 3 to 4 within history 0 in row 1", |r| r.tasks[1] = 4),
        ("history_id falls from 2 to 1", |r| r.histories[..4].fill(2)),
        ("episode falls from 4 to 3", |r| r.steps.episodes[3] = 3),
        ("episode 4 begins, but the last step of episode 0 is not done in row 2", |r| {
            r.steps.dones[1] = false
        }),
        ("episode 0 goes on after a step that is done in row 1", |r| r.steps.dones[0] = true),
        ("step is 2, expected 1: no step may be missing in row 5", |r| r.numbers[5] = 2),
    ];
    for (expected, change) in cases {
        let mut rows = rows();
        change(&mut rows);
        let problem = check(&rows).unwrap_err();
        assert!(problem.contains(expected), "{problem} does not say {expected}");
    }
}

#[test]
fn what_occurs_is_the_interface() {
    let mut part = rows();
    let interface = infer(Path::new("x"), std::slice::from_ref(&part), &Foreign::default()).unwrap();
    assert_eq!(interface, Interface::discrete(&[3], 3, &[-1.0, 0.0, 0.5]).unwrap());
    part.steps.rewards = (0..1000).map(|i| i as f32 / 1000.0).collect();
    let levels = reward_levels(&[part]);
    assert_eq!(levels.len(), MAX_REWARD_LEVELS);
    assert!((levels[0] - 1.0 / 32.0).abs() < 0.01 && (levels[15] - 31.0 / 32.0).abs() < 0.01, "{levels:?}");
    assert!(infer(Path::new("x"), &[], &Foreign::default()).is_err());
}
