//! Whose folder it is: a run goes on in its own, and no other begins there.

use super::config::{Experiment, ModelConfig};
use crate::files::{read_text, write_bytes};
use crate::{Error, Result};
use std::path::Path;

/// Name of the file that says whose it is, with every default filled in.
pub(super) const FILE: &str = "experiment.toml";

impl Experiment {
    /// What is written into its folder, from which it can be read again.
    fn to_toml(&self, path: &Path) -> Result<String> {
        toml::to_string(&self.resolved()?).map_err(|error| Error::file(path, error))
    }

    /// Whether `folder` holds a run of this experiment, word for word.
    pub(super) fn owns(&self, folder: &Path) -> Result<bool> {
        let path = folder.join(FILE);
        Ok(path.exists() && read_text(&path)? == self.to_toml(&path)?)
    }

    /// Writes down that `folder` is its own.
    pub(super) fn claim(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        write_bytes(&path, self.to_toml(&path)?.as_bytes())
    }

    /// Refuses a folder that has histories or models which this experiment would make otherwise.
    /// Evaluations, claims, words and seeds may be others, and there may be more models.
    pub(super) fn refuse_other(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        if !path.exists() || self.owns(folder)? {
            return Ok(());
        }
        let different = match toml::from_str::<Self>(&read_text(&path)?) {
            // What was added to the program since then has its default.
            Ok(then) => self.resolved()?.different_from(&then.resolved().unwrap_or(then)),
            Err(_) => Some("it cannot be read".into()),
        };
        let Some(different) = different else { return Ok(()) };
        // What was asked for is wrong, not the file.
        let problem = format!(
            "this folder holds a run of another experiment: {different}; choose another folder, or remove it"
        );
        Err(Error::argument(path.display().to_string(), problem))
    }

    /// What `then` made that this would make otherwise, in words; both have everything filled in.
    fn different_from(&self, then: &Self) -> Option<String> {
        if self.name != then.name {
            return Some(format!("{:?}", then.name));
        }
        if self.scale != then.scale {
            return Some("of another scale".into());
        }
        for old in &then.histories {
            match self.histories.iter().find(|new| new.name == old.name) {
                None => return Some(format!("it has histories {:?}, this has none", old.name)),
                Some(new) if new != old => return Some(format!("its histories {:?} are others", old.name)),
                _ => {}
            }
        }
        let made =
            |model: &ModelConfig| ModelConfig { label: None, line: None, x: None, seeds: 0, ..model.clone() };
        for old in &then.models {
            match self.models.iter().find(|new| new.name == old.name) {
                None => return Some(format!("it has a model {:?}, this has none", old.name)),
                Some(new) if made(new) != made(old) => {
                    return Some(format!("its model {:?} is trained otherwise", old.name));
                }
                _ => {}
            }
        }
        // The first model has files that are called otherwise, and RL2 is trained where the first
        // histories are.
        let firsts = |one: &Self| {
            let model = one.models.first().map(|model| model.name.clone());
            (one.histories.first().map(|histories| histories.name.clone()), model)
        };
        let (new, old) = (firsts(self), firsts(then));
        let another = new.0 != old.0 || (old.1.is_some() && new.1 != old.1);
        another.then(|| "its first histories or its first model are others".into())
    }
}
