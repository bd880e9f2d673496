//! How the sources of learning histories learned: the return of their episodes as it was recorded.

use super::evaluation::Evaluation;
use super::report::{Figure, Series};
use super::rollout::{Axis, Contexts};
use super::statistics::Cluster;
use crate::history::{read, Histories};
use crate::progress::Progress;
use crate::{Error, Result};
use std::path::PathBuf;

/// Most points of a line: of longer histories each point is the mean of several episodes.
const MOST_POINTS: usize = 100;

/// The training histories of `files`, a line for each under its name. The environment is that of the
/// first.
///
/// # Errors
/// [`Error::Argument`] where there is none; [`Error::Io`] and [`Error::File`] for files.
pub fn recorded(name: &str, files: &[(String, PathBuf)], progress: &dyn Progress) -> Result<Evaluation> {
    let mut lines = Vec::new();
    let mut first = None;
    for (line, path) in files {
        let file = read(path)?;
        lines.push((line, points_of(&file.training)));
        first.get_or_insert(file.card);
    }
    let card = first.ok_or_else(|| Error::argument("histories", "at least one is needed"))?;
    let points = lines.iter().map(|(_, (at, _))| at.len()).min().unwrap_or(0);
    let contexts = Contexts {
        tasks: card.split.training.clone(),
        runs: 1,
        episodes: points as u32,
        seed: 0,
        demonstration: None,
        stream: None,
    };
    let mut evaluation = Evaluation::new(name, card.environment, contexts, points / 2..points)?;
    // One episode is a point, too.
    evaluation.axis = Axis::Episode;
    // A history need not be of one task.
    evaluation.contexts.tasks.clear();
    evaluation.ideal.clear();
    let mut numbers = Vec::new();
    for (place, (line, (at, clusters))) in lines.into_iter().enumerate() {
        let series = Series::other(place, line, line);
        progress.begin(line, 0);
        numbers.push((line.clone(), at));
        evaluation.add(series, clusters, progress);
    }
    evaluation.figure = Figure::Recorded(numbers);
    Ok(evaluation)
}

/// Where the points lie (mean number of their episodes, from 1), and a cluster for each history.
fn points_of(histories: &Histories) -> (Vec<f64>, Vec<Cluster>) {
    let returns: Vec<(Vec<f64>, Vec<f32>)> = histories
        .index
        .iter()
        .map(|history| {
            let range = history.steps.clone();
            let numbers = &histories.steps.episodes[range.clone()];
            let rewards = &histories.steps.rewards[range];
            let episodes = numbers.chunk_by(|a, b| a == b).scan(0, |begun, episode| {
                let steps = *begun..*begun + episode.len();
                *begun = steps.end;
                Some((f64::from(episode[0]) + 1.0, rewards[steps].iter().sum::<f32>()))
            });
            episodes.unzip()
        })
        .collect();
    let episodes = returns.iter().map(|(_, returns)| returns.len()).min().unwrap_or(0);
    let together = episodes.div_ceil(MOST_POINTS).max(1);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let cluster = |(number, (_, returns)): (usize, &(Vec<f64>, Vec<f32>))| Cluster {
        model: 0,
        task: number as u32,
        runs: vec![returns[..episodes].chunks(together).map(mean).collect()],
        steps: Vec::new(),
    };
    let at = returns.first().map_or(Vec::new(), |(numbers, _)| {
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        numbers[..episodes].chunks(together).map(mean).collect()
    });
    (at, returns.iter().enumerate().map(cluster).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use crate::history::{History, Steps};

    #[test]
    fn the_return_of_each_episode_is_that_of_its_steps() {
        let steps = Steps {
            episodes: vec![0, 0, 5, 5, 5, 0, 5],
            rewards: vec![1.0, 1.0, 0.0, 2.0, 1.0, 4.0, 0.5],
            ..Steps::default()
        };
        let index = vec![History { task: 7, id: 0, steps: 0..5 }, History { task: 7, id: 1, steps: 5..7 }];
        let interface = EnvironmentConfig::preset("dark-room").expect("a preset").interface().expect("one");
        let histories = Histories { interface, index, steps };
        let (at, clusters) = points_of(&histories);
        assert_eq!(at, [1.0, 6.0], "every fifth was kept");
        let runs: Vec<_> = clusters.into_iter().flat_map(|cluster| cluster.runs).collect();
        assert_eq!(runs, [[2.0, 3.0], [4.0, 0.5]]);
    }
}
