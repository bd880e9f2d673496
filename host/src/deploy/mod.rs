//! `deploy`: a folder that builds for a microcontroller: library, header, model, main loop, manifests.

pub mod cores;
pub mod ecosystem;
mod folder;
mod library;
mod model;
pub mod toolchain;

use crate::export::MAX_WEIGHTS_BYTES;
use crate::{files, Error, Result};
use cores::{Core, CORES};
use ecosystem::{Ecosystem, Layout, ECOSYSTEMS};
use include_dir::{include_dir, Dir};
use library::Files;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use std::path::{Path, PathBuf};

static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/src/deploy/templates");
/// A file with this ending is a template; the folder has it without.
const ENDING: &str = ".jinja";
const LICENSES: [(&str, &str); 2] = [
    ("LICENSE-APACHE", include_str!("../../../LICENSE-APACHE")),
    ("LICENSE-MIT", include_str!("../../../LICENSE-MIT")),
];
const HEADER: &str = include_str!("../../../core/include/algodistill.h");

/// What was written.
#[derive(Debug, serde::Serialize)]
pub struct Deployed {
    /// Cores that it is for, by name.
    pub cores: Vec<&'static str>,
    /// Paths in the folder, in order.
    pub files: Vec<PathBuf>,
    /// What it takes of each core.
    pub memory: Vec<Memory>,
}

/// Bytes that a folder takes of a core. What else the firmware has, drivers for one, is not in them.
#[derive(Debug, serde::Serialize)]
pub struct Memory {
    /// By name.
    pub core: &'static str,
    /// Agent and loop.
    pub code: usize,
    /// Code and weights.
    pub flash: usize,
    /// Context and working memory.
    pub workspace: usize,
    /// The agent itself and the last observation.
    pub agent: usize,
    /// Of the task that starts the agent.
    pub stack: usize,
    /// Workspace, agent and stack.
    pub ram: usize,
}

/// `AD_AGENT_WORDS` words, and a generator of random numbers.
const AGENT: usize = 4 * 128 + 16;
/// `.ci/deploy` runs every core with these (tests/deploy/board.ld).
const STACK: usize = 4 * 1024;

impl Memory {
    /// `None` where there is no such folder for the core.
    fn new(ecosystem: &Ecosystem, core: &Core, model: &model::Values) -> Option<Self> {
        let code = if ecosystem.c.is_some() { core.c_code } else { core.rust_code? };
        let (workspace, agent) = (4 * model.workspace_words, AGENT + 4 * model.observation_words);
        Some(Self {
            core: core.name,
            code,
            flash: code + model.bytes,
            workspace,
            agent,
            stack: STACK,
            ram: workspace + agent + STACK,
        })
    }
}

/// Writes the folder `out` for the weights file `model`, whole or not at all. `cores` are names of
/// [`CORES`], of [`Ecosystem::cores`]; with none, all that a folder can be for.
///
/// # Errors
/// [`Error::File`] where the model is none or the folder is not empty; [`Error::Argument`] for an
/// ecosystem, a chip or a core that there is not; what to install where no compiler can build for a
/// core.
pub fn deploy(model: &Path, ecosystem: &str, cores: &[String], out: &Path) -> Result<Deployed> {
    let ecosystem = find_ecosystem(ecosystem)?;
    let cores = choose(ecosystem, cores)?;
    folder::check_free(out)?;
    let bytes = files::read_bytes(model, MAX_WEIGHTS_BYTES)?;
    let values = model::Values::new(model, &bytes)?;
    let memory: Vec<Memory> = cores.iter().filter_map(|core| Memory::new(ecosystem, core, &values)).collect();
    let mut files = texts(ecosystem, &cores, &values, &memory);
    match &ecosystem.c {
        Some(layout) => add_libraries(layout, &cores, &mut files)?,
        None => {
            for (path, content) in library::core_crate() {
                files.insert(Path::new("algodistill-core").join(path), content);
            }
            files.insert("src/model.adw".into(), bytes);
        }
    }
    folder::write(out, &files)?;
    Ok(Deployed {
        cores: cores.iter().map(|core| core.name).collect(),
        files: files.into_keys().collect(),
        memory,
    })
}

/// All that is no library and no weights file.
fn texts(ecosystem: &Ecosystem, cores: &[&Core], model: &model::Values, memory: &[Memory]) -> Files {
    let context = minijinja::context! {
        model => Value::from(Serde(model)),
        cores => Value::from(Serde(cores)),
        memory => Value::from(Serde(memory)),
        title => ecosystem.title,
        version => env!("CARGO_PKG_VERSION"),
    };
    let mut files: Files = LICENSES.map(|(name, text)| (name.into(), text.into())).into();
    let templates = Templates::new();
    templates.add(ecosystem.name, Path::new(""), &context, &mut files);
    if let Some(layout) = &ecosystem.c {
        templates.add("common/include", Path::new(layout.headers), &context, &mut files);
        templates.add("common/src", Path::new(layout.sources), &context, &mut files);
        files.insert(layout.device.into(), templates.render("common/device.c.jinja", &context));
        files.insert(Path::new(layout.headers).join("algodistill.h"), HEADER.into());
    }
    files
}

fn find_ecosystem(name: &str) -> Result<&'static Ecosystem> {
    ECOSYSTEMS.iter().find(|ecosystem| ecosystem.name == name).ok_or_else(|| {
        let names: Vec<&str> = ECOSYSTEMS.iter().map(|ecosystem| ecosystem.name).collect();
        Error::argument("--for", format!("is {name:?}, expected one of {}", names.join(", ")))
    })
}

/// The cores of these names, in the order of [`CORES`].
fn choose(ecosystem: &Ecosystem, names: &[String]) -> Result<Vec<&'static Core>> {
    for name in names {
        refuse_xtensa(name)?;
        if !ecosystem.cores.contains(&name.as_str()) {
            let known = ecosystem.cores.join(", ");
            let chip = core_of(name).map_or(String::new(), |core| format!(", a chip with the core {core}"));
            let problem = format!("is {name:?}{chip}; a folder for {} can be for {known}", ecosystem.title);
            return Err(Error::argument("--core", problem));
        }
        if names.iter().filter(|other| *other == name).count() > 1 {
            return Err(Error::argument("--core", format!("is {name:?} twice; name each core once")));
        }
    }
    let is_wanted = |core: &&Core| match names.is_empty() {
        true => ecosystem.cores.iter().take(ecosystem.most_cores).any(|name| *name == core.name),
        false => names.iter().any(|name| name == core.name),
    };
    let chosen: Vec<&Core> = CORES.iter().filter(is_wanted).collect();
    if chosen.len() > ecosystem.most_cores {
        let problem = format!("a folder for {} is for one core; make one for each", ecosystem.title);
        return Err(Error::argument("--core", problem));
    }
    Ok(chosen)
}

/// The core of Espressif's chips: people know these by name.
fn core_of(chip: &str) -> Option<&'static str> {
    match plain(chip).as_str() {
        "esp32c2" | "esp32c3" => Some("rv32imc"),
        "esp32c6" | "esp32h2" => Some("rv32imac"),
        _ => None,
    }
}

/// However capitals and hyphens are set.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '_'], "")
}

/// Who has such a chip should learn more than that the name is none of the list.
fn refuse_xtensa(name: &str) -> Result<()> {
    if !matches!(plain(name).as_str(), "xtensa" | "lx6" | "lx7" | "esp32" | "esp32s2" | "esp32s3" | "esp8266")
    {
        return Ok(());
    }
    let problem = format!(
        "is {name:?}, an Xtensa processor: the stable Rust compiler has no target for it, so there is no library; \
         use an ESP32-C3 (rv32imc), ESP32-C6 or ESP32-H2 (rv32imac)"
    );
    Err(Error::argument("--core", problem))
}

fn add_libraries(layout: &Layout, cores: &[&Core], files: &mut Files) -> Result<()> {
    let placed: Vec<_> = cores.iter().flat_map(|core| (layout.libraries)(core)).collect();
    let mut needed: Vec<_> = placed.iter().map(|(_, library)| *library).collect();
    needed.sort_by_key(|library| library.triple);
    needed.dedup();
    let archives = library::build(&needed)?;
    for (folder, library) in placed {
        if let Some(archive) = archives.get(library.triple) {
            files.insert(Path::new(&folder).join("libalgodistill.a"), archive.clone());
        }
    }
    Ok(())
}

/// The templates, which are part of this program: one that does not render is a defect of it, which
/// its tests find.
struct Templates(Environment<'static>);

impl Templates {
    fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .expect("the usual delimiters");
        environment.set_syntax(syntax);
        let mut all = Files::new();
        library::add_folder(&TEMPLATES, Path::new(""), &mut all);
        all.retain(|path, _| path.to_string_lossy().ends_with(ENDING));
        for (path, content) in all {
            let text = String::from_utf8(content).expect("templates are text");
            environment
                .add_template_owned(path.to_string_lossy().into_owned(), text)
                .expect("templates of this program are valid");
        }
        Self(environment)
    }

    fn render(&self, name: &str, context: &Value) -> Vec<u8> {
        let template = self.0.get_template(name).expect("a template of this program");
        template.render(context).expect("templates of this program render").into_bytes()
    }

    /// Adds all files of the folder of templates `from` under `to`.
    fn add(&self, from: &str, to: &Path, context: &Value, files: &mut Files) {
        let mut all = Files::new();
        let folder = TEMPLATES.get_dir(from).expect("a folder of templates");
        library::add_folder(folder, Path::new(""), &mut all);
        for (path, content) in all {
            let name = path.to_string_lossy();
            let inner = path.strip_prefix(from).unwrap_or(&path);
            let (inner, content) = match inner.to_string_lossy().strip_suffix(ENDING) {
                Some(plain) => (PathBuf::from(plain), self.render(&name, context)),
                None => (inner.to_path_buf(), content),
            };
            files.insert(to.join(inner), content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_renders_for_every_model_and_core() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        for name in ["bandit.adw", "dark-room.adw", "servo.adw", "watermaze.adw"] {
            let path = models.join(name);
            let bytes = files::read_bytes(&path, MAX_WEIGHTS_BYTES).unwrap();
            let values = model::Values::new(&path, &bytes).unwrap();
            for ecosystem in &ECOSYSTEMS {
                for core in ecosystem.cores {
                    let cores = choose(ecosystem, &[(*core).into()]).unwrap();
                    let memory = Memory::new(ecosystem, cores[0], &values).unwrap();
                    let flash = memory.flash.to_string();
                    let files = texts(ecosystem, &cores, &values, &[memory]);
                    let readme = String::from_utf8(files[Path::new("README.md")].clone()).unwrap();
                    assert!(readme.contains(&flash), "{}", ecosystem.name);
                    assert!(readme.contains(&values.crc), "{}", ecosystem.name);
                    assert!(!files.keys().any(|path| path.to_string_lossy().contains("jinja")));
                }
            }
        }
    }

    #[test]
    fn every_ecosystem_is_for_cores_of_the_list_and_has_a_place_for_their_libraries() {
        for ecosystem in &ECOSYSTEMS {
            let all = choose(ecosystem, &[]).unwrap();
            assert_eq!(all.len(), ecosystem.most_cores, "{}", ecosystem.name);
            if let Some(layout) = &ecosystem.c {
                for core in &all {
                    let placed = (layout.libraries)(core);
                    assert!(core.libraries().all(|library| placed.iter().any(|(_, one)| *one == library)));
                }
            }
        }
    }
}
