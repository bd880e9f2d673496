//! One program on several ranks: processes on one or more machines that `mpirun` starts and that
//! sum, share and gather through MPI.
//!
//! Without an MPI launcher a program is alone, and every method of [`Ranks`] does nothing. With the
//! feature `mpi` and a launcher, all ranks run the same code on their own share of the data, and
//! each must call the same methods in the same order. An error on one rank ends them all:
//! nobody waits for a rank that is gone.

mod affinity;
#[cfg(feature = "mpi")]
mod guard;
#[cfg(feature = "mpi")]
mod world;
#[cfg(not(feature = "mpi"))]
#[path = "no_world.rs"]
mod world;

use crate::{Error, Result};
use std::time::Duration;
use world::World;

/// The ranks of this run, seen from one of them.
pub struct Ranks {
    world: Option<World>,
}

impl Ranks {
    /// A single process.
    pub fn alone() -> Self {
        Self { world: None }
    }

    /// Meets the other ranks, where an MPI launcher started this process; to be called once, before
    /// any thread exists. `advice` is what a user is told whose run lost a rank.
    ///
    /// # Errors
    /// [`Error::Argument`] where a launcher started several ranks but this program was built
    /// without MPI: they would all do the same work.
    pub fn start(advice: &'static str) -> Result<Self> {
        let Some(launched) = Launched::find(|name| std::env::var(name).ok()) else {
            return Ok(Self::alone());
        };
        World::start(launched, advice).map(|world| Self { world })
    }

    /// Number of this rank, counted from 0.
    pub fn rank(&self) -> usize {
        self.world.as_ref().map_or(0, World::rank)
    }

    /// Number of ranks.
    pub fn count(&self) -> usize {
        self.world.as_ref().map_or(1, World::count)
    }

    /// Whether this is rank 0, which writes all files and reports.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Threads for this rank, so that the ranks of a machine share its cores; `None` for a single
    /// process.
    pub fn threads(&self) -> Option<usize> {
        self.world.as_ref().map(|world| affinity::threads(&world.gather_local(&affinity::own())))
    }

    /// Replaces `values` by their sums over all ranks, with the same bits on every rank. Where
    /// their number is a power of two they are added in pairs of neighbours, pairs of pairs and
    /// so on: the tree of the training engine's sums.
    pub fn sum(&self, values: &mut [f32]) {
        if let Some(world) = &self.world {
            world.sum(values);
        }
    }

    /// As [`Ranks::sum`], in double precision.
    pub fn sum_f64(&self, values: &mut [f64]) {
        if let Some(world) = &self.world {
            world.sum_f64(values);
        }
    }

    /// Replaces `values` by those of rank 0; their number is the same everywhere.
    pub fn broadcast(&self, values: &mut [f32]) {
        if let Some(world) = &self.world {
            world.broadcast(values);
        }
    }

    /// The bytes of rank 0.
    pub fn broadcast_bytes(&self, own: Vec<u8>) -> Vec<u8> {
        match &self.world {
            Some(world) => world.broadcast_bytes(own),
            None => own,
        }
    }

    /// The bytes of all ranks, on every rank.
    pub fn gather(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        match &self.world {
            Some(world) => world.gather(&own),
            None => vec![own],
        }
    }

    /// Sends bytes to rank 0, which takes them with [`Ranks::receive`]. Returns when they are on
    /// their way.
    pub fn send_to_first(&self, bytes: &[u8]) {
        if let Some(world) = &self.world {
            world.send_to_first(bytes);
        }
    }

    /// Takes the next bytes that `rank` sent to rank 0.
    pub fn receive(&self, rank: usize) -> Vec<u8> {
        self.world.as_ref().map_or_else(Vec::new, |world| world.receive(rank))
    }

    /// Says on standard error what went wrong here, and ends all ranks with exit status `code`;
    /// returns for a single process only.
    pub fn fail(&self, message: &str, code: u8) {
        if let Some(world) = &self.world {
            world.fail(message, code);
        }
    }
}

/// What an MPI launcher told this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Launched {
    rank: usize,
    /// `None` where the launcher says it only through its library.
    count: Option<usize>,
}

impl Launched {
    /// Looks for the variables of Open MPI's `mpirun`, of PMI (MPICH, Intel MPI, `srun --mpi=pmi2`)
    /// and of PMIx (`srun --mpi=pmix`).
    fn find(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        let pairs = [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            ("PMI_RANK", "PMI_SIZE"),
            ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
        ];
        pairs.iter().find_map(|(rank, count)| Some(Self { rank: number(rank)?, count: number(count) }))
    }

    /// Whether there are other ranks, as far as is known.
    fn has_others(self) -> bool {
        self.rank > 0 || self.count.is_some_and(|count| count > 1)
    }
}

/// Where all ranks find the same thing wrong, rank 0 says so, and it ends the others before they
/// would say it as well.
const FIRST_SPEAKS_FOR: Duration = Duration::from_millis(500);

/// Whether a launcher started this process as a rank above 0, which does not print what all ranks
/// print alike. Gives rank 0 the time to do it.
pub fn leaves_word_to_first() -> bool {
    let other = Launched::find(|name| std::env::var(name).ok()).is_some_and(|launched| launched.rank > 0);
    if other {
        std::thread::sleep(FIRST_SPEAKS_FOR);
    }
    other
}

/// Refuses to run a command several times at once that cannot share its work.
///
/// # Errors
/// [`Error::Argument`] where an MPI launcher started several ranks.
pub fn refuse_several(command: &str) -> Result<()> {
    match Launched::find(|name| std::env::var(name).ok()) {
        Some(launched) if launched.has_others() => Err(Error::argument(
            command,
            "runs on one rank only, and an MPI launcher started several; `train` and `generate` run on several",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_is_known_by_its_variables() {
        let with = |variables: &[(&str, &str)]| {
            Launched::find(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
            })
        };
        assert_eq!(with(&[]), None);
        // Set for every process of a Slurm job, also outside of `srun`.
        assert_eq!(with(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]), None);
        let open_mpi = with(&[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "2")]).unwrap();
        assert_eq!(open_mpi, Launched { rank: 0, count: Some(2) });
        assert!(open_mpi.has_others());
        assert!(!with(&[("PMI_RANK", "0"), ("PMI_SIZE", "1")]).unwrap().has_others());
        assert!(with(&[("PMIX_RANK", "3")]).unwrap().has_others());
    }

    #[test]
    fn a_single_process_changes_nothing() {
        let ranks = Ranks::alone();
        let mut values = [1.5, -2.0];
        ranks.sum(&mut values);
        ranks.broadcast(&mut values);
        assert_eq!(values, [1.5, -2.0]);
        assert_eq!((ranks.rank(), ranks.count(), ranks.threads()), (0, 1, None));
        assert_eq!(ranks.gather(vec![7]), [[7]]);
        assert_eq!(ranks.broadcast_bytes(vec![7]), [7]);
    }
}
