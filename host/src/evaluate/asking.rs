//! Models that are asked for a return: Decision Transformers.

use super::policy::{Learner, Policy};
use crate::environment::EnvironmentConfig;
use crate::train::objective::decision_transformer::{DecisionTransformer, Goal};
use crate::Result;
use algodistill_core::PortableRng;

/// Tells a model in every step what it is still asked for, and empties its context after every
/// episode.
pub struct Asking<'p> {
    policy: &'p mut dyn Policy,
    goal: Goal,
    words: Vec<i32>,
}

impl<'p> Asking<'p> {
    /// Asks the model behind `policy` for what `goal` says.
    pub fn new(policy: &'p mut dyn Policy, goal: Goal) -> Self {
        Self { policy, goal, words: Vec::new() }
    }

    fn observe(&mut self, observation: &[i32]) {
        self.words.clear();
        self.words.extend_from_slice(observation);
        self.words.extend_from_slice(&self.goal.words());
    }
}

impl Policy for Asking<'_> {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        self.observe(observation);
        self.policy.act(&self.words, rng)
    }

    /// What the model is told of an end would be forgotten with it.
    fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<()> {
        self.goal.feedback(reward, ended.is_some());
        match ended {
            Some(_) => {
                self.policy.forget();
                Ok(())
            }
            None => self.policy.feedback(reward, None),
        }
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.observe(observation);
        self.policy.demonstrate(&self.words, action)
    }

    fn forget(&mut self) {
        self.policy.forget();
    }
}

/// What a Decision Transformer is asked for in a task: the return that is `wanted`, or else the
/// optimum of the task, or where none is known the highest that it tells apart.
pub fn goal(
    objective: &DecisionTransformer,
    wanted: Option<f32>,
    environment: &EnvironmentConfig,
    task: u32,
) -> Result<Goal> {
    let wanted = match wanted {
        Some(wanted) => wanted,
        None => environment.optimal_return(task)?.map_or(objective.highest(), |optimum| optimum as f32),
    };
    Ok(Goal::new(*objective, wanted))
}

/// A model as a learner, asked for a return where it is one that is.
pub struct Asked<'a> {
    /// The model.
    pub model: &'a dyn Learner,
    /// How it is asked, where it is.
    pub objective: Option<DecisionTransformer>,
    /// The return that is asked for; absent: the optimum.
    pub wanted: Option<f32>,
    /// Where it acts.
    pub environment: &'a EnvironmentConfig,
}

impl Learner for Asked<'_> {
    fn in_context(&self, task: u32, body: &mut dyn FnMut(&mut dyn Policy) -> Result<()>) -> Result<()> {
        let Some(objective) = &self.objective else { return self.model.in_context(task, body) };
        let goal = goal(objective, self.wanted, self.environment, task)?;
        self.model.in_context(task, &mut |policy| body(&mut Asking::new(policy, goal.clone())))
    }
}
