//! Posterior sampling for reinforcement learning (Osband, Russo and Van Roy 2013) over the goals of a Dark Room.

use super::{pair_with, wrong_environment, Algorithm, Learning, Outcome, Source};
use crate::environment::rooms::{cell, cells, distance, step_towards};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::env::grid::{Cell, Grid};
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Parameters of [`GoalSearch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Psrl {
    /// Which possible goal it goes to.
    pub target: Target,
}

impl Algorithm for Psrl {
    const NAME: &'static str = "psrl";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<DarkRoom>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match environment.family::<DarkRoom>() {
            Some(room) => pair_with(environment, room, task, GoalSearch::new(room.grid(), self.target)),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// Which possible goal [`GoalSearch`] goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Any of them: a draw from the posterior.
    #[default]
    Random,
    /// One of the nearest, at random.
    Nearest,
}

/// Knows the room and believes every cell equally likely to be the goal. Goes to a goal still possible, drops every cell on which
/// a step ended without reward, draws the next when its target is dropped, and goes straight to the goal once it was paid.
#[derive(Clone, Debug)]
pub struct GoalSearch {
    grid: Grid,
    target: Target,
    /// Cells that may be the goal, in no order.
    possible: Vec<Cell>,
    /// Where each cell (row-major) is in `possible`; [`RULED_OUT`] where it is not.
    place: Vec<u32>,
    aim: Option<Cell>,
    found: bool,
}

const RULED_OUT: u32 = u32::MAX;

impl GoalSearch {
    /// A source for any goal of the room.
    pub fn new(grid: Grid, target: Target) -> Self {
        let cells = grid.cells() as usize;
        Self {
            grid,
            target,
            possible: Vec::with_capacity(cells),
            place: vec![RULED_OUT; cells],
            aim: None,
            found: false,
        }
    }

    fn index(&self, cell: Cell) -> usize {
        self.grid.number(cell) as usize
    }

    fn draw(&self, from: Cell, rng: &mut PortableRng) -> Option<Cell> {
        let pick = |cells: &[Cell], rng: &mut PortableRng| {
            cells.get(rng.below(cells.len() as u32) as usize).copied()
        };
        match self.target {
            Target::Random => pick(&self.possible, rng),
            Target::Nearest => {
                let nearest = self.possible.iter().map(|&cell| distance(from, cell)).min()?;
                let cells = self.possible.iter().copied().filter(|&cell| distance(from, cell) == nearest);
                pick(&cells.collect::<Vec<_>>(), rng)
            }
        }
    }

    fn rule_out(&mut self, cell: Cell) {
        let index = self.index(cell);
        let place = std::mem::replace(&mut self.place[index], RULED_OUT);
        if place == RULED_OUT {
            return;
        }
        self.possible.swap_remove(place as usize);
        if let Some(&moved) = self.possible.get(place as usize) {
            let index = self.index(moved);
            self.place[index] = place;
        }
        if self.aim == Some(cell) {
            self.aim = None;
        }
    }
}

impl Source for GoalSearch {
    fn begin_history(&mut self) {
        self.possible.clear();
        self.possible.extend(cells(self.grid));
        for (index, place) in self.place.iter_mut().enumerate() {
            *place = index as u32;
        }
        self.aim = None;
        self.found = false;
    }

    fn begin_episode(&mut self, _episode: u32) {
        // A belief is acted on for an episode at most; a goal that was found stays.
        if !self.found {
            self.aim = None;
        }
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let here = cell(observation);
        if self.aim.is_none() {
            self.aim = self.draw(here, rng);
        }
        self.aim.map_or(0, |aim| step_towards(here, aim, rng))
    }

    fn learn(&mut self, outcome: &Outcome) {
        let here = cell(outcome.next_observation);
        if outcome.reward > 0.0 {
            self.found = true;
            self.aim = Some(here);
        } else if !self.found {
            // Once found, a step on the goal without reward means that it pays once an episode only.
            self.rule_out(here);
        }
    }
}
