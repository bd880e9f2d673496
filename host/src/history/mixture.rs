//! Several files of histories, such as of several environments, for one model.

use super::columns::Kind;
use super::disk::Disk;
use super::file::{divide, Keep, Opened};
use super::{Card, Histories, HistoryFile, Share, Storage};
use crate::ranks::Ranks;
use crate::{Error, Result};
use algodistill_core::Interface;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The histories of several files, one file after the other.
///
/// Numbers of tasks and histories are those of their file and may occur in another one: what
/// identifies a history is its file ([`MixedFile`]) and its number. A model sees neither: batches
/// are drawn evenly from all histories, so a file has the share of its number of histories.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The files, in the order given.
    pub files: Vec<MixedFile>,
    /// Histories of the training tasks of all files.
    pub training: Histories,
    /// Histories of the held-out tasks of all files.
    pub held_out: Histories,
}

/// One file of a [`Mixture`].
#[derive(Clone, Debug, PartialEq)]
pub struct MixedFile {
    /// The Parquet file.
    pub path: PathBuf,
    /// What its card says.
    pub card: Card,
    /// Its part of the index of [`Mixture::training`].
    pub training: Range<usize>,
    /// Its part of the index of [`Mixture::held_out`].
    pub held_out: Range<usize>,
}

impl Mixture {
    /// Reads one file or more; numbers and pictures are kept as [`Storage::default`] says.
    ///
    /// # Errors
    /// As [`Mixture::read_with`].
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        Self::read_with(paths, &Storage::default())
    }

    /// Reads one file or more.
    ///
    /// # Errors
    /// Those of [`read_with`](super::read_with); [`Error::File`] for a file whose interface is not that of the first one,
    /// or that holds the same bytes as another one; [`Error::Argument`] where there is no file.
    pub fn read_with(paths: &[PathBuf], storage: &Storage) -> Result<Self> {
        let disk = storage.file(outside_bytes(paths))?;
        let read = |path: &Path| -> Result<HistoryFile> {
            let (card, all) = Opened::described(path)?.read_all(disk.as_ref(), Keep::ForTraining)?;
            Ok(divide(path, card, all))
        };
        let (first, others) =
            paths.split_first().ok_or_else(|| Error::argument("HISTORIES", "at least one file is needed"))?;
        let mut mixture = Self::of(read(first)?);
        for path in others {
            // Before the data, which take longer.
            if path.exists() {
                mixture.check(path, &Card::read(path)?)?;
            }
            mixture.append(read(path)?);
        }
        Ok(mixture)
    }

    /// [`Mixture::read_with`] for one of several ranks, all of which must call it: checks and keeps the
    /// steps of its share only. The index has every history, those of other ranks without
    /// steps.
    ///
    /// # Errors
    /// As [`Mixture::read_with`]; [`Error::File`] where rank 0 has another file.
    pub fn read_share(paths: &[PathBuf], ranks: &Ranks, share: &Share, storage: &Storage) -> Result<Self> {
        if ranks.count() == 1 {
            return Self::read_with(paths, storage);
        }
        let disk: Option<Arc<Disk>> = storage.file(outside_bytes(paths) / ranks.count() as u64)?;
        let files: Vec<Opened> = paths.iter().map(|path| Opened::new(path, ranks)).collect::<Result<_>>()?;
        let counts: Vec<[usize; 2]> = files.iter().map(Opened::counts).collect();
        let all = |part: usize| counts.iter().map(|counts| counts[part]).sum();
        let wanted = [share.training.histories(all(0)), share.held_out.histories(all(1))];
        let mut mixture: Option<Self> = None;
        let mut first = [0, 0];
        for ((path, file), counts) in paths.iter().zip(files).zip(counts) {
            let own = [0, 1].map(|part| {
                let place = |place: usize| place.saturating_sub(first[part]).min(counts[part]);
                place(wanted[part].start)..place(wanted[part].end)
            });
            first = [first[0] + counts[0], first[1] + counts[1]];
            match &mut mixture {
                None => mixture = Some(Self::of(file.read(own, disk.as_ref())?)),
                Some(mixture) => {
                    mixture.check(path, &file.card)?;
                    mixture.append(file.read(own, disk.as_ref())?);
                }
            }
        }
        mixture.ok_or_else(|| Error::argument("HISTORIES", "at least one file is needed"))
    }

    fn of(file: HistoryFile) -> Self {
        let HistoryFile { path, card, training, held_out } = file;
        let whole =
            MixedFile { path, card, training: 0..training.index.len(), held_out: 0..held_out.index.len() };
        Self { files: vec![whole], training, held_out }
    }

    /// Refuses a file that cannot be trained on together with those before it.
    fn check(&self, path: &Path, card: &Card) -> Result<()> {
        if let Some(same) = self.files.iter().find(|file| file.card.sha256 == card.sha256) {
            let problem =
                format!("holds the same histories as {}; give every file once", same.path.display());
            return Err(Error::file(path, problem));
        }
        let first = &self.files[0];
        match difference(&card.interface, &first.card.interface) {
            Some((field, here, there)) => {
                let problem = format!(
                    "{field} is {here}, but {there} in {}: all histories of a model must have the same interface",
                    first.path.display()
                );
                Err(Error::file(path, problem))
            }
            None => Ok(()),
        }
    }

    fn append(&mut self, file: HistoryFile) {
        let HistoryFile { path, card, training, held_out } = file;
        let training = append(&mut self.training, &training);
        let held_out = append(&mut self.held_out, &held_out);
        self.files.push(MixedFile { path, card, training, held_out });
    }
}

/// Bytes of the numbers and pictures of all files, as far as their cards can be read.
fn outside_bytes(paths: &[PathBuf]) -> u64 {
    let cards = paths.iter().filter_map(|path| Card::read(path).ok());
    let bytes = cards.map(|card| {
        let kinds: Vec<Kind> = card.interface.channels.iter().map(Kind::of).collect();
        super::file::outside_bytes(&kinds, card.steps as usize)
    });
    bytes.fold(0, u64::saturating_add)
}

/// Appends histories of the same interface; which of the index they are.
fn append(all: &mut Histories, more: &Histories) -> Range<usize> {
    let (first, steps) = (all.index.len(), all.steps.len());
    all.steps.extend(&more.steps, 0..more.steps.len());
    all.index.extend(more.index.iter().cloned().map(|mut history| {
        history.steps = steps + history.steps.start..steps + history.steps.end;
        history
    }));
    first..all.index.len()
}

/// The first field in which two interfaces differ, and its two values.
pub(crate) fn difference(a: &Interface, b: &Interface) -> Option<(&'static str, String, String)> {
    let sizes = |interface: &Interface| -> Vec<String> {
        interface.channels.iter().map(ToString::to_string).collect()
    };
    let fields = |interface: &Interface| {
        [
            ("interface.channels", format!("[{}]", sizes(interface).join(", "))),
            ("interface.actions", interface.actions.to_string()),
            ("interface.reward_levels", format!("{:?}", interface.reward_levels.as_slice())),
        ]
    };
    let pairs = fields(a).into_iter().zip(fields(b));
    pairs.into_iter().find(|(a, b)| a != b).map(|((field, a), (_, b))| (field, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use crate::history::{generate_to_file, read, GenerateConfig};
    use crate::progress::NoProgress;
    use crate::source::SourceConfig;

    /// A small file of `environment`, given as JSON.
    fn file(folder: &Path, name: &str, environment: &str) -> PathBuf {
        let environment: EnvironmentConfig = serde_json::from_str(environment).unwrap();
        let source = crate::source::possible_sources(&environment)[0];
        let config = GenerateConfig {
            tasks: Some(4),
            held_out: 2,
            histories_per_task: 2,
            episodes: 2,
            ..GenerateConfig::recommended(environment, SourceConfig::preset(source).unwrap()).unwrap()
        };
        let path = folder.join(name);
        generate_to_file(&config, &path, &NoProgress).unwrap();
        path
    }

    fn room(size: u16, horizon: u32, reward: &str) -> String {
        format!(
            r#"{{"name":"dark-room","size":{size},"horizon":{horizon},"start":[1,1],"reward":"{reward}"}}"#
        )
    }

    #[test]
    fn every_history_keeps_its_steps_and_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.parquet", &room(3, 6, "every-step"));
        let b = file(folder.path(), "b.parquet", &room(3, 9, "once"));
        let mixture = Mixture::read(&[a.clone(), b.clone()]).unwrap();
        let parts = [read(&a).unwrap(), read(&b).unwrap()];
        assert_eq!(mixture.training.index.len(), 16);
        for (file, part) in mixture.files.iter().zip(&parts) {
            assert_eq!((&file.path, &file.card), (&part.path, &part.card));
            for (all, range, own) in [
                (&mixture.training, &file.training, &part.training),
                (&mixture.held_out, &file.held_out, &part.held_out),
            ] {
                assert_eq!(range.len(), own.index.len());
                for (mixed, own_history) in all.index[range.clone()].iter().zip(&own.index) {
                    assert_eq!((mixed.id, mixed.task), (own_history.id, own_history.task));
                    let (mixed, own_steps) = (mixed.steps.clone(), own_history.steps.clone());
                    assert_eq!(all.steps.actions[mixed.clone()], own.steps.actions[own_steps.clone()]);
                    assert_eq!(all.steps.dones[mixed.clone()], own.steps.dones[own_steps.clone()]);
                    for (mixed_column, column) in all.steps.observations.iter().zip(&own.steps.observations) {
                        assert_eq!(mixed_column[mixed.clone()], column[own_steps.clone()]);
                    }
                }
            }
        }
        let alone = Mixture::read(&[a]).unwrap();
        assert_eq!((alone.training, alone.held_out), (parts[0].training.clone(), parts[0].held_out.clone()));
    }

    #[test]
    fn what_cannot_be_one_model_is_refused_by_file_and_field() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.parquet", &room(3, 6, "every-step"));
        let larger = file(folder.path(), "larger.parquet", &room(5, 6, "every-step"));
        let bandit = |name, arms| {
            let environment =
                format!(r#"{{"name":"bandit","arms":{arms},"horizon":5,"distribution":"uniform"}}"#);
            file(folder.path(), name, &environment)
        };
        let (two, three) = (bandit("two.parquet", 2), bandit("three.parquet", 3));
        let copy = folder.path().join("copy.parquet");
        std::fs::copy(&a, &copy).unwrap();
        std::fs::copy(a.with_extension("card.json"), copy.with_extension("card.json")).unwrap();
        for (files, expected) in [
            (
                [&a, &larger],
                [
                    "larger.parquet: interface.channels is [0 to 4, 0 to 4], but [0 to 2, 0 to 2] in",
                    "a.parquet",
                ],
            ),
            ([&a, &two], ["two.parquet: interface.channels is [], but [0 to 2, 0 to 2] in", "a.parquet"]),
            ([&two, &three], ["three.parquet: interface.actions is 3, but 2 in", "two.parquet"]),
            ([&a, &a], ["a.parquet: holds the same histories as", "a.parquet"]),
            ([&a, &copy], ["copy.parquet: holds the same histories as", "a.parquet"]),
        ] {
            let problem = Mixture::read(&files.map(Clone::clone)).unwrap_err().to_string();
            assert!(expected.iter().all(|part| problem.contains(part)), "{problem}");
        }
        let rewards = |levels: &[f32]| Interface::discrete(&[3], 2, levels).unwrap();
        let (field, here, there) = difference(&rewards(&[0.0, 1.0]), &rewards(&[-0.5, 1.0])).unwrap();
        assert_eq!(
            (field, here.as_str(), there.as_str()),
            ("interface.reward_levels", "[0.0, 1.0]", "[-0.5, 1.0]")
        );
    }
}
