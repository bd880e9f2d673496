//! Key-to-Door on the host.

use super::rooms::{action_name, cell, diffuse, draw, step_towards, trajectory};
use super::{Defaults, Drawing, Episode, Expert, Simulation, Tint, Trajectory};
use crate::source::Outcome;
use algodistill_core::env::grid::{Cell, Grid};
use algodistill_core::env::key_to_door::{KeyToDoor, KeyToDoorTask};
use algodistill_core::PortableRng;

impl Simulation for KeyToDoor {
    fn describe(&self) -> String {
        let light = if self.show_goals { "Light " } else { "" };
        format!("{light}Key-to-Door {0}x{0}, {1} steps", self.size, self.horizon)
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: None,
            held_out: self.grid().cells().min(64),
            histories_per_task: 2,
            held_out_histories_per_task: 1,
            episodes: 20,
            runs: 4,
            context_episodes: 40,
        }
    }

    fn action_name(&self, action: usize) -> String {
        action_name(action)
    }

    /// 2 where the way from the farthest start is not longer than an episode; not known otherwise.
    fn optimal_return(&self, _task: &KeyToDoorTask) -> Option<f64> {
        let longest = 4 * u32::from(self.size - 1);
        (self.horizon > longest).then_some(2.0)
    }

    /// Follows the distribution over cells forward in time, without the key and then with it.
    fn random_return(&self, task: &KeyToDoorTask) -> Option<f64> {
        let grid = self.grid();
        let number = |cell: Cell| grid.number(cell) as usize;
        let mut without = vec![0.0; grid.cells() as usize];
        match self.start.fixed(grid) {
            Some(start) => without[number(start)] = 1.0,
            None => {
                without.fill(1.0 / f64::from(grid.cells() - 1));
                without[number(task.key())] = 0.0;
            }
        }
        let mut with = vec![0.0; without.len()];
        let mut total = 0.0;
        for _ in 0..self.horizon {
            with = diffuse(grid, &with);
            total += std::mem::take(&mut with[number(task.door())]);
            without = diffuse(grid, &without);
            let found = std::mem::take(&mut without[number(task.key())]);
            total += found;
            with[number(task.key())] += found;
        }
        Some(total)
    }

    fn part_of_horizon(&self) -> f64 {
        0.5
    }

    fn expert(&self, task: &KeyToDoorTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(KeyThenDoor { key: task.key(), door: task.door(), has_key: false }))
    }

    fn draw(&self, task: &KeyToDoorTask, episode: &Episode) -> Option<Drawing> {
        let marks = match task.has_key() {
            true => vec![(task.door(), 'D')],
            false => vec![(task.key(), 'K'), (task.door(), 'D')],
        };
        let grid: Grid = self.grid();
        let mut drawing = draw(grid, episode, &marks);
        let shown = if self.show_goals { "shown to the model" } else { "never shown to the model" };
        drawing.add(Tint::Plain, format!(" @ agent  o trail  K key, then D door ({shown})\n"));
        Some(drawing)
    }

    fn trajectory(&self, task: &KeyToDoorTask, episode: &Episode) -> Option<Trajectory> {
        Some(trajectory(self.grid(), episode, &[(task.key(), "key"), (task.door(), "door")]))
    }
}

/// Goes to the key on a shortest path, drawn at random, and then to the door. A reward says that it
/// has the key, which the observation does not show.
struct KeyThenDoor {
    key: Cell,
    door: Cell,
    has_key: bool,
}

impl Expert for KeyThenDoor {
    fn begin_context(&mut self) {
        self.has_key = false;
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let aim = if self.has_key { self.door } else { self.key };
        step_towards(cell(observation), aim, rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.has_key = !outcome.done && (self.has_key || outcome.reward > 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::Family;

    #[test]
    fn random_actions_earn_what_dynamic_programming_over_the_steps_says() {
        let room = KeyToDoor::DARK;
        let tasks = 0..room.task_count().unwrap();
        let sum: f64 = tasks.map(|task| room.random_return(&room.task(task).unwrap()).unwrap()).sum();
        assert!((sum / 6480.0 - 0.2420).abs() < 6e-4, "{sum}");
    }

    #[test]
    fn a_room_shows_the_key_until_it_is_found() {
        // Key in (0, 0), door in (0, 1).
        let room = KeyToDoor::DARK;
        let mut task = room.task(0).unwrap();
        let episode = Episode { observations: vec![vec![2, 2]], ..Episode::default() };
        let drawn = room.draw(&task, &episode).unwrap().plain();
        assert!(drawn.starts_with(" K D . ."), "{drawn}");
        use algodistill_core::Environment;
        let mut rng = PortableRng::new(0, 0);
        task.reset(&mut rng);
        for action in [1; 8].into_iter().chain([4; 8]) {
            task.step(action, &mut rng);
        }
        assert!(room.draw(&task, &episode).unwrap().plain().starts_with(" . D . ."));
    }
}
