//! Dark Room (Laskin et al. 2022): a square grid, a goal cell that is never shown.

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
}
