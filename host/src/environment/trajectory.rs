//! Where an agent went in an episode, for figures.

/// An episode from above, in a square with sides of length 1: x from the left edge, y from the upper
/// one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// Where the agent was, its start first.
    pub path: Vec<(f32, f32)>,
    /// What else there is.
    pub marks: Vec<Mark>,
    /// Cells of a side, where the square has cells.
    pub cells: Option<u16>,
}

/// A place that matters in a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What it is, for the legend; its first letter, in capitals, is drawn.
    pub name: &'static str,
    /// Its middle.
    pub at: (f32, f32),
    /// Its radius.
    pub radius: f32,
}
