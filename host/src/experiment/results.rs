//! What an experiment came to, in short: which reports there are and which claims hold. Nothing of
//! it depends on the machine, the time or what was interrupted.

use super::claims::Verdict;
use super::config::Experiment;
use super::scale::Scale;
use crate::evaluate::{report, Evaluation};
use crate::files::{read_text, write_bytes};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file in the folder of the experiment. It is written last.
const FILE: &str = "results.json";

/// What an experiment came to, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Name of the experiment.
    pub name: String,
    /// How much of it was run.
    pub scale: Scale,
    /// What it makes.
    pub makes: String,
    /// What it stands beside.
    pub beside: String,
    /// What is to be seen there.
    pub shows: String,
    /// Fewest and most training seeds of a model.
    pub seeds: (u32, u32),
    /// Names of the reports: NAME.json, NAME.csv and, where drawing is built in, NAME.svg.
    pub reports: Vec<String>,
    /// Files of the folder, all there are when it is complete.
    pub files: Vec<String>,
    /// What became of its claims.
    pub claims: Vec<Verdict>,
}

/// Writes the reports, and what they come to; adds their paths to `files`, which has the weights.
pub(super) fn write(
    experiment: &Experiment,
    folder: &Path,
    evaluations: &[Evaluation],
    files: &mut Vec<PathBuf>,
) -> Result<Results> {
    let mut reports = Vec::new();
    let mut objects = Vec::new();
    for (config, evaluation) in experiment.evaluations.iter().zip(evaluations) {
        let name = experiment.stem(config)?;
        files.extend(report::write_files(evaluation, &folder.join(&name))?);
        objects.push(report::json(evaluation));
        reports.push(name);
    }
    let claims = experiment.claims.iter().map(|claim| claim.decide(experiment, &objects));
    let claims: Vec<Verdict> = claims.collect::<Result<_>>()?;
    #[cfg(feature = "cli")]
    files.push(write_page(experiment, folder, &reports, evaluations, &claims)?);
    let name_of = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let seeds = || experiment.models.iter().map(|model| model.seeds);
    let results = Results {
        name: experiment.name.clone(),
        scale: experiment.scale,
        makes: experiment.makes.clone(),
        beside: experiment.beside.clone(),
        shows: experiment.shows.clone(),
        seeds: (seeds().min().unwrap_or(0), seeds().max().unwrap_or(0)),
        reports,
        files: files.iter().filter_map(name_of).collect(),
        claims,
    };
    let path = folder.join(FILE);
    let text = serde_json::to_string_pretty(&results).map_err(|error| Error::file(&path, error))?;
    write_bytes(&path, (text + "\n").as_bytes())?;
    files.push(path);
    Ok(results)
}

/// Writes the page of all evaluations.
#[cfg(feature = "cli")]
fn write_page(
    experiment: &Experiment,
    folder: &Path,
    names: &[String],
    evaluations: &[Evaluation],
    claims: &[Verdict],
) -> Result<PathBuf> {
    let source_path = folder.join(super::folder::FILE);
    let source = read_text(&source_path)?;
    let about =
        [("Makes", &experiment.makes), ("Stands beside", &experiment.beside), ("Shows", &experiment.shows)];
    let about = about.into_iter().filter(|(_, text)| !text.is_empty());
    let page = report::html::render(&report::html::Page {
        title: &format!("Experiment {}", experiment.name),
        about: &about.map(|(what, text)| format!("{what}: {text}")).collect::<Vec<_>>(),
        claims: &claims.iter().map(|one| (one.holds, one.text.clone(), one.measured())).collect::<Vec<_>>(),
        evaluations: &names.iter().cloned().zip(evaluations).collect::<Vec<_>>(),
        source: Some((super::folder::FILE, &source)),
        // Paths of models are in the reports: the same folder makes the same bytes.
        repeat: &format!("algodistill reproduce {} --out {}", quoted(&source_path), quoted(folder)),
    });
    report::write_file(&folder.join("report"), "html", &page)
}

/// A path as a shell takes it.
#[cfg(feature = "cli")]
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    shlex::try_quote(&path).map_or_else(|_| path.to_string(), String::from)
}

/// Takes away what an earlier run came to.
pub(super) fn remove(folder: &Path) -> Result<()> {
    let path = folder.join(FILE);
    match path.exists() {
        true => std::fs::remove_file(&path).map_err(|error| Error::io(&path, error)),
        false => Ok(()),
    }
}

impl Results {
    /// Those of `experiment` in `folder`; `None` where it is not complete, or another one's.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read.
    pub fn of(experiment: &Experiment, folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() || !experiment.owns(folder)? {
            return Ok(None);
        }
        // What another version of this program wrote is made anew.
        let results: Option<Self> = serde_json::from_str(&read_text(&path)?).ok();
        Ok(results.filter(|results| results.files.iter().all(|file| folder.join(file).exists())))
    }
}
