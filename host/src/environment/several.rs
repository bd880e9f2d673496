//! Several tasks one after the other, as one task: every reset goes on to the next.

use super::{
    AnySimulation, AnyTask, Defaults, Drawing, Environment, EnvironmentConfig, Episode, Expert, Kind,
    Trajectory,
};
use crate::Result;
use algodistill_core::{Interface, PortableRng, Transition};
use serde_json::{Map, Value};
use std::any::Any;
use std::sync::Arc;

/// An environment whose task number `i` is list number `i`: the tasks of its episodes.
#[derive(Debug)]
struct Several {
    of: Arc<dyn AnySimulation>,
    lists: Vec<Arc<[u32]>>,
}

impl EnvironmentConfig {
    /// An environment whose task number `i` is all tasks of `lists[i]`, one an episode; after the
    /// last one it stays there. Its optimum is the mean over all of them.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] where there is no simulator, or no such task.
    pub(crate) fn of_several_tasks(&self, lists: Vec<Arc<[u32]>>) -> Result<Self> {
        for &task in lists.iter().flat_map(|list| list.iter()) {
            self.task(task)?;
        }
        match &self.0 {
            Kind::Simulated(of) => Ok(Self(Kind::Simulated(Arc::new(Several { of: of.clone(), lists })))),
            Kind::Custom(_) => Err(self.no_task(0)),
        }
    }

    /// Task number `task` as actor number `actor` of several meets it.
    pub(crate) fn task_of_actor(&self, task: u32, actor: u32) -> Result<Box<dyn AnyTask>> {
        self.task(if self.is_of_several_tasks() { actor } else { task })
    }

    /// Whether [`EnvironmentConfig::of_several_tasks`] made it.
    pub(crate) fn is_of_several_tasks(&self) -> bool {
        self.simulation().is_ok_and(|simulation| (simulation as &dyn Any).is::<Several>())
    }
}

impl AnySimulation for Several {
    fn name(&self) -> &'static str {
        self.of.name()
    }

    fn fields(&self) -> Map<String, Value> {
        self.of.fields()
    }

    fn parameters(&self) -> &dyn Any {
        self.of.parameters()
    }

    fn check(&self) -> Result<()> {
        self.of.check()
    }

    fn interface(&self) -> Interface {
        self.of.interface()
    }

    fn horizon(&self) -> u32 {
        self.of.horizon()
    }

    fn task_count(&self) -> Option<u32> {
        Some(self.lists.len() as u32)
    }

    fn describe(&self) -> String {
        self.of.describe()
    }

    fn defaults(&self) -> Defaults {
        self.of.defaults()
    }

    fn action_name(&self, action: usize) -> String {
        self.of.action_name(action)
    }

    fn bins(&self, word: usize) -> Option<Vec<i32>> {
        self.of.bins(word)
    }

    fn ideal(&self) -> Option<Vec<f64>> {
        None
    }

    fn part_of_horizon(&self) -> f64 {
        self.of.part_of_horizon()
    }

    fn task(&self, task: u32) -> Option<Box<dyn AnyTask>> {
        let tasks = self.lists.get(task as usize)?.clone();
        let now = self.of.task(*tasks.first()?)?;
        Some(Box::new(InTurn { of: self.of.clone(), tasks, next: 0, now }))
    }

    fn optimal_return(&self, task: u32) -> Option<Option<f64>> {
        self.lists.get(task as usize)?;
        let all = self.lists.iter().flat_map(|list| list.iter());
        let sum = all.clone().map(|&task| self.of.optimal_return(task).flatten()).sum::<Option<f64>>();
        Some(sum.map(|sum| sum / all.count().max(1) as f64))
    }

    fn random_return(&self, task: u32) -> Option<Option<f64>> {
        self.lists.get(task as usize).map(|_| None)
    }

    fn expert(&self, task: u32) -> Option<Option<Box<dyn Expert>>> {
        self.lists.get(task as usize).map(|_| None)
    }
}

/// The tasks of a list, one an episode.
struct InTurn {
    of: Arc<dyn AnySimulation>,
    tasks: Arc<[u32]>,
    next: usize,
    now: Box<dyn AnyTask>,
}

impl Environment for InTurn {
    fn reset(&mut self, rng: &mut PortableRng) {
        if let Some(task) = self.tasks.get(self.next).and_then(|&task| self.of.task(task)) {
            (self.now, self.next) = (task, self.next + 1);
        }
        self.now.reset(rng);
    }

    fn observe(&self, observation: &mut [i32]) {
        self.now.observe(observation);
    }

    fn step(&mut self, action: usize, rng: &mut PortableRng) -> Transition {
        self.now.step(action, rng)
    }
}

impl AnyTask for InTurn {
    fn draw(&self, episode: &Episode) -> Option<Drawing> {
        self.now.draw(episode)
    }

    fn trajectory(&self, episode: &Episode) -> Option<Trajectory> {
        self.now.trajectory(episode)
    }

    fn boxed_clone(&self) -> Box<dyn AnyTask> {
        let Self { of, tasks, next, now } = self;
        Box::new(Self { of: of.clone(), tasks: tasks.clone(), next: *next, now: now.boxed_clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_episode_is_of_the_next_task() {
        let room = EnvironmentConfig::preset("light-key-to-door").unwrap();
        let several = room.of_several_tasks(vec![[7, 3000, 7].into(), [12].into()]).unwrap();
        assert_eq!((several.task_count(), several.is_of_several_tasks()), (Some(2), true));
        let goals = |config: &EnvironmentConfig, task: u32, episodes: usize| -> Vec<[i32; 4]> {
            let (mut task, mut rng) = (config.task(task).unwrap(), PortableRng::new(0, 0));
            let mut goals = |_| {
                let mut seen = [0; 6];
                task.reset(&mut rng);
                task.observe(&mut seen);
                [seen[2], seen[3], seen[4], seen[5]]
            };
            (0..episodes).map(&mut goals).collect()
        };
        let [seven, three_thousand, twelve] = [7, 3000, 12].map(|task| goals(&room, task, 1)[0]);
        assert_eq!(goals(&several, 0, 4), [seven, three_thousand, seven, seven]);
        assert_eq!(goals(&several, 1, 1), [twelve]);
        assert!(room.of_several_tasks(vec![[6480].into()]).is_err());
        // The optimum is the mean: in Dark Room it depends on the goal.
        let dark = EnvironmentConfig::preset("dark-room").unwrap();
        let optimum = |config: &EnvironmentConfig, task| config.optimal_return(task).unwrap().unwrap();
        let both = dark.of_several_tasks(vec![[0].into(), [40].into()]).unwrap();
        assert_eq!(optimum(&both, 0), (optimum(&dark, 0) + optimum(&dark, 40)) / 2.0);
    }
}
