//! How much of an experiment is run: all of it, a tenth for a quick look, or a moment for tests.

use super::config::{EvaluationConfig, Experiment, FigureKind, HistoriesConfig, ModelConfig};
use crate::model::Dimensions;
use crate::rl2::Rl2Config;
use crate::Result;
use serde::{Deserialize, Serialize};

/// Share of the work that a small run does: one part of so many.
const SMALL: u32 = 10;
/// Fewest tasks that histories or an evaluation are cut to.
const FEWEST_TASKS: u32 = 4;
/// Most tasks of anything at toy scale.
const TOY_TASKS: u32 = 12;
/// Most tokens of a window or a sequence at toy scale.
const TOY_WINDOW: usize = 20;

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// All of it.
    #[default]
    Full,
    /// About a tenth of the work, one seed: a quick look, no result.
    Small,
    /// Seconds, every stage, and nothing learned: whether it runs at all.
    Toy,
}

impl Scale {
    pub(super) fn is_full(&self) -> bool {
        *self == Self::Full
    }

    /// What must be said beside every number; `None` at full scale.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Small => Some("SMALL SCALE: a tenth of the work, no result"),
            Self::Toy => Some("TOY SCALE: nothing was learned"),
        }
    }
}

impl Experiment {
    /// The same at `scale`. This is where it is decided what a tenth of the work is:
    ///
    /// - histories: a tenth, by fewer of each task first, then by fewer tasks;
    /// - training: a tenth of the updates (and of the warm-up, and of the distance of snapshots),
    ///   one seed; of RL2, a tenth of the iterations;
    /// - evaluations: a tenth of the contexts, by fewer runs first, then by fewer tasks; as many
    ///   episodes.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] where the experiment itself cannot be run.
    pub fn at_scale(mut self, scale: Scale) -> Result<Self> {
        if scale.is_full() {
            return Ok(self);
        }
        self.scale = scale;
        let full = self.clone();
        for histories in &mut self.histories {
            shrink_histories(histories, scale)?;
        }
        for (model, whole) in self.models.iter_mut().zip(&full.models) {
            match full.rl2_of(whole, 0)? {
                Some(config) => shrink_rl2(model, &config, scale)?,
                None => shrink_training(model, scale)?,
            }
        }
        for evaluation in &mut self.evaluations {
            shrink_evaluation(&full, evaluation, scale)?;
        }
        if scale == Scale::Toy {
            // There are no such episodes any more.
            self.claims.iter_mut().for_each(|claim| (claim.episodes, claim.minus_episodes) = (None, None));
        }
        Ok(self)
    }

    /// The same with so many updates of every training; of RL2, with as many iterations as have no
    /// more of them, one at least.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] where the experiment itself cannot be run.
    pub fn with_updates(mut self, updates: u64) -> Result<Self> {
        let full = self.clone();
        for (model, whole) in self.models.iter_mut().zip(&full.models) {
            let (field, count, warm_up) = match full.rl2_of(whole, 0)? {
                Some(rl2) => {
                    let of_iteration = rl2.trials.div_ceil(rl2.minibatch) as u64 * u64::from(rl2.epochs);
                    ("iterations", (updates / of_iteration).max(1), rl2.warm_up)
                }
                None => ("updates", updates, whole.resolve(0)?.warm_up),
            };
            model.set(field, count);
            model.set("warm_up", warm_up.min(count / 4));
        }
        Ok(self)
    }
}

fn shrink_histories(histories: &mut HistoriesConfig, scale: Scale) -> Result<()> {
    let config = histories.resolve()?;
    let (actors, each) = (config.source.actors(), config.histories_per_task);
    let training = config.split()?.training.len() as u32;
    let (fewer, tasks) = match scale {
        Scale::Toy => (actors, training.min(TOY_TASKS)),
        _ => {
            let fewer = each.div_ceil(SMALL).next_multiple_of(actors).min(each);
            // What fewer histories of each task do not save, fewer tasks do.
            let tasks = u64::from(training) * u64::from(each) / u64::from(SMALL * fewer);
            (fewer, (tasks as u32).clamp(FEWEST_TASKS.min(training), training))
        }
    };
    histories.histories_per_task = Some(fewer);
    histories.tasks = (tasks < training).then_some(tasks).or(histories.tasks);
    if scale == Scale::Toy {
        let episodes = config.episodes.min(config.keep_every.max(10) * 2);
        histories.episodes = Some(episodes);
        histories.keep_every = Some(config.keep_every.min(episodes));
        histories.held_out = Some(config.held_out.min(TOY_TASKS));
        histories.held_out_histories_per_task = Some(actors);
        // So short a history solves nothing, and has none of the episodes that are asked for.
        histories.filter = None;
    }
    Ok(())
}

fn shrink_training(model: &mut ModelConfig, scale: Scale) -> Result<()> {
    let config = model.resolve(0)?;
    model.seeds = 1;
    let updates = match scale {
        Scale::Toy => 4,
        _ => (config.updates / u64::from(SMALL)).max(1),
    };
    model.set("updates", updates);
    model.set("warm_up", config.warm_up.min(updates / 4));
    if config.snapshot_every > 0 {
        // As many snapshots as before, where there are updates enough.
        let every = config.snapshot_every * updates / config.updates;
        model.set("snapshot_every", every.clamp(1, (updates / 2).max(1)));
    }
    if scale == Scale::Toy {
        let sequence = config.resolved_sequence_length().min(TOY_WINDOW);
        model.set("window", config.dimensions.window.min(TOY_WINDOW));
        model.set("sequence_length", sequence);
        model.set("layers", 1);
        model.set("d_model", config.dimensions.d_model.min(16));
        set_heads(model, &config.dimensions);
        model.set("d_ff", config.dimensions.d_ff.min(16));
        model.set("batch", 2);
        model.set("validation_sequences", 2);
    }
    Ok(())
}

fn shrink_rl2(model: &mut ModelConfig, config: &Rl2Config, scale: Scale) -> Result<()> {
    model.seeds = 1;
    // Those of its histories, of which there are fewer now.
    if let Some(rl2) = &mut model.rl2 {
        rl2.0.retain(|field, _| !["tasks", "held_out"].contains(&field.as_str()));
    }
    let iterations = match scale {
        Scale::Toy => 3,
        _ => (config.iterations / u64::from(SMALL)).max(1),
    };
    model.set("iterations", iterations);
    model.set("warm_up", config.warm_up.min(iterations / 4));
    if scale == Scale::Toy {
        let sizes = config.dimensions()?;
        model.set("episodes", config.resolved_episodes()?.min(2));
        model.set("trials", config.trials.min(4));
        model.set("minibatch", config.minibatch.min(2));
        model.set("evaluation_trials", 2);
        model.set("window", sizes.window.min(TOY_WINDOW));
        model.set("layers", 1);
        model.set("d_model", sizes.d_model.min(16));
        set_heads(model, &sizes);
        model.set("d_ff", sizes.d_ff.min(16));
    }
    Ok(())
}

/// Four heads at most, one of keys and values where they were shared.
fn set_heads(model: &mut ModelConfig, sizes: &Dimensions) {
    let heads = sizes.heads.min(4);
    model.set("heads", heads);
    if sizes.kv_heads.is_some() {
        model.set("kv_heads", if sizes.kv_heads() < sizes.heads { 1 } else { heads });
    }
}

fn shrink_evaluation(full: &Experiment, evaluation: &mut EvaluationConfig, scale: Scale) -> Result<()> {
    if evaluation.figure == FigureKind::Histories {
        return Ok(());
    }
    let Some(environment) = full.environment_of(evaluation)? else { return Ok(()) };
    let held_out = full.held_out(evaluation, &environment)?.map(|(_, count)| count);
    let usual = environment.defaults()?;
    let config = &mut evaluation.config;
    let runs = config.runs.unwrap_or(usual.runs).max(1);
    let most = held_out.unwrap_or(u32::MAX);
    let tasks = config.tasks.unwrap_or(usual.held_out).min(most);
    config.runs = Some(1);
    config.tasks = match scale {
        Scale::Toy => Some(tasks.min(2)),
        _ => Some((tasks * runs / SMALL).clamp(FEWEST_TASKS.min(tasks), tasks)),
    };
    if scale == Scale::Toy {
        config.mean_over = None;
        match &mut config.steps {
            Some(steps) => *steps = (*steps).min(2 * environment.horizon().unwrap_or(*steps)),
            None => config.episodes = Some(config.episodes.unwrap_or(usual.context_episodes).min(3)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scale_asks_for_more_tasks_than_are_held_out() {
        let mut few = Experiment::named("quickstart").expect("an experiment");
        few.histories[0].held_out = Some(3);
        for scale in [Scale::Small, Scale::Toy] {
            let scaled = few.clone().at_scale(scale).expect("scaled");
            scaled.validate().expect("valid");
            assert!(scaled.evaluations[0].config.tasks <= Some(3));
        }
    }
}
