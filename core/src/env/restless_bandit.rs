//! Restless bandits (Whittle 1988): arms whose pay changes whether they are pulled or not. A
//! radio's channels under interference, each good or bad for a while (the Gilbert-Elliott channel;
//! Liu and Zhao 2010, "Indexability of restless bandit problems and optimality of Whittle index for
//! dynamic multichannel access").

use super::{check_horizon, Environment, Family, ParameterError, Transition};
use crate::{Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Most arms of a restless bandit.
pub const MAX_ARMS: usize = 64;
/// Seed of the tasks: the states of task `i` are drawn from stream `i`.
const TASK_SEED: u64 = 0x2E57_1E55;

/// Restless bandits: every arm is good or bad, a two-state Markov chain of its own. A pull pays 1
/// or 0 as the arm's state has it, then all arms go on by one step.
///
/// The task is the number of a course of all the states, which actions and rewards have no part in.
/// It starts from the long run's shares and has no end: a new episode goes on where the last one
/// stopped, so ten episodes of 300 pulls are one stream of 3,000 to whoever does not look at the
/// end of episodes.
///
/// Over the first 1,000 tasks of the preset 300 pulls pay 245.6 to who knows the states and 89.6
/// with random pulls; in the long run 246.0 and 90.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestlessBandit {
    /// Arms.
    pub arms: u16,
    /// Pulls of an episode.
    pub horizon: u32,
    /// Probability that a good arm pays.
    pub good_pays: f32,
    /// Probability that a bad arm pays.
    pub bad_pays: f32,
    /// Probability that a good arm is good a step later.
    pub good_stays: f32,
    /// Share of the time that an arm is good.
    pub good_share: f32,
}

impl RestlessBandit {
    /// 8 arms that pay 0.9 or 0.1, 300 pulls; good a quarter of the time, for 50 steps on average.
    pub const STANDARD: Self =
        Self { arms: 8, horizon: 300, good_pays: 0.9, bad_pays: 0.1, good_stays: 0.98, good_share: 0.25 };

    /// Probability that a bad arm is good a step later: what keeps the share of good ones.
    pub fn bad_turns(&self) -> f32 {
        (1.0 - self.good_stays) * self.good_share / (1.0 - self.good_share)
    }
}

impl Family for RestlessBandit {
    const NAME: &'static str = "restless-bandit";
    const PRESETS: &'static [(&'static str, Self)] = &[("restless-bandit", Self::STANDARD)];
    type Task = RestlessBanditTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((2..=MAX_ARMS).contains(&usize::from(self.arms)), "arms", "2 to 64")?;
        check_horizon(self.horizon)?;
        let probability =
            |value, field| ParameterError::unless((0.0..=1.0).contains(&value), field, "0 to 1");
        probability(self.good_pays, "good_pays")?;
        probability(self.bad_pays, "bad_pays")?;
        probability(self.good_stays, "good_stays")?;
        // From here on a chain exists: without an upper bound bad arms would have to turn more than
        // always.
        let share = (0.0..1.0).contains(&self.good_share) && self.bad_turns() <= 1.0;
        ParameterError::unless(share, "good_share", "0 to 1 / (2 - good_stays), less than 1")
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

    fn task(&self, number: u32) -> Option<RestlessBanditTask> {
        self.check().ok()?;
        let mut states = PortableRng::new(TASK_SEED, u64::from(number));
        let mut good = Vec::new();
        for _ in 0..self.arms {
            good.push(states.uniform() < self.good_share).ok()?;
        }
        Some(RestlessBanditTask { bandit: *self, good, states, time: 0 })
    }
}

/// A restless bandit somewhere in the course of its states. An episode is `horizon` pulls.
#[derive(Clone, Debug, PartialEq)]
pub struct RestlessBanditTask {
    bandit: RestlessBandit,
    good: Vec<bool, MAX_ARMS>,
    /// Draws the states to come.
    states: PortableRng,
    time: u32,
}

impl RestlessBanditTask {
    /// The bandit's parameters.
    pub fn bandit(&self) -> &RestlessBandit {
        &self.bandit
    }

    /// Which arms are good now: what the next pull meets.
    pub fn good(&self) -> &[bool] {
        &self.good
    }
}

impl Environment for RestlessBanditTask {
    /// The states go on as if nothing had been reset.
    fn reset(&mut self, _rng: &mut PortableRng) {
        self.time = 0;
    }

    #[inline]
    fn observe(&self, _observation: &mut [i32]) {}

    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        let good = self.good.get(action).or_else(|| self.good.first()).copied().unwrap_or_default();
        let pays = rng.uniform() < if good { self.bandit.good_pays } else { self.bandit.bad_pays };
        let (stays, turns) = (self.bandit.good_stays, self.bandit.bad_turns());
        for good in self.good.iter_mut() {
            *good = self.states.uniform() < if *good { stays } else { turns };
        }
        self.time = self.time.saturating_add(1);
        Transition { reward: f32::from(u8::from(pays)), done: self.time >= self.bandit.horizon }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which arms are good in each of the next `steps` steps, when `pull` chooses the arms.
    fn course(
        task: &mut RestlessBanditTask,
        steps: usize,
        rng: &mut PortableRng,
        pull: impl Fn(usize) -> usize,
    ) -> std::vec::Vec<std::vec::Vec<bool>> {
        let mut step = |number| {
            let good = task.good().to_vec();
            if task.step(pull(number), rng).done {
                task.reset(rng);
            }
            good
        };
        (0..steps).map(&mut step).collect()
    }

    #[test]
    fn known_states_and_random_pulls_earn_what_the_specification_says() {
        let mut rng = PortableRng::new(1, 0);
        let (mut best, mut mean) = (0.0, 0.0);
        for number in 0..1_000 {
            let mut task = RestlessBandit::STANDARD.task(number).unwrap();
            for good in course(&mut task, 300, &mut rng, |_| 0) {
                let pays = |good: &bool| if *good { 0.9 } else { 0.1 };
                best += good.iter().map(pays).fold(0.0_f64, f64::max) / 1_000.0;
                mean += good.iter().map(pays).sum::<f64>() / 8_000.0;
            }
        }
        // A standard error of such a mean is 0.5 and 0.3.
        assert!((best - 245.4).abs() < 1.5, "{best}");
        assert!((mean - 89.5).abs() < 1.0, "{mean}");
    }

    #[test]
    fn states_change_as_often_as_the_parameters_say() {
        let mut task = RestlessBandit::STANDARD.task(0).unwrap();
        let (mut good, mut stayed, mut turned) = (0.0, 0.0, 0.0);
        let course = course(&mut task, 100_000, &mut PortableRng::new(1, 0), |_| 0);
        for (now, next) in course.iter().zip(&course[1..]) {
            for (now, next) in now.iter().zip(next) {
                good += f64::from(u8::from(*now));
                stayed += f64::from(u8::from(*now && *next));
                turned += f64::from(u8::from(!*now && *next));
            }
        }
        let steps = 8.0 * (course.len() - 1) as f64;
        assert!((good / steps - 0.25).abs() < 0.01, "{}", good / steps);
        assert!((stayed / good - 0.98).abs() < 0.001, "{}", stayed / good);
        assert!((turned / (steps - good) - 0.02 / 3.0).abs() < 0.0003, "{}", turned / (steps - good));
    }

    #[test]
    fn an_arm_pays_as_its_state_has_it() {
        let mut rng = PortableRng::new(7, 0);
        let mut task = RestlessBandit::STANDARD.task(3).unwrap();
        let (mut paid, mut pulls) = ([0.0; 2], [0.0; 2]);
        for step in 0..40_000 {
            let arm = step % 8;
            let good = usize::from(task.good()[arm]);
            pulls[good] += 1.0;
            paid[good] += task.step(arm, &mut rng).reward;
        }
        assert!((paid[0] / pulls[0] - 0.1).abs() < 0.01);
        assert!((paid[1] / pulls[1] - 0.9).abs() < 0.01);
    }

    #[test]
    fn a_number_is_a_course_of_states_whatever_is_pulled_and_however_long_the_episodes_are() {
        let run = |number, horizon, seed, pull: fn(usize) -> usize| {
            let mut task = RestlessBandit { horizon, ..RestlessBandit::STANDARD }.task(number).unwrap();
            course(&mut task, 500, &mut PortableRng::new(seed, 0), pull)
        };
        let first = run(5, 300, 0, |_| 0);
        assert_eq!(first, run(5, 7, 1, |step| step % 11));
        assert_ne!(first, run(6, 300, 0, |_| 0));
    }

    #[test]
    fn an_episode_ends_at_the_horizon() {
        let mut rng = PortableRng::new(0, 0);
        let mut task = RestlessBandit { horizon: 3, ..RestlessBandit::STANDARD }.task(0).unwrap();
        for _ in 0..2 {
            task.reset(&mut rng);
            assert_eq!([1, 7, 99].map(|arm| task.step(arm, &mut rng).done), [false, false, true]);
        }
    }

    #[test]
    fn impossible_bandits_are_refused() {
        let good = RestlessBandit::STANDARD;
        for (bad, field) in [
            (RestlessBandit { arms: 1, ..good }, "arms"),
            (RestlessBandit { arms: 65, ..good }, "arms"),
            (RestlessBandit { horizon: 0, ..good }, "horizon"),
            (RestlessBandit { good_pays: 1.1, ..good }, "good_pays"),
            (RestlessBandit { bad_pays: -0.1, ..good }, "bad_pays"),
            (RestlessBandit { good_stays: f32::NAN, ..good }, "good_stays"),
            (RestlessBandit { good_share: 1.0, ..good }, "good_share"),
            (RestlessBandit { good_share: f32::NAN, ..good }, "good_share"),
            // Bad arms would turn good with a probability of 1.5.
            (RestlessBandit { good_stays: 0.5, good_share: 0.75, ..good }, "good_share"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field), "{bad:?}");
            assert!(bad.task(0).is_none());
        }
        let alternating = RestlessBandit { good_stays: 0.0, good_share: 0.5, ..good };
        assert_eq!(alternating.check(), Ok(()));
    }
}
