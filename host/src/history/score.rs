//! How well a history shows learning: how far its returns rise, and how little they fall back.

use super::Steps;
use crate::source::Solving;
use std::ops::Range;

/// Fewest episodes of a part that is good enough for the task to be solved: one that earned a lot
/// by luck is not enough.
const LEAST_PART: u32 = 3;

/// The measures of one history, of its episodes in the file.
///
/// With `n` episodes, `t = ceil(n / 10)` and a scale that turns returns into shares of what can be
/// earned:
///
/// - improvement: the mean return of the last `t` episodes minus that of the first `t`, over the
///   scale;
/// - stability: 1 minus how far the curve lies below its own highest point so far, over the scale,
///   on average; the curve is the moving mean of the returns over `t` episodes. A curve that never
///   falls has 1.
///
/// Chen et al. 2025 ("Filtering Learning Histories Enhances In-Context Reinforcement Learning") rank
/// histories by a sum of improvement and stability; the two measures are defined here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// From -1 to 1 where the scale is the optimum and returns are not negative.
    pub improvement: f64,
    /// From 0 to 1 there.
    pub stability: f64,
    /// Whether the mean return of a 50th of the history, of 3 episodes at least (or all), reached
    /// 90 % of the optimum; `None` where that is not known.
    pub solved: Option<bool>,
}

impl Score {
    /// Of a history with these returns, one or more. Without an `optimum` above 0 returns are
    /// measured by `spread`; where that is 0, too, nothing improves and nothing falls.
    pub fn new(returns: &[f64], optimum: Option<f64>, spread: f64) -> Self {
        let scale = optimum.filter(|optimum| *optimum > 0.0).unwrap_or(spread);
        let tenth = returns.len().div_ceil(10).max(1);
        let curve: Vec<f64> = returns.windows(tenth).map(mean).collect();
        let (mut highest, mut fall) = (f64::NEG_INFINITY, 0.0);
        for &point in &curve {
            highest = highest.max(point);
            fall += highest - point;
        }
        let rise = curve.last().zip(curve.first()).map_or(0.0, |(last, first)| last - first);
        let share = |value: f64| if scale > 0.0 { value / scale } else { 0.0 };
        Self {
            improvement: share(rise),
            stability: 1.0 - share(fall / curve.len().max(1) as f64),
            solved: optimum.map(|optimum| solved(returns, optimum)),
        }
    }

    /// What histories are ranked by: improvement and stability count the same.
    pub fn rank(&self) -> f64 {
        self.improvement + self.stability
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn solved(returns: &[f64], optimum: f64) -> bool {
    let episodes = returns.len() as u32;
    let mut solving = Solving::of_at_least(Some(optimum), episodes, LEAST_PART);
    returns.iter().for_each(|&total| solving.add(total as f32, 1));
    solving.solved_after().is_some()
}

/// The steps of each episode of a history.
pub fn episodes(steps: &Steps, history: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut first = history.start;
    steps.episodes[history].chunk_by(|a, b| a == b).map(move |episode| {
        let range = first..first + episode.len();
        first = range.end;
        range
    })
}

/// The return of each episode of a history.
pub fn returns(steps: &Steps, history: Range<usize>) -> Vec<f64> {
    let sum = |episode: Range<usize>| steps.rewards[episode].iter().map(|&reward| f64::from(reward)).sum();
    episodes(steps, history).map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rising_and_never_falling_is_the_best_there_is() {
        let rising: Vec<f64> = (0..20).map(|episode| if episode < 5 { 0.0 } else { 2.0 }).collect();
        let best = Score::new(&rising, Some(2.0), 0.0);
        assert_eq!(best, Score { improvement: 1.0, stability: 1.0, solved: Some(true) });
        let flat = Score::new(&[0.0; 20], Some(2.0), 0.0);
        assert_eq!(flat, Score { improvement: 0.0, stability: 1.0, solved: Some(false) });
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        let worst = Score::new(&falling, Some(2.0), 0.0);
        assert_eq!(worst.improvement, -1.0);
        // 19 means over 2 episodes: 14 of 2, one of 1, 4 of 0.
        assert_eq!(worst.stability, 1.0 - (1.0 + 4.0 * 2.0) / 19.0 / 2.0);
        assert!(best.rank() > flat.rank() && flat.rank() > worst.rank());
    }

    #[test]
    fn luck_solves_nothing_and_an_unknown_optimum_is_replaced_by_the_spread() {
        let mut lucky = vec![0.0; 30];
        lucky[7] = 2.0;
        assert_eq!(Score::new(&lucky, Some(2.0), 2.0).solved, Some(false));
        lucky[6..9].fill(2.0);
        assert_eq!(Score::new(&lucky, Some(2.0), 2.0).solved, Some(true));
        let unknown = Score::new(&[-3.0, -1.0], None, 4.0);
        assert_eq!(unknown, Score { improvement: 0.5, stability: 1.0, solved: None });
        let nothing = Score::new(&[5.0, 5.0], None, 0.0);
        assert_eq!((nothing.improvement, nothing.stability), (0.0, 1.0));
    }
}
