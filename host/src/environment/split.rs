//! The split into training and held-out tasks.

use super::EnvironmentConfig;
use crate::{Error, Result};
use algodistill_core::PortableRng;
use serde::{Deserialize, Serialize};

/// Most tasks of an environment without an end to them: a split lists every one.
const MAX_TASKS: u32 = 10_000_000;

/// Which tasks are trained on and which are kept for evaluation; each ascending, disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSplit {
    /// Tasks whose histories are trained on.
    pub training: Vec<u32>,
    /// Tasks that training never sees.
    pub held_out: Vec<u32>,
}

impl EnvironmentConfig {
    /// Splits the tasks by `seed`. Where tasks are finite they are shuffled, the first `held_out`
    /// are held out and the next `training` (`None`: all the others) are for training; where
    /// they have no end, training is `0..training` and held-out the `held_out` after it.
    ///
    /// # Errors
    /// [`Error::Argument`] `tasks` where there are not that many.
    pub fn split(&self, seed: u64, training: Option<u32>, held_out: u32) -> Result<TaskSplit> {
        let Some(count) = self.task_count() else {
            let training = training.ok_or_else(|| {
                let problem = format!("is needed: there is no end to the tasks of {}", self.name());
                Error::argument("tasks", problem)
            })?;
            let end = training.saturating_add(held_out);
            if end > MAX_TASKS {
                let problem =
                    format!("{training} and {held_out} held-out tasks are too many, at most {MAX_TASKS}");
                return Err(Error::argument("tasks", problem));
            }
            return Ok(TaskSplit { training: (0..training).collect(), held_out: (training..end).collect() });
        };
        let available = count.saturating_sub(held_out);
        let training = training.unwrap_or(available);
        if training > available || training == 0 {
            let problem = format!(
                "{training} training and {held_out} held-out tasks do not fit the {count} of {}",
                self.name()
            );
            return Err(Error::argument("tasks", problem));
        }
        let mut tasks: Vec<u32> = (0..count).collect();
        shuffle(&mut tasks, &mut PortableRng::new(seed, 0));
        let (held_out, rest) = tasks.split_at(held_out as usize);
        let mut split =
            TaskSplit { training: rest[..training as usize].to_vec(), held_out: held_out.to_vec() };
        split.training.sort_unstable();
        split.held_out.sort_unstable();
        Ok(split)
    }
}

/// Shuffles tasks (Fisher and Yates).
pub(crate) fn shuffle(tasks: &mut [u32], rng: &mut PortableRng) {
    for last in (1..tasks.len()).rev() {
        tasks.swap(last, rng.below(last as u32 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_disjoint_reproducible_and_complete() {
        let room = EnvironmentConfig::preset("dark-room").unwrap();
        let split = room.split(7, None, 16).unwrap();
        assert_eq!(split, room.split(7, None, 16).unwrap());
        assert_ne!(split, room.split(8, None, 16).unwrap());
        let mut all = [split.training.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..81).collect::<Vec<_>>());
        // Fewer training tasks keep the same held-out ones.
        assert_eq!(room.split(7, Some(10), 16).unwrap().held_out, split.held_out);
        assert!(room.split(7, Some(66), 16).is_err());
        let bandit = EnvironmentConfig::preset("bandit").unwrap();
        let split = bandit.split(0, Some(5), 2).unwrap();
        assert_eq!((split.training, split.held_out), (vec![0, 1, 2, 3, 4], vec![5, 6]));
        assert!(bandit.split(0, None, 2).is_err());
    }
}
