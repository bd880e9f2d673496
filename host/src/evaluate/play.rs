//! A model on one task, for those who watch.

use super::asking::{goal, Asking};
use super::models::Int8Model;
use super::policy::Policy;
use super::tasks::untrained_tasks;
use super::EvaluateConfig;
use crate::environment::{AnyTask, Drawing, Episode};
use crate::export::TrainingCard;
use crate::parameters::Parameters;
use crate::Result;
use algodistill_core::{PortableRng, Sampling};
use std::path::Path;

/// Which task is played, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayConfig {
    /// Name of a preset; absent: the environment the model was trained in.
    pub environment: Option<String>,
    /// What differs from the preset.
    pub parameters: Parameters,
    /// The task; absent: one that the model was not trained on, by the seed.
    pub task: Option<u32>,
    /// Episodes, in one context; absent: as many as are usual, at most 10.
    pub episodes: Option<u32>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether the likeliest action is chosen in place of sampling.
    pub greedy: bool,
}

/// What was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// Name of the environment.
    pub environment: String,
    /// The task.
    pub task: u32,
    /// Returns of the episodes.
    pub returns: Vec<f32>,
    /// The largest expected return of an episode of this task, where it is known.
    pub optimal: Option<f64>,
}

/// How far a game has come: after every step.
pub struct Moment<'a> {
    /// Name of the environment.
    pub environment: &'a str,
    /// The task.
    pub task: u32,
    /// Episodes of the game.
    pub episodes: u32,
    /// Most steps of an episode.
    pub horizon: u32,
    /// The episode that is being played.
    pub episode: &'a Episode,
    /// Whether it has ended.
    pub done: bool,
    /// Returns of the episodes before it.
    pub returns: &'a [f32],
    running: &'a dyn AnyTask,
}

impl Moment<'_> {
    /// The task and the episode as text, where the environment can draw them.
    pub fn draw(&self) -> Option<Drawing> {
        self.running.draw(self.episode)
    }
}

/// Plays a task with the weights file `model`; `watch` sees every step.
///
/// # Errors
/// [`crate::Error::Argument`] for what cannot be played, with the name of the field;
/// [`crate::Error::File`] and [`crate::Error::Io`] for the model; what `watch` returns.
pub fn play(
    model: &Path,
    config: &PlayConfig,
    watch: &mut dyn FnMut(&Moment) -> Result<()>,
) -> Result<Played> {
    let sampling = if config.greedy { Sampling::Greedy } else { Sampling::Temperature(1.0) };
    let model = Int8Model::read(model, sampling)?;
    let card = TrainingCard::parse(model.path(), model.decode()?.card())?;
    let PlayConfig { environment, parameters, seed, .. } = config.clone();
    let chosen = EvaluateConfig { environment, parameters, ..EvaluateConfig::default() };
    let (name, environment) = chosen.environment(&card)?;
    model.check_interface(&name, &environment)?;
    let task = match config.task {
        Some(task) => task,
        None => {
            let held_out = untrained_tasks(&environment, &[card], None, seed)?;
            held_out[PortableRng::new(seed, 1).below(held_out.len() as u32) as usize]
        }
    };
    let episodes = config.episodes.unwrap_or(environment.defaults()?.context_episodes.min(10));
    let horizon = environment.horizon().unwrap_or(0);
    let mut running = environment.task(task)?;
    let mut agent = model.agent()?;
    let mut asking;
    let policy: &mut dyn Policy = match model.goal() {
        None => &mut agent,
        Some(objective) => {
            asking = Asking::new(&mut agent, goal(&objective, None, &environment, task)?);
            &mut asking
        }
    };
    let mut observation = vec![0; environment.interface()?.observation_len()];
    let mut rng = PortableRng::new(seed, 0);
    let mut returns = Vec::new();
    for _ in 0..episodes {
        let mut episode = Episode::default();
        running.reset(&mut rng);
        running.observe(&mut observation);
        episode.observations.push(observation.clone());
        let mut done = false;
        while !done {
            let action = policy.act(&observation, &mut rng)?;
            let transition = running.step(action, &mut rng);
            running.observe(&mut observation);
            policy.feedback(transition.reward, transition.done.then_some(&observation[..]))?;
            episode.observations.push(observation.clone());
            episode.actions.push(action);
            episode.rewards.push(transition.reward);
            done = transition.done;
            let (episode, running) = (&episode, &*running);
            let (environment, returns) = (name.as_str(), returns.as_slice());
            watch(&Moment { environment, task, episodes, horizon, episode, done, returns, running })?;
        }
        returns.push(episode.total());
    }
    let optimal = environment.optimal_return(task)?;
    Ok(Played { environment: name, task, returns, optimal })
}
