//! Many contexts of one model that take their steps together: to act, not to learn.
//!
//! One token of every context goes through the layers at once, so that each matrix is read once for
//! all of them; keys and values stay in a ring of each context. The same semantics as
//! [`FloatAgent`](crate::model::FloatAgent), and the same logits as the engine's within rounding.
//! What a context computes does not depend on the others.

use super::network::{self, Sequence};
use super::plan::{Plan, Weights, Workspace};
use crate::model::{Dimensions, Inputs};
use crate::nn::kernels::product::{product, Left, Right, Size, PANEL};
use crate::nn::kernels::{softmax, zeros, Buffer};
use algodistill_core::Interface;

/// A model with its matrices packed for the products.
pub struct Packed {
    plan: Plan,
    weights: Weights,
}

impl Packed {
    /// All parameters zero. The dimensions must have passed [`Dimensions::validate`].
    pub fn new(dimensions: &Dimensions, interface: &Interface) -> Self {
        let plan = Plan::new(dimensions, interface);
        let weights = Weights::new(&plan);
        Self { plan, weights }
    }

    /// Takes new parameters, in the order of [`crate::model::layout`].
    pub fn set(&mut self, values: &[f32]) {
        self.weights.set(&self.plan, values);
    }
}

/// The contexts.
pub struct Contexts<'a> {
    model: &'a Packed,
    count: usize,
    workspace: Workspace,
    /// One per layer and context, layer after layer.
    rings: Vec<Ring>,
    /// Slot of the next token.
    next: usize,
    filled: usize,
    scores: Buffer,
}

impl<'a> Contexts<'a> {
    /// `count` empty contexts.
    pub fn new(model: &'a Packed, count: usize) -> Self {
        let plan = &model.plan;
        let Dimensions { layers, window, .. } = plan.dimensions;
        let (d_kv, slots) = (plan.dimensions.d_kv(), window.next_multiple_of(PANEL));
        Self {
            model,
            count,
            workspace: Workspace::new(plan, count),
            rings: (0..layers * count).map(|_| Ring::new(d_kv, slots)).collect(),
            next: 0,
            filled: 0,
            scores: zeros(slots),
        }
    }

    /// Runs the next token of every context: `count` tokens, as [`Tokens`](crate::model::Tokens)
    /// makes them.
    pub fn step(&mut self, inputs: &Inputs) {
        let Packed { plan, weights } = self.model;
        let Dimensions { d_model: d, window, .. } = plan.dimensions;
        let key_values = d..plan.dimensions.d_query_key_value();
        self.filled = (self.filled + 1).min(window);
        let (slot, filled, count) = (self.next, self.filled, self.count);
        let (rings, scores) = (&mut self.rings, &mut self.scores);
        let sequence = Sequence { inputs: inputs.all(), masks: None };
        network::pass(plan, weights, sequence, &mut self.workspace, |layer, activations, _| {
            let number = layer.attention.layer;
            let rows = activations.query_key_value.chunks_exact(layer.attention.stride);
            let outputs = activations.attended.chunks_exact_mut(d);
            for ((ring, row), output) in rings[number * count..][..count].iter_mut().zip(rows).zip(outputs) {
                ring.put(slot, &row[key_values.clone()]);
                ring.attend(&plan.dimensions, &row[..d], filled, scores, output);
            }
        });
        self.next = (self.next + 1) % window;
    }

    /// Logits of the last step of a context.
    pub fn logits(&self, context: usize) -> &[f32] {
        let plan = &self.model.plan;
        &self.workspace.logits[context * plan.actions_padded..][..plan.actions]
    }

    /// Rows behind the final norm of the last step, `[count, d_model]`.
    pub fn hidden(&self) -> &[f32] {
        &self.workspace.normed.values[..self.count * self.model.plan.dimensions.d_model]
    }
}

/// Keys and values of one layer of one context.
struct Ring {
    /// `[d_kv, slots]`
    keys: Buffer,
    /// `[slots, d_kv]`
    values: Buffer,
    slots: usize,
}

impl Ring {
    fn new(d_kv: usize, slots: usize) -> Self {
        Self { keys: zeros(d_kv * slots), values: zeros(slots * d_kv), slots }
    }

    /// Takes the key and the value of a token.
    fn put(&mut self, slot: usize, key_value: &[f32]) {
        let (key, value) = key_value.split_at(key_value.len() / 2);
        for (slots, key) in self.keys.chunks_exact_mut(self.slots).zip(key) {
            slots[slot] = *key;
        }
        self.values[slot * value.len()..][..value.len()].copy_from_slice(value);
    }

    /// What a query sees in the first `filled` slots, head by head.
    fn attend(
        &self,
        dimensions: &Dimensions,
        query: &[f32],
        filled: usize,
        scores: &mut [f32],
        output: &mut [f32],
    ) {
        let (d, slots, head) = (dimensions.d_model, self.slots, dimensions.d_head());
        let seen = &mut scores[..filled.next_multiple_of(PANEL)];
        for (number, (query, output)) in
            query.chunks_exact(head).zip(output.chunks_exact_mut(head)).enumerate()
        {
            // The ring has no queries, and keys and values apart.
            let key = dimensions.head_columns(number)[1] - d;
            let keys = Right::rows(&self.keys[key * slots..], slots);
            let size = Size { rows: 1, columns: seen.len(), inner: head };
            product(seen, slots, Left::rows(query, head), keys, size, false);
            seen[filled..].fill(f32::NEG_INFINITY);
            softmax::row(seen, 1.0 / (head as f32).sqrt());
            let values = Right::rows(&self.values[key..], dimensions.d_kv());
            let size = Size { rows: 1, columns: head, inner: filled };
            product(output, head, Left::rows(seen, slots), values, size, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FloatAgent, Previous, Tokens};
    use crate::nn::transformer::{forward_logits, initial_parameters};
    use algodistill_core::PortableRng;

    /// The action, its reward, and what ended the episode, if anything did.
    type Step = (u16, f32, Option<[i32; 2]>);

    #[test]
    fn contexts_say_what_the_engine_and_the_float_agent_say() {
        for (d_model, heads, kv_heads) in [(32, 2, None), (32, 4, Some(2)), (16, 4, Some(1))] {
            all_say_the_same(Dimensions { d_model, heads, kv_heads, ..Dimensions::default() });
        }
    }

    /// Also once the ring has lost tokens, with episodes of different lengths side by side.
    fn all_say_the_same(dimensions: Dimensions) {
        let interface = Interface::discrete(&[5, 3], 3, &[0.0, 1.0]).unwrap();
        let dimensions = Dimensions { layers: 2, d_ff: 48, window: 7, final_observation: true, ..dimensions };
        let parameters = initial_parameters(&dimensions, &interface, 5);
        let mut model = Packed::new(&dimensions, &interface);
        model.set(&parameters.values);
        let count = 3;
        let mut contexts = Contexts::new(&model, count);
        let mut agents: Vec<FloatAgent> = (0..count).map(|_| FloatAgent::new(&parameters)).collect();
        let mut streams = vec![Tokens::new(&dimensions, &interface, &[]); count];
        let mut before: Vec<Option<Step>> = vec![None; count];
        let mut rng = PortableRng::new(2, 0);
        for step in 0..20 {
            let mut inputs = Inputs::new(&dimensions, &interface);
            let mut observations = Vec::new();
            for (stream, before) in streams.iter_mut().zip(&before) {
                let seen = [rng.below(5) as i32, rng.below(3) as i32];
                let previous = before.as_ref().map(|(action, reward, ended)| Previous {
                    action: *action,
                    reward: *reward,
                    ended: ended.as_ref().map(|words| &words[..]),
                });
                stream.push(&interface, &seen, previous);
                inputs.extend(stream.inputs().part(step..step + 1));
                observations.push(seen);
            }
            contexts.step(&inputs);
            for (number, agent) in agents.iter_mut().enumerate() {
                let action = rng.below(3) as usize;
                agent.demonstrate(&observations[number], action);
                for (found, expected) in contexts.logits(number).iter().zip(agent.logits()) {
                    assert!((found - expected).abs() < 1e-4, "step {step}: {found} {expected}");
                }
                let reward = rng.below(2) as f32;
                let ended = (rng.below(4) == 0).then(|| [rng.below(5) as i32, rng.below(3) as i32]);
                agent.feedback(reward, ended.as_ref().map(|words| &words[..]));
                before[number] = Some((action as u16, reward, ended));
            }
        }
        for (number, stream) in streams.iter().enumerate() {
            let expected = forward_logits(&parameters, stream);
            for (found, expected) in contexts.logits(number).iter().zip(&expected[19 * 3..]) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}
