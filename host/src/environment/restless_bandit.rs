//! Restless bandits on the host.

use super::bandit::draw_arms;
use super::{Defaults, Drawing, Episode, Expert, Simulation};
use crate::source::Outcome;
use algodistill_core::env::restless_bandit::{RestlessBandit, RestlessBanditTask};
use algodistill_core::{Environment, PortableRng};

impl Simulation for RestlessBandit {
    fn describe(&self) -> String {
        format!("Restless bandit, {} arms, {} pulls", self.arms, self.horizon)
    }

    /// The states go on over the end of an episode, so the episodes of a history are one stream,
    /// long enough to train on sequences of several windows, and those of a context show
    /// whether the learner keeps up.
    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: Some(2_500),
            held_out: 100,
            episodes: 4,
            context_episodes: 10,
            ..Defaults::OF_BANDITS
        }
    }

    fn action_name(&self, action: usize) -> String {
        format!("arm {action}")
    }

    /// Of whoever knows the states, in the mean over their courses: any episode of a stream, of
    /// whichever task, is as good as any other. One course may pay more or less.
    fn optimal_return(&self, _task: &RestlessBanditTask) -> Option<f64> {
        let (good, bad) = (f64::from(self.good_pays), f64::from(self.bad_pays));
        let share = f64::from(self.good_share);
        // Every arm is in the worse state at once.
        let unlucky = if good > bad { 1.0 - share } else { share }.powi(self.arms.into());
        Some(f64::from(self.horizon) * (good.max(bad) * (1.0 - unlucky) + good.min(bad) * unlucky))
    }

    /// In the mean over the courses of the states, as the optimum.
    fn random_return(&self, _task: &RestlessBanditTask) -> Option<f64> {
        let share = f64::from(self.good_share);
        let pays = share * f64::from(self.good_pays) + (1.0 - share) * f64::from(self.bad_pays);
        Some(f64::from(self.horizon) * pays)
    }

    fn expert(&self, task: &RestlessBanditTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(Clairvoyant {
            start: task.clone(),
            now: task.clone(),
            good_is_better: self.good_pays > self.bad_pays,
        }))
    }

    fn draw(&self, task: &RestlessBanditTask, episode: &Episode) -> Option<Drawing> {
        let pays = |good: &bool| f64::from(if *good { self.good_pays } else { self.bad_pays });
        let now: Vec<f64> = task.good().iter().map(pays).collect();
        Some(draw_arms(&now, episode))
    }
}

/// Knows the states, whose course the task's number is, and pulls any of the arms that pay best
/// now.
struct Clairvoyant {
    start: RestlessBanditTask,
    now: RestlessBanditTask,
    good_is_better: bool,
}

impl Expert for Clairvoyant {
    fn begin_context(&mut self) {
        self.now = self.start.clone();
    }

    fn act(&mut self, _observation: &[i32], rng: &mut PortableRng) -> usize {
        let better = |arm: &usize| self.now.good()[*arm] == self.good_is_better;
        let arms = self.now.good().len();
        let count = (0..arms).filter(better).count();
        match count {
            0 => rng.below(arms as u32) as usize,
            _ => (0..arms).filter(better).nth(rng.below(count as u32) as usize).unwrap_or(0),
        }
    }

    fn learn(&mut self, outcome: &Outcome) {
        // The states draw from a generator of their own, whatever was pulled and paid.
        self.now.step(outcome.action, &mut PortableRng::new(0, 0));
    }

    fn skip_episodes(&mut self, count: u32) {
        for _ in 0..u64::from(count) * u64::from(self.now.bandit().horizon) {
            self.now.step(0, &mut PortableRng::new(0, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use algodistill_core::Family;

    #[test]
    fn whoever_knows_the_states_earns_what_the_long_run_says() {
        let standard = RestlessBandit::STANDARD;
        let task = standard.task(0).unwrap();
        assert!((standard.optimal_return(&task).unwrap() - 245.97).abs() < 0.01);
        assert!((standard.random_return(&task).unwrap() - 90.0).abs() < 1e-5);
        let (mut total, mut rng) = (0.0, PortableRng::new(0, 0));
        for number in 0..300 {
            let mut task = standard.task(number).unwrap();
            let mut expert = standard.expert(&task).unwrap();
            for _ in 0..300 {
                let action = expert.act(&[], &mut rng);
                let reward = task.step(action, &mut rng).reward;
                expert.learn(&Outcome { action, reward, next_observation: &[], done: false });
                total += f64::from(reward) / 300.0;
            }
        }
        // Four standard errors.
        assert!((total - 246.0).abs() < 3.5, "{total}");
    }

    #[test]
    fn a_new_context_finds_the_expert_where_the_course_of_the_states_begins() {
        let bandit = EnvironmentConfig::from(RestlessBandit::STANDARD);
        let mut expert = bandit.expert(5).unwrap().unwrap();
        let mut run = || {
            let mut rng = PortableRng::new(1, 0);
            expert.begin_context();
            (0..200)
                .map(|_| {
                    let action = expert.act(&[], &mut rng);
                    expert.learn(&Outcome { action, reward: 0.0, next_observation: &[], done: false });
                    action
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn the_arms_show_what_they_pay_now() {
        let mut task = EnvironmentConfig::from(RestlessBandit::STANDARD).task(0).unwrap();
        let mut pictures = Vec::new();
        for _ in 0..300 {
            pictures.push(task.draw(&Episode::default()).unwrap().plain());
            task.step(0, &mut PortableRng::new(0, 0));
        }
        assert!(
            pictures[0].contains("pays 0.10") && pictures.iter().any(|picture| picture.contains("pays 0.90"))
        );
        pictures.dedup();
        assert!(pictures.len() > 1);
    }
}
