//! A picture made of characters, apart from where it is shown.

/// How a piece of a drawing stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// Not at all.
    Plain,
    /// Background.
    Dim,
    /// The agent.
    Agent,
    /// The agent where it wants to be.
    Success,
    /// Where it should go.
    Goal,
    /// Where it has been.
    Trail,
}

/// Lines of text in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// The pieces, from left to right and top to bottom.
    pub pieces: Vec<(Tint, String)>,
}

impl Drawing {
    /// Adds a piece.
    pub fn add(&mut self, tint: Tint, text: impl Into<String>) {
        self.pieces.push((tint, text.into()));
    }

    /// The text without tints.
    pub fn plain(&self) -> String {
        self.pieces.iter().map(|(_, text)| text.as_str()).collect()
    }
}
