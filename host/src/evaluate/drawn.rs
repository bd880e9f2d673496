//! The few episodes of an evaluation that are drawn from above.

use super::rollout::{Contexts, Seen};
use crate::environment::{AnyTask, Episode, Trajectory};

/// Tasks of which episodes are drawn, in their first context.
const TASKS: usize = 4;
/// The episodes, from 1: before anything is known, and ever later.
const EPISODES: [u32; 4] = [1, 3, 10, 20];
/// A longer path is a tangle that shows nothing.
const MOST_STEPS: usize = 1_000;

/// An episode of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnEpisode {
    /// The task.
    pub task: u32,
    /// Number of the episode in its context, from 1.
    pub number: u32,
    /// Sum of its rewards.
    pub total: f32,
    /// Where the agent went.
    pub trajectory: Trajectory,
}

/// Keeps the episodes of one context that are drawn. It only looks on: the context is the same
/// without it.
#[derive(Default)]
pub(super) struct Watcher {
    task: u32,
    episode: Episode,
    drawn: Vec<DrawnEpisode>,
}

impl Watcher {
    /// The watcher of a context; `None` for one of which nothing is drawn.
    pub fn of(contexts: &Contexts, task: u32, run: u32) -> Option<Self> {
        let watched = contexts.stream.is_none()
            && run == 0
            && contexts.tasks.iter().take(TASKS).any(|drawn| *drawn == task);
        watched.then(|| Self { task, ..Self::default() })
    }

    /// What happens in episode `number`, from 1.
    pub fn see(&mut self, number: u32, seen: &Seen) {
        let Self { episode: Episode { observations, actions, rewards }, .. } = self;
        if !EPISODES.contains(&number) || actions.len() > MOST_STEPS {
            return;
        }
        match seen {
            Seen::Now(observation) if observations.is_empty() => observations.push(observation.to_vec()),
            Seen::Now(_) => {}
            Seen::After(outcome) => {
                observations.push(outcome.next_observation.to_vec());
                actions.push(outcome.action);
                rewards.push(outcome.reward);
            }
        }
    }

    /// Episode `number` of `running` is over.
    pub fn end(&mut self, number: u32, running: &dyn AnyTask) {
        let episode = std::mem::take(&mut self.episode);
        if episode.observations.is_empty() || episode.actions.len() > MOST_STEPS {
            return;
        }
        let drawn = running.trajectory(&episode).map(|trajectory| DrawnEpisode {
            task: self.task,
            number,
            total: episode.total(),
            trajectory,
        });
        self.drawn.extend(drawn);
    }

    /// The episodes that were drawn.
    pub fn finish(self) -> Vec<DrawnEpisode> {
        self.drawn
    }
}
