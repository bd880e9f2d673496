//! What the grid rooms have in common on the host.

use super::{Drawing, Episode, Mark, Tint, Trajectory};
use algodistill_core::env::grid::{Cell, Grid, ACTIONS, ACTION_NAMES};
use algodistill_core::PortableRng;

/// Row and column, the first two words of an observation.
#[inline]
pub(crate) fn cell(observation: &[i32]) -> Cell {
    (observation[0] as u16, observation[1] as u16)
}

/// Steps between two cells.
#[inline]
pub(crate) fn distance(a: Cell, b: Cell) -> u32 {
    u32::from(a.0.abs_diff(b.0)) + u32::from(a.1.abs_diff(b.1))
}

/// The action that brings `from` nearer to `to`, at random where a row and a column step both do.
#[inline]
pub(crate) fn step_towards(from: Cell, to: Cell, rng: &mut PortableRng) -> usize {
    let row = if to.0 < from.0 { 1 } else { 3 };
    let column = if to.1 > from.1 { 2 } else { 4 };
    match (from.0 != to.0, from.1 != to.1) {
        (false, false) => 0,
        (true, false) => row,
        (false, true) => column,
        (true, true) if rng.below(2) == 0 => row,
        (true, true) => column,
    }
}

/// All cells, row by row.
pub(crate) fn cells(grid: Grid) -> impl Iterator<Item = Cell> {
    (0..grid.size).flat_map(move |row| (0..grid.size).map(move |column| (row, column)))
}

/// Name of an action.
pub(crate) fn action_name(action: usize) -> String {
    ACTION_NAMES.get(action).map_or_else(|| format!("action {action}"), |name| (*name).into())
}

/// Where the probability of being on each cell goes in one step of uniformly random actions.
pub(crate) fn diffuse(grid: Grid, probabilities: &[f64]) -> Vec<f64> {
    let mut next = vec![0.0; probabilities.len()];
    let share = 1.0 / f64::from(ACTIONS);
    for here in cells(grid) {
        let probability = probabilities[grid.number(here) as usize];
        for action in 0..usize::from(ACTIONS) {
            next[grid.number(grid.moved(here, action)) as usize] += probability * share;
        }
    }
    next
}

/// The way through a room, and cells with their names.
pub(crate) fn trajectory(grid: Grid, episode: &Episode, marks: &[(Cell, &'static str)]) -> Trajectory {
    let size = f32::from(grid.size.max(1));
    let middle = |(row, column): Cell| ((f32::from(column) + 0.5) / size, (f32::from(row) + 0.5) / size);
    let mark = |(cell, name): &(Cell, &'static str)| Mark { name, at: middle(*cell), radius: 0.5 / size };
    Trajectory {
        path: episode.observations.iter().map(|observation| middle(cell(observation))).collect(),
        marks: marks.iter().map(mark).collect(),
        cells: Some(grid.size),
    }
}

/// Draws a room: the agent, its trail, and marks of cells with their letters.
pub(crate) fn draw(grid: Grid, episode: &Episode, marks: &[(Cell, char)]) -> Drawing {
    let trail: Vec<Cell> = episode.observations.iter().map(|observation| cell(observation)).collect();
    let here = trail.last().copied();
    let mut drawing = Drawing::default();
    for row in cells(grid).collect::<Vec<_>>().chunks(usize::from(grid.size).max(1)) {
        for &cell in row {
            let mark = marks.iter().find(|mark| mark.0 == cell).map(|mark| mark.1);
            let (tint, letter) = match mark {
                Some(_) if here == Some(cell) => (Tint::Success, '@'),
                None if here == Some(cell) => (Tint::Agent, '@'),
                Some(letter) => (Tint::Goal, letter),
                None if trail.contains(&cell) => (Tint::Trail, 'o'),
                None => (Tint::Dim, '.'),
            };
            drawing.add(Tint::Plain, " ");
            drawing.add(tint, letter);
        }
        drawing.add(Tint::Plain, "\n");
    }
    drawing
}
