//! Proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347): what the steps of a trial
//! are worth, and the loss of policy and values on them.

use crate::nn::kernels::elementwise::scale;
use crate::nn::mlp::Mlp;
use crate::nn::random::{stream, Purpose};
use crate::nn::transformer::{Batch, Loss, Passed};
use algodistill_core::PortableRng;
use std::ops::AddAssign;

/// Hidden units of the value head.
const HIDDEN: usize = 64;

/// What is to be expected from a step on: a perceptron on the rows behind the final norm.
pub struct ValueHead {
    network: Mlp,
}

impl ValueHead {
    /// For rows of `d_model`.
    pub fn new(d_model: usize) -> Self {
        Self { network: Mlp::new(&[d_model, HIDDEN, 1]) }
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.network.parameter_count()
    }

    /// Initial parameters: the values are near 0.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        // Behind the numbers of the model's tensors.
        let mut rng = PortableRng::new(seed, stream(Purpose::Initial, 1 << 32));
        let deviation = |layer, inputs: usize| (2.0 / inputs as f32).sqrt() * [1.0, 0.1][layer];
        self.network.initial(&mut rng, deviation)
    }

    /// The values of some rows, `[rows, d_model]`.
    pub fn values(&self, parameters: &[f32], rows: &[f32]) -> Vec<f32> {
        let count = rows.len() / self.network.inputs();
        let mut workspace = self.network.workspace(count);
        self.network.forward(parameters, rows, &mut workspace);
        (0..count).map(|row| workspace.output(row)[0]).collect()
    }
}

/// Generalized advantage estimates (Schulman et al. 2016, arXiv 1506.02438, equation 16) of the steps
/// of one trial, over the ends of its episodes: after the last step there is nothing more.
pub fn advantages(rewards: &[f32], values: &[f32], discount: f32, lambda: f32) -> Vec<f32> {
    let mut advantages = vec![0.0; rewards.len()];
    let (mut next_value, mut next_advantage) = (0.0, 0.0);
    for step in (0..rewards.len()).rev() {
        let error = rewards[step] + discount * next_value - values[step];
        next_advantage = error + discount * lambda * next_advantage;
        advantages[step] = next_advantage;
        next_value = values[step];
    }
    advantages
}

/// The loss, of a batch whose targets are the actions that were taken and whose returns are what the
/// values should have been.
pub struct Ppo<'a> {
    /// Rows, actions, returns.
    pub batch: &'a Batch,
    /// Logarithm of the probability with which each action was taken, `[tokens]`.
    pub log_probabilities: &'a [f32],
    /// What each action was better than expected, `[tokens]`.
    pub advantages: &'a [f32],
    /// Number of actions.
    pub actions: usize,
    /// See [`Rl2Config`](super::Rl2Config), here and below.
    pub clip_ratio: f32,
    /// Weight of the entropy.
    pub entropy_weight: f32,
    /// Weight of the error of the values.
    pub value_weight: f32,
    /// Its parameters are the loss's own.
    pub value_head: &'a ValueHead,
}

/// Sums over tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct PpoSums {
    /// What is minimized.
    pub loss: f64,
    /// Estimate of the divergence from the policy of the trials (Schulman 2020, "Approximating KL
    /// divergence", the third one).
    pub divergence: f64,
    /// Entropy of the policy, in nats.
    pub entropy: f64,
    /// Half the squared error of the values.
    pub value_error: f64,
}

impl AddAssign for PpoSums {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.divergence += other.divergence;
        self.entropy += other.entropy;
        self.value_error += other.value_error;
    }
}

impl Loss for Ppo<'_> {
    type Sums = PpoSums;

    const READS_HIDDEN: bool = true;

    fn own_parameters(&self) -> usize {
        self.value_head.parameter_count()
    }

    fn of_sequence(&self, passed: Passed) -> PpoSums {
        let mut sums = PpoSums::default();
        let network = &self.value_head.network;
        let mut workspace = network.workspace(passed.tokens.len());
        network.forward(passed.own, passed.hidden, &mut workspace);
        for (row, token) in passed.tokens.enumerate() {
            let error = workspace.output(row)[0] - self.batch.returns[token];
            workspace.output_gradient(row)[0] = self.value_weight * error;
            let squared = 0.5 * f64::from(error) * f64::from(error);
            sums.value_error += squared;
            sums.loss += f64::from(self.value_weight) * squared;
            let logits = &mut passed.logits[row * passed.stride..][..self.actions];
            sums += self.of_policy(token, logits);
        }
        if let Some(gradient) = passed.own_gradient {
            let hidden = Some(passed.hidden_gradient);
            network.backward(passed.own, passed.hidden, &mut workspace, gradient, hidden);
        }
        sums
    }
}

impl Ppo<'_> {
    /// The loss of the policy at one token: `-min(r A, clip(r) A) - entropy_weight H`, where `r` is
    /// how many times more probable the action is now. The logits become its gradient.
    fn of_policy(&self, token: usize, logits: &mut [f32]) -> PpoSums {
        let action = usize::from(self.batch.targets[token]);
        let advantage = self.advantages[token];
        log_softmax(logits);
        let change = logits[action] - self.log_probabilities[token];
        let ratio = change.exp();
        let clipped = ratio.clamp(1.0 - self.clip_ratio, 1.0 + self.clip_ratio);
        let gained = (ratio * advantage).min(clipped * advantage);
        let entropy = -logits.iter().map(|&log| log.exp() * log).sum::<f32>();
        // Beyond the clip, no change of the policy changes the minimum.
        let slope = if ratio * advantage <= clipped * advantage { -ratio * advantage } else { 0.0 };
        for (place, logit) in logits.iter_mut().enumerate() {
            let (log, probability) = (*logit, logit.exp());
            let taken = f32::from(u8::from(place == action));
            *logit = slope * (taken - probability) + self.entropy_weight * probability * (log + entropy);
        }
        PpoSums {
            loss: -f64::from(gained) - f64::from(self.entropy_weight * entropy),
            divergence: f64::from(ratio - 1.0 - change),
            entropy: entropy.into(),
            value_error: 0.0,
        }
    }
}

/// Logits become logarithms of probabilities.
pub fn log_softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let shift = largest + total.ln();
    logits.iter_mut().for_each(|logit| *logit -= shift);
}

/// Brings the advantages of an iteration to mean 0 and deviation 1.
pub fn normalize(advantages: &mut [f32]) {
    let count = advantages.len().max(1) as f64;
    let mean = advantages.iter().map(|&advantage| f64::from(advantage)).sum::<f64>() / count;
    let square = |&advantage: &f32| (f64::from(advantage) - mean).powi(2);
    let deviation = (advantages.iter().map(square).sum::<f64>() / count).sqrt();
    advantages.iter_mut().for_each(|advantage| *advantage -= mean as f32);
    scale(advantages, (1.0 / (deviation + 1e-8)) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_go_over_the_ends_of_episodes() {
        // Two episodes of two steps; the only reward is in the second one. With values of 0 every step
        // before it has its share, (discount * lambda)^steps.
        let found = advantages(&[0.0, 0.0, 0.0, 1.0], &[0.0; 4], 0.5, 0.5);
        assert_eq!(found, [1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0, 1.0]);
        // By hand, with discount 0.5 and lambda 1: returns are 1.5, 1, 2, 4, and each advantage is the
        // return less the value.
        let found = advantages(&[1.0, 0.0, 0.0, 4.0], &[0.5, 1.0, -1.0, 2.0], 0.5, 1.0);
        assert_eq!(found, [1.0, 0.0, 3.0, 2.0]);
        // With lambda 0 they are the errors of one step.
        let found = advantages(&[1.0, 0.0], &[0.5, 1.0], 0.5, 0.0);
        assert_eq!(found, [1.0, -1.0]);
    }

    #[test]
    fn advantages_have_mean_0_and_deviation_1() {
        let mut values = vec![1.0, 3.0, 5.0, 7.0];
        normalize(&mut values);
        assert!((values.iter().sum::<f32>()).abs() < 1e-6);
        assert!((values.iter().map(|v| v * v).sum::<f32>() - 4.0).abs() < 1e-5, "{values:?}");
        let mut equal = vec![2.0; 3];
        normalize(&mut equal);
        assert_eq!(equal, [0.0; 3]);
    }
}
