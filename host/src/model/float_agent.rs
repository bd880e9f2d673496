//! The float model at work, one token at a time: the peer that the int8 agent is compared with.

use super::tokens::{encode, encoded};
use super::{discrete_channels, observation_kinds, Dimensions, Parameters, NORM_EPSILON};
use algodistill_core::{Channel, Interface, Normaliser, PortableRng};

/// In-context agent with f32 weights and a ring buffer of f32 keys and values. The same semantics
/// as `algodistill_core::Agent`.
pub struct FloatAgent<'a> {
    weights: Weights<'a>,
    parameters: &'a Parameters,
    /// `[layer, slot, 2 * d_kv]`: keys, then values.
    ring: Vec<f32>,
    next: usize,
    filled: usize,
    /// What ended the episode before the next token; empty where none did, or that is unknown.
    final_observation: Vec<i32>,
    action_row: usize,
    feedback_row: usize,
    logits: Vec<f32>,
}

/// The parameters by role.
struct Weights<'a> {
    observation: Vec<&'a [f32]>,
    /// Empty where the model has no tables for it.
    final_observation: Vec<&'a [f32]>,
    action: &'a [f32],
    feedback: &'a [f32],
    encoders: Vec<Encoder<'a>>,
    layers: Vec<[&'a [f32]; 6]>,
    final_norm: &'a [f32],
    head: &'a [f32],
}

/// The encoder of a channel.
struct Encoder<'a> {
    /// `[units, width]`, where there is a hidden layer.
    hidden: Option<&'a [f32]>,
    /// Of observations, then, where the model sees them, of final observations.
    outputs: Vec<&'a [f32]>,
}

impl Encoder<'_> {
    /// What `words` add to the residual stream.
    fn encode(&self, kind: usize, channel: &Channel, words: &[i32], normalisers: &[Normaliser]) -> Vec<f32> {
        let mut inputs = Vec::new();
        encode(channel, words, normalisers, &mut inputs);
        if let Some(matrix) = self.hidden {
            inputs = matvec(matrix, &inputs);
            inputs.iter_mut().for_each(|unit| *unit = unit.max(0.0));
        }
        matvec(self.outputs[kind], &inputs)
    }
}

impl<'a> FloatAgent<'a> {
    /// An agent with an empty context.
    pub fn new(parameters: &'a Parameters) -> Self {
        let dimensions = &parameters.dimensions;
        let layout = parameters.layout();
        let mut tensors = layout.iter().map(|tensor| &parameters.values[tensor.range()]);
        let mut next = || tensors.next().expect("the layout lists every tensor of the model");
        let channels = &parameters.interface.channels;
        let discrete = discrete_channels(&parameters.interface);
        let kinds = observation_kinds(dimensions);
        let weights = Weights {
            observation: (0..discrete).map(|_| next()).collect(),
            final_observation: (0..discrete * (kinds - 1)).map(|_| next()).collect(),
            action: next(),
            feedback: next(),
            encoders: channels
                .iter()
                .filter(|channel| channel.inputs() > 0)
                .map(|channel| Encoder {
                    hidden: dimensions.hidden(channel).map(|_| next()),
                    outputs: (0..kinds).map(|_| next()).collect(),
                })
                .collect(),
            layers: (0..dimensions.layers).map(|_| std::array::from_fn(|_| next())).collect(),
            final_norm: next(),
            head: next(),
        };
        let mut agent = Self {
            weights,
            parameters,
            ring: vec![0.0; dimensions.layers * dimensions.window * 2 * dimensions.d_kv()],
            next: 0,
            filled: 0,
            final_observation: Vec::new(),
            action_row: 0,
            feedback_row: 0,
            logits: vec![0.0; usize::from(parameters.interface.actions)],
        };
        agent.reset();
        agent
    }

    /// What the model sees and does.
    pub fn interface(&self) -> &Interface {
        &self.parameters.interface
    }

    /// Forgets the task.
    pub fn reset(&mut self) {
        (self.next, self.filled) = (0, 0);
        self.final_observation.clear();
        self.action_row = self.parameters.interface.no_action_row();
        self.feedback_row = self.parameters.interface.no_feedback_row();
    }

    /// Runs one token and draws an action from softmax(logits / temperature); temperature 0 is
    /// greedy.
    pub fn act(&mut self, observation: &[i32], temperature: f32, rng: &mut PortableRng) -> usize {
        self.step(observation);
        self.action_row = self.draw(temperature, rng);
        self.action_row
    }

    /// Runs one token whose action is given.
    pub fn demonstrate(&mut self, observation: &[i32], action: usize) {
        self.step(observation);
        self.action_row = action;
    }

    /// What the last action brought, as [`algodistill_core::Agent::feedback`] takes it.
    pub fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) {
        self.feedback_row = self.parameters.interface.feedback_row(reward, ended.is_some());
        self.final_observation.clear();
        self.final_observation.extend_from_slice(ended.unwrap_or(&[]));
    }

    /// Logits of the last step.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    fn draw(&self, temperature: f32, rng: &mut PortableRng) -> usize {
        let largest = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if temperature == 0.0 {
            return self.logits.iter().position(|l| *l == largest).unwrap_or(0);
        }
        let weights: Vec<f32> = self.logits.iter().map(|l| ((l - largest) / temperature).exp()).collect();
        let mut draw = rng.uniform() * weights.iter().sum::<f32>();
        for (action, weight) in weights.iter().enumerate() {
            if draw < *weight {
                return action;
            }
            draw -= weight;
        }
        0
    }

    fn step(&mut self, observation: &[i32]) {
        let dimensions = self.parameters.dimensions;
        let d = dimensions.d_model;
        let mut x = vec![0.0f32; d];
        let mut add_row = |table: &[f32], row: usize| add(&mut x, &table[row * d..(row + 1) * d]);
        let interface = &self.parameters.interface;
        let kinds = [&self.weights.observation, &self.weights.final_observation];
        for (words, tables) in [observation, &self.final_observation].into_iter().zip(kinds) {
            let tabled = interface.split(words).filter(|(channel, _)| channel.table_rows() > 0);
            for ((_, words), table) in tabled.zip(tables) {
                words.iter().for_each(|word| add_row(table, *word as usize));
            }
        }
        add_row(self.weights.action, self.action_row);
        add_row(self.weights.feedback, self.feedback_row);
        let seen = [observation, &self.final_observation];
        for (kind, words) in seen.into_iter().enumerate().take(observation_kinds(&dimensions)) {
            let channels = encoded(interface, words, &self.parameters.normalisers);
            for ((channel, words, own), encoder) in channels.zip(&self.weights.encoders) {
                if !words.is_empty() {
                    add(&mut x, &encoder.encode(kind, channel, words, own));
                }
            }
        }

        let attended = (self.filled + 1).min(dimensions.window);
        let slot = 2 * dimensions.d_kv();
        for (layer, ring) in self.weights.layers.iter().zip(self.ring.chunks_mut(dimensions.window * slot)) {
            let [attention_norm, query_key_value, attention_output, feed_forward_norm, up, down] = layer;
            let projected = matvec(query_key_value, &rms_norm(&x, attention_norm));
            ring[self.next * slot..(self.next + 1) * slot].copy_from_slice(&projected[d..]);
            let attention = attend(&dimensions, &projected[..d], &ring[..attended * slot]);
            add(&mut x, &matvec(attention_output, &attention));
            let mut hidden = matvec(up, &rms_norm(&x, feed_forward_norm));
            hidden.iter_mut().for_each(|h| *h = h.max(0.0));
            add(&mut x, &matvec(down, &hidden));
        }
        self.logits = matvec(self.weights.head, &rms_norm(&x, self.weights.final_norm));
        self.filled = attended;
        self.next = (self.next + 1) % dimensions.window;
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn matvec(weights: &[f32], x: &[f32]) -> Vec<f32> {
    weights.chunks(x.len()).map(|row| dot(row, x)).collect()
}

fn rms_norm(x: &[f32], gain: &[f32]) -> Vec<f32> {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + NORM_EPSILON).sqrt();
    x.iter().zip(gain).map(|(x, g)| x * scale * g).collect()
}

/// `ring` is `[slot, 2 * d_kv]`: keys, then values.
fn attend(dimensions: &Dimensions, query: &[f32], ring: &[f32]) -> Vec<f32> {
    let (d, d_head) = (dimensions.d_model, dimensions.d_head());
    let scale = 1.0 / (d_head as f32).sqrt();
    let slots = || ring.chunks(2 * dimensions.d_kv());
    let mut output = vec![0.0; d];
    for (head, output) in output.chunks_mut(d_head).enumerate() {
        let [start, key, value] = dimensions.head_columns(head);
        // The queries are not in the ring.
        let (key, value) = (key - d, value - d);
        let query = &query[start..start + d_head];
        let scores: Vec<f32> = slots().map(|slot| dot(query, &slot[key..key + d_head]) * scale).collect();
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores.iter().map(|s| (s - largest).exp()).collect();
        let total: f32 = weights.iter().sum();
        for (slot, weight) in slots().zip(&weights) {
            let value = &slot[value..value + d_head];
            output.iter_mut().zip(value).for_each(|(o, v)| *o += weight / total * v);
        }
    }
    output
}
