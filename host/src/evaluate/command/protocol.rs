//! What an environment of another program is asked, and what it may answer: lines of JSON, the
//! mirror of `serve`. `docs/serve.md` is the protocol.

use crate::error::in_plain_words;
use crate::serve::{without_mark, Numbers};
use algodistill_core::Interface;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the protocol.
const PROTOCOL: u32 = 1;
/// How much of an answer is repeated in an error, in characters.
const SHOWN: usize = 200;

/// A line to the environment.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    /// What the environment is.
    Info {},
    /// An episode of a task begins; the first one of a context is episode 1.
    Reset {
        /// The task.
        task: u32,
        /// The episode in its context, from 1.
        episode: u32,
        /// Of everything random in the episode.
        seed: u32,
    },
    /// One step.
    Step {
        /// The action.
        action: usize,
    },
}

/// The answer to `info`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Info {
    protocol: Option<u32>,
    /// The environment's name, for titles.
    pub name: Option<String>,
    actions: Value,
    channels: Option<Value>,
    reward_levels: Option<Value>,
    /// The tasks to be evaluated on.
    pub tasks: Option<Tasks>,
    /// The largest expected return of an episode, of each task.
    pub optimal: Option<Vec<f64>>,
}

/// Tasks by how many there are, from 0, or by their numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "tasks is neither how many there are nor a list of their numbers")]
pub(super) enum Tasks {
    Count(u32),
    Numbers(Vec<u32>),
}

impl Info {
    /// The interface that it describes; what it leaves out is as in `model`.
    pub fn interface(&self, model: &Interface) -> Result<Interface, String> {
        let mut interface = Interface { actions: field("actions", &self.actions)?, ..model.clone() };
        let wrong = |field: &str, error: serde_json::Error| {
            format!(
                "{field}: {}; `algodistill serve MODEL.adw` shows how it is written",
                in_plain_words(error)
            )
        };
        if let Some(channels) = &self.channels {
            interface.channels =
                serde_json::from_value(channels.clone()).map_err(|error| wrong("channels", error))?;
        }
        if let Some(levels) = &self.reward_levels {
            interface.reward_levels =
                serde_json::from_value(levels.clone()).map_err(|error| wrong("reward_levels", error))?;
        }
        match self.protocol {
            Some(version) if version != PROTOCOL => {
                Err(format!("protocol is {version}, expected {PROTOCOL}"))
            }
            _ if !interface.is_valid() => {
                Err("it is outside of the limits of a model: actions are 2 to 256".into())
            }
            _ => Ok(interface),
        }
    }
}

/// The answer to `reset`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    /// What is observed first.
    pub observation: Numbers,
    #[serde(rename = "info")]
    _info: Option<IgnoredAny>,
}

/// The answer to `step`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stepped {
    /// What is observed after it; where the episode ends, before any reset.
    pub observation: Numbers,
    reward: Value,
    done: Option<Value>,
    terminated: Option<Value>,
    truncated: Option<Value>,
    #[serde(rename = "info")]
    _info: Option<IgnoredAny>,
}

impl Stepped {
    /// What the step earned.
    pub fn reward(&self) -> Result<f32, String> {
        let reward = field::<f64>("reward", &self.reward)? as f32;
        match reward.is_finite() {
            true => Ok(reward),
            false => Err(format!("reward is {}, expected a number of 32 bits", self.reward)),
        }
    }

    /// Whether the episode ended with it.
    pub fn done(&self) -> Result<bool, String> {
        let read =
            |name, value: &Option<Value>| value.as_ref().map(|value| field::<bool>(name, value)).transpose();
        let done = read("done", &self.done)?;
        match (done, read("terminated", &self.terminated)?, read("truncated", &self.truncated)?) {
            (Some(done), None, None) => Ok(done),
            (None, Some(terminated), truncated) => Ok(terminated || truncated.unwrap_or(false)),
            (None, None, _) => {
                Err("terminated is missing (or done, in place of terminated and truncated)".into())
            }
            (Some(_), _, _) => {
                Err("done takes the place of terminated and truncated: give one or the other".into())
            }
        }
    }
}

/// Words of an observation that the model knows.
pub(super) fn words(observation: &Numbers, interface: &Interface) -> Result<Vec<i32>, String> {
    let words = observation.words(interface)?;
    let mut place = 0;
    for (channel, own) in interface.split(&words) {
        channel.check(own).map_err(|value| format!("observation[{place}] is {value}, expected {channel}"))?;
        // Of a picture four numbers are a word.
        place += channel.inputs().max(1);
    }
    Ok(words)
}

/// The value of the field `name`, whose name is said where it is of another type.
fn field<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("{name} {}", in_plain_words(error)))
}

/// What was answered.
///
/// # Errors
/// What is wrong with it, in words of whoever wrote the environment.
pub(super) fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    let value: Value =
        serde_json::from_slice(without_mark(answer)).map_err(|error| no_json(answer, &error))?;
    let object = value.as_object().ok_or("it is no object: {\"name\": value, ...}")?;
    if let Some(problem) = object.get("error") {
        return Err(format!(
            "it says: {}",
            problem.as_str().map_or_else(|| problem.to_string(), String::from)
        ));
    }
    serde_json::from_value(value).map_err(in_plain_words)
}

fn no_json(answer: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(answer);
    match ["NaN", "Infinity"].iter().find(|word| text.contains(*word)) {
        Some(word) => format!("{word} is no number in JSON: rewards and observations are finite"),
        None => format!(
            "the line is no JSON ({error}): standard output is for answers only, everything else goes to standard error"
        ),
    }
}

/// An answer as an error repeats it.
pub(super) fn shown(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}
