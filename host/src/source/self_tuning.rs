//! A self-tuning controller (Astrom and Wittenmark 1973, "On self tuning regulators"): estimates the
//! motor of a servo while it drives it.

use super::{pair_with, wrong_environment, Algorithm, Learning, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::Result;
use algodistill_core::env::servo::{Motor, Servo, ACTIONS, STOP};
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

/// Parameters of [`Controller`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfTuning {
    /// Whether it learns. One that does not takes every motor for a middling one that is the right way
    /// round: a fixed controller.
    pub learn: bool,
    /// Steps that it looks ahead, 1 to 6.
    pub lookahead: u32,
}

impl Default for SelfTuning {
    fn default() -> Self {
        Self { learn: true, lookahead: 3 }
    }
}

impl Algorithm for SelfTuning {
    const NAME: &'static str = "self-tuning";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        ParameterError::unless((1..=6).contains(&self.lookahead), "lookahead", "1 to 6")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<Servo>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        match environment.family::<Servo>() {
            Some(servo) => pair_with(environment, servo, task, Controller::new(servo, *self)),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// What is known of a motor: least squares over the steps so far, none of which is ever forgotten, of
/// `v' = keep v + push u + load`. The regressors are velocity, drive and 1.
#[derive(Clone, Debug, Default)]
struct Estimate {
    /// Sum of the outer products of the regressors: the inverse of the covariance, but for the
    /// variance of the rounding.
    information: Matrix3<f64>,
    /// Sum of the regressors times what followed.
    weighted: Vector3<f64>,
}

impl Estimate {
    fn add(&mut self, velocity: i32, drive: i32, next: i32) {
        let regressors = Vector3::new(f64::from(velocity), f64::from(drive), 1.0);
        self.information += regressors * regressors.transpose();
        self.weighted += regressors * f64::from(next);
    }

    /// Keep, push and load, once the regressors span them.
    fn solve(&self) -> Option<Vector3<f64>> {
        // They are integers: the determinant is a sum of squares of integers (Cauchy and Binet), at
        // least 1 where three of them are independent.
        if self.information.determinant() < 0.5 {
            return None;
        }
        Some(self.information.cholesky()?.solve(&self.weighted))
    }
}

/// Drives at random until least squares have a solution, three steps as a rule, and then as is best
/// for the motor that it believes in.
#[derive(Clone, Debug)]
pub struct Controller {
    parameters: SelfTuning,
    /// Keep, push and load of the motor that it believes in at first.
    presumed: Option<Vector3<f64>>,
    estimate: Estimate,
    motor: Option<Vector3<f64>>,
    /// Before the last action.
    velocity: i32,
}

impl Controller {
    /// A controller that has driven nothing yet.
    pub fn new(servo: &Servo, parameters: SelfTuning) -> Self {
        let presumed = (!parameters.learn).then(|| {
            // The middle of what is left, and of the octaves of the speed.
            let keep = 0.45;
            Vector3::new(keep, (1.0 - keep) * f64::from(servo.slowest), 0.0)
        });
        Self { parameters, presumed, estimate: Estimate::default(), motor: presumed, velocity: 0 }
    }
}

/// What is observed: velocity and error.
fn seen(observation: &[i32]) -> (f64, f64) {
    let word = |place: usize| f64::from(observation.get(place).copied().unwrap_or(0));
    (word(1), word(2))
}

/// Sum of the distances from the target after each of so many steps, and of that where the motor then
/// comes to rest on its own; of the drives that make it least. Anything as large as `most` will do
/// where there is none below it.
fn cost(motor: &Vector3<f64>, velocity: f64, error: f64, steps: u32, most: f64) -> f64 {
    if steps == 0 {
        let keep = motor.x.clamp(0.0, 0.95);
        return (error - velocity * keep / (1.0 - keep)).abs();
    }
    let mut least = most;
    for action in 0..usize::from(ACTIONS) {
        let velocity = motor.x * velocity + motor.y * f64::from(Motor::drive(action)) + motor.z;
        let error = error - velocity;
        let now = error.abs();
        if now < least {
            least = least.min(now + cost(motor, velocity, error, steps - 1, least - now));
        }
    }
    least
}

impl Source for Controller {
    fn begin_history(&mut self) {
        self.estimate = Estimate::default();
        self.motor = self.presumed;
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let (velocity, error) = seen(observation);
        self.velocity = velocity as i32;
        let Some(motor) = &self.motor else { return rng.below(ACTIONS.into()) as usize };
        let (mut best, mut least) = (0, f64::INFINITY);
        for action in 0..usize::from(ACTIONS) {
            let velocity = motor.x * velocity + motor.y * f64::from(Motor::drive(action)) + motor.z;
            let error = error - velocity;
            let total = error.abs() + cost(motor, velocity, error, self.parameters.lookahead - 1, least);
            if total < least {
                (best, least) = (action, total);
            }
        }
        best
    }

    fn learn(&mut self, outcome: &Outcome) {
        let &[position, velocity, ..] = outcome.next_observation else { return };
        // What a stop does to the velocity says nothing of the motor.
        if self.parameters.learn && position.abs() < STOP {
            self.estimate.add(self.velocity, Motor::drive(outcome.action), velocity);
            self.motor = self.estimate.solve();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::mean_returns;
    use super::*;
    use crate::environment::Simulation;
    use algodistill_core::Family;

    #[test]
    fn an_estimate_is_the_motor_but_for_the_rounding() {
        let motor = Motor { keep: 128, push: -2_000, load: 300 };
        let (mut estimate, mut velocity) = (Estimate::default(), 0);
        for drive in [2, -1, 2, 0, -2, 1] {
            assert_eq!(estimate.solve().is_some(), estimate.information.m33 > 2.5, "{estimate:?}");
            let next = motor.velocity(velocity, drive);
            estimate.add(velocity, drive, next);
            velocity = next;
        }
        let found = estimate.solve().unwrap() * 256.0;
        for (found, expected) in found.iter().zip([128.0, -2_000.0, 300.0]) {
            // Half a count of rounding in six steps.
            assert!((found - expected).abs() < 128.0, "{found} is not {expected}");
        }
    }

    #[test]
    fn who_learns_the_motor_controls_it_and_who_presumes_it_fails_on_half_of_them() {
        let servo = Servo::STANDARD;
        let optimum: f64 =
            (0..300).map(|number| servo.optimal_return(&servo.task(number).unwrap()).unwrap()).sum::<f64>()
                / 300.0;
        let learned = mean_returns(servo, SelfTuning::default(), 0..300, 4);
        let fixed = mean_returns(servo, SelfTuning { learn: false, ..SelfTuning::default() }, 0..300, 4);
        assert!(learned[0] > 0.88 * optimum && learned[0] < 0.95 * optimum, "{learned:?} of {optimum}");
        for episode in 1..4 {
            assert!(learned[episode] > 0.98 * optimum, "{learned:?} of {optimum}");
            assert!(fixed[episode] < 0.55 * optimum, "{fixed:?} of {optimum}");
        }
    }
}
