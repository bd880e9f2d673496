//! Every experiment of this repository, one after the other, and one page of what came of them.

use super::page;
use super::results::Results;
use super::{names, run, Experiment};
use crate::files::write_bytes;
use crate::progress::Progress;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What all experiments came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of each, in their order.
    pub results: Vec<Results>,
    /// The page: `results.md`, and a folder `results` with its figures beside it.
    pub page: PathBuf,
}

/// The experiments of this repository, in the order in which they are run.
pub fn experiments() -> Vec<Experiment> {
    // A test holds that each of them can be read.
    names().into_iter().filter_map(|name| Experiment::named(name).ok()).collect()
}

/// Runs `experiments` in `folder`, each in a folder of its name, and writes the page. What is
/// complete is not run again; interrupted anywhere and started again it ends with the same files.
///
/// # Errors
/// As [`run`], of the first experiment that fails, with its name; those before it stay.
pub fn run_all(experiments: &[Experiment], folder: &Path, progress: &dyn Progress) -> Result<Outcome> {
    // What cannot be run should be known before hours have passed.
    for experiment in experiments {
        experiment.validate().map_err(|error| of(&experiment.name, error))?;
        experiment.refuse_other(&folder.join(&experiment.name))?;
    }
    let begun = Instant::now();
    let mut results = Vec::new();
    let mut page = folder.join(page::FILE);
    for (number, experiment) in experiments.iter().enumerate() {
        let own = folder.join(&experiment.name);
        progress.begin(&format!("{} of {}", number + 1, experiments.len()), 0);
        let so_far = begun.elapsed().as_secs() / 60;
        let found = Results::of(experiment, &own).map_err(|error| of(&experiment.name, error))?;
        let known = if found.is_some() { ", complete" } else { "" };
        progress.finish(&format!("{}{known}, {so_far} min so far", experiment.name));
        results.push(match found {
            Some(results) => results,
            None => {
                run(experiment, &own, progress).map_err(|error| of(&experiment.name, error))?;
                Results::of(experiment, &own)?
                    .ok_or_else(|| Error::file(&own, "has lost files while it was made"))?
            }
        });
        // Also of what there is so far.
        page = write_page(&results, experiments.len(), folder)?;
    }
    Ok(Outcome { results, page })
}

fn write_page(results: &[Results], all: usize, folder: &Path) -> Result<PathBuf> {
    let (text, figures) = page::page(results, all, folder)?;
    for (from, to) in figures {
        let bytes = std::fs::read(&from).map_err(|error| Error::io(&from, error))?;
        write_bytes(&folder.join(to), &bytes)?;
    }
    let path = folder.join(page::FILE);
    write_bytes(&path, text.as_bytes())?;
    Ok(path)
}

/// `error`, with the experiment that it is of.
fn of(name: &str, error: Error) -> Error {
    match error {
        Error::Argument { argument, problem } => {
            Error::argument(argument, format!("{problem} (experiment {name:?})"))
        }
        Error::File { path, problem } => Error::file(path, format!("{problem} (experiment {name:?})")),
        // An I/O error names the path, which names the experiment.
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Scale;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn every_experiment_is_there() {
        assert_eq!(experiments().len(), names().len());
    }

    /// Cancels after so many units.
    struct Impatient(AtomicI64);

    impl Progress for Impatient {
        fn begin(&self, _stage: &str, _length: u64) {}

        fn advance(&self, _count: u64, _message: &dyn Fn() -> String) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }

        fn finish(&self, _message: &str) {}

        fn cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed) < 0
        }
    }

    fn some() -> Vec<Experiment> {
        ["quickstart", "context-length", "single-stream"]
            .map(|name| Experiment::named(name).and_then(|one| one.at_scale(Scale::Toy)).expect(name))
            .into()
    }

    /// Every file under `folder` that must not depend on time, by path.
    fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
                match path.is_dir() {
                    true => open.push(path),
                    false if ["stages.json", "metrics.jsonl", ".lock"].contains(&name.as_str()) => {}
                    false => found.push((path.clone(), std::fs::read(&path).expect("a file"))),
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn interrupted_anywhere_it_ends_with_the_same_bytes() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("all");
        let whole = run_all(&some(), &folder, &crate::progress::NoProgress).expect("all");
        assert_eq!(whole.results.len(), 3);
        let expected = files(&folder);
        assert!(expected.iter().any(|(path, _)| path.ends_with("results/context-length-context-length.svg")));
        std::fs::remove_dir_all(&folder).expect("removed");
        let mut interruptions = 0;
        loop {
            // Reports have the paths of their models: the same folder. Evaluations begin anew, so that patience
            // must grow.
            let patience = 3 * interruptions + 4;
            match run_all(&some(), &folder, &Impatient(AtomicI64::new(patience))) {
                Ok(_) => break,
                Err(Error::Cancelled { .. }) => interruptions += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(interruptions < 200, "it gets nowhere");
        }
        assert!(interruptions > 5, "{interruptions}");
        let found = files(&folder);
        let names =
            |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for ((path, found), (_, expected)) in found.iter().zip(&expected) {
            assert!(found == expected, "{} differs", path.display());
        }
    }

    #[test]
    fn what_fails_says_which_experiment_it_is() {
        let mut experiments = some();
        experiments[1].models[0].set("updates", 0);
        let place = tempfile::tempdir().expect("a folder");
        let error = run_all(&experiments, place.path(), &crate::progress::NoProgress)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("updates") && error.contains("context-length"), "{error}");
    }
}
