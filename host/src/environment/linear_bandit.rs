//! Linear bandits on the host.

use super::bandit::{draw_arms, BestArm};
use super::{Defaults, Drawing, Episode, Expert, Simulation};
use crate::source::argmax;
use algodistill_core::env::linear_bandit::{LinearBandit, LinearBanditTask};

impl Simulation for LinearBandit {
    fn describe(&self) -> String {
        let Self { arms, dimensions, horizon, .. } = self;
        format!("Linear bandit, {arms} arms in {dimensions} dimensions, {horizon} pulls")
    }

    fn defaults(&self) -> Defaults {
        Defaults::OF_BANDITS
    }

    fn action_name(&self, action: usize) -> String {
        format!("arm {action}")
    }

    fn optimal_return(&self, task: &LinearBanditTask) -> Option<f64> {
        Some(f64::from(self.horizon) * means(task).into_iter().fold(f64::NEG_INFINITY, f64::max))
    }

    fn random_return(&self, task: &LinearBanditTask) -> Option<f64> {
        let sum: f64 = means(task).iter().sum();
        Some(f64::from(self.horizon) * sum / f64::from(self.arms))
    }

    fn expert(&self, task: &LinearBanditTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(BestArm { arm: argmax(means(task).into_iter()) }))
    }

    fn draw(&self, task: &LinearBanditTask, episode: &Episode) -> Option<Drawing> {
        Some(draw_arms(&means(task), episode))
    }
}

/// What each arm pays on average.
fn means(task: &LinearBanditTask) -> Vec<f64> {
    task.means().iter().map(|&mean| f64::from(mean)).collect()
}
