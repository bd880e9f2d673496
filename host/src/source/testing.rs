//! What the tests of sources have in common.

use super::{Algorithm, Run, SourceConfig};
use crate::environment::{EnvironmentConfig, Simulation};
use crate::history::Steps;
use algodistill_core::PortableRng;
use rayon::prelude::*;
use std::ops::Range;

/// Mean return of each of `episodes` episodes of `algorithm`, over one history of each task of
/// `tasks`.
pub(super) fn mean_returns(
    family: impl Simulation,
    algorithm: impl Algorithm,
    tasks: Range<u32>,
    episodes: u32,
) -> Vec<f64> {
    let environment = EnvironmentConfig::from(family);
    let source = SourceConfig::from(algorithm);
    let words = environment.interface().unwrap().observation_len();
    let room = (episodes * environment.horizon().unwrap()) as usize;
    let mut returns = vec![0.0; episodes as usize];
    let count = f64::from(tasks.end - tasks.start);
    for task in tasks {
        let mut learner = source.learner(&environment, task, episodes).unwrap();
        let (mut steps, mut rng) = (Steps::zeroed(words, room), PortableRng::new(1, task.into()));
        let run = Run { episodes, keep_every: 1 };
        let recorded = learner.history(run, &mut rng, None, &mut steps.as_mut(), 0);
        for step in 0..recorded.written {
            returns[steps.episodes[step] as usize] += f64::from(steps.rewards[step]) / count;
        }
    }
    returns
}

/// How many of `tasks` a history each of `algorithm` solves, and the median of the steps until
/// then, all of them counted; `None` where less than half are solved.
pub(super) fn solved(
    family: impl Simulation,
    algorithm: impl Algorithm,
    tasks: &[u32],
    episodes: u32,
) -> (usize, Option<u64>) {
    let environment = EnvironmentConfig::from(family);
    let source = SourceConfig::from(algorithm);
    let words = environment.interface().unwrap().observation_len();
    let room = (episodes * environment.horizon().unwrap()) as usize;
    let history = |&task: &u32| {
        let mut learner = source.learner(&environment, task, episodes).unwrap();
        let (mut steps, mut rng) = (Steps::zeroed(words, room), PortableRng::new(1, task.into()));
        let run = Run { episodes, keep_every: 1 };
        learner.history(run, &mut rng, None, &mut steps.as_mut(), 0).solved_after
    };
    let mut solved: Vec<u64> = tasks.par_iter().filter_map(history).collect();
    solved.sort_unstable();
    (solved.len(), solved.get(tasks.len() / 2).copied())
}

/// `count` tasks of `family`, from the first to the last, on all rows and columns of a room.
pub(super) fn scattered(family: impl Simulation, count: u32) -> Vec<u32> {
    let all = u64::from(family.task_count().unwrap());
    (0..count).map(|number| (u64::from(number) * 1009 % all) as u32).collect()
}
