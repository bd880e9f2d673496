use super::*;
use crate::environment::EnvironmentConfig;
use crate::history::read;
use algodistill_core::log::{About, Ended, StepLog, BLOCKS_PER_HEADER, BLOCK_BYTES, CRC};
use algodistill_core::{Channel, PortableRng};
use proptest::prelude::*;
use std::path::PathBuf;

/// A step, as it went into a log.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    observation: Vec<i32>,
    action: usize,
    reward: f32,
    ended: Option<(Vec<i32>, Option<bool>)>,
}

fn sample(interface: &Interface, rng: &mut PortableRng) -> Vec<i32> {
    let mut words = vec![0; interface.observation_len()];
    let mut rest = &mut words[..];
    for channel in &interface.channels {
        let (own, after) = rest.split_at_mut(channel.words());
        channel.sample(own, rng);
        // What fills up the last word of a picture is not written.
        if let (Channel::Pixels { .. }, Some(last)) = (channel, own.last_mut()) {
            let used = channel.inputs() % 4;
            *last &= if used == 0 { -1 } else { (1 << (8 * used)) - 1 };
        }
        rest = after;
    }
    words
}

/// Episodes of so many steps.
fn episodes(interface: &Interface, lens: &[usize], seed: u64) -> Vec<Vec<Step>> {
    let mut rng = PortableRng::new(seed, 0);
    let step = |is_last: bool, rng: &mut PortableRng| Step {
        observation: sample(interface, rng),
        action: rng.below(interface.actions.into()) as usize,
        reward: match rng.below(interface.reward_levels.len() as u32 + 1) as usize {
            level if level < interface.reward_levels.len() => interface.reward_levels[level],
            _ => rng.uniform() - 0.5,
        },
        ended: is_last.then(|| {
            let seen = if rng.below(3) == 0 { Vec::new() } else { sample(interface, rng) };
            (seen, [None, Some(true), Some(false)][rng.below(3) as usize])
        }),
    };
    lens.iter().map(|len| (0..*len).map(|place| step(place + 1 == *len, &mut rng)).collect()).collect()
}

fn write(log: &mut StepLog, interface: &Interface, steps: &[Step], bytes: &mut Vec<u8>) {
    for Step { observation, action, reward, ended } in steps {
        let sink = &mut |piece: &[u8]| bytes.extend_from_slice(piece);
        log.acted(interface, observation, *action, sink).unwrap();
        let ended = ended.as_ref().map(|(seen, cut_off)| Ended { seen, cut_off: *cut_off });
        log.fed_back(interface, *reward, ended, sink).unwrap();
    }
}

fn written(about: About, interface: &Interface, episodes: &[Vec<Step>]) -> Vec<u8> {
    let (mut log, mut bytes) = (StepLog::new(about), Vec::new());
    episodes.iter().for_each(|steps| write(&mut log, interface, steps, &mut bytes));
    bytes
}

/// The episodes of a run, with their numbers.
fn of_run(run: &Run) -> Vec<(u32, Vec<Step>)> {
    let steps = &run.steps;
    let mut all: Vec<(u32, Vec<Step>)> = Vec::new();
    for place in 0..steps.len() {
        let seen = steps.final_observations.after(place).unwrap_or(&[]).to_vec();
        let step = Step {
            observation: steps.observations.iter().map(|column| column[place]).collect(),
            action: steps.actions[place].into(),
            reward: steps.rewards[place],
            ended: steps.dones[place].then(|| (seen, steps.truncations[place])),
        };
        match all.last_mut().filter(|(episode, _)| *episode == steps.episodes[place]) {
            Some((_, of_it)) => of_it.push(step),
            None => all.push((steps.episodes[place], vec![step])),
        }
    }
    all
}

fn read_log(bytes: &[u8]) -> Result<Log> {
    decode(Path::new("a.adl"), bytes)
}

fn refused(bytes: &[u8]) -> String {
    read_log(bytes).unwrap_err().to_string()
}

fn rooms() -> Interface {
    Interface::discrete(&[9, 9], 5, &[0.0, 1.0]).unwrap()
}

fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![
        (1u16..=4096).prop_map(|size| Channel::Discrete { size }),
        (1u16..=64).prop_map(|size| Channel::Vector { size }),
        (1u16..=9, 1u16..=9, 1u8..=4).prop_map(|(height, width, colours)| Channel::Pixels {
            height,
            width,
            colours
        }),
    ]
}

prop_compose! {
    fn any_interface()(
        channels in prop::collection::vec(channel(), 0..=4),
        actions in 2u16..=256,
        levels in prop::collection::btree_set(-99i32..99, 1..=16),
    ) -> Interface {
        let mut encoders = 0;
        let channels = channels.into_iter().filter(|channel| {
            encoders += usize::from(channel.inputs() > 0);
            channel.inputs() == 0 || encoders <= 2
        });
        let reward_levels = levels.into_iter().map(|level| level as f32 / 4.0).collect();
        Interface { channels: channels.collect(), actions, reward_levels }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_logged_is_read(
        interface in any_interface(),
        lens in prop::collection::vec(1usize..80, 1..60),
        task in any::<Option<u32>>(),
        seed in any::<Option<u64>>(),
        device in any::<u32>(),
        environment in "[a-zäß-]{0,12}",
    ) {
        let episodes = episodes(&interface, &lens, device.into());
        let about = About { model_crc: !device, device, task, seed, environment: &environment };
        let log = read_log(&written(about, &interface, &episodes)).unwrap();
        prop_assert_eq!(log.skipped.len(), 0);
        let [run] = &log.runs[..] else { panic!("{} runs", log.runs.len()) };
        let found = of_run(run);
        prop_assert!(found.iter().map(|(_, steps)| steps).eq(&episodes));
        prop_assert!(found.iter().map(|(episode, _)| *episode as usize).eq(0..lens.len()));
        let head = Head { model_crc: !device, device, task, seed, environment, interface };
        prop_assert_eq!(&run.head, &head);
        prop_assert_eq!((run.lost_episodes, run.unfinished_steps), (0, 0));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut log = written(About::default(), &rooms(), &episodes(&rooms(), &[3], 0));
        log.extend(b"ADLS");
        log.extend(&bytes);
        prop_assert_eq!(read_log(&log).unwrap().runs.len(), 1);
        let _ = read_log(&bytes);
    }
}

/// Whatever is kept of a damaged log is what was logged: whole episodes, and the beginning of the
/// last.
fn check_kept(log: &Log, episodes: &[Vec<Step>]) {
    for run in &log.runs {
        let kept = of_run(run);
        for (place, (episode, steps)) in kept.iter().enumerate() {
            let whole = &episodes[*episode as usize];
            match place + 1 == kept.len() && run.unfinished_steps > 0 {
                true => assert_eq!((&whole[..steps.len()], run.unfinished_steps), (&steps[..], steps.len())),
                false => assert_eq!(steps, whole, "episode {episode}"),
            }
        }
    }
}

/// Cut off behind every byte, a log is good for all whole blocks before.
#[test]
fn a_torn_log_is_read_up_to_its_last_whole_block() {
    let interface = rooms();
    let episodes = episodes(&interface, &[5, 90, 1, 20], 1);
    let bytes = written(About::default(), &interface, &episodes);
    let (mut before, mut beginnings) = (0, 0);
    for len in 0..bytes.len() {
        match read_log(&bytes[..len]) {
            Err(error) => assert!(before == 0 && error.to_string().starts_with("a.adl: "), "{len}: {error}"),
            Ok(log) => {
                let steps = log.runs[0].steps.len();
                assert!((before..before + 90).contains(&steps), "{len}");
                before = steps;
                beginnings += usize::from(log.runs[0].unfinished_steps > 0);
                check_kept(&log, &episodes);
                let torn: usize = log.skipped.iter().map(|skipped| skipped.bytes).sum();
                assert!(torn <= BLOCK_BYTES + 30, "{len}: {torn}");
            }
        }
    }
    // The episode of 90 steps has more than one block: its beginning is kept where the rest is not.
    assert!(beginnings > 100, "{beginnings}");
}

/// No flipped bit, lost byte or byte too many is taken for a step.
#[test]
fn damage_costs_the_episode_that_it_is_in_and_is_said() {
    let interface = rooms();
    // Two headers.
    let episodes = episodes(&interface, &[3; BLOCKS_PER_HEADER as usize + 4], 2);
    let bytes = written(About::default(), &interface, &episodes);
    let header = 7 + 26 + 2 * 4 + 2 * 7 + 4;
    let mut damaged = vec![];
    for at in 0..bytes.len() {
        let (mut flipped, mut lost, mut more) = (bytes.clone(), bytes.clone(), bytes.clone());
        flipped[at] ^= 1 << (at % 8);
        lost.remove(at);
        more.insert(at, b'A');
        damaged.extend([(at, flipped), (at, lost), (at, more)]);
    }
    for (at, bytes) in damaged {
        let log = read_log(&bytes).unwrap();
        check_kept(&log, &episodes);
        assert_eq!(log.runs.len(), 1, "{at}");
        assert!(!log.skipped.is_empty() && !log.skipped[0].problem.is_empty(), "{at}");
        // The second header repeats the first.
        let lost = log.runs[0].lost_episodes;
        assert!(if at < header { [0, BLOCKS_PER_HEADER].contains(&lost) } else { lost <= 1 }, "{at}: {lost}");
    }
}

#[test]
fn a_device_that_starts_again_begins_a_history_and_one_that_goes_on_does_not() {
    let interface = rooms();
    let episodes = episodes(&interface, &[4, 4, 70, 4, 4], 3);
    let one = written(About::default(), &interface, &episodes);
    let again = read_log(&[&one[..], &one[..]].concat()).unwrap();
    assert_eq!(again.runs.len(), 2);
    again.runs.iter().for_each(|run| assert_eq!(run.steps.len(), 86));
    let other = written(About { device: 1, ..About::default() }, &interface, &episodes[..1]);
    let both = read_log(&[&one[..], b"boot: watchdog\n", &other[..]].concat()).unwrap();
    assert_eq!(both.runs.iter().map(|run| run.head.device).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(both.skipped[0].problem, "no block begins here");
    assert_eq!((both.skipped[0].byte, both.skipped[0].bytes), (one.len(), 15));

    // The power is cut behind the first block of the long episode; the snapshot was taken there.
    let (mut log, mut bytes) = (StepLog::new(About::default()), Vec::new());
    episodes[..2].iter().for_each(|steps| write(&mut log, &interface, steps, &mut bytes));
    let mut done = 0;
    while read_log(&bytes).unwrap().runs[0].unfinished_steps == 0 {
        write(&mut log, &interface, &episodes[2][done..=done], &mut bytes);
        done += 1;
    }
    let (episode, step) = log.position();
    assert_eq!((episode, step), (2, done as u32));
    let mut log = StepLog::resumed(About::default(), episode, step);
    for steps in [&episodes[2][done..], &episodes[3], &episodes[4]] {
        write(&mut log, &interface, steps, &mut bytes);
    }
    let resumed = read_log(&bytes).unwrap();
    assert_eq!(resumed.runs.len(), 1);
    assert!(of_run(&resumed.runs[0]).iter().map(|(_, steps)| steps).eq(&episodes));
}

/// A header and blocks of steps, with the CRCs that they must have.
fn sealed(header: &[u8], blocks: &[&[u8]]) -> Vec<u8> {
    let header_crc = CRC.checksum(header).to_le_bytes();
    let mut bytes = [header, &header_crc].concat();
    for block in blocks {
        let crc = CRC.checksum(&[&header_crc, *block].concat());
        bytes.extend([*block, &crc.to_le_bytes()].concat());
    }
    bytes
}

#[test]
fn what_is_no_log_is_refused_with_the_place_the_field_and_what_was_expected() {
    let interface = rooms();
    let log = written(About::default(), &interface, &episodes(&interface, &[1], 0));
    let header = &log[..7 + 26 + 2 * 4 + 2 * 7];
    let changed = |at: usize, value: u8| {
        let mut header = header.to_vec();
        header[at] = value;
        sealed(&header, &[])
    };
    let mut long_name = [&header[..33], &[b'x'; 33], &header[33..]].concat();
    (long_name[5], long_name[30]) = (long_name[5] + 33, 33);
    let long_name = sealed(&long_name, &[]);
    let steps = |records: &[u8]| sealed(header, &[&[b"ADLS\0\0\0\0\0\0\0\0", records].concat()]);
    for (bytes, expected) in [
        (vec![], "is empty"),
        (b"PAR1 and so on".to_vec(), "is no log of steps: no header, which begins with ADLH"),
        (log[..20].to_vec(), "no whole header can be read: the header is not whole, at byte 0"),
        (log[header.len() + 4..].to_vec(), "no header comes before the block of steps, at byte 0"),
        (log[..log.len() - 1].to_vec(), "the block of steps is not whole, at byte 59"),
        (changed(4, 2), "byte 0: version is 2, expected 1; written by a later version of the program"),
        (changed(28, 1), "byte 0: has 1 actions"),
        (changed(31, 17), "length is 48, too short for its fields"),
        (changed(32, 1), "length is 48, expected 41 by its fields"),
        (changed(41, 3), "the kind of channel 0 is 3, expected 0 to 2"),
        (changed(44, 1), "byte 0: the unused numbers of channel 0 are 1 and 0, expected 0 and 0"),
        (changed(15, 4), "byte 0: the bits of what is known are 4, expected 0 to 3"),
        (changed(16, 7), "byte 0: task is 7, expected 0: it is not said to be known"),
        (changed(20, 9), "byte 0: seed is 9, expected 0: it is not said to be known"),
        (long_name, "byte 0: the name of the environment has 33 bytes, expected at most 32"),
        (sealed(header, &[]), "has a header, but no steps"),
        (
            sealed(header, &[b"ADLS\0\0\0\0\x05\0\0\0\0\0\0\x60"]),
            "has steps, but no whole episode or beginning of one: it begins in mid-episode",
        ),
        (steps(&[9, 0, 0, 0x60]), "byte 71: observation_0 is 9, expected 0 to 8"),
        (steps(&[0, 8, 5, 0x60]), "byte 71: action is 5, expected 0 to 4"),
        (steps(&[0, 8, 4, 0x62]), "byte 71: reward is level 2, expected 0 to 1"),
        (steps(&[0, 8, 4, 0x70, 0, 0, 0x80, 0x7f]), "byte 71: reward is inf, expected a finite one"),
        (steps(&[0, 8, 4, 0x71, 0, 0, 0, 0]), "byte 71: feedback has a reward of its own and level 1"),
        (steps(&[0, 0, 0, 0, 0, 8, 4, 0xe0, 3, 9]), "byte 75: final_observation_1 is 9, expected 0 to 8"),
        (
            sealed(header, &[b"ADLS\0\0\0\x80\0\0\0\0\0\0\0\x60"]),
            "byte 59: episode is 2147483648, expected 0 to 2147483647",
        ),
    ] {
        let problem = refused(&bytes);
        assert!(problem.starts_with("a.adl: ") && problem.contains(expected), "{problem}");
    }
    // In a block that its length ends, not the end of an episode.
    let records = [0, 0, 0, 0x80, 0, 0].repeat(BLOCK_BYTES.div_ceil(6));
    assert!(refused(&steps(&records)).contains("final_observation is there, but no end of the episode"));
}

/// Logs in a folder, and how they are imported from there.
struct Logs {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Logs {
    fn new(logs: &[Vec<u8>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |(number, bytes): (usize, &Vec<u8>)| {
            let path = folder.path().join(format!("{number}.adl"));
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let paths = logs.iter().enumerate().map(write).collect();
        Self { folder, paths }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out.parquet")
    }

    fn import(&self, importing: &Importing) -> Result<Imported> {
        import(importing, &self.paths, &self.out())
    }

    fn refused(&self, importing: &Importing) -> String {
        let problem = self.import(importing).unwrap_err().to_string();
        assert!(!self.out().exists(), "{problem}");
        problem
    }
}

#[test]
fn logs_of_several_devices_are_histories_of_one_file() {
    let interface = rooms();
    let all = episodes(&interface, &[20; 12], 4);
    let about = |task| About { task: Some(task), environment: "dark-room", ..About::default() };
    let mut torn = written(about(7), &interface, &all[..6]);
    // The last block loses a byte, and one in the middle.
    torn.pop();
    torn.remove(300);
    let logs = Logs::new(&[written(about(3), &interface, &all), torn]);
    let imported = logs.import(&Importing { held_out: Some(1), ..Importing::default() }).unwrap();
    let file = read(&logs.out()).unwrap();
    assert_eq!(file.card, imported.card);
    assert_eq!(file.card.environment, EnvironmentConfig::preset("dark-room").unwrap());
    assert_eq!((file.card.histories, file.card.steps), (2, 16 * 20));
    assert_eq!((file.training.index.len(), file.held_out.index.len()), (1, 1));
    let lost = &imported.origins[1];
    assert_eq!((lost.history, lost.task, lost.episodes, lost.lost_episodes), (Some(1), Some(7), 4, 1));
    assert_eq!(imported.skipped.len(), 1);
    assert_eq!(imported.skipped[0].1.len(), 2);

    let logs = Logs::new(&[written(about(3), &interface, &all), logs_of(&logs, 1)]);
    let strict = logs.refused(&Importing { strict: true, ..Importing::default() });
    assert!(strict.contains("1.adl: ") && strict.contains("cannot be read: the CRC-32"), "{strict}");
}

fn logs_of(logs: &Logs, number: usize) -> Vec<u8> {
    std::fs::read(&logs.paths[number]).unwrap()
}

#[test]
fn tasks_and_environment_are_those_of_the_logs_unless_they_are_given() {
    let interface = rooms();
    let all = episodes(&interface, &[5; 3], 5);
    let devices = std::cell::Cell::new(0);
    let log = |task, environment| {
        devices.set(devices.get() + 1);
        let about = About { task, environment, device: devices.get(), ..About::default() };
        written(about, &interface, &all)
    };
    let named = |name| Importing {
        environment: Some(EnvironmentConfig::preset(name).unwrap()),
        ..Importing::default()
    };
    let tasks = |logs: &Logs, importing: &Importing| {
        let origins = logs.import(importing).unwrap().origins;
        origins.iter().map(|origin| origin.task.unwrap()).collect::<Vec<_>>()
    };
    let lab = Logs::new(&[log(None, "lab"), log(Some(0), "lab"), log(None, "lab")]);
    assert_eq!(tasks(&lab, &Importing::default()), [1, 0, 2]);
    let card = read(&lab.out()).unwrap().card;
    assert_eq!(card.environment, EnvironmentConfig::custom(interface.clone()));
    assert_eq!(card.environment_name.as_deref(), Some("lab"));
    assert_eq!(tasks(&lab, &Importing { task: Some(80), ..named("dark-room") }), [80; 3]);
    let card = read(&lab.out()).unwrap().card;
    assert_eq!((card.environment.name(), card.environment_name), ("dark-room", None));

    let door = Logs::new(&[log(Some(1), "dark-room"), log(Some(1), "key-to-door")]);
    let problem = door.refused(&Importing::default());
    let expected = "1.adl: is of key-to-door, but ";
    assert!(
        problem.contains(expected) && problem.contains("0.adl is of dark-room; a file is of"),
        "{problem}"
    );
    assert_eq!(tasks(&door, &named("dark-room")), [1, 1]);

    let lab = Logs::new(&[log(None, "lab")]);
    for (importing, expected) in [
        (named("dark-room"), "task: is not known of a run in"),
        (Importing { task: Some(81), ..named("dark-room") }, "task: is 81, but dark-room has tasks 0 to 80"),
        (named("bandit"), "environment: bandit sees, does or earns something else than the device of"),
        (named("dark-room-hard"), "environment: dark-room-hard sees, does or earns something else than"),
        (Importing { held_out: Some(1), ..Importing::default() }, "held_out: is 1"),
    ] {
        let problem = lab.refused(&importing);
        assert!(problem.starts_with(expected), "{problem}");
    }
    let problem = Logs::new(&[log(Some(99), "dark-room")]).refused(&Importing::default());
    assert!(problem.contains("task is 99, but dark-room has tasks 0 to 80; say which"), "{problem}");
    let arms = Interface::discrete(&[], 5, &[0.0, 1.0]).unwrap();
    let bandit = written(About::default(), &arms, &episodes(&arms, &[9], 6));
    let problem = Logs::new(&[log(None, "lab"), bandit]).refused(&Importing::default());
    assert!(problem.contains("1.adl: has another interface"), "{problem}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let interface = rooms();
    let log = |lens: &[usize], device| {
        let about = About { device, task: Some(3), environment: "dark-room", ..About::default() };
        written(about, &interface, &episodes(&interface, lens, 7))
    };
    // A run of several episodes that another log ends with, but not the beginning of another device's.
    let twice = Logs::new(&[log(&[20; 4], 0), [log(&[20; 2], 1), log(&[20; 4], 0)].concat()]);
    let problem = twice.refused(&Importing::default());
    assert!(problem.contains("1.adl: has a run that ") && problem.contains("0.adl has as well"), "{problem}");
    let mut named_twice = Logs::new(&[log(&[20; 4], 0)]);
    named_twice.paths.push(named_twice.paths[0].clone());
    assert!(named_twice.refused(&Importing::default()).contains("0.adl has as well; leave one of them out"));
    // Fetched again while the device went on, in the midst of an episode.
    let longer = Logs::new(&[log(&[20; 6], 0), log(&[20; 6], 0)[..500].to_vec()]);
    assert!(longer.refused(&Importing::default()).contains("0.adl: has a run that "));
    let again = Logs::new(&[[log(&[20; 4], 0), log(&[20; 4], 0)].concat(), log(&[20; 4], 1)]);
    assert_eq!(again.import(&Importing::default()).unwrap().card.histories, 3);

    let long = Logs::new(&[log(&[20, 7, 21, 20], 0)]);
    let problem = long.refused(&Importing::default());
    let expected =
        "0.adl: episode 2 has 21 steps, but those of dark-room end after 20; say with --environment";
    assert!(problem.contains(expected), "{problem}");
    let longer = EnvironmentConfig::preset("dark-room").unwrap();
    let longer = longer.with(&["horizon=21".parse().unwrap()].into_iter().collect()).unwrap();
    long.import(&Importing { environment: Some(longer), ..Importing::default() }).unwrap();
}
