//! The environment: a combination lock. Digits are entered one by one; a wrong one begins the code
//! anew, the last right one opens the lock, which pays 1 and closes it again. What is seen is how
//! many digits were right so far, never the code.

use algodistill::environment::{Defaults, Drawing, Episode, Simulation, Tint};
use algodistill_core::env::ParameterError;
use algodistill_core::{Environment, Family, Interface, PortableRng, Transition};
use serde::{Deserialize, Serialize};

/// The parameters; a task is a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Digits of the code.
    pub length: u16,
    /// Values of a digit, from 0.
    pub digits: u16,
    /// Steps of an episode.
    pub horizon: u32,
}

/// A lock at work.
#[derive(Clone, Debug)]
pub struct LockTask {
    code: Vec<usize>,
    horizon: u32,
    /// Digits that are right so far.
    right: usize,
    time: u32,
}

impl Family for Lock {
    const NAME: &'static str = "combination-lock";
    const PRESETS: &'static [(&'static str, Self)] =
        &[("combination-lock", Self { length: 4, digits: 4, horizon: 40 })];
    type Task = LockTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((1..=8).contains(&self.length), "length", "1 to 8")?;
        ParameterError::unless((2..=8).contains(&self.digits), "digits", "2 to 8")?;
        ParameterError::unless((1..=100_000).contains(&self.horizon), "horizon", "1 to 100,000")
    }

    fn interface(&self) -> Interface {
        // `check` keeps every number within the limits of an interface.
        Interface::discrete(&[self.length], self.digits, &[0.0, 1.0]).expect("an interface")
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        Some(u32::from(self.digits).pow(self.length.into()))
    }

    fn task(&self, number: u32) -> Option<LockTask> {
        if self.check().is_err() || self.task_count().is_none_or(|count| number >= count) {
            return None;
        }
        let digits = u32::from(self.digits);
        let code = (0..self.length).map(|place| (number / digits.pow(place.into()) % digits) as usize);
        Some(LockTask { code: code.collect(), horizon: self.horizon, right: 0, time: 0 })
    }
}

impl Environment for LockTask {
    fn reset(&mut self, _rng: &mut PortableRng) {
        (self.right, self.time) = (0, 0);
    }

    fn observe(&self, observation: &mut [i32]) {
        if let Some(word) = observation.first_mut() {
            *word = self.right as i32;
        }
    }

    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.time += 1;
        self.right = if action == self.code[self.right] { self.right + 1 } else { 0 };
        let opens = self.right == self.code.len();
        if opens {
            self.right = 0;
        }
        Transition { reward: f32::from(u8::from(opens)), done: self.time >= self.horizon }
    }
}

impl Simulation for Lock {
    fn describe(&self) -> String {
        format!("Combination lock, {} digits of {}, {} steps", self.length, self.digits, self.horizon)
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: None,
            held_out: 32,
            histories_per_task: 30,
            held_out_histories_per_task: 2,
            episodes: 3,
            runs: 4,
            context_episodes: 6,
        }
    }

    fn action_name(&self, action: usize) -> String {
        format!("digit {action}")
    }

    /// Who knows the code opens the lock every `length` steps.
    fn optimal_return(&self, task: &LockTask) -> Option<f64> {
        Some(f64::from(task.horizon / task.code.len() as u32))
    }

    fn draw(&self, task: &LockTask, episode: &Episode) -> Option<Drawing> {
        let mut drawing = Drawing::default();
        let code: String = task.code.iter().map(ToString::to_string).collect();
        drawing.add(Tint::Dim, format!("code {code}  entered "));
        let steps = episode.actions.iter().zip(&episode.rewards).zip(episode.observations.iter().skip(1));
        for ((action, reward), next) in steps {
            let tint = if next[0] > 0 || *reward > 0.0 { Tint::Success } else { Tint::Plain };
            drawing.add(tint, action.to_string());
            if *reward > 0.0 {
                drawing.add(Tint::Goal, "! ");
            } else if next[0] == 0 {
                drawing.add(Tint::Dim, "x ");
            }
        }
        drawing.add(Tint::Plain, "\n");
        Some(drawing)
    }
}
