//! Conservative Q-learning over learning histories (Tarasov et al. 2025, "Yes, Q-learning Helps
//! Offline In-Context RL", arXiv 2502.17666): the tokens of algorithm distillation, each answered
//! with what every action is worth, given all that the context says about the task. So the model
//! need not repeat how its source learned, nor how badly.
//!
//! The value of the action that was taken learns from its return as a slow copy of the network
//! estimates it, by Peng's Q(lambda) (Peng and Williams 1996), which bootstraps on the best action at
//! every step; conservatism (Kumar et al. 2020) holds down the values of what was not tried.
//!
//! Values bootstrap over the ends of episodes unless told otherwise: what is found out in one episode
//! pays in the next.
//!
//! The policy is the plain agent: the model's logits are the values over a temperature, which its
//! last layer has in it.

use super::{Objective, Place, Stream};
use crate::model::{check, Parameters, Role};
use crate::nn::kernels::elementwise::scale;
use crate::nn::transformer::{ActionValueOptions, Batch};
use crate::Result;

/// Say what actions are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfflineQ {
    /// What a reward one step later is worth, 0 or more and below 1.
    pub discount: f32,
    /// Weight of the rewards that followed against values bootstrapped at the next step, 0 to 1.
    pub lambda: f32,
    /// Weight of the cross-entropy with the actions that were taken, 0 or more.
    pub conservatism: f32,
    /// Values over this are the logits of the policy, .001 to 100.
    pub temperature: f32,
    /// Part of the way that the slow copy goes towards the network at each update, above 0 and at
    /// most 1.
    pub copy_rate: f32,
    /// Whether values bootstrap over the ends of episodes.
    pub across_episodes: bool,
}

impl Default for OfflineQ {
    fn default() -> Self {
        Self {
            discount: 0.95,
            lambda: 0.7,
            conservatism: 0.05,
            temperature: 0.05,
            copy_rate: 0.02,
            across_episodes: true,
        }
    }
}

impl Objective for OfflineQ {
    fn name(&self) -> &'static str {
        "offline-q"
    }

    fn validate(&self) -> Result<()> {
        let Self { discount, lambda, conservatism, temperature, copy_rate, across_episodes: _ } = *self;
        check((0.0..1.0).contains(&discount), "q_discount", discount, "0 or more and below 1")?;
        check((0.0..=1.0).contains(&lambda), "q_lambda", lambda, "between 0 and 1")?;
        let weight = conservatism.is_finite() && conservatism >= 0.0;
        check(weight, "q_conservatism", conservatism, "a finite number, 0 or more")?;
        let warm = (0.001..=100.0).contains(&temperature);
        check(warm, "q_temperature", temperature, "between 0.001 and 100")?;
        let rate = copy_rate > 0.0 && copy_rate <= 1.0;
        check(rate, "q_copy_rate", copy_rate, "above 0 and at most 1")
    }

    fn push(&self, place: Place, stream: &mut Stream) -> Result<()> {
        stream.push_outcome(&place);
        let target = place.histories.steps.actions[place.step];
        stream.push_step(place, target, &[])
    }

    fn action_values(&self) -> Option<&OfflineQ> {
        Some(self)
    }
}

impl OfflineQ {
    /// How values enter the loss.
    pub fn options(&self) -> ActionValueOptions {
        ActionValueOptions { temperature: self.temperature, conservatism: self.conservatism }
    }

    /// What the action of each token of the batch is worth, `[tokens]`, where the slow copy's values
    /// are `values`, `[tokens, actions]`. Not a number for the last token of a sequence, unless its
    /// episode ends there for good.
    pub fn returns(&self, batch: &Batch, values: &[f32]) -> Vec<f32> {
        let actions = values.len() / batch.targets.len().max(1);
        let mut returns = vec![f32::NAN; batch.targets.len()];
        for place in &batch.sequences {
            // Of the token after: the value of its best action, and the return of the one taken.
            let mut next: Option<(f32, f32)> = None;
            for token in place.clone().rev() {
                let own = &values[token * actions..(token + 1) * actions];
                let best = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let outcome = batch.outcomes[token];
                let after = match next {
                    _ if outcome.ended && !self.across_episodes => Some(0.0),
                    next => next.map(|(best, taken)| best + self.lambda * (taken - best)),
                };
                if let Some(after) = after {
                    returns[token] = outcome.reward + self.discount * after;
                }
                next = Some((best, if after.is_some() { returns[token] } else { best }));
            }
        }
        returns
    }

    /// From initial parameters, whose logits are of the order of 1, to values as small as the
    /// temperature: large ones would have to be forgotten first.
    pub fn begin(&self, parameters: &mut Parameters) {
        scale_head(parameters, self.temperature);
    }

    /// From a network whose outputs are values to a model whose outputs are the policy's logits.
    pub fn finish(&self, parameters: &mut Parameters) {
        scale_head(parameters, 1.0 / self.temperature);
    }

    /// Moves the slow copy.
    pub fn follow(&self, slow: &mut [f32], values: &[f32]) {
        for (slow, value) in slow.iter_mut().zip(values) {
            *slow += self.copy_rate * (value - *slow);
        }
    }
}

fn scale_head(parameters: &mut Parameters, factor: f32) {
    for tensor in parameters.layout().iter().filter(|tensor| tensor.role == Role::Head) {
        scale(&mut parameters.values[tensor.range()], factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Inputs;
    use crate::nn::transformer::Outcome;

    /// Two sequences of tokens whose two actions have the values 0 and `best`.
    fn batch() -> (Batch, Vec<f32>) {
        let outcome = |(reward, ended)| Outcome { reward, ended };
        let batch = Batch {
            inputs: Inputs::default(),
            targets: vec![0; 5],
            outcomes: [(0.0, false), (1.0, true), (0.0, false), (2.0, false), (1.0, true)]
                .map(outcome)
                .into(),
            returns: Vec::new(),
            sequences: vec![0..3, 3..5],
            first_sequence: 0,
        };
        (batch, [8.0, 4.0, 2.0, 6.0, 5.0].into_iter().flat_map(|best| [0.0, best]).collect())
    }

    #[test]
    fn returns_bootstrap_on_the_best_action_of_the_next_token() {
        let (batch, values) = batch();
        let q = OfflineQ { discount: 0.5, lambda: 0.0, across_episodes: true, ..OfflineQ::default() };
        let found = q.returns(&batch, &values);
        assert_eq!((found[0], found[1], found[3]), (2.0, 2.0, 4.5));
        assert!(found[2].is_nan() && found[4].is_nan(), "{found:?}");
        let found = OfflineQ { across_episodes: false, ..q }.returns(&batch, &values);
        assert_eq!((found[0], found[1], found[3], found[4]), (2.0, 1.0, 4.5, 1.0));
        assert!(found[2].is_nan(), "{found:?}");
    }

    #[test]
    fn lambda_mixes_in_the_rewards_that_followed() {
        let (batch, values) = batch();
        let q = OfflineQ { discount: 0.5, lambda: 1.0, across_episodes: true, ..OfflineQ::default() };
        // Token 1: 1 + 2 / 2, token 0: half of that.
        assert_eq!(q.returns(&batch, &values)[..2], [1.0, 2.0]);
        let mixed = OfflineQ { lambda: 0.25, ..q }.returns(&batch, &values);
        assert_eq!(mixed[..2], [0.5 * (4.0 + 0.25 * (2.0 - 4.0)), 2.0]);
    }
}
