//! Bernoulli bandits on the host.

use super::{Defaults, Drawing, Episode, Expert, Simulation, Tint};
use algodistill_core::env::bandit::{Bandit, BanditTask};
use algodistill_core::PortableRng;

/// Columns of the longest bar of an arm.
const BAR: usize = 40;

impl Simulation for Bandit {
    fn describe(&self) -> String {
        // The name in configurations, which is also the one in the name of the preset.
        let distribution = serde_json::json!(self.distribution);
        let distribution = distribution.as_str().unwrap_or_default();
        format!("Bandit, {} arms, {distribution} tasks, {} pulls", self.arms, self.horizon)
    }

    fn defaults(&self) -> Defaults {
        Defaults::OF_BANDITS
    }

    fn action_name(&self, action: usize) -> String {
        format!("arm {action}")
    }

    fn optimal_return(&self, task: &BanditTask) -> Option<f64> {
        let best = task.probabilities().iter().fold(0.0_f32, |best, &p| best.max(p));
        Some(f64::from(self.horizon) * f64::from(best))
    }

    fn random_return(&self, task: &BanditTask) -> Option<f64> {
        let sum: f64 = task.probabilities().iter().map(|&p| f64::from(p)).sum();
        Some(f64::from(self.horizon) * sum / task.probabilities().len() as f64)
    }

    fn expert(&self, task: &BanditTask) -> Option<Box<dyn Expert>> {
        let arms = task.probabilities().iter().enumerate();
        let better = |best: (usize, f32), (arm, &p)| if p > best.1 { (arm, p) } else { best };
        Some(Box::new(BestArm { arm: arms.fold((0, f32::MIN), better).0 }))
    }

    fn draw(&self, task: &BanditTask, episode: &Episode) -> Option<Drawing> {
        let means = task.probabilities().iter().map(|&p| f64::from(p)).collect::<Vec<_>>();
        Some(draw_arms(&means, episode))
    }
}

impl Defaults {
    /// Of bandits, where one episode is long enough to learn in.
    pub(crate) const OF_BANDITS: Self = Self {
        tasks: Some(20_000),
        held_out: 500,
        histories_per_task: 1,
        held_out_histories_per_task: 1,
        episodes: 1,
        runs: 1,
        context_episodes: 1,
    };
}

/// Pulls the best arm.
pub(crate) struct BestArm {
    /// Its index.
    pub arm: usize,
}

impl Expert for BestArm {
    fn act(&mut self, _observation: &[i32], _rng: &mut PortableRng) -> usize {
        self.arm
    }
}

/// Draws what each arm pays on average and how often it was pulled.
pub(crate) fn draw_arms(means: &[f64], episode: &Episode) -> Drawing {
    let pulls_of = |arm: usize| episode.actions.iter().filter(|action| **action == arm).count();
    let most = (0..means.len()).map(pulls_of).max().unwrap_or(0).max(1);
    let mut drawing = Drawing::default();
    for (arm, pays) in means.iter().enumerate() {
        let pulls = pulls_of(arm);
        let pulled_now = if episode.actions.last() == Some(&arm) { '>' } else { ' ' };
        let bar = "#".repeat((pulls * BAR).div_ceil(most));
        drawing.add(Tint::Plain, format!("{pulled_now}arm {arm:>2} pays {pays:.2}  {pulls:>4} {bar}\n"));
    }
    drawing.add(Tint::Plain, " what an arm pays is never shown to the model\n");
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;

    #[test]
    fn arms_show_their_pulls() {
        let bandit = EnvironmentConfig::preset("bandit").unwrap().task(0).unwrap();
        let episode = Episode { actions: vec![3, 3, 7], ..Episode::default() };
        let drawn = bandit.draw(&episode).unwrap().plain();
        let arm = |arm: usize| drawn.lines().nth(arm).unwrap();
        assert!(arm(3).starts_with(" arm  3") && arm(3).contains("   2 ####"));
        assert!(arm(7).starts_with(">arm  7") && arm(7).contains("   1 ####"));
    }
}
