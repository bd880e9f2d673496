//! When a source has solved its task.

/// Parts of a history, of which one must be good enough.
const PARTS: u32 = 50;

/// What share of the optimum is good enough.
const SHARE: f64 = 0.9;

/// Watches the episodes of a history: its task is solved when the mean return of a 50th of the
/// history reaches 90 % of the optimum.
#[derive(Clone, Debug)]
pub(crate) struct Solving {
    /// Mean return that is good enough; not a number where the optimum is not known.
    least: f64,
    /// Episodes of a part.
    part: u32,
    /// Of the part that is going on.
    episodes: u32,
    sum: f64,
    steps: u64,
    solved_after: Option<u64>,
}

impl Solving {
    /// Of a history of `episodes` episodes, kept or not, whose optimum is `optimum` where it is
    /// known.
    pub fn new(optimum: Option<f64>, episodes: u32) -> Self {
        Self::of_at_least(optimum, episodes, 0)
    }

    /// The same, where a part has `part` episodes at least, or all.
    pub fn of_at_least(optimum: Option<f64>, episodes: u32, part: u32) -> Self {
        let least = optimum.map_or(f64::NAN, |optimum| SHARE * optimum);
        let part = episodes.div_ceil(PARTS).max(part).min(episodes);
        Self { least, part, episodes: 0, sum: 0.0, steps: 0, solved_after: None }
    }

    /// Adds an episode.
    #[inline]
    pub fn add(&mut self, total: f32, steps: u64) {
        self.steps += steps;
        self.sum += f64::from(total);
        self.episodes += 1;
        if self.episodes == self.part {
            if self.solved_after.is_none() && self.sum >= self.least * f64::from(self.part) {
                self.solved_after = Some(self.steps);
            }
            (self.episodes, self.sum) = (0, 0.0);
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps after which the task was solved.
    pub fn solved_after(&self) -> Option<u64> {
        self.solved_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_solved_at_the_end_of_the_first_part_that_is_good_enough() {
        let mut solving = Solving::new(Some(2.0), 100);
        for (total, expected) in
            [(2.0, None), (1.5, None), (1.5, None), (2.0, None), (1.5, None), (2.0, None)]
        {
            solving.add(total, 10);
            assert_eq!(solving.solved_after(), expected);
        }
        solving.add(2.0, 10);
        solving.add(1.75, 10);
        assert_eq!(solving.solved_after(), Some(80));
        assert_eq!(solving.steps(), 80);
        let mut unknown = Solving::new(None, 3);
        unknown.add(9.0, 1);
        assert_eq!(unknown.solved_after(), None);
    }
}
