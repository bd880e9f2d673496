//! Bernoulli bandits: K arms that pay 1 with a probability of their own, a horizon, nothing to
//! observe.

use super::{check_horizon, Environment, Family, ParameterError, Transition};
use crate::{Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Most arms of a bandit.
pub const MAX_ARMS: usize = 64;
/// Seed of the tasks: task `i` is drawn from stream `i`.
const TASK_SEED: u64 = 0xBA4D_1775;

/// Bernoulli bandits whose arms are drawn from one distribution. The task is the number of a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandit {
    /// Arms.
    pub arms: u16,
    /// Pulls of an episode.
    pub horizon: u32,
    /// How the arms of a task are drawn.
    pub distribution: TaskDistribution,
}

impl Family for Bandit {
    const NAME: &'static str = "bandit";
    const PRESETS: &'static [(&'static str, Self)] = &[
        ("bandit", Self { arms: 10, horizon: 100, distribution: TaskDistribution::Adversarial }),
        ("bandit-odd", Self { arms: 10, horizon: 100, distribution: TaskDistribution::Odd }),
        ("bandit-even", Self { arms: 10, horizon: 100, distribution: TaskDistribution::Even }),
        ("bandit-uniform", Self { arms: 10, horizon: 100, distribution: TaskDistribution::Uniform }),
        ("bandit-one-good-arm", Self { arms: 10, horizon: 300, distribution: TaskDistribution::OneGoodArm }),
    ];
    type Task = BanditTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((2..=MAX_ARMS).contains(&usize::from(self.arms)), "arms", "2 to 64")?;
        check_horizon(self.horizon)
    }

    fn interface(&self) -> Interface {
        Interface { channels: Vec::new(), actions: self.arms, reward_levels: Vec::from_array([0.0, 1.0]) }
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        None
    }

    fn task(&self, number: u32) -> Option<BanditTask> {
        self.check().ok()?;
        let mut rng = PortableRng::new(TASK_SEED, u64::from(number));
        BanditTask::new(&self.distribution.draw(self.arms, &mut rng), self.horizon)
    }
}

/// A bandit with its arms. An episode is `horizon` pulls.
#[derive(Clone, Debug, PartialEq)]
pub struct BanditTask {
    probabilities: Vec<f32, MAX_ARMS>,
    horizon: u32,
    time: u32,
}

impl BanditTask {
    /// A bandit whose arm `a` pays 1 with probability `probabilities[a]`. `None` where there are
    /// fewer than 2 or more than [`MAX_ARMS`] arms, a probability is not in [0, 1], or the
    /// horizon is 0.
    pub fn new(probabilities: &[f32], horizon: u32) -> Option<Self> {
        let valid =
            probabilities.len() >= 2 && horizon > 0 && probabilities.iter().all(|p| (0.0..=1.0).contains(p));
        let probabilities = Vec::from_slice(probabilities).ok()?;
        valid.then_some(Self { probabilities, horizon, time: 0 })
    }

    /// What each arm pays on average.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Pulls of an episode.
    pub fn horizon(&self) -> u32 {
        self.horizon
    }
}

impl Environment for BanditTask {
    fn reset(&mut self, _rng: &mut PortableRng) {
        self.time = 0;
    }

    #[inline]
    fn observe(&self, _observation: &mut [i32]) {}

    #[inline]
    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        let arm = self.probabilities.get(action).or_else(|| self.probabilities.first());
        let pays = arm.is_some_and(|&probability| rng.uniform() < probability);
        self.time = self.time.saturating_add(1);
        Transition { reward: if pays { 1.0 } else { 0.0 }, done: self.time >= self.horizon }
    }
}

/// How the arms of a bandit task are drawn.
///
/// "Odd" arms are the first, third, fifth, ...: odd when counted from 1, so an even *index*. The
/// published and the reference numbers for an odd K (three good arms of five) come out this way
/// only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskDistribution {
    /// [`Self::Odd`] in 95 % of the tasks, [`Self::Even`] in the others (Laskin et al. 2022,
    /// adversarial bandit).
    Adversarial,
    /// Odd arms pay U[.5, 1], even arms U[0, .5].
    Odd,
    /// Even arms pay U[.5, 1], odd arms U[0, .5].
    Even,
    /// Every arm pays U[0, 1].
    Uniform,
    /// One arm, any, pays .9, the others .1.
    OneGoodArm,
}

impl TaskDistribution {
    /// Draws what each arm pays; at most [`MAX_ARMS`] arms.
    fn draw(self, arms: u16, rng: &mut PortableRng) -> Vec<f32, MAX_ARMS> {
        let good_index_parity = match self {
            Self::Odd => 0,
            Self::Even => 1,
            Self::Adversarial => u16::from(rng.uniform() >= 0.95),
            Self::Uniform | Self::OneGoodArm => 0,
        };
        let good_arm = rng.below(u32::from(arms));
        let mut probabilities = Vec::<f32, MAX_ARMS>::new();
        for arm in 0..arms.min(MAX_ARMS as u16) {
            let uniform = rng.uniform();
            let probability = match self {
                Self::Uniform => uniform,
                Self::OneGoodArm if u32::from(arm) == good_arm => 0.9,
                Self::OneGoodArm => 0.1,
                _ if arm % 2 == good_index_parity => 0.5 + 0.5 * uniform,
                _ => 0.5 * uniform,
            };
            // There is room for all.
            let _ = probabilities.push(probability);
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean over `tasks` of the best and of the average arm, times the horizon.
    fn optimal_and_random(distribution: TaskDistribution, arms: u16, horizon: u32, tasks: u32) -> (f64, f64) {
        let (mut best, mut mean) = (0.0, 0.0);
        for task in 0..tasks {
            let bandit = Bandit { arms, horizon, distribution }.task(task).unwrap();
            best += f64::from(bandit.probabilities().iter().fold(0.0_f32, |a, &b| a.max(b)));
            mean += f64::from(bandit.probabilities().iter().sum::<f32>() / f32::from(arms));
        }
        let scale = f64::from(horizon) / f64::from(tasks);
        (best * scale, mean * scale)
    }

    #[test]
    fn optimal_and_random_rewards_are_those_of_the_specification() {
        use TaskDistribution::{Adversarial, OneGoodArm};
        for (distribution, arms, horizon, optimal, random) in [
            (Adversarial, 10, 100, 91.8, 50.2),
            (Adversarial, 10, 300, 275.6, 149.5),
            (Adversarial, 5, 100, 87.1, 54.7),
            (OneGoodArm, 10, 100, 90.0, 18.0),
        ] {
            let (best, mean) = optimal_and_random(distribution, arms, horizon, 20_000);
            // The reference is itself a mean over 3,000 tasks: half a percent is 3 of its standard errors.
            assert!((best / optimal - 1.0).abs() < 0.005, "{distribution:?} {arms}: {best} is not {optimal}");
            assert!((mean / random - 1.0).abs() < 0.006, "{distribution:?} {arms}: {mean} is not {random}");
        }
    }

    #[test]
    fn an_arm_pays_as_often_as_it_should_and_the_episode_ends_at_the_horizon() {
        let mut rng = PortableRng::new(3, 0);
        let mut bandit = BanditTask::new(&[0.0, 1.0, 0.3], 10_000).unwrap();
        for (arm, expected) in [(0, 0.0), (1, 1.0), (2, 0.3), (99, 0.0)] {
            bandit.reset(&mut rng);
            let mut sum = 0.0;
            for time in 1..=10_000 {
                let transition = bandit.step(arm, &mut rng);
                sum += transition.reward;
                assert_eq!(transition.done, time == 10_000);
            }
            assert!((sum / 10_000.0 - expected).abs() < 0.02);
        }
    }

    #[test]
    fn impossible_bandits_are_refused() {
        assert!(BanditTask::new(&[0.5], 1).is_none());
        assert!(BanditTask::new(&[0.5; MAX_ARMS + 1], 1).is_none());
        assert!(BanditTask::new(&[0.5, 1.5], 1).is_none());
        assert!(BanditTask::new(&[0.5, f32::NAN], 1).is_none());
        assert!(BanditTask::new(&[0.5, 0.5], 0).is_none());
        let good = Bandit { arms: 10, horizon: 1, distribution: TaskDistribution::Uniform };
        for (bad, field) in [
            (Bandit { arms: 1, ..good }, "arms"),
            (Bandit { arms: 65, ..good }, "arms"),
            (Bandit { horizon: 0, ..good }, "horizon"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field));
            assert!(bad.task(0).is_none());
        }
    }
}
