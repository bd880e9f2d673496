//! Recipes: everything that decides a result, under a name.

use crate::environment::EnvironmentConfig;
use crate::evaluate::EvaluateConfig;
use crate::history::GenerateConfig;
use crate::model::Dimensions;
use crate::source::psrl::{Psrl, Target};
use crate::source::ucb::{Ties, Ucb};
use crate::source::SourceConfig;
use crate::train::TrainConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How to make histories, models and curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// Models to train; number `i` trains with seed `train.seed + i`, all on the same histories.
    pub seeds: u32,
    /// Whether to train, with the same budget, as many models of expert distillation.
    pub expert: bool,
    /// The learning histories.
    pub generate: GenerateConfig,
    /// The model and its training.
    pub train: TrainConfig,
    /// One report each.
    pub evaluate: Vec<EvaluateConfig>,
}

/// Names accepted by [`Recipe::named`]: the published figures.
pub const FIGURES: [&str; 3] = ["dark-room", "dark-room-q", "bandit"];

impl Recipe {
    /// The recipe of a published figure, with 3 training seeds.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "dark-room" => dark_room(),
            "dark-room-q" => dark_room_q(),
            "bandit" => bandit(),
            _ => Err(Error::argument(
                "NAME",
                format!("unknown name {name:?}; known are {}", FIGURES.join(", ")),
            )),
        }
    }

    /// What a newcomer sees first: `dark-room` with one seed, without expert distillation.
    pub fn quickstart() -> Result<Self> {
        Ok(Self { name: "quickstart".into(), seeds: 1, expert: false, ..dark_room()? })
    }
}

/// Dark Room from posterior sampling that goes to the nearest cell that may be the goal: the quickest to distil, because the source explores without
/// detours and with little chance.
fn dark_room() -> Result<Recipe> {
    let source = SourceConfig::from(Psrl { target: Target::Nearest });
    let generate = GenerateConfig::recommended(EnvironmentConfig::preset("dark-room")?, source)?;
    Ok(Recipe {
        name: "dark-room".into(),
        seeds: 3,
        expert: true,
        generate: GenerateConfig { histories_per_task: 100, ..generate },
        train: TrainConfig { updates: 2_500, ..unwrapped(160) },
        evaluate: vec![EvaluateConfig { mean_over: Some((21, 40)), ..EvaluateConfig::default() }],
    })
}

/// Dark Room from a model-free source. It learns slowly, and so does its student: 100 episodes.
fn dark_room_q() -> Result<Recipe> {
    let evaluate =
        EvaluateConfig { episodes: Some(100), mean_over: Some((91, 100)), ..EvaluateConfig::default() };
    Ok(Recipe {
        name: "dark-room-q".into(),
        seeds: 3,
        expert: false,
        generate: generate("dark-room", "q-learning")?,
        train: TrainConfig { updates: 4_000, ..unwrapped(160) },
        evaluate: vec![evaluate],
    })
}

/// Adversarial bandits: trained where odd arms are good (but for one task in twenty), evaluated everywhere.
///
/// Where odd arms are not the good ones only an exact student is as good as its source, and exactness takes many small steps. Its logits are
/// steep, so that int8 shows: at half this width it is as exact, but four times as far from its float model. With random ties it would earn as
/// much, but many pulls would have no likeliest arm.
fn bandit() -> Result<Recipe> {
    let on = |name: &str| EvaluateConfig {
        environment: Some(name.into()),
        tasks: Some(4_000),
        ..EvaluateConfig::default()
    };
    let source = SourceConfig::from(Ucb { alpha: 0.3, ties: Ties::First });
    let generate = GenerateConfig::recommended(EnvironmentConfig::preset("bandit")?, source)?;
    let train = TrainConfig { batch: 16, updates: 8_000, learning_rate: 4e-3, ..unwrapped(100) };
    Ok(Recipe {
        name: "bandit".into(),
        seeds: 3,
        expert: false,
        generate: GenerateConfig { tasks: Some(200_000), ..generate },
        train,
        evaluate: ["bandit-odd", "bandit-even", "bandit-uniform"].map(on).into(),
    })
}

/// Sequences of one window, as these recipes were published.
fn unwrapped(window: usize) -> TrainConfig {
    TrainConfig {
        dimensions: Dimensions { window, ..Dimensions::default() },
        sequence_length: Some(window),
        ..TrainConfig::default()
    }
}

fn generate(environment: &str, source: &str) -> Result<GenerateConfig> {
    GenerateConfig::recommended(EnvironmentConfig::preset(environment)?, SourceConfig::preset(source)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_valid_and_survives_its_file() {
        let recipes = FIGURES.iter().map(|name| Recipe::named(name)).chain([Recipe::quickstart()]);
        for recipe in recipes {
            let recipe = recipe.expect("a recipe");
            recipe.generate.validate().expect("generation");
            recipe.train.validate().expect("training");
            let text = toml::to_string(&recipe).expect("TOML");
            assert_eq!(toml::from_str::<Recipe>(&text).expect("the same recipe"), recipe);
        }
        assert!(Recipe::named("dark-rom").is_err_and(|error| error.to_string().contains("dark-room-q")));
    }
}
