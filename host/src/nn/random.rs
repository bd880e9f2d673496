//! Random streams of a training run: each purpose has its own, so that drawing more for one changes
//! nothing for another.

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial parameters.
    Initial = 1,
    /// Training batches.
    Batch = 2,
    /// Dropout and token masking.
    Masks = 3,
    /// Validation batches.
    Validation = 4,
    /// Trials of RL2.
    Trials = 5,
    /// Trials that RL2 is evaluated on.
    Evaluation = 6,
    /// The order in which RL2 goes through its trials.
    Order = 7,
    /// The random play in which RL2 finds the ranges of numbers.
    Ranges = 8,
}

/// Number of the random stream of `purpose` and `index` (an update, a tensor), for
/// [`PortableRng::new`](algodistill_core::PortableRng::new).
pub fn stream(purpose: Purpose, index: u64) -> u64 {
    (purpose as u64) << 56 | index
}
