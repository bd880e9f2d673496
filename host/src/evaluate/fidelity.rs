//! How near the int8 model is to the float model, on the same contexts.

use super::asking::{goal, Asking};
use super::models::{FloatModel, Int8Model, Int8Policy};
use super::policy::Policy;
use super::rollout::{each_context, one_context, Contexts};
use crate::environment::EnvironmentConfig;
use crate::model::FloatAgent;
use crate::progress::Progress;
use crate::Result;
use algodistill_core::PortableRng;

/// Differences between the action distributions (softmax of the logits) of two models over all
/// steps of all contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fidelity {
    /// Mean of KL(float || int8) in nats.
    pub kl_nats: f64,
    /// Share of the steps where both prefer the same action.
    pub top1_agreement: f64,
    /// Steps compared.
    pub steps: usize,
}

/// Runs the int8 `model` through `contexts`; at each step the float model sees the same context, with
/// the same actions.
pub fn fidelity(
    environment: &EnvironmentConfig,
    contexts: &Contexts,
    model: &Int8Model,
    float: &FloatModel,
    wanted: Option<f32>,
    progress: &dyn Progress,
) -> Result<Fidelity> {
    progress.begin("fidelity", contexts.count() as u64);
    let sums = each_context(contexts, progress, |task, run| {
        let (int8, float) = (model.agent()?, FloatAgent::new(&float.parameters));
        let mut pair = Pair { int8, float, divergence: 0.0, agreements: 0, steps: 0 };
        match model.goal() {
            None => one_context(environment, contexts, task, run, &mut pair, None)?,
            Some(objective) => {
                let goal = goal(&objective, wanted, environment, task)?;
                let mut asking = Asking::new(&mut pair, goal);
                one_context(environment, contexts, task, run, &mut asking, None)?
            }
        };
        Ok((pair.divergence, pair.agreements, pair.steps))
    })?;
    let steps: usize = sums.iter().map(|(_, _, steps)| steps).sum();
    let share = |sum: f64| sum / steps.max(1) as f64;
    let fidelity = Fidelity {
        kl_nats: share(sums.iter().map(|(divergence, ..)| divergence).sum()),
        top1_agreement: share(sums.iter().map(|(_, agreements, _)| *agreements as f64).sum()),
        steps,
    };
    progress.finish(&format!("{steps} steps compared"));
    Ok(fidelity)
}

/// The int8 agent acts, the float agent follows.
struct Pair<'a> {
    int8: Int8Policy<'a>,
    float: FloatAgent<'a>,
    /// Sum of KL(float || int8).
    divergence: f64,
    agreements: usize,
    steps: usize,
}

impl Policy for Pair<'_> {
    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> Result<usize> {
        let action = self.int8.act(observation, rng)?;
        self.float.demonstrate(observation, action);
        let int8: Vec<f64> = self.int8.logits().into_iter().map(f64::from).collect();
        let float: Vec<f64> = self.float.logits().iter().copied().map(f64::from).collect();
        self.divergence += divergence(&float, &int8);
        self.agreements += usize::from(preferred(&float) == preferred(&int8));
        self.steps += 1;
        Ok(action)
    }

    fn feedback(&mut self, reward: f32, ended: Option<&[i32]>) -> Result<()> {
        self.float.feedback(reward, ended);
        self.int8.feedback(reward, ended)
    }

    fn demonstrate(&mut self, observation: &[i32], action: usize) -> Result<()> {
        self.float.demonstrate(observation, action);
        self.int8.demonstrate(observation, action)
    }

    fn forget(&mut self) {
        self.float.reset();
        self.int8.forget();
    }
}

/// KL(p || q) in nats of the distributions with these logits.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let (p, q) = (log_softmax(p), log_softmax(q));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let normalizer = largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - normalizer).collect()
}

/// Index of the largest logit, the first at a tie.
fn preferred(logits: &[f64]) -> usize {
    (1..logits.len()).fold(0, |best, index| if logits[index] > logits[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_that_of_the_definition() {
        // p = (1/2, 1/2), q = (3/4, 1/4): KL = ln(2) - ln(3) / 2.
        let found = divergence(&[5.0, 5.0], &[3f64.ln(), 0.0]);
        assert!((found - (2f64.ln() - 3f64.ln() / 2.0)).abs() < 1e-12, "{found}");
        assert_eq!(divergence(&[1.0, -700.0, 2.0], &[1.0, -700.0, 2.0]), 0.0);
    }

    #[test]
    fn preferred_is_the_first_of_the_largest() {
        assert_eq!(preferred(&[0.0, 2.0, 2.0, 1.0]), 1);
    }
}
