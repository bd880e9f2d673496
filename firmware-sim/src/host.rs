//! The device played by the host: a workspace of exactly the size that the weights' header asks
//! for, and an allocator that ends the program if anything allocates after start-up.

use crate::environment::Environment;
use crate::trace::{Recorder, Trace};
use crate::ALLOCATOR;
use algodistill_core::env::AnyTask;
use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use algodistill_core::log::{channel_bytes, StepLog, BLOCKS_PER_HEADER, BLOCK_BYTES};
use algodistill_core::{workspace_words, Agent, Error, Model, PortableRng, Transition};
use anyhow::{bail, Context};
use firmware_session::request::Request;
use firmware_session::session::{self, Simulated, World, AGENT_STREAM};
use std::path::Path;

/// What is run.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub model: &'a Path,
    pub environment: &'a Environment,
    /// Number of the task.
    pub task: u32,
    pub episodes: u32,
    pub seed: u64,
    /// The environment has a generator of its own, as where it is at the other end of a link.
    pub apart: bool,
    /// The steps are logged.
    pub log: bool,
}

impl Run<'_> {
    /// Runs it on the host.
    pub fn trace(&self) -> anyhow::Result<Trace> {
        let file = read_model(self.model)?;
        let model = Model::decode(&file).with_context(|| self.model.display().to_string())?;
        self.environment.check(self.model, &model)?;
        let mut workspace = vec![0; workspace_words(&file).context("no header")?];
        let mut recorder = Recorder::new(self.steps());
        if let Some(about) = self.request().log_of(model.crc()) {
            recorder = recorder.logging(StepLog::new(about), self.log_bytes());
        }
        let world = self.world()?;
        let mut observation = vec![0; MAX_OBSERVATION_WORDS];
        ALLOCATOR.seal();
        let outcome = self.session(&file, &mut workspace, world, &mut recorder, &mut observation);
        ALLOCATOR.unseal();
        outcome?;
        recorder.logged?;
        Ok(recorder.finish())
    }

    /// What a device is asked for.
    fn request(&self) -> Request {
        let Self { environment, task, episodes, seed, log, .. } = *self;
        let Environment { preset, ref family } = *environment;
        match self.apart {
            false => Request::Simulate { preset, environment: family.clone(), task, episodes, seed, log },
            true => Request::Feed { seed, log },
        }
    }

    /// Most steps.
    fn steps(&self) -> usize {
        self.episodes as usize * self.environment.family.horizon() as usize
    }

    /// Most bytes of the log.
    fn log_bytes(&self) -> usize {
        /// Action, feedback and reward.
        const STEP: usize = 6;
        /// Marker, numbers and CRC of a block of steps; a header.
        const BLOCK: usize = 16;
        const HEADER: usize = 256;
        let episodes = self.episodes as usize;
        let observation: usize = self.environment.family.interface().channels.iter().map(channel_bytes).sum();
        let records = self.steps() * (observation + STEP) + episodes * observation;
        let blocks = episodes + records / BLOCK_BYTES + 1;
        records + blocks * BLOCK + (blocks / BLOCKS_PER_HEADER as usize + 1) * HEADER
    }

    /// The task, and a generator.
    pub fn world(&self) -> anyhow::Result<Apart> {
        let Environment { preset, family } = self.environment;
        let task = family
            .task(self.task)
            .with_context(|| format!("task {} of {preset} does not exist", self.task))?;
        Ok(Apart { world: Simulated::new(task, self.episodes), rng: PortableRng::new(self.seed, 0) })
    }

    fn session(
        &self,
        weights: &[u8],
        workspace: &mut [u32],
        mut apart: Apart,
        recorder: &mut Recorder,
        observation: &mut [i32],
    ) -> Result<(), Error> {
        let mut agent = Agent::new(Model::decode(weights)?, workspace)?;
        if self.apart {
            let mut agent_rng = PortableRng::new(self.seed, AGENT_STREAM);
            return session::run(&mut agent, &mut apart, &mut agent_rng, recorder, observation);
        }
        let Apart { world, rng } = &mut apart;
        session::run(&mut agent, world, rng, recorder, observation)
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

/// A world with a generator of its own.
#[derive(Clone)]
pub struct Apart {
    pub world: Simulated<AnyTask>,
    pub rng: PortableRng,
}

impl World for Apart {
    fn observe(&mut self, observation: &mut [i32], _agent: &mut PortableRng) -> bool {
        self.world.observe(observation, &mut self.rng)
    }

    fn apply(&mut self, action: usize, observation: &mut [i32], _agent: &mut PortableRng) -> Transition {
        self.world.apply(action, observation, &mut self.rng)
    }
}
