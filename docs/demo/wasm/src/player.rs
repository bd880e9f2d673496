//! The agent.

use crate::Answer;
use algodistill_core::{Agent, Error, Model, PortableRng, Sampling};
use firmware_session::session::AGENT_STREAM;

/// Words of the generator's state, at the end of a snapshot.
const RNG_WORDS: usize = 4;

/// An agent and the generator that draws its actions.
pub struct Player {
    agent: Agent<'static>,
    rng: PortableRng,
    temperature: f32,
}

impl Player {
    /// With an empty context. The model and the workspace stay in memory until the page lets go of
    /// the whole instance, which it does with every agent.
    pub fn new(file: Vec<u8>, seed: u32) -> Result<Self, String> {
        let model = Model::decode(file.leak()).map_err(words)?;
        let workspace = vec![0; model.workspace_words()].leak();
        let agent = Agent::new(model, workspace).map_err(words)?;
        Ok(Self { agent, rng: PortableRng::new(seed.into(), AGENT_STREAM), temperature: 1.0 })
    }

    /// What the page shows of the model, as JSON; the card is JSON already.
    pub fn describe(&self) -> String {
        let model = self.agent.model();
        format!(
            r#"{{"parameters":{},"window":{},"crc":{},"actions":{},"workspace":{},"snapshot":{},"card":{}}}"#,
            model.parameters(),
            model.dimensions().window,
            model.crc(),
            model.interface().actions,
            4 * model.workspace_words(),
            self.agent.snapshot_len() + 4 * RNG_WORDS,
            model.card(),
        )
    }

    pub fn model(&self) -> &Model<'static> {
        self.agent.model()
    }

    pub fn act(&mut self, observation: &[i32]) -> Answer {
        let observation = self.seen(observation);
        let action = self.agent.act(observation, &mut self.rng).map_err(words)?;
        Ok(action as i32)
    }

    pub fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Answer {
        let ended = ended.map(|observation| self.seen(observation));
        self.agent.feedback(reward, ended).map_err(words)?;
        Ok(0)
    }

    /// The words of it that this model has.
    fn seen<'o>(&self, observation: &'o [i32]) -> &'o [i32] {
        &observation[..self.model().interface().observation_len()]
    }

    /// Of the actions in the last step, for people: the agent itself draws with integers.
    pub fn probabilities(&self) -> Vec<f32> {
        let logits: Vec<f32> = self.agent.logits().iter().map(|logit| *logit as f32 / 65_536.0).collect();
        let most = logits.iter().fold(f32::MIN, |most, logit| most.max(*logit));
        let weight = |logit: &f32| match self.temperature {
            0.0 => f32::from(u8::from(*logit == most)),
            temperature => ((logit - most) / temperature).exp(),
        };
        let total: f32 = logits.iter().map(weight).sum();
        logits.iter().map(|logit| weight(logit) / total).collect()
    }

    /// 0 is the most likely action.
    pub fn set_temperature(&mut self, temperature: f32) -> Answer {
        let sampling = if temperature == 0.0 { Sampling::Greedy } else { Sampling::Temperature(temperature) };
        self.agent.set_sampling(sampling).map_err(words)?;
        self.temperature = temperature;
        Ok(0)
    }

    pub fn forget(&mut self) -> Answer {
        self.agent.reset();
        Ok(0)
    }

    /// The context, and the state of the generator after it.
    pub fn snapshot(&self) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; self.agent.snapshot_len()];
        self.agent.snapshot(&mut bytes).map_err(words)?;
        bytes.extend(self.rng.state().into_iter().flat_map(u32::to_le_bytes));
        Ok(bytes)
    }

    pub fn restore(&mut self, bytes: &[u8]) -> Answer {
        let wrong = || "the snapshot is too short".to_string();
        let (context, state) = bytes.split_last_chunk::<{ 4 * RNG_WORDS }>().ok_or_else(wrong)?;
        self.agent.restore(context).map_err(words)?;
        let (state, _) = state.as_chunks::<4>();
        let mut rng = [0; RNG_WORDS];
        rng.iter_mut().zip(state).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
        self.rng = PortableRng::from_state(rng);
        Ok(0)
    }
}

/// What the core says of an error.
pub fn words(error: Error) -> String {
    error.to_string()
}
