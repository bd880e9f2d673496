//! The int8 agent for programs that have an allocator: it owns its weights and its memory.

use crate::{files, Result};
use algodistill_core::{Agent, Error, Interface, Model, PortableRng, Sampling};
use self_cell::{self_cell, MutBorrow};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Largest weights file: what the largest dimensions of the format come to, 0.94 GB, with room for
/// a card.
pub const MAX_WEIGHTS_BYTES: u64 = 1 << 30;

struct Memory {
    weights: Arc<[u8]>,
    workspace: MutBorrow<Vec<u32>>,
}

self_cell!(
    struct Cell {
        owner: Memory,
        #[not_covariant]
        dependent: Agent,
    }
);

fn agent_in(memory: &Memory) -> std::result::Result<Agent<'_>, Error> {
    Agent::new(Model::decode(&memory.weights)?, memory.workspace.borrow_mut())
}

/// Bytes of the state of the random numbers, at the front of a snapshot with them.
const RANDOM_LEN: usize = 16;

/// The random numbers and the context of [`OwnedAgent::snapshot_with`]; `None` where there are too
/// few bytes for the first.
pub fn split_snapshot(bytes: &[u8]) -> Option<(PortableRng, &[u8])> {
    let (state, context) = bytes.split_first_chunk::<RANDOM_LEN>()?;
    let words = state.as_chunks::<4>().0;
    let rng = PortableRng::from_state(std::array::from_fn(|word| u32::from_le_bytes(words[word])));
    Some((rng, context))
}

/// The agent that firmware runs, in one piece that can be kept, moved and sent to another thread.
/// Agents made from the same bytes share them.
///
/// Calls in turn: [`OwnedAgent::act`], [`OwnedAgent::feedback`].
///
/// ```no_run
/// use algodistill::export::OwnedAgent;
/// use algodistill_core::PortableRng;
///
/// let mut agent = OwnedAgent::read("models/dark-room.adw".as_ref())?;
/// let mut rng = PortableRng::new(7, 0);
/// let action = agent.act(&[4, 4], &mut rng).expect("an observation that the model knows");
/// agent.feedback(0.0, None).expect("an action came before");
/// # Ok::<(), algodistill::Error>(())
/// ```
pub struct OwnedAgent {
    cell: Cell,
}

impl OwnedAgent {
    /// An agent with an empty context from the bytes of a weights file (`.adw`); it samples at
    /// temperature 1.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn new(weights: impl Into<Arc<[u8]>>) -> std::result::Result<Self, Error> {
        let weights = weights.into();
        let words = Model::decode(&weights)?.workspace_words();
        let memory = Memory { weights, workspace: MutBorrow::new(vec![0; words]) };
        Ok(Self { cell: Cell::try_new(memory, agent_in)? })
    }

    /// The same from a file.
    ///
    /// # Errors
    /// [`crate::Error::File`] and [`crate::Error::Io`] for a file that cannot be read, or is no
    /// model.
    pub fn read(path: &Path) -> Result<Self> {
        let weights = files::read_bytes(path, MAX_WEIGHTS_BYTES)?;
        Self::new(weights).map_err(|error| crate::Error::file(path, error))
    }

    /// Chooses how actions are drawn.
    ///
    /// # Errors
    /// A temperature outside .01 to 100.
    pub fn set_sampling(&mut self, sampling: Sampling) -> std::result::Result<(), Error> {
        self.cell.with_dependent_mut(|_, agent| agent.set_sampling(sampling))
    }

    /// As [`Agent::act`].
    ///
    /// # Errors
    /// As there.
    pub fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> std::result::Result<usize, Error> {
        self.cell.with_dependent_mut(|_, agent| agent.act(observation, rng))
    }

    /// As [`Agent::demonstrate`].
    ///
    /// # Errors
    /// As there.
    pub fn demonstrate(&mut self, observation: &[i32], action: usize) -> std::result::Result<(), Error> {
        self.cell.with_dependent_mut(|_, agent| agent.demonstrate(observation, action))
    }

    /// As [`Agent::feedback`].
    ///
    /// # Errors
    /// As there.
    pub fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> std::result::Result<(), Error> {
        self.cell.with_dependent_mut(|_, agent| agent.feedback(reward, ended))
    }

    /// Forgets the task: empties the context.
    pub fn reset(&mut self) {
        self.cell.with_dependent_mut(|_, agent| agent.reset());
    }

    /// Logits of the last step, one per action.
    pub fn logits(&self) -> Vec<f32> {
        self.logits_q16().into_iter().map(|logit| logit as f32 / 65_536.0).collect()
    }

    /// The same as the device has them: Q16.16.
    pub fn logits_q16(&self) -> Vec<i32> {
        self.cell.with_dependent(|_, agent| agent.logits().to_vec())
    }

    /// The context, to be kept. [`PortableRng::state`] belongs beside it.
    ///
    /// # Errors
    /// As [`Agent::snapshot`].
    pub fn snapshot(&self) -> std::result::Result<Vec<u8>, Error> {
        self.cell.with_dependent(|_, agent| {
            let mut bytes = vec![0; agent.snapshot_len()];
            let len = agent.snapshot(&mut bytes)?;
            bytes.truncate(len);
            Ok(bytes)
        })
    }

    /// The context with the random numbers to go on with, whose state is in front: what
    /// [`split_snapshot`] takes apart.
    ///
    /// # Errors
    /// As [`Agent::snapshot`].
    pub fn snapshot_with(&self, rng: &PortableRng) -> std::result::Result<Vec<u8>, Error> {
        let state = rng.state().into_iter().flat_map(u32::to_le_bytes);
        let context = self.snapshot()?;
        Ok(state.chain(context).collect())
    }

    /// Restores a context that was kept with the same weights. On an error the context is as
    /// before.
    ///
    /// # Errors
    /// As [`Agent::restore`].
    pub fn restore(&mut self, snapshot: &[u8]) -> std::result::Result<(), Error> {
        self.cell.with_dependent_mut(|_, agent| agent.restore(snapshot))
    }

    /// What the model sees and does.
    pub fn interface(&self) -> Interface {
        self.cell.with_dependent(|_, agent| agent.model().interface().clone())
    }
}

impl fmt::Debug for OwnedAgent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.cell
            .with_dependent(|_, agent| f.debug_struct("OwnedAgent").field("model", agent.model()).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Arc<[u8]> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dark-room.adw")).unwrap().into()
    }

    fn steps(agent: &mut OwnedAgent, rng: &mut PortableRng, count: i32) -> Vec<(usize, Vec<f32>)> {
        let step = |at: i32| {
            let action = agent.act(&[at % 9, 4], rng).unwrap();
            agent.feedback((at % 2) as f32, (at % 20 == 19).then_some(&[1, 2][..])).unwrap();
            (action, agent.logits())
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn an_owned_agent_does_what_a_borrowing_one_does_in_any_thread() {
        let weights = shipped();
        let model = Model::decode(&weights).unwrap();
        let mut workspace = vec![0; model.workspace_words()];
        let mut borrowing = Agent::new(model, &mut workspace).unwrap();
        let mut rng = PortableRng::new(3, 0);
        let expected: Vec<usize> = (0..50)
            .map(|at| {
                let action = borrowing.act(&[at % 9, 4], &mut rng).unwrap();
                borrowing.feedback((at % 2) as f32, (at % 20 == 19).then_some(&[1, 2][..])).unwrap();
                action
            })
            .collect();
        let mut agent = OwnedAgent::new(weights.clone()).unwrap();
        let thread = std::thread::spawn(move || steps(&mut agent, &mut PortableRng::new(3, 0), 50));
        let found: Vec<usize> = thread.join().unwrap().into_iter().map(|(action, _)| action).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_context_is_kept_restored_and_forgotten() {
        let mut agent = OwnedAgent::new(shipped()).unwrap();
        let mut rng = PortableRng::new(1, 0);
        let fresh = steps(&mut agent, &mut rng, 30);
        let (kept, state) = (agent.snapshot().unwrap(), rng.clone());
        let on = steps(&mut agent, &mut rng, 10);
        agent.restore(&kept).unwrap();
        assert_eq!(steps(&mut agent, &mut state.clone(), 10), on);
        agent.reset();
        assert_eq!(steps(&mut agent, &mut PortableRng::new(1, 0), 30), fresh);
        assert!(agent.restore(&kept[1..]).is_err());
        assert!(OwnedAgent::new(&shipped()[..1000]).is_err());
    }
}
