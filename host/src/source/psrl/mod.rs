//! Posterior sampling for reinforcement learning (Osband, Russo and Van Roy 2013) over the cells of
//! a room (the goal of a Dark Room, a key and then a door in Key-to-Door) or the points of a pool.

use super::{pair_with, wrong_environment, Algorithm, Learning, Outcome, Source};
use crate::environment::rooms::{cell, distance, step_towards};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::dark_room::DarkRoom;
use algodistill_core::env::grid::{Cell, Grid, Start};
use algodistill_core::env::key_to_door::KeyToDoor;
use algodistill_core::env::watermaze::Watermaze;
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

mod platform;

pub use platform::PlatformSearch;

/// Parameters of [`GoalSearch`], [`KeyAndDoorSearch`] and [`PlatformSearch`].
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
            || environment.family::<KeyToDoor>().is_some()
            || environment.family::<Watermaze>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        if let Some(room) = environment.family::<DarkRoom>() {
            return pair_with(environment, room, task, GoalSearch::new(room.grid(), self.target));
        }
        if let Some(maze) = environment.family::<Watermaze>() {
            return pair_with(environment, maze, task, PlatformSearch::new(*maze, self.target));
        }
        match environment.family::<KeyToDoor>() {
            Some(room) => pair_with(environment, room, task, KeyAndDoorSearch::new(room, self.target)),
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

/// The search for one cell that pays, all equally likely at first. Goes to a cell still possible,
/// drops every cell on which a step ended without reward, draws the next when its aim is dropped,
/// and goes straight to the cell once it was paid.
#[derive(Clone, Debug)]
struct Search {
    grid: Grid,
    target: Target,
    /// Cells that may pay, in no order.
    possible: Vec<Cell>,
    /// Where each cell (row by row) is in `possible`; [`RULED_OUT`] where it is not.
    place: Vec<u32>,
    aim: Option<Cell>,
    found: bool,
}

const RULED_OUT: u32 = u32::MAX;

impl Search {
    fn new(grid: Grid, target: Target) -> Self {
        let cells = grid.cells() as usize;
        let place = vec![RULED_OUT; cells];
        Self { grid, target, possible: Vec::with_capacity(cells), place, aim: None, found: false }
    }

    /// Forgets everything.
    fn restart(&mut self) {
        let cells = 0..self.grid.cells();
        self.possible.clear();
        self.possible.extend(cells.clone().filter_map(|number| self.grid.cell(number)));
        self.place.clear();
        self.place.extend(cells);
        self.aim = None;
        self.found = false;
    }

    /// A belief is acted on for an episode at most; a cell that was found stays.
    fn begin_episode(&mut self) {
        if !self.found {
            self.aim = None;
        }
    }

    fn act(&mut self, here: Cell, rng: &mut PortableRng) -> usize {
        if self.aim.is_none() {
            self.aim = self.draw(here, rng);
        }
        self.aim.map_or(0, |aim| step_towards(here, aim, rng))
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

    /// Learns from a step that ended in `here`.
    fn learn(&mut self, here: Cell, paid: bool) {
        if paid {
            self.found = true;
            self.aim = Some(here);
        } else if !self.found {
            // Once found, a step on it without reward means that it pays once an episode only.
            self.rule_out(here);
        }
    }

    fn rule_out(&mut self, cell: Cell) {
        let index = self.grid.number(cell) as usize;
        let place = std::mem::replace(&mut self.place[index], RULED_OUT);
        if place == RULED_OUT {
            return;
        }
        self.possible.swap_remove(place as usize);
        if let Some(&moved) = self.possible.get(place as usize) {
            self.place[self.grid.number(moved) as usize] = place;
        }
        if self.aim == Some(cell) {
            self.aim = None;
        }
    }
}

/// Looks for the goal of a Dark Room and then goes to it.
#[derive(Clone, Debug)]
pub struct GoalSearch {
    goal: Search,
}

impl GoalSearch {
    /// A source for any goal of the room.
    pub fn new(grid: Grid, target: Target) -> Self {
        Self { goal: Search::new(grid, target) }
    }
}

impl Source for GoalSearch {
    fn begin_history(&mut self) {
        self.goal.restart();
    }

    fn begin_episode(&mut self, _episode: u32) {
        self.goal.begin_episode();
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        self.goal.act(cell(observation), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.goal.learn(cell(outcome.next_observation), outcome.reward > 0.0);
    }
}

/// Looks for the key, in every episode until it is found, then for the door, and then goes to both.
/// A reward tells that it has the key.
#[derive(Clone, Debug)]
pub struct KeyAndDoorSearch {
    key: Search,
    door: Search,
    has_key: bool,
    /// A random start is never the key's cell.
    key_is_not_at_start: bool,
    begins: bool,
}

impl KeyAndDoorSearch {
    /// A source for any key and door of the room.
    pub fn new(room: &KeyToDoor, target: Target) -> Self {
        let search = Search::new(room.grid(), target);
        let key_is_not_at_start = room.start == Start::Random;
        Self { key: search.clone(), door: search, has_key: false, key_is_not_at_start, begins: true }
    }
}

impl Source for KeyAndDoorSearch {
    fn begin_history(&mut self) {
        self.key.restart();
        self.door.restart();
    }

    fn begin_episode(&mut self, _episode: u32) {
        self.key.begin_episode();
        self.door.begin_episode();
        self.has_key = false;
        self.begins = true;
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let here = cell(observation);
        if std::mem::take(&mut self.begins) && self.key_is_not_at_start {
            self.key.rule_out(here);
        }
        match self.has_key {
            false => self.key.act(here, rng),
            true => self.door.act(here, rng),
        }
    }

    fn learn(&mut self, outcome: &Outcome) {
        let (here, paid) = (cell(outcome.next_observation), outcome.reward > 0.0);
        if self.has_key {
            self.door.learn(here, paid);
        } else {
            self.key.learn(here, paid);
            if paid {
                self.has_key = true;
                self.door.rule_out(here);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;

    #[test]
    fn key_and_door_are_found_in_a_few_episodes() {
        let source = Psrl { target: Target::Nearest };
        let returns = mean_returns(KeyToDoor::DARK, source, 0..6480, 10);
        // Every 0.03 is four standard errors.
        for (episode, expected) in [(0, 0.77), (2, 1.92), (4, 2.0), (9, 2.0)] {
            assert!((returns[episode] - expected).abs() < 0.03, "{episode}: {returns:?}");
        }
    }

    #[test]
    fn a_start_on_the_key_is_no_way_around_it() {
        let room = KeyToDoor { start: Start::Centre, ..KeyToDoor::DARK };
        let returns = mean_returns(room, Psrl { target: Target::Random }, 3200..3280, 40);
        assert!(returns[39] > 1.99, "{returns:?}");
    }
}
