//! Linear bandits (Li et al. 2010, "A contextual-bandit approach to personalized news article
//! recommendation"; Abbasi-Yadkori, Pal and Szepesvari 2011): arms with known features, a hidden
//! vector, noisy rewards. One pull tells something of every arm.

use super::{check_horizon, Environment, Family, ParameterError, Transition};
use crate::{Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Most arms of a linear bandit.
pub const MAX_ARMS: usize = 64;
/// Most dimensions of the features.
pub const MAX_DIMENSIONS: usize = 16;
/// Seed of the tasks: task `i` is drawn from stream `i`.
const TASK_SEED: u64 = 0x11EA_B4D1;
/// What a seed of features is added to: arm `a` is drawn from stream `a`.
const FEATURES_SEED: u64 = 0xFEA7_0000_0000;

/// The rewards that are told apart. An arm pays N(0, 1) over tasks, so the levels cover what is met
/// while a good arm is looked for, and the rounding adds little to the noise: 0.11 to 0.5, in
/// quadrature.
pub const REWARD_LEVELS: [f32; 16] = [
    -2.25, -1.875, -1.5, -1.125, -0.75, -0.375, 0.0, 0.375, 0.75, 1.125, 1.5, 1.875, 2.25, 2.625, 3.0, 3.375,
];

/// Linear bandits with the same arms. Pulling arm `a` pays `theta . x_a` and Gaussian noise, where
/// the features `x_a` are unit vectors, the same for every task. The task is the number of a draw
/// of `theta` from N(0, I).
///
/// Over the first 2,000 tasks of the preset an episode pays 133.7 at best and 0.2 with random
/// pulls, without the noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearBandit {
    /// Arms.
    pub arms: u16,
    /// Pulls of an episode.
    pub horizon: u32,
    /// Length of `theta` and of the features.
    pub dimensions: u16,
    /// Standard deviation of a reward.
    pub noise: f32,
    /// Seed of the features.
    pub features_seed: u32,
}

impl LinearBandit {
    /// 10 arms in 4 dimensions, 100 pulls, noise 0.5.
    pub const STANDARD: Self = Self { arms: 10, horizon: 100, dimensions: 4, noise: 0.5, features_seed: 4 };

    /// Features of an arm: a direction, all equally likely, as a vector of length 1. At most
    /// [`MAX_DIMENSIONS`] of them.
    pub fn features(&self, arm: u16) -> Vec<f32, MAX_DIMENSIONS> {
        let seed = FEATURES_SEED.wrapping_add(u64::from(self.features_seed));
        let mut rng = PortableRng::new(seed, u64::from(arm));
        let mut features = draw(self.dimensions, &mut rng);
        // In units of 2^-20 the squares are integers, whose root is the same everywhere.
        let scaled = |feature: &f32| (*feature * 1_048_576.0) as i64;
        let squares: u64 = features.iter().map(|feature| scaled(feature).unsigned_abs().pow(2)).sum();
        let length = squares.isqrt().max(1) as f32 / 1_048_576.0;
        features.iter_mut().for_each(|feature| *feature /= length);
        features
    }
}

impl Family for LinearBandit {
    const NAME: &'static str = "linear-bandit";
    const PRESETS: &'static [(&'static str, Self)] = &[("linear-bandit", Self::STANDARD)];
    type Task = LinearBanditTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((2..=MAX_ARMS).contains(&usize::from(self.arms)), "arms", "2 to 64")?;
        check_horizon(self.horizon)?;
        let dimensions = (1..=MAX_DIMENSIONS).contains(&usize::from(self.dimensions));
        ParameterError::unless(dimensions, "dimensions", "1 to 16")?;
        ParameterError::unless((0.0..=100.0).contains(&self.noise), "noise", "0 to 100")
    }

    fn interface(&self) -> Interface {
        Interface { channels: Vec::new(), actions: self.arms, reward_levels: Vec::from_array(REWARD_LEVELS) }
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        None
    }

    fn task(&self, number: u32) -> Option<LinearBanditTask> {
        self.check().ok()?;
        let theta = draw(self.dimensions, &mut PortableRng::new(TASK_SEED, u64::from(number)));
        let mut means = Vec::new();
        for arm in 0..self.arms {
            let features = self.features(arm);
            means.push(theta.iter().zip(&features).map(|(theta, feature)| theta * feature).sum()).ok()?;
        }
        Some(LinearBanditTask { theta, means, noise: self.noise, horizon: self.horizon, time: 0 })
    }
}

/// A linear bandit with its `theta`. An episode is `horizon` pulls.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearBanditTask {
    theta: Vec<f32, MAX_DIMENSIONS>,
    /// `theta . x_a`, arm by arm.
    means: Vec<f32, MAX_ARMS>,
    noise: f32,
    horizon: u32,
    time: u32,
}

impl LinearBanditTask {
    /// The hidden vector.
    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// What each arm pays on average.
    pub fn means(&self) -> &[f32] {
        &self.means
    }
}

impl Environment for LinearBanditTask {
    fn reset(&mut self, _rng: &mut PortableRng) {
        self.time = 0;
    }

    #[inline]
    fn observe(&self, _observation: &mut [i32]) {}

    #[inline]
    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        let mean = self.means.get(action).or_else(|| self.means.first()).copied().unwrap_or_default();
        self.time = self.time.saturating_add(1);
        Transition { reward: mean + self.noise * normal(rng), done: self.time >= self.horizon }
    }
}

/// At most [`MAX_DIMENSIONS`] standard normal numbers.
fn draw(dimensions: u16, rng: &mut PortableRng) -> Vec<f32, MAX_DIMENSIONS> {
    let mut numbers = Vec::new();
    for _ in 0..dimensions.min(MAX_DIMENSIONS as u16) {
        // There is room for all.
        let _ = numbers.push(normal(rng));
    }
    numbers
}

/// A standard normal number: Karney 2016, "Sampling exactly from the normal distribution",
/// algorithm N. It compares random integers and has no need of logarithms, so it is the same on
/// every target; exact but for the 32 bits of a uniform number.
fn normal(rng: &mut PortableRng) -> f32 {
    loop {
        // The size of the number is `whole + fraction / 2^32`.
        let mut whole = 0_u32;
        while is_below_exp_minus_half(rng) {
            whole += 1;
        }
        if !(0..whole * whole.saturating_sub(1)).all(|_| is_below_exp_minus_half(rng)) {
            continue;
        }
        let fraction = rng.next_u32();
        if (0..=whole).all(|_| accepts(whole, fraction, rng)) {
            let size = whole as f32 + (fraction >> 8) as f32 * (1.0 / 16_777_216.0);
            return if rng.next_u32() & 1 == 0 { size } else { -size };
        }
    }
}

/// With probability `exp(-1/2)`.
fn is_below_exp_minus_half(rng: &mut PortableRng) -> bool {
    // floor(exp(-1/2) 2^32).
    rng.next_u32() < 2_605_029_347
}

/// With probability `exp(-x (2k + x) / (2k + 2))`, `k` being `whole` and `x` `fraction / 2^32`: the
/// parity of the length of a falling run of uniform numbers (von Neumann 1951; Karney's algorithm
/// B).
fn accepts(whole: u32, fraction: u32, rng: &mut PortableRng) -> bool {
    let twice = u64::from(whole) * 2;
    let (mut previous, mut even) = (fraction, true);
    loop {
        let next = rng.next_u32();
        if next >= previous || u64::from(rng.next_u32()) * (twice + 2) >= (twice << 32) + u64::from(fraction)
        {
            return even;
        }
        (previous, even) = (next, !even);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean over the first `tasks` tasks of the best and of the average arm, times the horizon.
    fn optimal_and_random(bandit: LinearBandit, tasks: u32) -> (f64, f64) {
        let (mut best, mut mean) = (0.0, 0.0);
        for number in 0..tasks {
            let task = bandit.task(number).unwrap();
            best += f64::from(task.means().iter().fold(f32::MIN, |a, &b| a.max(b)));
            mean += f64::from(task.means().iter().sum::<f32>() / f32::from(bandit.arms));
        }
        let scale = f64::from(bandit.horizon) / f64::from(tasks);
        (best * scale, mean * scale)
    }

    #[test]
    fn optimal_and_random_rewards_are_those_of_the_specification() {
        let (best, mean) = optimal_and_random(LinearBandit::STANDARD, 2_000);
        assert!((best - 133.7).abs() < 0.05, "{best}");
        assert!((mean - 0.2).abs() < 0.05, "{mean}");
    }

    #[test]
    fn normal_numbers_have_the_normal_distribution() {
        let mut rng = PortableRng::new(4, 0);
        let draws: std::vec::Vec<f64> = (0..400_000).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = |value: &dyn Fn(f64) -> f64| draws.iter().map(|&x| value(x)).sum::<f64>() / 400_000.0;
        // Moments within 5 standard errors, then the distribution function at multiples of a half.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let found = mean(&|x| x.powi(power));
            assert!((found - expected).abs() < 5.0 * f64::sqrt(variance / 400_000.0), "{power}: {found}");
        }
        let below = [0.5, 0.691462, 0.841345, 0.933193, 0.977250, 0.993790, 0.998650, 0.999767];
        for (half, expected) in below.into_iter().enumerate() {
            let found = mean(&|x| f64::from(u8::from(x < half as f64 / 2.0)));
            let error = f64::sqrt(expected * (1.0 - expected) / 400_000.0);
            assert!((found - expected).abs() < 4.0 * error, "{half}: {found} is not {expected}");
        }
    }

    #[test]
    fn features_are_unit_vectors_that_the_seed_fixes() {
        for dimensions in 1..=MAX_DIMENSIONS as u16 {
            let bandit = LinearBandit { dimensions, ..LinearBandit::STANDARD };
            for arm in 0..10 {
                let features = bandit.features(arm);
                let length = features.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
                assert_eq!(features.len(), usize::from(dimensions));
                assert!((length - 1.0).abs() < 1e-5, "{length}");
            }
        }
        let bandit = LinearBandit::STANDARD;
        assert_ne!(bandit.features(0), bandit.features(1));
        assert_ne!(bandit.features(0), LinearBandit { features_seed: 5, ..bandit }.features(0));
    }

    #[test]
    fn a_task_number_means_the_same_bits_everywhere() {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<std::vec::Vec<_>>();
        let task = LinearBandit::STANDARD.task(8).unwrap();
        assert_eq!(bits(task.theta()), [0x3FC1_4130, 0x3F6E_6E14, 0xBF80_7ACF, 0xBFAE_8D86]);
        assert_eq!(bits(&task.means()[..2]), [0xBF32_066A, 0xC013_D58F]);
        let mut rng = PortableRng::new(9, 0);
        let mut pull = |arm| task.clone().step(arm, &mut rng).reward;
        assert_eq!(bits(&[pull(0), pull(1)]), [0x3EB4_6148, 0xC046_1438]);
    }

    #[test]
    fn an_arm_pays_its_mean_and_the_noise_and_the_episode_ends_at_the_horizon() {
        let mut rng = PortableRng::new(3, 0);
        let mut task = LinearBandit { horizon: 20_000, ..LinearBandit::STANDARD }.task(1).unwrap();
        // An arm that there is not is the first one.
        for (action, arm) in [(0, 0), (9, 9), (99, 0)] {
            task.reset(&mut rng);
            let mean = f64::from(task.means()[arm]);
            let (mut sum, mut squares) = (0.0, 0.0);
            for time in 1..=20_000 {
                let transition = task.step(action, &mut rng);
                let difference = f64::from(transition.reward) - mean;
                sum += difference / 20_000.0;
                squares += difference * difference / 20_000.0;
                assert_eq!(transition.done, time == 20_000);
            }
            assert!(sum.abs() < 0.015, "{sum}");
            assert!((squares - 0.25).abs() < 0.01, "{squares}");
        }
    }

    #[test]
    fn impossible_bandits_are_refused() {
        let good = LinearBandit::STANDARD;
        for (bad, field) in [
            (LinearBandit { arms: 1, ..good }, "arms"),
            (LinearBandit { arms: 65, ..good }, "arms"),
            (LinearBandit { horizon: 0, ..good }, "horizon"),
            (LinearBandit { dimensions: 0, ..good }, "dimensions"),
            (LinearBandit { dimensions: 17, ..good }, "dimensions"),
            (LinearBandit { noise: -1.0, ..good }, "noise"),
            (LinearBandit { noise: f32::NAN, ..good }, "noise"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field));
            assert!(bad.task(0).is_none());
        }
        assert!(good.interface().is_valid());
    }
}
