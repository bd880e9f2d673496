//! A model and its context, asked line by line.

use super::request::Request;
use super::Numbers;
use crate::error::in_plain_words;
use crate::export::{split_snapshot, OwnedAgent, TrainingCard, MAX_WEIGHTS_BYTES};
use crate::{files, Error, Result};
use algodistill_core::{Interface, Model, PortableRng, Sampling};
use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};
use std::path::Path;
use std::sync::Arc;

/// Version of the protocol.
const PROTOCOL: u32 = 1;

/// One agent and its random numbers.
#[derive(Debug)]
pub struct Session {
    agent: OwnedAgent,
    rng: PortableRng,
    interface: Interface,
    info: Value,
}

impl Session {
    /// An agent with an empty context from a weights file.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Io`] for the file, [`Error::Argument`] for a temperature outside
    /// .01 to 100.
    pub fn open(model: &Path, sampling: Sampling, seed: u64) -> Result<Self> {
        let bytes: Arc<[u8]> = files::read_bytes(model, MAX_WEIGHTS_BYTES)?.into();
        let refuse = |error| Error::file(model, error);
        let decoded = Model::decode(&bytes).map_err(refuse)?;
        let card = TrainingCard::parse(model, decoded.card()).ok();
        if card.as_ref().is_some_and(|card| card.goal().is_some()) {
            let problem = "is a Decision Transformer, which must be asked for a return: serve has no way to; take a model \
                           of another objective";
            return Err(Error::file(model, problem));
        }
        let interface = decoded.interface().clone();
        let info = json!({
            "protocol": PROTOCOL,
            "model": model,
            "environments": card.map(|card| card.environment_names()).unwrap_or_default(),
            "channels": interface.channels,
            "actions": interface.actions,
            "reward_levels": interface.reward_levels,
            "window": decoded.dimensions().window,
            "weights_crc32": decoded.crc(),
        });
        let mut agent = OwnedAgent::new(bytes.clone()).map_err(refuse)?;
        agent.set_sampling(sampling).map_err(|error| Error::argument("temperature", error))?;
        Ok(Self { agent, rng: PortableRng::new(seed, 0), interface, info })
    }

    /// What the model is: the answer to `info`.
    pub fn info(&self) -> &Value {
        &self.info
    }

    /// The answer to a request; an object with `error` where it cannot be served.
    pub fn answer(&mut self, line: &[u8]) -> Value {
        parse(line).and_then(|request| self.serve(request)).unwrap_or_else(|problem| refusal(&problem))
    }

    fn serve(&mut self, request: Request) -> std::result::Result<Value, String> {
        let words = |numbers: &Numbers| numbers.words(&self.interface);
        let said = |error: algodistill_core::Error| error.to_string();
        match request {
            Request::Info {} => Ok(self.info.clone()),
            Request::Act { observation, logits } => {
                let action = self.agent.act(&words(&observation)?, &mut self.rng).map_err(said)?;
                let mut answer = json!({ "action": action });
                if logits {
                    answer["logits"] = json!(self.agent.logits());
                }
                Ok(answer)
            }
            Request::Demonstrate { observation, action } => {
                self.agent.demonstrate(&words(&observation)?, action).map_err(said)?;
                Ok(json!({}))
            }
            Request::Feedback { done: false, observation: Some(_), .. } => {
                Err("observation: belongs to the end of an episode; leave it out, or say done".into())
            }
            Request::Feedback { reward, done, observation } => {
                let observed = observation.as_ref().map(words).transpose()?.unwrap_or_default();
                self.agent.feedback(reward, done.then_some(&observed[..])).map_err(said)?;
                Ok(json!({}))
            }
            Request::Reset {} => {
                self.agent.reset();
                Ok(json!({}))
            }
            Request::Snapshot {} => {
                let bytes = self.agent.snapshot_with(&self.rng).map_err(said)?;
                Ok(json!({ "snapshot": BASE64_STANDARD.encode(bytes) }))
            }
            Request::Restore { snapshot } => self.restore(&snapshot),
        }
    }

    fn restore(&mut self, snapshot: &str) -> std::result::Result<Value, String> {
        let bytes = BASE64_STANDARD.decode(snapshot).map_err(|error| format!("snapshot: {error}"))?;
        let Some((rng, context)) = split_snapshot(&bytes) else {
            return Err(format!("snapshot: has {} bytes, expected more", bytes.len()));
        };
        self.agent.restore(context).map_err(|error| format!("snapshot: {error}"))?;
        self.rng = rng;
        Ok(json!({}))
    }
}

fn parse(line: &[u8]) -> std::result::Result<Request, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if !value.is_object() {
        return Err("the request is no object: {\"do\": \"act\", ...}".into());
    }
    serde_json::from_value(value).map_err(in_plain_words)
}

/// The answer to what cannot be served.
pub(super) fn refusal(problem: &str) -> Value {
    json!({ "error": problem })
}
