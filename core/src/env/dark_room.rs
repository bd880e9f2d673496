//! Dark Room (Laskin et al. 2022, section 4): a square grid, a goal cell that is never shown.

use super::{Environment, Transition};
use crate::interface::MAX_CHANNEL_SIZE;
use crate::{Channel, Interface, PortableRng};
use heapless::Vec;

/// Parameters of a Dark Room; every variant is a value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DarkRoomConfig {
    /// Cells along a side.
    pub size: u16,
    /// Steps of an episode.
    pub horizon: u32,
    /// Row and column of the start.
    pub start: (u16, u16),
    /// Whether the goal pays +1 once an episode (Dark Room Hard) instead of after every step that ends on it.
    pub reward_once: bool,
}

impl DarkRoomConfig {
    /// 9x9, horizon 20, start in the centre, +1 after every step that ends on the goal.
    pub const STANDARD: Self = Self { size: 9, horizon: 20, start: (4, 4), reward_once: false };
    /// 17x17, horizon 20, start in the centre, +1 once.
    pub const HARD: Self = Self { size: 17, horizon: 20, start: (8, 8), reward_once: true };
    /// Actions: 0 stay, 1 up, 2 right, 3 down, 4 left.
    pub const ACTIONS: u16 = 5;

    /// Whether `cell` (row, column) lies in the room.
    pub const fn contains(&self, cell: (u16, u16)) -> bool {
        cell.0 < self.size && cell.1 < self.size
    }

    /// Whether the room exists (1 to [`MAX_CHANNEL_SIZE`] cells a side), the start lies in it and an episode has a step.
    pub const fn is_valid(&self) -> bool {
        self.size > 0
            && self.size as usize <= MAX_CHANNEL_SIZE
            && self.horizon > 0
            && self.contains(self.start)
    }

    /// The cell (row, column) reached from `cell` with `action`: a wall, and an action out of range, leave it where it is.
    #[inline]
    pub fn moved(&self, cell: (u16, u16), action: usize) -> (u16, u16) {
        // Without branches on the action: a source explores at random, and no processor predicts that.
        let (down, right) = MOVES.get(action).copied().unwrap_or_default();
        (self.along(cell.0, down), self.along(cell.1, right))
    }

    /// The coordinate `step` further; less than 0 wraps to more than any size, so one comparison finds both walls.
    #[inline]
    fn along(&self, coordinate: u16, step: i16) -> u16 {
        let next = coordinate.wrapping_add_signed(step);
        if next < self.size {
            next
        } else {
            coordinate
        }
    }
}

/// Rows down and columns right of each action.
const MOVES: [(i16, i16); DarkRoomConfig::ACTIONS as usize] = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)];

/// A Dark Room with its goal. Observation: row, column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DarkRoom {
    config: DarkRoomConfig,
    goal: (u16, u16),
    position: (u16, u16),
    time: u32,
    paid: bool,
}

impl DarkRoom {
    /// The room with `goal` (row, column). `None` where the configuration is not valid or the goal lies outside.
    pub fn new(config: DarkRoomConfig, goal: (u16, u16)) -> Option<Self> {
        (config.is_valid() && config.contains(goal)).then_some(Self {
            config,
            goal,
            position: config.start,
            time: 0,
            paid: false,
        })
    }

    /// The room's parameters.
    pub fn config(&self) -> &DarkRoomConfig {
        &self.config
    }

    /// Row and column of the goal.
    pub fn goal(&self) -> (u16, u16) {
        self.goal
    }

    /// Row and column of the agent.
    pub fn position(&self) -> (u16, u16) {
        self.position
    }
}

impl Environment for DarkRoom {
    fn interface(&self) -> Interface {
        Interface {
            channels: Vec::from_array([Channel::Discrete { size: self.config.size }; 2]),
            actions: DarkRoomConfig::ACTIONS,
            reward_levels: Vec::from_array([0.0, 1.0]),
        }
    }

    fn horizon(&self) -> u32 {
        self.config.horizon
    }

    fn reset(&mut self, _rng: &mut PortableRng) {
        self.position = self.config.start;
        self.time = 0;
        self.paid = false;
    }

    #[inline]
    fn observe(&self, observation: &mut [i32]) {
        let words = [i32::from(self.position.0), i32::from(self.position.1)];
        for (word, value) in observation.iter_mut().zip(words) {
            *word = value;
        }
    }

    #[inline]
    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.position = self.config.moved(self.position, action);
        // `&`, not `&&`: on a source that explores each `&&` is a branch that is often mispredicted.
        let on_goal = (self.position.0 == self.goal.0) & (self.position.1 == self.goal.1);
        let pays = on_goal & !(self.config.reward_once & self.paid);
        self.paid |= pays;
        self.time = self.time.saturating_add(1);
        Transition { reward: f32::from(u8::from(pays)), done: self.time >= self.config.horizon }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Best and uniformly random return of one episode, by dynamic programming over `step` itself: from every cell
    /// and for both values of `paid`, one step at a time from the end.
    fn returns(config: DarkRoomConfig, goal: (u16, u16)) -> (f64, f64) {
        let mut rng = PortableRng::new(0, 0);
        let size = usize::from(config.size);
        let index = |position: (u16, u16), paid: bool| {
            (usize::from(position.0) * size + usize::from(position.1)) * 2 + usize::from(paid)
        };
        let mut value = vec![(0.0, 0.0); size * size * 2];
        for time in (0..config.horizon).rev() {
            let mut earlier = value.clone();
            for row in 0..config.size {
                for column in 0..config.size {
                    for paid in [false, true] {
                        let (mut best, mut sum) = (0.0_f64, 0.0);
                        for action in 0..usize::from(DarkRoomConfig::ACTIONS) {
                            let mut room = DarkRoom { config, goal, position: (row, column), time, paid };
                            let transition = room.step(action, &mut rng);
                            assert_eq!(transition.done, time + 1 == config.horizon);
                            let next = value[index(room.position, room.paid)];
                            best = best.max(f64::from(transition.reward) + next.0);
                            sum += f64::from(transition.reward) + next.1;
                        }
                        earlier[index((row, column), paid)] =
                            (best, sum / f64::from(DarkRoomConfig::ACTIONS));
                    }
                }
            }
            value = earlier;
        }
        value[index(config.start, false)]
    }

    fn mean_returns(config: DarkRoomConfig, goals: impl Fn((u16, u16)) -> bool) -> (f64, f64) {
        let cells = (0..config.size).flat_map(|row| (0..config.size).map(move |column| (row, column)));
        let all: std::vec::Vec<_> =
            cells.filter(|&cell| goals(cell)).map(|goal| returns(config, goal)).collect();
        let count = all.len() as f64;
        (all.iter().map(|r| r.0).sum::<f64>() / count, all.iter().map(|r| r.1).sum::<f64>() / count)
    }

    #[test]
    #[cfg_attr(miri, ignore = "statistics, too slow there")]
    fn returns_are_those_of_the_specification() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        let (optimum, random) = mean_returns(DarkRoomConfig::STANDARD, |_| true);
        close(optimum, 16.543);
        close(random, 0.247);
        let (without_centre, _) = mean_returns(DarkRoomConfig::STANDARD, |goal| goal != (4, 4));
        close(without_centre, 16.5);
        let once = DarkRoomConfig { reward_once: true, ..DarkRoomConfig::STANDARD };
        let (optimum, random) = mean_returns(once, |_| true);
        close(optimum, 1.0);
        close(random, 0.126);
        let (optimum, random) = mean_returns(DarkRoomConfig::HARD, |_| true);
        close(optimum, 1.0);
        close(random, 0.037);
    }

    #[test]
    fn walls_and_unknown_actions_leave_the_agent_where_it_is() {
        let config = DarkRoomConfig::STANDARD;
        assert_eq!(config.moved((0, 3), 1), (0, 3));
        assert_eq!(config.moved((3, 8), 2), (3, 8));
        assert_eq!(config.moved((8, 3), 3), (8, 3));
        assert_eq!(config.moved((3, 0), 4), (3, 0));
        assert_eq!(config.moved((3, 3), 0), (3, 3));
        assert_eq!(config.moved((3, 3), usize::MAX), (3, 3));
        assert_eq!([1, 2, 3, 4].map(|a| config.moved((4, 4), a)), [(3, 4), (4, 5), (5, 4), (4, 3)]);
    }

    #[test]
    fn impossible_rooms_are_refused() {
        let good = DarkRoomConfig::STANDARD;
        assert!(DarkRoom::new(good, (8, 8)).is_some());
        assert!(DarkRoom::new(good, (9, 0)).is_none());
        for bad in [
            DarkRoomConfig { size: 0, start: (0, 0), ..good },
            DarkRoomConfig { size: 4097, ..good },
            DarkRoomConfig { horizon: 0, ..good },
            DarkRoomConfig { start: (0, 9), ..good },
        ] {
            assert!(DarkRoom::new(bad, (0, 0)).is_none(), "{bad:?}");
        }
    }
}
