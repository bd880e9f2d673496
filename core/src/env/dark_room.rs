//! Dark Room (Laskin et al. 2022, section 4): a square grid, a goal cell that is never shown.

use super::grid::{Cell, Grid, Start, ACTIONS, MAX_SIDE};
use super::{check_horizon, write_words, Environment, Family, ParameterError, Transition};
use crate::{Channel, Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// When the goal pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalReward {
    /// +1 after every step that ends on the goal.
    EveryStep,
    /// +1 for the first step of an episode that ends on the goal.
    Once,
}

/// Dark Rooms of one size. The task is the goal, `row * size + column`. Observation: row, column.
/// Actions: those of [`super::grid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DarkRoom {
    /// Cells along a side.
    pub size: u16,
    /// Steps of an episode.
    pub horizon: u32,
    /// Where an episode begins.
    pub start: Start,
    /// When the goal pays.
    pub reward: GoalReward,
}

impl DarkRoom {
    /// 9x9, horizon 20, start in the centre, +1 after every step that ends on the goal.
    pub const STANDARD: Self =
        Self { size: 9, horizon: 20, start: Start::Centre, reward: GoalReward::EveryStep };
    /// 17x17, horizon 20, start in the centre, +1 once.
    pub const HARD: Self = Self { size: 17, horizon: 20, start: Start::Centre, reward: GoalReward::Once };

    /// The grid.
    pub const fn grid(&self) -> Grid {
        Grid { size: self.size }
    }
}

impl Family for DarkRoom {
    const NAME: &'static str = "dark-room";
    const PRESETS: &'static [(&'static str, Self)] =
        &[("dark-room", Self::STANDARD), ("dark-room-hard", Self::HARD)];
    type Task = DarkRoomTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((2..=MAX_SIDE).contains(&self.size), "size", "2 to 128")?;
        check_horizon(self.horizon)?;
        ParameterError::unless(self.start.is_in(self.grid()), "start", "a cell of the room")
    }

    fn interface(&self) -> Interface {
        Interface {
            channels: Vec::from_array([Channel::Discrete { size: self.size }; 2]),
            actions: ACTIONS,
            reward_levels: Vec::from_array([0.0, 1.0]),
        }
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        Some(self.grid().cells())
    }

    fn task(&self, number: u32) -> Option<DarkRoomTask> {
        self.check().ok()?;
        let goal = self.grid().cell(number)?;
        Some(DarkRoomTask { room: *self, goal, position: self.grid().centre(), time: 0, paid: false })
    }
}

/// A Dark Room with its goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DarkRoomTask {
    room: DarkRoom,
    goal: Cell,
    position: Cell,
    time: u32,
    paid: bool,
}

impl DarkRoomTask {
    /// The room's parameters.
    pub fn room(&self) -> &DarkRoom {
        &self.room
    }

    /// The goal.
    pub fn goal(&self) -> Cell {
        self.goal
    }

    /// Where the agent is.
    pub fn position(&self) -> Cell {
        self.position
    }
}

impl Environment for DarkRoomTask {
    fn reset(&mut self, rng: &mut PortableRng) {
        self.position = self.room.start.draw(self.room.grid(), rng);
        self.time = 0;
        self.paid = false;
    }

    #[inline]
    fn observe(&self, observation: &mut [i32]) {
        write_words(observation, [i32::from(self.position.0), i32::from(self.position.1)]);
    }

    #[inline]
    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.position = self.room.grid().moved(self.position, action);
        // `&`, not `&&`: on a source that explores each `&&` is a branch that is often mispredicted.
        let on_goal = (self.position.0 == self.goal.0) & (self.position.1 == self.goal.1);
        let once = matches!(self.room.reward, GoalReward::Once);
        let pays = on_goal & !(once & self.paid);
        self.paid |= pays;
        self.time = self.time.saturating_add(1);
        Transition { reward: f32::from(u8::from(pays)), done: self.time >= self.room.horizon }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Best and uniformly random return of one episode, by dynamic programming over `step` itself:
    /// from every cell and for both values of `paid`, one step at a time from the end.
    fn returns(room: DarkRoom, goal: Cell) -> (f64, f64) {
        let mut rng = PortableRng::new(0, 0);
        let size = usize::from(room.size);
        let index = |position: (u16, u16), paid: bool| {
            (usize::from(position.0) * size + usize::from(position.1)) * 2 + usize::from(paid)
        };
        let mut value = vec![(0.0, 0.0); size * size * 2];
        for time in (0..room.horizon).rev() {
            let mut earlier = value.clone();
            for row in 0..room.size {
                for column in 0..room.size {
                    for paid in [false, true] {
                        let (mut best, mut sum) = (0.0_f64, 0.0);
                        for action in 0..usize::from(ACTIONS) {
                            let mut task = DarkRoomTask { room, goal, position: (row, column), time, paid };
                            let transition = task.step(action, &mut rng);
                            assert_eq!(transition.done, time + 1 == room.horizon);
                            let next = value[index(task.position, task.paid)];
                            best = best.max(f64::from(transition.reward) + next.0);
                            sum += f64::from(transition.reward) + next.1;
                        }
                        earlier[index((row, column), paid)] = (best, sum / f64::from(ACTIONS));
                    }
                }
            }
            value = earlier;
        }
        value[index(room.grid().centre(), false)]
    }

    fn mean_returns(room: DarkRoom, goals: impl Fn((u16, u16)) -> bool) -> (f64, f64) {
        let cells = (0..room.size).flat_map(|row| (0..room.size).map(move |column| (row, column)));
        let all: std::vec::Vec<_> =
            cells.filter(|&cell| goals(cell)).map(|goal| returns(room, goal)).collect();
        let count = all.len() as f64;
        (all.iter().map(|r| r.0).sum::<f64>() / count, all.iter().map(|r| r.1).sum::<f64>() / count)
    }

    #[test]
    fn returns_are_those_of_the_specification() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        let (optimum, random) = mean_returns(DarkRoom::STANDARD, |_| true);
        close(optimum, 16.543);
        close(random, 0.247);
        let (without_centre, _) = mean_returns(DarkRoom::STANDARD, |goal| goal != (4, 4));
        close(without_centre, 16.5);
        let once = DarkRoom { reward: GoalReward::Once, ..DarkRoom::STANDARD };
        let (optimum, random) = mean_returns(once, |_| true);
        close(optimum, 1.0);
        close(random, 0.126);
        let (optimum, random) = mean_returns(DarkRoom::HARD, |_| true);
        close(optimum, 1.0);
        close(random, 0.037);
    }

    #[test]
    fn impossible_rooms_are_refused() {
        let good = DarkRoom::STANDARD;
        assert_eq!(good.task(80).map(|task| task.goal()), Some((8, 8)));
        assert!(good.task(81).is_none());
        for (bad, field) in [
            (DarkRoom { size: 0, ..good }, "size"),
            (DarkRoom { size: 129, ..good }, "size"),
            (DarkRoom { horizon: 0, ..good }, "horizon"),
            (DarkRoom { start: Start::Cell((0, 9)), ..good }, "start"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field));
            assert!(bad.task(0).is_none(), "{bad:?}");
        }
    }
}
