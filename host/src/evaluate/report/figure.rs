//! What the figure of an evaluation shows of what was measured.

/// The lines of a figure, and what they lie over.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Figure {
    /// A line for each learner: its mean by episode, step or block.
    #[default]
    Curves,
    /// The same over the environment steps taken: learners whose episodes end early are further.
    Steps,
    /// The mean return over the summary's episodes, by what differs between the models.
    Sweep(Sweep),
    /// What sources did, as it was recorded: for each line the number of the episode of each point.
    Recorded(Vec<(String, Vec<f64>)>),
}

/// Models that differ in one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Name and unit of the value.
    pub x: String,
    /// Whether the axis is logarithmic.
    pub log: bool,
    /// The lines.
    pub lines: Vec<SweepLine>,
}

/// Models that belong to one line of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepLine {
    /// Its key in JSON and CSV.
    pub key: String,
    /// Its name in legends.
    pub label: String,
    /// Value, and key of what was measured there, by ascending value.
    pub points: Vec<(f64, String)>,
}
