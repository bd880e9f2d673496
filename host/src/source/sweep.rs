//! The ideal sweep of a Dark Room: no two steps of the search on the same cell.

use super::{pair_with, wrong_environment, Algorithm, Learning, Outcome, Source};
use crate::environment::rooms::{cell, distance, step_towards};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::env::grid::{Cell, Grid};
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// [`SweepSource`] has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {}

impl Algorithm for Sweep {
    const NAME: &'static str = "sweep";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<DarkRoom>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        let Some(room) = environment.family::<DarkRoom>() else {
            return Err(wrong_environment(Self::NAME, environment));
        };
        let source = SweepSource::new(room.grid(), room.start.fixed(room.grid()));
        pair_with(environment, room, task, source)
    }
}

/// Goes to the nearest cell that may be the goal, and straight to the goal once it was paid.
///
/// Of the nearest it takes the first in the order of four snakes around the start, one above it to
/// the right, the others that one turned. In a room of odd side, from its centre and with a horizon
/// of a quarter of the cells, it so sweeps one snake per episode and no cell twice; whatever is not
/// found then is at the start itself. No learner can do better there.
#[derive(Clone, Debug)]
pub struct SweepSource {
    /// All cells in the order of the snakes, the start last.
    order: Vec<Cell>,
    /// The cells of `order` that may be the goal.
    possible: Vec<Cell>,
    aim: Option<Cell>,
    found: bool,
}

impl SweepSource {
    /// A source for any goal of the room. A random start has its snakes around the centre.
    pub fn new(grid: Grid, start: Option<Cell>) -> Self {
        let start = start.unwrap_or(grid.centre());
        let mut order: Vec<Cell> = (0..grid.cells()).filter_map(|number| grid.cell(number)).collect();
        order.sort_by_key(|&cell| place(cell, start));
        Self { possible: Vec::with_capacity(order.len()), order, aim: None, found: false }
    }

    fn draw(&self, here: Cell) -> Option<Cell> {
        // Not where it stands: passing there is cheaper than a step that stays.
        let cost = |cell: &&Cell| (**cell == here, distance(here, **cell));
        self.possible.iter().min_by_key(cost).copied()
    }
}

/// Sort key of the order: which snake, which of its lines, where in the line.
fn place(cell: Cell, start: Cell) -> (u32, i32, i32) {
    let (mut down, mut right) =
        (i32::from(cell.0) - i32::from(start.0), i32::from(cell.1) - i32::from(start.1));
    for snake in 0..4 {
        if down < 0 && right >= 0 {
            // Lines go away from the start and back in turn.
            return (snake, -down, if down % 2 != 0 { right } else { -right });
        }
        // A quarter turn to the left brings the next snake above the start.
        (down, right) = (-right, down);
    }
    (4, 0, 0)
}

impl Source for SweepSource {
    fn begin_history(&mut self) {
        self.possible.clone_from(&self.order);
        self.aim = None;
        self.found = false;
    }

    fn begin_episode(&mut self, _episode: u32) {
        if !self.found {
            self.aim = None;
        }
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let here = cell(observation);
        if self.aim.is_none() {
            self.aim = self.draw(here);
        }
        self.aim.map_or(0, |aim| step_towards(here, aim, rng))
    }

    fn learn(&mut self, outcome: &Outcome) {
        let here = cell(outcome.next_observation);
        if outcome.reward > 0.0 {
            self.found = true;
            self.aim = Some(here);
        } else if !self.found {
            // Once found, a step on the goal without reward means that it pays once an episode
            // only.
            self.possible.retain(|&cell| cell != here);
            self.aim = self.aim.filter(|&aim| aim != here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;
    use crate::environment::Simulation;

    #[test]
    fn it_earns_what_the_ideal_in_context_learner_does() {
        let ideal = DarkRoom::STANDARD.ideal().unwrap();
        let found = mean_returns(DarkRoom::STANDARD, Sweep {}, 0..81, 6);
        for (episode, mean) in found.into_iter().enumerate() {
            let expected = ideal[episode.min(4)];
            assert!((mean - expected).abs() < 1e-6, "episode {episode}: {mean} is not {expected}");
        }
    }
}
