//! Histories of which numbers and pictures are on a disk: the model is the same.

use super::*;
use crate::history::{describe, read_with, Foreign, Histories, History, HistoryFile, Steps, Storage, Window};
use crate::history::{filter, filter_with, FilterConfig, Mixture};
use crate::model::Dimensions;
use crate::progress::NoProgress;
use algodistill_core::{Channel, Interface, PortableRng};
use std::path::{Path, PathBuf};

/// Numbers, an index and a picture; random histories of episodes of one to six steps, of which
/// most ends are known.
fn histories(count: u32) -> Histories {
    let picture = Channel::Pixels { height: 3, width: 3, colours: 2 };
    let channels = [Channel::Vector { size: 3 }, Channel::Discrete { size: 4 }, picture];
    let interface = Interface {
        channels: channels.into_iter().collect(),
        actions: 3,
        reward_levels: [0.0, 1.0].into_iter().collect(),
    };
    let mut rng = PortableRng::new(5, 0);
    let mut steps = Steps::new(interface.observation_len());
    let mut index = Vec::new();
    let observe = |rng: &mut PortableRng| {
        let mut words = vec![0; interface.observation_len()];
        let mut rest = &mut words[..];
        for channel in &interface.channels {
            let own;
            (own, rest) = rest.split_at_mut(channel.words());
            channel.sample(own, rng);
        }
        words
    };
    for id in 0..count {
        let first = steps.len();
        for episode in 0..9 {
            let last = rng.below(6);
            for step in 0..=last {
                let words = observe(&mut rng);
                steps.observations.iter_mut().zip(words).for_each(|(column, word)| column.push(word));
                steps.episodes.push(episode);
                steps.actions.push(rng.below(3) as u16);
                steps.rewards.push(rng.below(2) as f32);
                steps.dones.push(step == last);
            }
            if rng.below(4) > 0 {
                let words = observe(&mut rng);
                steps.final_observations.push(steps.len() - 1, &words);
            }
        }
        index.push(History { task: id / 2, id, steps: first..steps.len() });
    }
    Histories { interface, index, steps }
}

/// Writes them; tasks that are held out lie among the others.
fn write(folder: &Path, histories: &Histories) -> PathBuf {
    let path = folder.join("mixed.parquet");
    crate::history::write_for_tests(&path, histories);
    let known = Foreign { pixels: vec![[3, 3, 2]], held_out: Some(3), ..Foreign::default() };
    describe(&path, &known).unwrap().0.write(&path).unwrap();
    path
}

fn on_disk(folder: &Path) -> Storage {
    Storage { in_memory: 0, folder: folder.into(), ..Storage::default() }
}

fn loaded(histories: &Histories) -> Histories {
    let mut all = histories.clone();
    assert!(all.steps.on_disk.is_some() && all.steps.observations[0].is_empty());
    all.steps.load().unwrap();
    all
}

#[test]
fn what_is_read_from_a_disk_is_what_is_read_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &histories(20));
    let storage = on_disk(folder.path());
    let here = read_with(&path, &Storage::default()).unwrap();
    let there = read_with(&path, &storage).unwrap();
    assert_eq!(there, read_with(&path, &storage).unwrap());
    assert_eq!((loaded(&there.training), loaded(&there.held_out)), (here.training.clone(), here.held_out));
    // Nor is there room in memory for the words on the disk: three numbers, then an index.
    let rooms = there.held_out.steps.observations.iter().map(|column| column.capacity() > 0);
    assert_eq!(rooms.take(4).collect::<Vec<_>>(), [false, false, false, true]);
    // One step after the other, and in no order.
    let mut rng = PortableRng::new(1, 0);
    let (all, on_disk) = (&here.training.steps, &there.training.steps);
    let mut window = Window::default();
    for step in (0..all.len()).chain((0..200).map(|_| rng.below(all.len() as u32) as usize)) {
        let [mut expected, mut found] = [vec![0; all.observations.len()], vec![0; all.observations.len()]];
        Window::default().observe(all, step, &mut expected).unwrap();
        window.observe(on_disk, step, &mut found).unwrap();
        assert_eq!(found, expected);
        assert_eq!(window.after(on_disk, step).unwrap(), all.final_observations.after(step));
    }
    let digests = [&here.training, &there.training].map(|histories| histories_digest(histories).unwrap());
    assert_eq!(digests[0], digests[1]);
    // A wrong final observation is found there as well.
    let mut wrong = histories(3);
    wrong.steps.final_observations = Default::default();
    wrong.steps.final_observations.push(0, &vec![9; wrong.steps.observations.len()]);
    wrong.steps.dones[0] = false;
    crate::history::write_for_tests(&folder.path().join("wrong.parquet"), &wrong);
    let known = Foreign { pixels: vec![[3, 3, 2]], held_out: Some(0), ..Foreign::default() };
    let found = crate::history::describe_with(&folder.path().join("wrong.parquet"), &known, &storage);
    let problem = found.unwrap_err().to_string();
    assert!(problem.contains("final_observation is set in row 0"), "{problem}");
}

/// The bytes of a short run's model.
fn trained(folder: &Path, file: &HistoryFile) -> Vec<u8> {
    let config = TrainConfig {
        dimensions: Dimensions {
            layers: 1,
            d_model: 32,
            heads: 2,
            d_ff: 32,
            window: 8,
            ..TrainConfig::default().dimensions
        },
        batch: 5,
        updates: 4,
        validation_every: 2,
        validation_sequences: 3,
        ..TrainConfig::default()
    };
    let outcome = train(&file.training, Some(&file.held_out), &config, folder, false, &NoProgress).unwrap();
    assert!(outcome.parameters.normalisers.len() == 3 && outcome.validation_loss.is_some());
    std::fs::read(outcome.model).unwrap()
}

#[test]
fn a_model_is_the_same_wherever_its_observations_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &histories(20));
    let here = read_with(&path, &Storage::default()).unwrap();
    let there = read_with(&path, &on_disk(folder.path())).unwrap();
    let run = |name: &str, file| trained(&folder.path().join(name), file);
    assert!(run("here", &here) == run("there", &there));
}

#[test]
fn several_files_and_a_filter_are_the_same_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let folders = ["a", "b"].map(|name| folder.path().join(name));
    folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let files = [write(&folders[0], &histories(20)), write(&folders[1], &histories(14))];
    let storage = on_disk(folder.path());
    let here = Mixture::read(&files).unwrap();
    let there = Mixture::read_with(&files, &storage).unwrap();
    assert_eq!((loaded(&there.training), loaded(&there.held_out)), (here.training, here.held_out));
    // A file of another interface, which has nothing that goes to the disk, is refused as ever.
    let mut indices = histories(6);
    indices.interface.channels = [Channel::Discrete { size: 4 }].into_iter().collect();
    indices.steps.observations = vec![indices.steps.observations[3].clone()];
    indices.steps.final_observations = Default::default();
    let path = folder.path().join("indices.parquet");
    crate::history::write_for_tests(&path, &indices);
    describe(&path, &Foreign::default()).unwrap().0.write(&path).unwrap();
    let problem = Mixture::read_with(&[path, files[0].clone()], &storage).unwrap_err().to_string();
    assert!(problem.contains("mixed.parquet: interface.channels is"), "{problem}");
    let outputs = ["here", "there"].map(|name| folder.path().join(format!("{name}.parquet")));
    let some = FilterConfig { keep: Some(0.5), episodes: Some((1, 6)), ..FilterConfig::default() };
    filter(&some, &files[0], &outputs[0]).unwrap();
    filter_with(&some, &files[0], &outputs[1], &storage).unwrap();
    let [here, there] = outputs.each_ref().map(|path| std::fs::read(path).unwrap());
    assert!(here == there);
    let best = read_with(&outputs[0], &Storage::default()).unwrap();
    assert!(best.training.index.len() < 17 && best.training.steps.knows_final_observations());
}
