//! Where the parts of a step begin, for programs that measure them.

/// A part of a step. Parts follow each other, and those of attention come once for each head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Rows of the tables and the encoders of numbers and pictures, into the residual stream.
    Embedding,
    /// Norm, query, key and value of all heads; keys and values into the ring.
    QueryKeyValue,
    /// The query of a head against every key of the ring.
    Scores,
    /// Scores to weights.
    Softmax,
    /// The values of the ring, weighted.
    WeightedSum,
    /// The matrix behind the heads, added to the residual stream.
    Output,
    /// Norm, both matrices of the feed-forward network and what is between them.
    FeedForward,
    /// Norm and logits.
    Head,
    /// Logits to an action.
    Sampling,
    /// What is in none of these: the checks before a step, and whoever asked for it.
    Other,
}

impl Part {
    /// All, in the order of a step; a part's place is its number.
    pub const ALL: [Self; 10] = [
        Self::Embedding,
        Self::QueryKeyValue,
        Self::Scores,
        Self::Softmax,
        Self::WeightedSum,
        Self::Output,
        Self::FeedForward,
        Self::Head,
        Self::Sampling,
        Self::Other,
    ];

    /// Name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::QueryKeyValue => "query-key-value",
            Self::Scores => "scores",
            Self::Softmax => "softmax",
            Self::WeightedSum => "weighted-sum",
            Self::Output => "output",
            Self::FeedForward => "feed-forward",
            Self::Head => "head",
            Self::Sampling => "sampling",
            Self::Other => "other",
        }
    }
}

/// Told where parts of a step begin. A copy is passed along, so that the probe of a step that nobody
/// measures, `()`, is no argument at all.
pub trait Probe: Copy {
    /// What follows belongs to `part`.
    fn begins(self, part: Part);
}

impl Probe for () {
    #[inline(always)]
    fn begins(self, _: Part) {}
}
