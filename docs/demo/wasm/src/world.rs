//! The world.

use crate::{wish, Answer};
use algodistill_core::env::{AnyFamily, AnyTask};
use algodistill_core::{Environment, PortableRng, Transition};

/// An environment with its task and the generator of its chances.
pub struct World {
    family: AnyFamily,
    task: AnyTask,
    rng: PortableRng,
    reward: f32,
}

impl World {
    /// The world of a preset, with its task 0.
    pub fn open(name: &[u8], seed: u32) -> Result<Self, String> {
        let name = String::from_utf8_lossy(name);
        let family = AnyFamily::preset(&name).ok_or_else(|| format!("there is no world called {name}"))?;
        let task = family.task(0).ok_or("the world has no task")?;
        Ok(Self { family, task, rng: PortableRng::new(seed.into(), 0), reward: 0.0 })
    }

    pub fn family(&self) -> &AnyFamily {
        &self.family
    }

    /// What the page needs to know, as JSON; a world without an end of tasks has 0 of them.
    pub fn describe(&self) -> String {
        let (horizon, tasks) = (self.family.horizon(), self.family.task_count().unwrap_or(0));
        let words = self.family.interface().observation_len();
        format!(r#"{{"horizon":{horizon},"tasks":{tasks},"words":{words}}}"#)
    }

    pub fn set_task(&mut self, number: u32) -> Answer {
        self.task = self.family.task(number).ok_or("there is no such task")?;
        Ok(0)
    }

    /// Takes up the task that comes nearest to a wish.
    pub fn grant(&mut self, wish: &[f32]) -> Answer {
        let (number, task) = wish::grant(&self.family, wish).ok_or("no task is like that")?;
        self.task = task;
        Ok(number.map_or(-2, |number| number as i32))
    }

    /// Of an environment with an end of tasks: the `count` that a model's training left out, as the
    /// host's `EnvironmentConfig::split` has them (the tests of the page hold that). None elsewhere.
    pub fn held_out(&self, split_seed: u32, count: usize) -> Vec<f32> {
        let mut tasks: Vec<u32> = (0..self.family.task_count().unwrap_or(0)).collect();
        let mut rng = PortableRng::new(split_seed.into(), 0);
        for last in (1..tasks.len()).rev() {
            tasks.swap(last, rng.below(last as u32 + 1) as usize);
        }
        tasks.truncate(count);
        tasks.sort_unstable();
        tasks.into_iter().map(|task| task as f32).collect()
    }

    pub fn begin(&mut self) {
        self.task.reset(&mut self.rng);
    }

    /// Whether the episode ended.
    pub fn step(&mut self, action: usize) -> bool {
        let Transition { reward, done } = self.task.step(action, &mut self.rng);
        self.reward = reward;
        done
    }

    pub fn reward(&self) -> f32 {
        self.reward
    }

    pub fn observe(&self, observation: &mut [i32]) {
        self.task.observe(observation);
    }

    /// What a person sees:
    ///
    /// - Dark Room: side; row and column of the goal, of the agent
    /// - Key-to-Door: side; row and column of the key, of the door, of the agent; whether it has the key
    /// - bandits: what each arm pays on average now
    /// - Watermaze: half of a side, radius; x and y of the platform, of the agent; heading, 0 to 31
    /// - Servo: keep, push and load of the motor; target, position
    pub fn view(&self) -> Vec<f32> {
        let cell = |(row, column): (u16, u16)| [f32::from(row), f32::from(column)];
        match &self.task {
            AnyTask::DarkRoom(task) => {
                [&[f32::from(task.room().size)][..], &cell(task.goal()), &cell(task.position())].concat()
            }
            AnyTask::KeyToDoor(task) => {
                let cells = [task.key(), task.door(), task.position()].map(cell).concat();
                let has_key = f32::from(u8::from(task.has_key()));
                [&[f32::from(task.room().size)][..], &cells, &[has_key]].concat()
            }
            AnyTask::Bandit(task) => task.probabilities().to_vec(),
            AnyTask::LinearBandit(task) => task.means().to_vec(),
            AnyTask::RestlessBandit(task) => {
                let bandit = task.bandit();
                task.good()
                    .iter()
                    .map(|good| if *good { bandit.good_pays } else { bandit.bad_pays })
                    .collect()
            }
            AnyTask::Watermaze(task) => {
                let (maze, (x, y), pose) = (task.maze(), task.platform(), task.pose());
                vec![maze.half_width, maze.radius, x, y, pose.x, pose.y, f32::from(pose.heading)]
            }
            AnyTask::Servo(task) => {
                let motor = task.motor();
                [motor.keep, motor.push, motor.load, task.target(), task.position()]
                    .map(|n| n as f32)
                    .to_vec()
            }
        }
    }

    /// By playing `episodes` of them, with a generator of its own.
    pub fn random_return(&self, episodes: u32) -> f64 {
        let actions = u32::from(self.family.interface().actions);
        let (mut task, mut rng) = (self.task.clone(), PortableRng::new(0, 0));
        let mut total = 0.0;
        for _ in 0..episodes {
            task.reset(&mut rng);
            loop {
                let action = rng.below(actions) as usize;
                let transition = task.step(action, &mut rng);
                total += f64::from(transition.reward);
                if transition.done {
                    break;
                }
            }
        }
        total / f64::from(episodes)
    }
}
