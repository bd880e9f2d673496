//! The device played by the host: weights in a static slice, a static workspace of exactly the size that the weights' header asks for, and an
//! allocator that ends the program if anything allocates after start-up.

use crate::trace::{Recorder, Trace};
use crate::ALLOCATOR;
use algodistill_core::{workspace_words, Agent, Error, Model, PortableRng, Transition};
use anyhow::{anyhow, bail, Context};
use firmware_session::session::{self, World};
use firmware_session::task::{EnvironmentName, Task, AGENT_STREAM};
use std::path::Path;
use std::sync::Mutex;

static DARK_ROOM: &[u8] = include_bytes!("../../models/dark-room.adw");
static BANDIT: &[u8] = include_bytes!("../../models/bandit.adw");
/// A damaged header does not compile.
const DARK_ROOM_WORDS: usize = workspace_words(DARK_ROOM).unwrap();
const BANDIT_WORDS: usize = workspace_words(BANDIT).unwrap();
static DARK_ROOM_WORKSPACE: Mutex<[u32; DARK_ROOM_WORDS]> = Mutex::new([0; DARK_ROOM_WORDS]);
static BANDIT_WORKSPACE: Mutex<[u32; BANDIT_WORDS]> = Mutex::new([0; BANDIT_WORDS]);

/// What is run.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// `None`: the shipped model, compiled in.
    pub model: Option<&'a Path>,
    pub environment: EnvironmentName,
    pub episodes: u32,
    pub seed: u64,
    /// The environment has a generator of its own, as where it is at the other end of a link.
    pub apart: bool,
}

impl Run<'_> {
    /// Runs it on the host.
    pub fn trace(&self) -> anyhow::Result<Trace> {
        match (self.model, self.environment) {
            (Some(path), _) => {
                let file = read_model(path)?;
                let model = Model::decode(&file).with_context(|| path.display().to_string())?;
                if model.interface() != Model::decode(self.shipped())?.interface() {
                    let (path, name) = (path.display(), self.environment.name());
                    bail!("{path}: the model sees or does something else than in {name}; expected one that was trained for it");
                }
                self.sealed(&file, &mut vec![0; model.workspace_words()])
            }
            (None, EnvironmentName::DarkRoom) => self.sealed_static(DARK_ROOM, &DARK_ROOM_WORKSPACE),
            (None, EnvironmentName::Bandit) => self.sealed_static(BANDIT, &BANDIT_WORKSPACE),
        }
    }

    /// The shipped model of the environment.
    fn shipped(&self) -> &'static [u8] {
        match self.environment {
            EnvironmentName::DarkRoom => DARK_ROOM,
            EnvironmentName::Bandit => BANDIT,
        }
    }

    fn sealed_static<const WORDS: usize>(
        &self,
        weights: &'static [u8],
        workspace: &'static Mutex<[u32; WORDS]>,
    ) -> anyhow::Result<Trace> {
        let mut workspace = workspace.lock().map_err(|_| anyhow!("the workspace is in use"))?;
        self.sealed(weights, workspace.as_mut_slice())
    }

    /// Runs with the allocator sealed.
    fn sealed(&self, weights: &[u8], workspace: &mut [u32]) -> anyhow::Result<Trace> {
        let mut recorder = Recorder::new(self.episodes as usize * self.environment.horizon() as usize);
        let mut rng = PortableRng::new(self.seed, 0);
        let task =
            Task::draw(self.environment, self.episodes, &mut rng).context("the task does not exist")?;
        ALLOCATOR.seal();
        let outcome = self.session(weights, workspace, task, rng, &mut recorder);
        ALLOCATOR.unseal();
        outcome?;
        Ok(recorder.finish())
    }

    fn session(
        &self,
        weights: &[u8],
        workspace: &mut [u32],
        mut task: Task,
        mut rng: PortableRng,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let mut agent = Agent::new(Model::decode(weights)?, workspace)?;
        if self.apart {
            let mut agent_rng = PortableRng::new(self.seed, AGENT_STREAM);
            return session::run(&mut agent, &mut Apart { task, rng }, &mut agent_rng, recorder);
        }
        session::run(&mut agent, &mut task, &mut rng, recorder)
    }
}

/// The bytes of a weights file.
pub fn read_model(path: &Path) -> anyhow::Result<Vec<u8>> {
    // A device has no more flash than this; a file without an end would fill the memory.
    const MOST: u64 = 1 << 28;
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    if !metadata.is_file() || metadata.len() > MOST {
        bail!("{}: not a weights file: expected a regular file of at most {MOST} bytes", path.display());
    }
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// A task with a generator of its own.
pub struct Apart {
    pub task: Task,
    pub rng: PortableRng,
}

impl World for Apart {
    fn observe(&mut self, observation: &mut [i32], _agent: &mut PortableRng) -> bool {
        self.task.observe(observation, &mut self.rng)
    }

    fn apply(&mut self, action: usize, _agent: &mut PortableRng) -> Transition {
        self.task.apply(action, &mut self.rng)
    }
}
