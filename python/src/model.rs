//! A weights file, as agents and batches of agents open it.

use crate::arguments::{flag, shown, temperature};
use crate::error;
use algodistill::export::{OwnedAgent, TrainingCard, MAX_WEIGHTS_BYTES};
use algodistill::files;
use algodistill_core::{Interface, Model, Sampling};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// What a model without a file is called.
const OF_BYTES: &str = "<bytes>";

/// A valid weights file, and how its actions are drawn.
pub struct Weights {
    /// Where it was read from.
    pub name: String,
    pub bytes: Arc<[u8]>,
    pub sampling: Sampling,
    pub interface: Interface,
    pub window: usize,
    pub parameters: usize,
    /// Bytes of a context.
    pub ring_bytes: usize,
    pub crc32: u32,
    /// Where it was trained, as far as its card says.
    pub environments: Vec<&'static str>,
}

impl Weights {
    /// From a path, or from the content of a weights file.
    pub fn open(model: &Bound<'_, PyAny>, sampling: Sampling) -> PyResult<Self> {
        if let Ok(bytes) = model.cast::<PyBytes>() {
            return Self::decode(OF_BYTES.into(), bytes.as_bytes().into(), sampling);
        }
        let path: PathBuf = model.extract().map_err(|_| {
            let problem =
                format!("is {}, expected the path of a weights file (.adw), or its bytes", shown(model));
            error::argument("model", problem)
        })?;
        let bytes = files::read_bytes(&path, MAX_WEIGHTS_BYTES).map_err(error::exception)?;
        Self::decode(path, bytes.into(), sampling)
    }

    fn decode(path: PathBuf, bytes: Arc<[u8]>, sampling: Sampling) -> PyResult<Self> {
        let refuse = |problem: String| error::exception(algodistill::Error::file(&path, problem));
        let model = Model::decode(&bytes).map_err(|error| {
            refuse(format!("{error}; expected a weights file (.adw), as algodistill.export writes it"))
        })?;
        let card = TrainingCard::parse(&path, model.card()).ok();
        if card.as_ref().is_some_and(|card| card.goal().is_some()) {
            return Err(refuse(
                "is a Decision Transformer, which must be asked for a return, and an agent has no way to; take a \
                 model of another objective, or evaluate this one with evaluate(model, wanted_return=...)"
                    .into(),
            ));
        }
        let environments = card.map(|card| card.environment_names()).unwrap_or_default();
        Ok(Self {
            name: path.display().to_string(),
            interface: model.interface().clone(),
            window: model.dimensions().window,
            parameters: model.parameters(),
            ring_bytes: model.dimensions().ring_bytes(),
            crc32: model.crc(),
            environments,
            sampling,
            bytes: bytes.clone(),
        })
    }

    /// An agent with an empty context.
    pub fn agent(&self) -> PyResult<OwnedAgent> {
        let mut agent = OwnedAgent::new(self.bytes.clone()).map_err(error::of_agent)?;
        agent.set_sampling(self.sampling).map_err(error::of_agent)?;
        Ok(agent)
    }

    /// Channels as in cards: a list of dicts.
    pub fn channels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // Numbers and words only.
        let text = serde_json::to_string(&self.interface.channels).unwrap_or_default();
        py.import("json")?.call_method1("loads", (text,))
    }

    /// How actions are drawn, as the arguments that say so.
    pub fn sampling_words(&self) -> String {
        match self.sampling {
            Sampling::Greedy => "greedy=True".into(),
            Sampling::Temperature(temperature) => format!("temperature={temperature}"),
        }
    }
}

/// What the arguments `greedy` and `temperature` ask for.
pub fn sampling(greedy: Option<&Bound<'_, PyAny>>, heat: Option<&Bound<'_, PyAny>>) -> PyResult<Sampling> {
    let greedy = greedy.map_or(Ok(false), |greedy| flag("greedy", greedy))?;
    let heat = heat.map(temperature).transpose()?;
    match (greedy, heat) {
        (true, None) => Ok(Sampling::Greedy),
        (true, Some(_)) => {
            Err(error::argument("greedy", "is True, which leaves no use for a temperature: give one of them"))
        }
        (false, None) => Ok(Sampling::Temperature(1.0)),
        (false, Some(heat)) if (0.01..=100.0).contains(&heat) => Ok(Sampling::Temperature(heat as f32)),
        (false, Some(heat)) => {
            let problem = format!("is {heat}, expected .01 to 100; greedy=True takes the likeliest action");
            Err(error::argument("temperature", problem))
        }
    }
}
