//! Parameters of an environment that differ from those of its preset.

use super::{EnvironmentConfig, GoalReward};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Parameters in place of those of a preset.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Cells along a side of a dark-room; the start moves to the centre.
    #[arg(long)]
    pub size: Option<u16>,
    /// Steps of an episode.
    #[arg(long)]
    pub horizon: Option<u32>,
    /// Start cell of a dark-room.
    #[arg(long, value_name = "ROW,COLUMN", value_parser = parse_cell, allow_hyphen_values = true)]
    pub start: Option<(u16, u16)>,
    /// When the goal of a dark-room pays.
    #[arg(long)]
    pub reward: Option<GoalReward>,
    /// Arms of a bandit.
    #[arg(long)]
    pub arms: Option<u16>,
}

fn parse_cell(text: &str) -> std::result::Result<(u16, u16), String> {
    let cell = text
        .split_once(',')
        .and_then(|(row, column)| Some((row.trim().parse().ok()?, column.trim().parse().ok()?)));
    cell.ok_or_else(|| "expected ROW,COLUMN, for example 4,4".into())
}

/// Replaces a parameter where an argument was given; refuses an argument of something that has no such parameter.
pub(crate) fn replace<T>(
    argument: &str,
    given: Option<T>,
    parameter: Option<&mut T>,
    of: &str,
) -> Result<()> {
    match (given, parameter) {
        (None, _) => Ok(()),
        (Some(value), Some(parameter)) => {
            *parameter = value;
            Ok(())
        }
        (Some(_), None) => Err(Error::argument(argument, format!("is not a parameter of {of}"))),
    }
}

impl Parameters {
    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The preset called `name` with these parameters, validated.
    pub fn apply(&self, name: &str) -> Result<EnvironmentConfig> {
        let mut config = EnvironmentConfig::preset(name)?;
        let kind = config.name();
        let (size, horizon, start, reward, arms) = match &mut config {
            EnvironmentConfig::DarkRoom { size, horizon, start, reward } => {
                if let Some(size) = self.size {
                    *start = (size / 2, size / 2);
                }
                (Some(size), Some(horizon), Some(start), Some(reward), None)
            }
            EnvironmentConfig::Bandit { arms, horizon, .. } => (None, Some(horizon), None, None, Some(arms)),
            EnvironmentConfig::Custom { .. } => (None, None, None, None, None),
        };
        replace("--size", self.size, size, kind)?;
        replace("--horizon", self.horizon, horizon, kind)?;
        replace("--start", self.start, start, kind)?;
        replace("--reward", self.reward, reward, kind)?;
        replace("--arms", self.arms, arms, kind)?;
        config.validate()?;
        Ok(config)
    }
}
