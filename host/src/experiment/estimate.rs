//! How long an experiment takes, from the work that it is.
//!
//! The rates are those of a machine with 2 cores at 2.x GHz with AVX-512; elsewhere the ratios hold.

use super::config::{Experiment, FigureKind, ModelConfig};
use crate::environment::EnvironmentConfig;
use crate::model::Dimensions;
use crate::rl2::Rl2Config;
use crate::source::SourceConfig;
use crate::Result;
use algodistill_core::Channel;
use std::iter::Sum;
use std::ops::Add;

/// Multiply-adds a second of the matrices and of the attention in training, forward and backward, on
/// two cores: with the next, 200,000 tokens a second of the usual model with a window of 128, 150,000
/// with one of 200 in sequences of 1,000.
const MATRIX_RATE: f64 = 160e9;
const ATTENTION_RATE: f64 = 36e9;
/// Seconds of two cores that a token takes whatever the size of the model.
const TOKEN_SECONDS: f64 = 1e-6;
/// Multiply-adds a second of the float agents that play the trials of RL2, on two cores: with the
/// updates, 30,000 steps a second of the usual model and a window of 200.
const TRIAL_RATE: f64 = 7e9;
/// Multiply-adds a second of the int8 agent on two cores.
const EVALUATION_RATE: f64 = 10e9;
/// Seconds of two cores that a step of an evaluation takes beside the model.
const STEP_SECONDS: f64 = 1e-6;
/// Microseconds of one core that a step of a source takes with nothing beside it; of the others:
const SOURCES: [(&str, f64); 3] = [("a3c", 0.3), ("dqn", 1.4), ("sac", 4.1)];
const OTHER_SOURCE: f64 = 0.15;
/// Those of `dqn` from numbers and pictures, and of each of its inputs.
const DENSE: (f64, f64) = (3.0, 0.06);
/// Steps from update to update of `dqn` and `sac` at these times.
const USUAL_UPDATE_EVERY: f64 = 4.0;
/// Cores that the rates are of.
const CORES: f64 = 2.0;

/// The work that an experiment is, and about how long it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Trained models, all seeds.
    pub trainings: u64,
    /// Tokens of all trainings.
    pub training_tokens: u64,
    /// Steps of the sources, kept or not.
    pub source_steps: u64,
    /// Steps of the trials of RL2, its evaluations on the way among them.
    pub rl2_steps: u64,
    /// Steps of all models in evaluations.
    pub evaluation_steps: u64,
    /// About how long all of it takes on 2 cores.
    pub seconds: f64,
}

impl Add for Estimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            trainings: self.trainings + other.trainings,
            training_tokens: self.training_tokens + other.training_tokens,
            source_steps: self.source_steps + other.source_steps,
            rl2_steps: self.rl2_steps + other.rl2_steps,
            evaluation_steps: self.evaluation_steps + other.evaluation_steps,
            seconds: self.seconds + other.seconds,
        }
    }
}

impl Sum for Estimate {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl Estimate {
    /// In words, with minutes.
    pub fn in_words(&self) -> String {
        match self.seconds < 90.0 {
            true => "about a minute".into(),
            false => format!("about {:.0} minutes", self.seconds / 60.0),
        }
    }
}

/// Microseconds of one core that a step of `source` in `environment` takes.
fn microseconds(source: &SourceConfig, environment: &EnvironmentConfig) -> Result<f64> {
    let known = SOURCES.iter().find(|(name, _)| *name == source.name());
    let of_indices = known.map_or(OTHER_SOURCE, |(_, microseconds)| *microseconds);
    let inputs: usize = environment.interface()?.channels.iter().map(Channel::inputs).sum();
    let usual = match known.is_some() && inputs > 0 {
        true => DENSE.0 + DENSE.1 * inputs as f64,
        false => of_indices,
    };
    // Where a source says how many steps apart its updates are, they are nearly all of its work.
    let parameters = serde_json::to_value(source).unwrap_or_default();
    let every = parameters["update_every"].as_f64();
    Ok(usual * every.map_or(1.0, |every| USUAL_UPDATE_EVERY / every))
}

impl Experiment {
    /// The work that it is.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] where it cannot be run.
    pub fn estimate(&self) -> Result<Estimate> {
        let histories = self.histories.iter().map(|one| {
            // What others are filtered from is made once.
            if one.filter.is_some() && self.unfiltered(one) != one.unfiltered_name() {
                return Ok(Estimate::default());
            }
            let config = one.resolve()?;
            let microseconds = microseconds(&config.source, &config.environment)?;
            let source_steps = (config.source_steps()? as f64 * config.environment.part_of_horizon()) as u64;
            let seconds = source_steps as f64 * microseconds * 1e-6 / CORES;
            Ok(Estimate { source_steps, seconds, ..Estimate::default() })
        });
        let models = self.models.iter().map(|model| {
            let seeds = u64::from(model.seeds);
            let (rl2_steps, tokens, playing) = match self.rl2_of(model, 0)? {
                Some(rl2) => of_rl2(&rl2)?,
                None => {
                    let config = model.resolve(0)?;
                    (0, config.updates * (config.batch * config.resolved_sequence_length()) as u64, 0.0)
                }
            };
            let work = self.multiply_adds(model)?;
            let forward = work.matrices / MATRIX_RATE + work.attention / ATTENTION_RATE;
            let learning = tokens as f64 * (3.0 * forward + TOKEN_SECONDS);
            Ok(Estimate {
                trainings: seeds,
                training_tokens: seeds * tokens,
                rl2_steps: seeds * rl2_steps,
                seconds: seeds as f64 * (playing + learning),
                ..Estimate::default()
            })
        });
        let evaluations = self.evaluations.iter().map(|evaluation| {
            let no_models = evaluation.figure == FigureKind::Histories;
            let Some(environment) = self.environment_of(evaluation)?.filter(|_| !no_models) else {
                return Ok(Estimate::default());
            };
            let (config, usual) = (&evaluation.config, environment.defaults()?);
            let horizon = environment.horizon().unwrap_or(1);
            let of_context = match config.steps {
                Some(steps) => steps.into(),
                None => u64::from(config.episodes.unwrap_or(usual.context_episodes)) * u64::from(horizon),
            };
            let contexts = config.tasks.unwrap_or(usual.held_out) * config.runs.unwrap_or(usual.runs);
            let mut all = Estimate::default();
            for planned in self.contestants(evaluation)? {
                let model = &self.models[planned.place];
                let whole = u64::from(contexts) * of_context * u64::from(model.seeds);
                let steps = (whole as f64 * environment.part_of_horizon()) as u64;
                let seconds = self.multiply_adds(model)?.all() / EVALUATION_RATE + STEP_SECONDS;
                all.evaluation_steps += steps;
                all.seconds += steps as f64 * seconds;
            }
            Ok(all)
        });
        histories.chain(models).chain(evaluations).sum()
    }

    /// Multiply-adds of a token's way forward in `model`.
    fn multiply_adds(&self, model: &ModelConfig) -> Result<MultiplyAdds> {
        if let Some(rl2) = self.rl2_of(model, 0)? {
            return of_policy(&rl2);
        }
        let config = model.resolve(0)?;
        let histories = self.histories.iter().find(|one| model.histories.contains(&one.name));
        let interface = histories.map(|one| one.resolve()?.environment.interface()).transpose()?;
        let channels = interface.map(|interface| interface.channels).unwrap_or_default();
        Ok(multiply_adds(&config.dimensions, &channels, config.resolved_sequence_length()))
    }
}

/// Multiply-adds of a token's way forward in a policy that RL2 trains.
fn of_policy(config: &Rl2Config) -> Result<MultiplyAdds> {
    let channels = config.environment.interface()?.channels;
    Ok(multiply_adds(&config.dimensions()?, &channels, config.trial_steps()? as usize))
}

/// Steps of the trials of a run of RL2, tokens that it learns from, and seconds of the trials.
fn of_rl2(config: &Rl2Config) -> Result<(u64, u64, f64)> {
    let whole = config.trial_steps()?;
    // It knows nothing at first, when episodes take their whole horizon.
    let of_trial = (whole as f64 * (1.0 + config.environment.part_of_horizon()) / 2.0) as u64;
    let learned_from = config.iterations * config.trials as u64 * of_trial;
    let evaluations = match config.evaluate_every {
        0 => 0,
        // On training tasks and on held-out ones, and at the end.
        every => config.iterations.div_ceil(every) * 2 * config.evaluation_trials as u64 * of_trial,
    };
    let steps = learned_from + evaluations;
    let forward = of_policy(config)?.all();
    let seconds = steps as f64 * (forward / TRIAL_RATE + STEP_SECONDS);
    Ok((steps, learned_from * u64::from(config.epochs), seconds))
}

/// Multiply-adds of a token's way forward.
struct MultiplyAdds {
    matrices: f64,
    attention: f64,
}

impl MultiplyAdds {
    fn all(&self) -> f64 {
        self.matrices + self.attention
    }
}

/// Those of a token of a sequence of so many, in the mean over its places.
fn multiply_adds(sizes: &Dimensions, channels: &[Channel], sequence: usize) -> MultiplyAdds {
    let encoder = |channel: &Channel| match sizes.hidden(channel) {
        Some(units) => units * (channel.encoder_columns() + sizes.d_model),
        None => sizes.d_model * channel.encoder_columns(),
    };
    let encoders = channels.iter().filter(|channel| channel.inputs() > 0).map(encoder).sum::<usize>();
    let layer = sizes.d_model * (sizes.d_query_key_value() + sizes.d_model + 2 * sizes.d_ff);
    let (full, all) = (sizes.window.min(sequence) as f64, sequence as f64);
    // The window fills, then it is full.
    let attended = (full * (full + 1.0) / 2.0 + (all - full) * full) / all;
    let attention = 2.0 * sizes.d_model as f64 * attended;
    let matrices = (encoders + sizes.layers * layer) as f64;
    MultiplyAdds { matrices, attention: sizes.layers as f64 * attention }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{all::experiments, Scale};

    /// 2 cores; the experiments of this repository, all of them.
    const MOST_HOURS: f64 = 4.0;

    #[test]
    fn everything_can_be_reproduced_in_the_time_that_is_promised() {
        let all = |scale| -> Estimate {
            let at_scale =
                experiments().into_iter().map(|one| one.at_scale(scale).and_then(|one| one.estimate()));
            at_scale.sum::<Result<_>>().expect("an estimate")
        };
        let [full, small, toy] = [Scale::Full, Scale::Small, Scale::Toy].map(all);
        assert!(full.seconds <= MOST_HOURS * 3600.0, "{:.1} minutes", full.seconds / 60.0);
        let share = small.seconds / full.seconds;
        assert!((0.05..0.2).contains(&share), "a tenth, not {share}");
        assert!(toy.seconds < 60.0, "{} s", toy.seconds);
    }
}
