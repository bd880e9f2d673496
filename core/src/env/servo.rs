//! Servo: a motor whose gain, sign, friction and load are hidden, to be brought to a target and held
//! there. Integers only.

use super::{write_words, Environment, Family, ParameterError, Transition};
use crate::{Channel, Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// A motor with an encoder between two stops. Five actions set its drive, from full power one way to
/// full power the other way; which way is which, how fast the motor is, how long it coasts and what
/// pulls at it are hidden ([`Motor`]) and are the task. Every step that ends within `band` counts of
/// the target pays 1; an episode is `horizon` steps, from a position at random, at rest, to a target
/// at random.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servo {
    /// Steps of an episode, 1 to 200.
    pub horizon: u32,
    /// Farthest from the target that pays, in counts, 1 to 100.
    pub band: u16,
    /// Least speed of a motor at full drive without a load, in counts a step, 4 to 50. The greatest
    /// is four times that.
    pub slowest: u16,
    /// How fast the strongest load moves the motor where nothing drives it, in percent of the speed at
    /// full drive, 0 to 40.
    pub load: u16,
}

/// What is hidden: how the velocity follows the drive, in 256ths. Every step makes of velocity `v` and
/// drive `u` (-2 to 2) the velocity `floor((keep v + push u + load + 128) / 256)`: the nearest whole
/// number, the upper one of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motor {
    /// What is left of the velocity.
    pub keep: i32,
    /// What a half of full drive adds; negative where the motor is the wrong way round.
    pub push: i32,
    /// What a constant pull adds.
    pub load: i32,
}

/// Number of actions.
pub const ACTIONS: u16 = 5;
/// Names of the actions.
pub const ACTION_NAMES: [&str; 5] = ["full back", "half back", "off", "half ahead", "full ahead"];
/// The stops are at this position and at minus this.
pub const STOP: i32 = 512;
/// Episodes begin, and targets are, at most this far from the middle.
pub const REACH: i32 = 256;
/// Longest episode.
pub const MAX_HORIZON: u32 = 200;
/// Least of [`Motor::keep`], and how many values it has: 0.2 to 0.7.
const KEEP: (u32, u32) = (51, 129);
/// Seed of the list of motors.
const TASK_SEED: u64 = 0x0073_6572_766f;

impl Motor {
    /// The drive of an action; one out of range is as the first.
    pub const fn drive(action: usize) -> i32 {
        if action < ACTIONS as usize {
            action as i32 - 2
        } else {
            -2
        }
    }

    /// The velocity after a step with `drive`.
    pub const fn velocity(&self, velocity: i32, drive: i32) -> i32 {
        // An arithmetic shift rounds down.
        (self.keep * velocity + self.push * drive + self.load + 128) >> 8
    }

    /// Position and velocity after a step with `drive`. Who reaches a stop stands there.
    pub const fn step(&self, (position, velocity): (i32, i32), drive: i32) -> (i32, i32) {
        let velocity = self.velocity(velocity, drive);
        let position = position + velocity;
        if position <= -STOP {
            (-STOP, 0)
        } else if position >= STOP {
            (STOP, 0)
        } else {
            (position, velocity)
        }
    }
}

impl Servo {
    /// 40 steps, a band of 16 counts, motors of 20 to 80 counts a step, loads of up to a quarter.
    pub const STANDARD: Self = Self { horizon: 40, band: 16, slowest: 20, load: 25 };

    /// Motor `number` of the endless list.
    fn motor(&self, number: u32) -> Motor {
        let mut rng = PortableRng::new(TASK_SEED, u64::from(number));
        let (least, values) = KEEP;
        let keep = least + rng.below(values);
        // In 256ths of a count. Each octave is as likely as the other; a factor of 1 to 2 in it.
        let octave = rng.below(2);
        let factor = 256 + rng.below(256);
        let speed = (u32::from(self.slowest) << octave) * factor;
        let sign = if rng.below(2) == 0 { 1 } else { -1 };
        let strongest = speed * u32::from(self.load) / 100;
        let pull = rng.below(2 * strongest + 1) as i32 - strongest as i32;
        // What the speed is in the long run, and what one step adds to it.
        let added = (256 - keep) as i32;
        Motor { keep: keep as i32, push: sign * added * speed as i32 / (2 * 256), load: added * pull / 256 }
    }
}

impl Family for Servo {
    const NAME: &'static str = "servo";
    const PRESETS: &'static [(&'static str, Self)] = &[("servo", Self::STANDARD)];
    type Task = ServoTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((1..=MAX_HORIZON).contains(&self.horizon), "horizon", "1 to 200")?;
        ParameterError::unless((1..=100).contains(&self.band), "band", "1 to 100")?;
        ParameterError::unless((4..=50).contains(&self.slowest), "slowest", "4 to 50")?;
        ParameterError::unless(self.load <= 40, "load", "0 to 40")
    }

    /// Position, velocity, and how far ahead the target is.
    fn interface(&self) -> Interface {
        let mut channels = Vec::new();
        // There is room for eight.
        let _ = channels.push(Channel::Vector { size: 3 });
        Interface { channels, actions: ACTIONS, reward_levels: Vec::from_array([0.0, 1.0]) }
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        None
    }

    fn task(&self, number: u32) -> Option<ServoTask> {
        self.check().ok()?;
        let motor = self.motor(number);
        Some(ServoTask { servo: *self, motor, target: 0, position: 0, velocity: 0, time: 0 })
    }
}

/// A servo with its motor.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoTask {
    servo: Servo,
    motor: Motor,
    target: i32,
    position: i32,
    velocity: i32,
    time: u32,
}

impl ServoTask {
    /// What is hidden.
    pub fn motor(&self) -> Motor {
        self.motor
    }

    /// Where it should be.
    pub fn target(&self) -> i32 {
        self.target
    }

    /// Where it is.
    pub fn position(&self) -> i32 {
        self.position
    }
}

impl Environment for ServoTask {
    fn reset(&mut self, rng: &mut PortableRng) {
        let mut place = || rng.below(2 * REACH as u32 + 1) as i32 - REACH;
        self.position = place();
        self.target = place();
        self.velocity = 0;
        self.time = 0;
    }

    fn observe(&self, observation: &mut [i32]) {
        write_words(observation, [self.position, self.velocity, self.target - self.position]);
    }

    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.time = self.time.saturating_add(1);
        let now = (self.position, self.velocity);
        (self.position, self.velocity) = self.motor.step(now, Motor::drive(action));
        let within = self.target.abs_diff(self.position) <= u32::from(self.servo.band);
        Transition { reward: f32::from(u8::from(within)), done: self.time >= self.servo.horizon }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_velocity_is_rounded_to_the_nearest_the_upper_one_of_two() {
        let motor = Motor { keep: 128, push: 256, load: 64 };
        // 128ths and 64ths: 0.25, 0.75, 1.25, 1.75 and their negatives; a half goes up.
        for (velocity, drive, expected) in
            [(0, 0, 0), (1, 0, 1), (2, 0, 1), (3, 0, 2), (-1, 0, 0), (-2, 0, -1), (0, -2, -2), (0, 1, 1)]
        {
            assert_eq!(motor.velocity(velocity, drive), expected, "{velocity} {drive}");
        }
        let half = Motor { keep: 0, push: 0, load: -128 };
        assert_eq!(half.velocity(0, 0), 0);
        assert_eq!(Motor { load: -129, ..half }.velocity(0, 0), -1);
    }

    #[test]
    fn who_reaches_a_stop_stands_there() {
        let motor = Motor { keep: 128, push: 2_560, load: 0 };
        assert_eq!(motor.step((500, 20), 0), (510, 10));
        assert_eq!(motor.step((500, 24), 0), (STOP, 0));
        assert_eq!(motor.step((500, 40), 2), (STOP, 0));
        assert_eq!(motor.step((-500, 0), -2), (-STOP, 0));
        assert_eq!(motor.step((STOP, 0), -1), (STOP - 10, -10));
    }

    #[test]
    fn motors_are_those_of_the_specification() {
        let motors = (0..4_000).map(|number| Servo::STANDARD.task(number).unwrap().motor());
        let (mut backwards, mut fast, mut keep, mut pulls) = (0.0, 0.0, 0.0, 0.0);
        for motor in motors {
            assert!((51..180).contains(&motor.keep), "{motor:?}");
            let speed = f64::from(2 * motor.push) / f64::from(256 - motor.keep);
            assert!((19.9..80.0).contains(&speed.abs()), "{motor:?}");
            let pull = f64::from(motor.load) / f64::from(256 - motor.keep) / speed.abs();
            assert!(pull.abs() < 0.26, "{motor:?}");
            backwards += f64::from(u8::from(motor.push < 0)) / 4_000.0;
            fast += f64::from(u8::from(speed.abs() > 40.0)) / 4_000.0;
            keep += f64::from(motor.keep) / 4_000.0;
            pulls += pull.abs() / 4_000.0;
        }
        // Four standard errors.
        for (found, expected, error) in
            [(backwards, 0.5, 0.008), (fast, 0.5, 0.008), (keep, 115.0, 0.6), (pulls, 0.125, 0.0012)]
        {
            assert!((found - expected).abs() < 4.0 * error, "{found} is not {expected}");
        }
        // The same on every target and in every version.
        let first = Servo::STANDARD.task(0).unwrap().motor();
        assert_eq!((first.keep, first.push, first.load), (67, 6_172, 2_290));
    }

    #[test]
    fn a_motor_of_the_first_tasks_is_no_motor_of_another_one() {
        let mut all: std::vec::Vec<_> = (0..13_000)
            .map(|number| Servo::STANDARD.task(number).unwrap().motor())
            .map(|motor| (motor.keep, motor.push, motor.load))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 13_000);
    }

    #[test]
    fn an_episode_pays_within_the_band_and_shows_position_velocity_and_error() {
        let mut task = Servo::STANDARD.task(1).unwrap();
        let mut rng = PortableRng::new(0, 0);
        task.reset(&mut rng);
        assert!(task.position().abs() <= REACH && task.target().abs() <= REACH);
        task.motor = Motor { keep: 128, push: 2_560, load: 0 };
        (task.position, task.target) = (-40, 0);
        let mut seen = [0; 3];
        for (action, reward, expected) in
            [(4, 0.0, [-20, 20, 20]), (2, 1.0, [-10, 10, 10]), (0, 0.0, [-25, -15, 25])]
        {
            assert_eq!(task.step(action, &mut rng), Transition { reward, done: false });
            task.observe(&mut seen);
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn impossible_servos_are_refused() {
        let good = Servo::STANDARD;
        assert!(good.check().is_ok());
        for (bad, field) in [
            (Servo { horizon: 0, ..good }, "horizon"),
            (Servo { horizon: 201, ..good }, "horizon"),
            (Servo { band: 0, ..good }, "band"),
            (Servo { slowest: 3, ..good }, "slowest"),
            (Servo { slowest: 51, ..good }, "slowest"),
            (Servo { load: 41, ..good }, "load"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field));
            assert!(bad.task(0).is_none(), "{bad:?}");
        }
        // The strongest are still far from what an integer holds.
        let strong = Servo { slowest: 50, load: 40, ..good };
        assert!((0..200).all(|number| strong.task(number).is_some()));
    }
}
