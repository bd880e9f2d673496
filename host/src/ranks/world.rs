//! The ranks of an MPI run. All calls of MPI are made by the thread that started it.

use super::{guard, Launched, FIRST_SPEAKS_FOR};
use crate::{Error, Result};
use mpi::collective::SystemOperation;
use mpi::datatype::{Equivalence, PartitionMut};
use mpi::environment::Universe;
use mpi::point_to_point::send_receive_into;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;
use mpi::{Count, Threading};
use std::io::Write;
use std::ops::{AddAssign, Range};

pub struct World {
    ranks: SimpleCommunicator,
    /// Ends MPI when it is dropped: the last field.
    _universe: Universe,
}

impl World {
    pub fn start(launched: Launched, advice: &'static str) -> Result<Option<Self>> {
        guard::watch(launched, advice);
        let refused = |problem| Error::argument("mpirun", problem);
        let (universe, threading) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| refused("MPI was already started in this process"))?;
        if threading < Threading::Funneled {
            return Err(refused("this MPI library cannot be used by a process with several threads"));
        }
        let ranks = universe.world();
        let count = ranks.size() as usize;
        if launched.count.is_some_and(|launched| launched != count) {
            return Err(refused(
                "the launcher says another number of ranks than the MPI library finds; start the program with the mpirun of the \
                 library that it was built with",
            ));
        }
        // Unwinding would end MPI in good order, that is, wait for all other ranks.
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            std::process::abort()
        }));
        Ok(Some(Self { ranks, _universe: universe }))
    }

    pub fn rank(&self) -> usize {
        self.ranks.rank() as usize
    }

    pub fn count(&self) -> usize {
        self.ranks.size() as usize
    }

    /// The bytes of the ranks on this machine, of which all have equally many, beginning with this
    /// rank's.
    pub fn gather_local(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let local = self.ranks.split_shared(self.ranks.rank());
        let mut all = vec![0; own.len() * local.size() as usize];
        local.all_gather_into(own, &mut all[..]);
        let mut parts: Vec<Vec<u8>> = all.chunks_exact(own.len()).map(<[u8]>::to_vec).collect();
        parts.swap(0, local.rank() as usize);
        parts
    }

    pub fn sum(&self, values: &mut [f32]) {
        self.sum_of(values);
    }

    pub fn sum_f64(&self, values: &mut [f64]) {
        self.sum_of(values);
    }

    fn sum_of<T: Equivalence + AddAssign + Copy + Default>(&self, values: &mut [T])
    where
        [T]: BufferMut,
    {
        if self.count().is_power_of_two() {
            return self.sum_in_pairs(values);
        }
        let own = values.to_vec();
        self.ranks.all_reduce_into(&own[..], values, SystemOperation::sum());
        // MPI does not promise the same bits on every rank.
        self.ranks.process_at_rank(0).broadcast_into(values);
    }

    /// Rabenseifner's algorithm: with each partner, at the distances 1, 2, 4, ..., a rank exchanges
    /// one half of what the two still have to add and adds the other half; then the sums go
    /// back the same way. a + b is b + a, so the sums are those of the tree whose leaves are the
    /// ranks.
    fn sum_in_pairs<T: Equivalence + AddAssign + Copy + Default>(&self, values: &mut [T])
    where
        [T]: BufferMut,
    {
        let mut received = vec![T::default(); values.len().div_ceil(2)];
        let mut own = 0..values.len();
        let mut given: Vec<(Count, Range<usize>)> = Vec::new();
        for bit in 0..self.count().trailing_zeros() {
            let partner = self.ranks.rank() ^ (1 << bit);
            let middle = own.start + own.len() / 2;
            let (lower, upper) = (own.start..middle, middle..own.end);
            let (keep, give) = if self.ranks.rank() < partner { (lower, upper) } else { (upper, lower) };
            let process = self.ranks.process_at_rank(partner);
            let sums = &mut received[..keep.len()];
            send_receive_into(&values[give.clone()], &process, &mut *sums, &process);
            values[keep.clone()].iter_mut().zip(sums).for_each(|(value, other)| *value += *other);
            given.push((partner, give));
            own = keep;
        }
        for (partner, give) in given.into_iter().rev() {
            let process = self.ranks.process_at_rank(partner);
            let sums = &mut received[..give.len()];
            send_receive_into(&values[own.clone()], &process, &mut *sums, &process);
            values[give.clone()].copy_from_slice(sums);
            own = own.start.min(give.start)..own.end.max(give.end);
        }
    }

    pub fn broadcast(&self, values: &mut [f32]) {
        self.ranks.process_at_rank(0).broadcast_into(values);
    }

    pub fn broadcast_bytes(&self, mut own: Vec<u8>) -> Vec<u8> {
        let first = self.ranks.process_at_rank(0);
        let mut length = own.len() as u64;
        first.broadcast_into(&mut length);
        own.resize(length as usize, 0);
        first.broadcast_into(&mut own[..]);
        own
    }

    pub fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let mut lengths = vec![0 as Count; self.count()];
        self.ranks.all_gather_into(&(own.len() as Count), &mut lengths[..]);
        let ends: Vec<Count> = lengths
            .iter()
            .scan(0, |end, &length| {
                *end += length;
                Some(*end)
            })
            .collect();
        let starts: Vec<Count> = ends.iter().zip(&lengths).map(|(end, length)| end - length).collect();
        let mut all = vec![0; ends.last().map_or(0, |&end| end as usize)];
        let mut parts = PartitionMut::new(&mut all[..], lengths, &starts[..]);
        self.ranks.all_gather_varcount_into(own, &mut parts);
        starts.iter().zip(&ends).map(|(&start, &end)| all[start as usize..end as usize].to_vec()).collect()
    }

    pub fn send_to_first(&self, bytes: &[u8]) {
        self.ranks.process_at_rank(0).send(bytes);
    }

    pub fn receive(&self, rank: usize) -> Vec<u8> {
        self.ranks.process_at_rank(rank as Count).receive_vec().0
    }

    pub fn fail(&self, message: &str, code: u8) {
        if self.rank() > 0 {
            std::thread::sleep(FIRST_SPEAKS_FOR);
        }
        // In one piece: the launcher writes to the same terminal.
        let text = format!("error: rank {} of {}: {message}\n", self.rank(), self.count());
        let _ = std::io::stderr().write_all(text.as_bytes());
        self.ranks.abort(code.into())
    }
}
