//! Dark Room on the host.

use super::rooms::{action_name, cell, cells, diffuse, distance, draw, step_towards, trajectory};
use super::{Defaults, Drawing, Episode, Expert, Simulation, Tint, Trajectory};
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomTask, GoalReward};
use algodistill_core::env::grid::Cell;
use algodistill_core::PortableRng;

impl Simulation for DarkRoom {
    fn describe(&self) -> String {
        format!("Dark Room {0}x{0}, {1} steps", self.size, self.horizon)
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: None,
            held_out: 16,
            histories_per_task: 50,
            held_out_histories_per_task: 4,
            episodes: 14,
            runs: 4,
            context_episodes: 40,
        }
    }

    fn action_name(&self, action: usize) -> String {
        action_name(action)
    }

    fn optimal_return(&self, task: &DarkRoomTask) -> Option<f64> {
        let returns = self.starts().map(|start| self.return_from(start, task.goal()));
        let count = self.starts().count();
        Some(returns.sum::<f64>() / count as f64)
    }

    /// Follows the distribution over cells forward in time.
    fn random_return(&self, task: &DarkRoomTask) -> Option<f64> {
        let grid = self.grid();
        let share = 1.0 / self.starts().count() as f64;
        let mut probabilities = vec![0.0; grid.cells() as usize];
        self.starts().for_each(|start| probabilities[grid.number(start) as usize] = share);
        let mut total = 0.0;
        for _ in 0..self.horizon {
            probabilities = diffuse(grid, &probabilities);
            let goal = &mut probabilities[grid.number(task.goal()) as usize];
            total += *goal;
            if self.reward == GoalReward::Once {
                // Whoever was paid is no longer followed.
                *goal = 0.0;
            }
        }
        Some(total)
    }

    fn expert(&self, task: &DarkRoomTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(Straight { goal: task.goal() }))
    }

    /// The ideal in-context learner sweeps four rotated snakes over all cells but the start, one
    /// per episode, stays where it is paid, and goes straight to a goal it knows. `None` for
    /// rooms that four snakes from the centre do not cover exactly.
    fn ideal(&self) -> Option<Vec<f64>> {
        let arm = self.sweep_arm()?;
        let mut curve = vec![0.0; 5];
        for cell in cells(self.grid()) {
            let (turn, step) = sweep_place(arm, cell).unwrap_or((4, 0));
            let exploited = self.return_from((arm, arm), cell);
            for (episode, mean) in curve.iter_mut().enumerate().skip(turn) {
                *mean += match episode == turn && turn < 4 {
                    true => f64::from(self.horizon) - step as f64,
                    // Not found anywhere else, so it is the start itself: known from the fifth on.
                    false => exploited,
                };
            }
        }
        let tasks = f64::from(self.grid().cells());
        curve.iter_mut().for_each(|sum| *sum /= tasks);
        Some(curve)
    }

    fn draw(&self, task: &DarkRoomTask, episode: &Episode) -> Option<Drawing> {
        let mut drawing = draw(self.grid(), episode, &[(task.goal(), 'G')]);
        drawing.add(Tint::Plain, " @ agent  o trail  G goal (never shown to the model)\n");
        Some(drawing)
    }

    fn trajectory(&self, task: &DarkRoomTask, episode: &Episode) -> Option<Trajectory> {
        Some(trajectory(self.grid(), episode, &[(task.goal(), "goal")]))
    }
}

/// What [`Simulation`] is made of.
trait Sweepable {
    /// Every cell that an episode may begin on, all equally likely.
    fn starts(&self) -> Box<dyn Iterator<Item = Cell> + '_>;
    /// Return of an episode that begins on `start` and goes straight to `goal`.
    fn return_from(&self, start: Cell, goal: Cell) -> f64;
    /// Cells from the centre to a wall, where four snakes cover the room in an episode each.
    fn sweep_arm(&self) -> Option<u16>;
}

impl Sweepable for DarkRoom {
    fn starts(&self) -> Box<dyn Iterator<Item = Cell> + '_> {
        match self.start.fixed(self.grid()) {
            Some(cell) => Box::new(std::iter::once(cell)),
            None => Box::new(cells(self.grid())),
        }
    }

    fn return_from(&self, start: Cell, goal: Cell) -> f64 {
        // The goal pays on arrival, and by staying put where it is the start: one step at least.
        let paying = (self.horizon + 1).saturating_sub(distance(start, goal).max(1));
        f64::from(if self.reward == GoalReward::Once { paying.min(1) } else { paying })
    }

    fn sweep_arm(&self) -> Option<u16> {
        let arm = self.size / 2;
        let covered = self.size % 2 == 1
            && self.start.fixed(self.grid()) == Some((arm, arm))
            && self.horizon == u32::from(arm) * u32::from(arm + 1)
            && self.reward == GoalReward::EveryStep;
        covered.then_some(arm)
    }
}

/// Rows and columns, relative to the centre, of the quarter of a room of side `2 arm + 1` that lies
/// above it: `arm` rows of `arm + 1` cells, swept from the centre's neighbour outwards.
pub(crate) fn snake(arm: i32) -> impl Iterator<Item = (i32, i32)> {
    (0..arm).flat_map(move |line| {
        (0..=arm).map(move |place| (-1 - line, if line % 2 == 0 { place } else { arm - place }))
    })
}

/// The cells of the sweep of quarter `turn` of a room of side `2 arm + 1`, in their order.
pub(crate) fn sweep(arm: u16, turn: usize) -> impl Iterator<Item = Cell> {
    snake(i32::from(arm)).map(move |(mut row, mut column)| {
        for _ in 0..turn {
            (row, column) = (column, -row);
        }
        ((row + i32::from(arm)) as u16, (column + i32::from(arm)) as u16)
    })
}

/// Quarter and step of the sweep in which `cell` is reached; `None` for the centre.
fn sweep_place(arm: u16, cell: Cell) -> Option<(usize, usize)> {
    (0..4).find_map(|turn| sweep(arm, turn).position(|swept| swept == cell).map(|step| (turn, step)))
}

/// Goes to the goal on a shortest path, drawn at random, and stays.
struct Straight {
    goal: Cell,
}

impl Expert for Straight {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        step_towards(cell(observation), self.goal, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;

    #[test]
    fn the_ideal_sweep_is_that_of_the_specification() {
        let curve = DarkRoom::STANDARD.ideal().unwrap();
        for (mean, expected) in curve.into_iter().zip([2.59, 6.67, 10.74, 14.81, 16.54]) {
            assert!((mean - expected).abs() < 0.01, "{mean} is not {expected}");
        }
        assert_eq!(DarkRoom::HARD.ideal(), None);
    }

    #[test]
    fn a_room_shows_agent_trail_and_goal() {
        // Goal (0, 8); from the centre twice up and once right.
        let observations = vec![vec![4, 4], vec![3, 4], vec![2, 4], vec![2, 5]];
        let episode = Episode { observations, actions: vec![1, 1, 2], rewards: vec![0.0; 3] };
        let room = EnvironmentConfig::from(DarkRoom::STANDARD).task(8).unwrap();
        let drawn = room.draw(&episode).unwrap().plain();
        let rows: Vec<&str> = drawn.lines().collect();
        assert_eq!(rows[0], " . . . . . . . . G");
        assert_eq!(rows[2], " . . . . o @ . . .");
        assert_eq!(rows[3], " . . . . o . . . .");
        assert_eq!(rows[4], " . . . . o . . . .");
        let Trajectory { path, marks, cells } = room.trajectory(&episode).unwrap();
        // From the left and from the top, in ninths and halves of them.
        assert_eq!((path[0], path[3]), ((0.5, 0.5), (5.5 / 9.0, 2.5 / 9.0)));
        assert_eq!((marks[0].name, marks[0].at, cells), ("goal", (8.5 / 9.0, 0.5 / 9.0), Some(9)));
    }
}
