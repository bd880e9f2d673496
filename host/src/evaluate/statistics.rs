//! Means, confidence intervals, and the tasks that were never solved.

use algodistill_core::PortableRng;
use std::collections::BTreeSet;
use std::ops::Range;

/// Resamples of the bootstrap: the 2.5 % and 97.5 % quantiles then rest on 25 resamples each.
const RESAMPLES: usize = 1_000;

/// Random stream of the bootstrap; rollouts use streams whose upper half is a task number, never
/// this one.
const BOOTSTRAP_STREAM: u64 = u64::MAX;

/// All contexts of one model on one task.
///
/// The unit that is resampled: contexts of one model on one task share its luck, so that they do
/// not count as independent.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Which model of the evaluation (0 for baselines).
    pub model: usize,
    /// The task.
    pub task: u32,
    /// One entry per run, each with one value per point of the curve: the return of an episode, or
    /// the reward of a step.
    pub runs: Vec<Vec<f32>>,
    /// Steps of each point in the environment, all runs together.
    pub steps: Vec<u64>,
}

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean over clusters of the mean over runs.
    pub mean: f64,
    /// 2.5 % quantile of the bootstrap.
    pub low: f64,
    /// 97.5 % quantile of the bootstrap.
    pub high: f64,
}

impl Estimate {
    /// A value that was not measured but computed.
    pub fn exact(mean: f64) -> Self {
        Self { mean, low: mean, high: mean }
    }
}

/// How many runs and tasks got no reward at all.
///
/// A run counts when its rewards add up to 0 over all its episodes; a task counts when all its runs
/// of all models do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSolved {
    /// Runs without any reward.
    pub runs: usize,
    /// Runs in all.
    pub of_runs: usize,
    /// Tasks without any reward.
    pub tasks: usize,
    /// Tasks in all.
    pub of_tasks: usize,
}

/// Mean of every run of `cluster`, at each point.
fn cluster_curve(cluster: &Cluster) -> Vec<f64> {
    let points = cluster.runs.first().map_or(0, Vec::len);
    let mut sum = vec![0.0; points];
    for run in &cluster.runs {
        for (total, value) in sum.iter_mut().zip(run) {
            *total += f64::from(*value);
        }
    }
    let runs = cluster.runs.len().max(1) as f64;
    sum.iter().map(|total| total / runs).collect()
}

/// Mean and confidence interval at each point.
pub fn curve(clusters: &[Cluster], seed: u64) -> Vec<Estimate> {
    estimates(&clusters.iter().map(cluster_curve).collect::<Vec<_>>(), seed)
}

/// Mean and confidence interval of the mean over `points` (for example episodes 20..40).
pub fn mean_over(clusters: &[Cluster], points: &Range<usize>, seed: u64) -> Estimate {
    let rows: Vec<Vec<f64>> = clusters.iter().map(|cluster| vec![task_mean(cluster, points)]).collect();
    estimates(&rows, seed).first().copied().unwrap_or(Estimate { mean: 0.0, low: 0.0, high: 0.0 })
}

/// Environment steps that a context has taken when it is through with each point: the mean over all
/// runs of all clusters.
pub fn steps_so_far(clusters: &[Cluster]) -> Vec<f64> {
    let points = clusters.iter().map(|cluster| cluster.steps.len()).max().unwrap_or(0);
    let runs = clusters.iter().map(|cluster| cluster.runs.len()).sum::<usize>().max(1);
    let mut sum = 0;
    let steps_at = |point: usize| clusters.iter().filter_map(|cluster| cluster.steps.get(point)).sum::<u64>();
    let mut so_far = |point| {
        sum += steps_at(point);
        sum as f64 / runs as f64
    };
    (0..points).map(&mut so_far).collect()
}

/// Mean of all runs of `cluster` over `points`.
pub fn task_mean(cluster: &Cluster, points: &Range<usize>) -> f64 {
    let curve = cluster_curve(cluster);
    let wanted = &curve[points.start.min(curve.len())..points.end.min(curve.len())];
    wanted.iter().sum::<f64>() / wanted.len().max(1) as f64
}

/// Percentile bootstrap (Efron 1979) over `rows`, each with one value per point; a resample draws
/// whole rows.
fn estimates(rows: &[Vec<f64>], seed: u64) -> Vec<Estimate> {
    let Some(points) = rows.first().map(Vec::len) else { return Vec::new() };
    let mean_of = |picked: &mut dyn Iterator<Item = &Vec<f64>>| {
        let mut sum = vec![0.0; points];
        for row in picked {
            for (total, value) in sum.iter_mut().zip(row) {
                *total += value;
            }
        }
        sum.iter().map(|total| total / rows.len() as f64).collect::<Vec<f64>>()
    };
    let means = mean_of(&mut rows.iter());
    let mut rng = PortableRng::new(seed, BOOTSTRAP_STREAM);
    let resamples: Vec<Vec<f64>> = (0..RESAMPLES)
        .map(|_| {
            let mut picked = (0..rows.len()).map(|_| &rows[rng.below(rows.len() as u32) as usize]);
            mean_of(&mut picked)
        })
        .collect();
    let quantile = |point: usize| {
        let mut sorted: Vec<f64> = resamples.iter().map(|resample| resample[point]).collect();
        sorted.sort_by(f64::total_cmp);
        (sorted[RESAMPLES / 40], sorted[RESAMPLES - 1 - RESAMPLES / 40])
    };
    let with_interval = |(point, &mean): (usize, &f64)| {
        let (low, high) = quantile(point);
        Estimate { mean, low, high }
    };
    means.iter().enumerate().map(with_interval).collect()
}

/// Counts runs and tasks without any reward.
pub fn never_solved(clusters: &[Cluster]) -> NeverSolved {
    let nothing = |run: &&Vec<f32>| run.iter().sum::<f32>() == 0.0;
    let tasks: BTreeSet<u32> = clusters.iter().map(|cluster| cluster.task).collect();
    let solved: BTreeSet<u32> = clusters
        .iter()
        .filter(|cluster| cluster.runs.iter().any(|run| !nothing(&run)))
        .map(|cluster| cluster.task)
        .collect();
    NeverSolved {
        runs: clusters.iter().flat_map(|cluster| &cluster.runs).filter(nothing).count(),
        of_runs: clusters.iter().map(|cluster| cluster.runs.len()).sum(),
        tasks: tasks.len() - solved.len(),
        of_tasks: tasks.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cluster(task: u32, runs: &[&[f32]]) -> Cluster {
        Cluster {
            model: 0,
            task,
            runs: runs.iter().map(|run| run.to_vec()).collect(),
            steps: vec![2; runs[0].len()],
        }
    }

    #[test]
    fn a_curve_averages_runs_then_clusters() {
        // The second cluster has two runs: it counts once, not twice.
        let clusters = [cluster(0, &[&[0.0, 4.0]]), cluster(1, &[&[2.0, 0.0], &[4.0, 0.0]])];
        let means: Vec<f64> = curve(&clusters, 1).iter().map(|estimate| estimate.mean).collect();
        assert_eq!(means, [1.5, 2.0]);
        assert_eq!(mean_over(&clusters, &(0..2), 1).mean, 1.75);
        assert_eq!(mean_over(&clusters, &(1..9), 1).mean, 2.0);
    }

    #[test]
    fn steps_add_up_point_after_point() {
        let mut clusters = vec![cluster(0, &[&[0.0, 4.0], &[2.0, 0.0]]), cluster(1, &[&[4.0, 0.0]])];
        clusters[1].steps = vec![4, 1];
        assert_eq!(steps_so_far(&clusters), [2.0, 3.0]);
    }

    #[test]
    fn identical_clusters_have_no_uncertainty() {
        let clusters = [cluster(0, &[&[3.0]]), cluster(1, &[&[3.0]])];
        assert_eq!(curve(&clusters, 1), [Estimate { mean: 3.0, low: 3.0, high: 3.0 }]);
    }

    #[test]
    fn the_interval_of_a_normal_mean_is_two_standard_errors() {
        // Values with mean 0 and standard deviation 1/sqrt(12) over 400 clusters: 1.96 standard errors are
        // .0283.
        let clusters: Vec<Cluster> =
            (0..400).map(|task| cluster(task, &[&[(task as f32 + 0.5) / 400.0 - 0.5]])).collect();
        let estimate = curve(&clusters, 7)[0];
        assert!(estimate.mean.abs() < 1e-6);
        assert!(
            (estimate.high - 0.0283).abs() < 0.004 && (estimate.low + 0.0283).abs() < 0.004,
            "{estimate:?}"
        );
    }

    #[test]
    fn never_solved_counts_runs_and_whole_tasks() {
        let zero: &[f32] = &[0.0, 0.0];
        let clusters =
            [cluster(0, &[zero, &[0.0, 1.0]]), cluster(1, &[zero, zero]), cluster(2, &[&[1.0, 0.0]])];
        let counted = never_solved(&clusters);
        assert_eq!(counted, NeverSolved { runs: 3, of_runs: 5, tasks: 1, of_tasks: 3 });
    }

    #[test]
    fn no_contexts_give_an_empty_curve() {
        assert!(curve(&[], 1).is_empty());
        assert_eq!(mean_over(&[], &(0..3), 1).mean, 0.0);
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_mean_and_stays_within_the_data(
            values in prop::collection::vec(-5.0f32..5.0, 1..40), seed: u64,
        ) {
            let clusters: Vec<Cluster> =
                values.iter().enumerate().map(|(task, value)| cluster(task as u32, &[&[*value]])).collect();
            let estimate = curve(&clusters, seed)[0];
            let least = f64::from(values.iter().copied().fold(f32::INFINITY, f32::min));
            let most = f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            prop_assert!(estimate.low <= estimate.mean + 1e-9 && estimate.mean <= estimate.high + 1e-9);
            prop_assert!(least <= estimate.low + 1e-9 && estimate.high <= most + 1e-9);
            prop_assert_eq!(&curve(&clusters, seed)[0], &estimate);
        }
    }
}
