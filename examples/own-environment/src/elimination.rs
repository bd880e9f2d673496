//! The source algorithm: enters what is known to be right, and elsewhere a digit that is not known
//! to be wrong.

use crate::lock::Lock;
use algodistill::environment::EnvironmentConfig;
use algodistill::source::{pair, Algorithm, Learning, Outcome, Source};
use algodistill_core::{Family, PortableRng};
use serde::{Deserialize, Serialize};

/// The algorithm; it has no parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elimination {}

impl Algorithm for Elimination {
    const NAME: &'static str = "elimination";

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        environment.family::<Lock>().is_some()
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> algodistill::Result<Box<dyn Learning>> {
        let places = environment.family::<Lock>().map_or(0, |lock| usize::from(lock.length));
        let digits = environment.family::<Lock>().map_or(0, |lock| usize::from(lock.interface().actions));
        pair(environment, task, Eliminating { possible: vec![vec![true; digits]; places], place: 0 })
    }
}

struct Eliminating {
    /// By place of the code and digit.
    possible: Vec<Vec<bool>>,
    /// Where the last digit was entered.
    place: usize,
}

impl Source for Eliminating {
    fn begin_history(&mut self) {
        self.possible.iter_mut().for_each(|digits| digits.fill(true));
    }

    fn begin_episode(&mut self, _episode: u32) {}

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        self.place = observation[0] as usize;
        let digits = self.possible[self.place].iter().enumerate();
        let possible: Vec<usize> =
            digits.filter(|(_, possible)| **possible).map(|(digit, _)| digit).collect();
        possible[rng.below(possible.len() as u32) as usize]
    }

    fn learn(&mut self, outcome: &Outcome) {
        let right = outcome.reward > 0.0 || outcome.next_observation[0] as usize == self.place + 1;
        let digits = &mut self.possible[self.place];
        if right {
            digits.fill(false);
        }
        digits[outcome.action] = right;
    }
}
