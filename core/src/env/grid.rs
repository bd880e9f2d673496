//! Square grids: what the rooms have in common.

use crate::PortableRng;
use core::fmt;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Row and column.
pub type Cell = (u16, u16);

/// Actions of every room: 0 stay, 1 up, 2 right, 3 down, 4 left.
pub const ACTIONS: u16 = 5;
/// Names of the actions, for people.
pub const ACTION_NAMES: [&str; ACTIONS as usize] = ["stay", "up", "right", "down", "left"];
/// Largest side of a room: what the tabular sources and the exact reference returns can afford.
pub const MAX_SIDE: u16 = 128;

/// Rows down and columns right of each action.
const MOVES: [(i16, i16); ACTIONS as usize] = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)];

/// A grid of `size` x `size` cells with walls around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Cells along a side.
    pub size: u16,
}

impl Grid {
    /// Number of cells.
    pub const fn cells(&self) -> u32 {
        self.size as u32 * self.size as u32
    }

    /// Whether `cell` lies in the grid.
    pub const fn contains(&self, cell: Cell) -> bool {
        cell.0 < self.size && cell.1 < self.size
    }

    /// The cell in the middle; the lower right one of four where the side is even.
    pub const fn centre(&self) -> Cell {
        (self.size / 2, self.size / 2)
    }

    /// `row * size + column`.
    pub const fn number(&self, cell: Cell) -> u32 {
        cell.0 as u32 * self.size as u32 + cell.1 as u32
    }

    /// The cell with this number; `None` past the last one.
    pub fn cell(&self, number: u32) -> Option<Cell> {
        let side = u32::from(self.size);
        let (row, column) = (number.checked_div(side)?, number.checked_rem(side)?);
        (row < side).then_some((row as u16, column as u16))
    }

    /// The cell reached from `cell` with `action`: a wall, and an action out of range, leave it
    /// where it is.
    #[inline]
    pub fn moved(&self, cell: Cell, action: usize) -> Cell {
        // Without branches on the action: a source explores at random, and no processor predicts that.
        let (down, right) = MOVES.get(action).copied().unwrap_or_default();
        (self.along(cell.0, down), self.along(cell.1, right))
    }

    /// The coordinate `step` further; less than 0 wraps to more than any size, so one comparison
    /// finds both walls.
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

/// Where an episode begins. Written as `"centre"`, `"random"` or `[row, column]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// [`Grid::centre`].
    Centre,
    /// Any cell, drawn anew for each episode.
    Random,
    /// This one.
    Cell(Cell),
}

impl Start {
    /// The cell of every episode; `None` where it is drawn.
    pub const fn fixed(self, grid: Grid) -> Option<Cell> {
        match self {
            Self::Centre => Some(grid.centre()),
            Self::Random => None,
            Self::Cell(cell) => Some(cell),
        }
    }

    /// The cell of the next episode.
    #[inline]
    pub fn draw(self, grid: Grid, rng: &mut PortableRng) -> Cell {
        match self.fixed(grid) {
            Some(cell) => cell,
            None => grid.cell(rng.below(grid.cells())).unwrap_or_default(),
        }
    }

    /// Whether the start lies in the grid.
    pub const fn is_in(self, grid: Grid) -> bool {
        match self {
            Self::Centre | Self::Random => true,
            Self::Cell(cell) => grid.contains(cell),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Centre => serializer.serialize_str("centre"),
            Self::Random => serializer.serialize_str("random"),
            Self::Cell(cell) => cell.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Start;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"centre\", \"random\" or [row, column]")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Start, E> {
                match text {
                    "centre" => Ok(Start::Centre),
                    "random" => Ok(Start::Random),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut cell: A) -> Result<Start, A::Error> {
                let mut next =
                    |place| cell.next_element()?.ok_or_else(|| A::Error::invalid_length(place, &self));
                let (row, column) = (next(0)?, next(1)?);
                match cell.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(Start::Cell((row, column))),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_and_unknown_actions_leave_the_agent_where_it_is() {
        let grid = Grid { size: 9 };
        assert_eq!(grid.moved((0, 3), 1), (0, 3));
        assert_eq!(grid.moved((3, 8), 2), (3, 8));
        assert_eq!(grid.moved((8, 3), 3), (8, 3));
        assert_eq!(grid.moved((3, 0), 4), (3, 0));
        assert_eq!(grid.moved((3, 3), 0), (3, 3));
        assert_eq!(grid.moved((3, 3), usize::MAX), (3, 3));
        assert_eq!([1, 2, 3, 4].map(|a| grid.moved((4, 4), a)), [(3, 4), (4, 5), (5, 4), (4, 3)]);
    }

    #[test]
    fn cells_have_numbers() {
        let grid = Grid { size: 3 };
        for number in 0..9 {
            assert_eq!(grid.cell(number).map(|cell| grid.number(cell)), Some(number));
        }
        assert_eq!(grid.cell(9), None);
        assert_eq!(Grid { size: 0 }.cell(0), None);
    }

    #[test]
    fn a_random_start_reaches_every_cell() {
        let (grid, mut rng) = (Grid { size: 3 }, PortableRng::new(1, 0));
        let mut found = [false; 9];
        for _ in 0..500 {
            found[grid.number(Start::Random.draw(grid, &mut rng)) as usize] = true;
        }
        assert_eq!(found, [true; 9]);
        assert_eq!(Start::Centre.draw(grid, &mut rng), (1, 1));
    }
}
