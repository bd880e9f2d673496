//! Built without MPI: there are no other ranks.

use super::Launched;
use crate::{Error, Result};

/// Never exists.
pub enum World {}

impl World {
    pub fn start(launched: Launched, _advice: &'static str) -> Result<Option<Self>> {
        match launched.has_others() {
            false => Ok(None),
            true => Err(Error::argument(
                "mpirun",
                "an MPI launcher started several ranks, but this program was built without MPI, so that each would do all the \
                 work by itself; build it with `cargo build --release --features mpi`",
            )),
        }
    }

    pub fn rank(&self) -> usize {
        match *self {}
    }

    pub fn count(&self) -> usize {
        match *self {}
    }

    pub fn gather_local(&self, _own: &[u8]) -> Vec<Vec<u8>> {
        match *self {}
    }

    pub fn sum(&self, _values: &mut [f32]) {
        match *self {}
    }

    pub fn sum_f64(&self, _values: &mut [f64]) {
        match *self {}
    }

    pub fn broadcast(&self, _values: &mut [f32]) {
        match *self {}
    }

    pub fn broadcast_bytes(&self, _own: Vec<u8>) -> Vec<u8> {
        match *self {}
    }

    pub fn gather(&self, _own: &[u8]) -> Vec<Vec<u8>> {
        match *self {}
    }

    pub fn send_to_first(&self, _bytes: &[u8]) {
        match *self {}
    }

    pub fn receive(&self, _rank: usize) -> Vec<u8> {
        match *self {}
    }

    pub fn fail(&self, _message: &str, _code: u8) {
        match *self {}
    }
}
