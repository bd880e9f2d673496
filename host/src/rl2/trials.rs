//! Trials: episodes of one hidden task each, many at a time.

use super::ppo::{log_softmax, ValueHead};
use crate::environment::{AnyTask, EnvironmentConfig};
use crate::model::{Dimensions, Inputs, Previous, Tokens};
use crate::nn::random::{stream, Purpose};
use crate::nn::transformer::{Contexts, Packed};
use crate::Result;
use algodistill_core::{Environment, Interface, Normaliser, PortableRng};
use rayon::prelude::*;
use std::collections::HashSet;

/// Trials that take their steps together on one thread. What a trial does is independent of the
/// others, so this changes the speed only.
const GROUP: usize = 16;

/// Bits of a trial's number in that of its random streams, and of who draws from them.
const TRIAL_BITS: u32 = 17;
const ROLE_BITS: u32 = 1;

/// What happened in one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// What the network was given, a token a step.
    pub inputs: Inputs,
    /// The actions, `[steps]`.
    pub actions: Vec<u16>,
    /// Logarithm of the probability of each.
    pub log_probabilities: Vec<f32>,
    /// What was expected from each step on, by the value head.
    pub values: Vec<f32>,
    /// What is learned from: the rewards, and [`Trials::novelty`] where something new was seen.
    pub rewards: Vec<f32>,
    /// Return of each episode.
    pub returns: Vec<f32>,
}

/// The policy that acts.
pub struct Actor<'a> {
    /// The network.
    pub model: &'a Packed,
    /// Its value head.
    pub value_head: &'a ValueHead,
    /// The parameters of that.
    pub value_parameters: &'a [f32],
}

/// Where trials take place.
pub struct Trials<'a> {
    /// The environment.
    pub environment: &'a EnvironmentConfig,
    /// What is seen and done there.
    pub interface: &'a Interface,
    /// Sizes of the model.
    pub dimensions: &'a Dimensions,
    /// The scales of the numbers that are seen.
    pub normalisers: &'a [Normaliser],
    /// Episodes of a trial.
    pub episodes: u32,
    /// What an observation is worth that the trial has not had before.
    pub novelty: f32,
    /// Fraction of the trials that pay nothing.
    pub barren: f32,
    /// Seed of everything random.
    pub seed: u64,
}

impl Trials<'_> {
    /// `count` trials of `tasks`: of each, as nearly as can be, equally many. A function of seed,
    /// purpose and `round` (the iteration), on the threads of the current pool.
    ///
    /// # Errors
    /// Those of making a task.
    pub fn run(
        &self,
        actor: &Actor,
        tasks: &[u32],
        count: usize,
        purpose: Purpose,
        round: u64,
    ) -> Result<Vec<Trial>> {
        let rng = |trial: usize, role: u64| {
            let number = round << (TRIAL_BITS + ROLE_BITS) | (trial as u64) << ROLE_BITS | role;
            PortableRng::new(self.seed, stream(purpose, number))
        };
        let numbers: Vec<usize> = (0..count).collect();
        let group = |numbers: &[usize]| {
            let begin = |&number: &usize| {
                let mut own = rng(number, 0);
                // Each trial has a part of the tasks to draw from.
                let place = (number as u64) << 32 | u64::from(own.next_u32());
                let place = u128::from(place) * tasks.len() as u128 / ((count as u128) << 32);
                let barren = self.barren > 0.0 && own.uniform() < self.barren;
                let running = Running::new(self, tasks[place as usize], own, rng(number, 1))?;
                Ok(Running { barren, ..running })
            };
            let running = numbers.iter().map(begin).collect::<Result<_>>()?;
            Ok(self.together(actor, running))
        };
        let groups: Result<Vec<Vec<Trial>>> = numbers.par_chunks(GROUP).map(group).collect();
        Ok(groups?.into_iter().flatten().collect())
    }

    /// Runs trials to their ends, step by step.
    fn together(&self, actor: &Actor, mut running: Vec<Running>) -> Vec<Trial> {
        let mut contexts = Contexts::new(actor.model, running.len());
        let mut inputs = Inputs::new(self.dimensions, self.interface);
        while running.iter().any(|one| !one.is_over(self.episodes)) {
            inputs.clear();
            for one in &mut running {
                // Those that are over wait for the others.
                if !one.is_over(self.episodes) {
                    one.see(self.interface);
                }
                let all = one.tokens.inputs();
                inputs.extend(all.part(all.len() - 1..all.len()));
            }
            contexts.step(&inputs);
            let values = actor.value_head.values(actor.value_parameters, contexts.hidden());
            for (number, one) in running.iter_mut().enumerate() {
                if !one.is_over(self.episodes) {
                    one.trial.values.push(values[number]);
                    one.act(contexts.logits(number));
                }
            }
        }
        running.into_iter().map(Running::finish).collect()
    }
}

/// A trial at work.
struct Running {
    task: Box<dyn AnyTask>,
    luck: PortableRng,
    policy: PortableRng,
    observation: Vec<i32>,
    /// What the last step was, but for its action.
    reward: f32,
    ended: bool,
    /// Of the episode that is not over.
    sum: f32,
    final_observation: Vec<i32>,
    /// How often the episode has paid, and how often the best one has.
    payments: u32,
    most_payments: u32,
    novelty: f32,
    /// Whether rewards are kept back.
    barren: bool,
    /// What has been observed after how many payments of the episode.
    observed: HashSet<(Vec<i32>, u32)>,
    tokens: Tokens,
    trial: Trial,
}

impl Running {
    fn new(trials: &Trials, task: u32, mut luck: PortableRng, policy: PortableRng) -> Result<Self> {
        let mut task = trials.environment.task(task)?;
        let mut observation = vec![0; trials.interface.observation_len()];
        task.reset(&mut luck);
        task.observe(&mut observation);
        Ok(Self {
            task,
            luck,
            policy,
            final_observation: observation.clone(),
            observation,
            reward: 0.0,
            ended: false,
            sum: 0.0,
            payments: 0,
            most_payments: 0,
            novelty: trials.novelty,
            barren: false,
            observed: HashSet::new(),
            tokens: Tokens::new(trials.dimensions, trials.interface, trials.normalisers),
            trial: Trial::default(),
        })
    }

    fn is_over(&self, episodes: u32) -> bool {
        self.trial.returns.len() >= episodes as usize
    }

    /// Adds the next token.
    fn see(&mut self, interface: &Interface) {
        let previous = self.trial.actions.last().map(|&action| Previous {
            action,
            reward: self.reward,
            ended: self.ended.then_some(&self.final_observation[..]),
        });
        self.tokens.push(interface, &self.observation, previous);
    }

    /// Draws an action and takes it.
    fn act(&mut self, logits: &[f32]) {
        let mut logs = logits.to_vec();
        log_softmax(&mut logs);
        let action = draw(&logs, &mut self.policy);
        let mut transition = self.task.step(action, &mut self.luck);
        if self.barren {
            transition.reward = 0.0;
        }
        self.task.observe(&mut self.observation);
        self.trial.actions.push(action as u16);
        self.trial.log_probabilities.push(logs[action]);
        self.sum += transition.reward;
        self.payments += u32::from(transition.reward > 0.0);
        self.most_payments = self.most_payments.max(self.payments);
        let bonus = self.bonus();
        self.trial.rewards.push(transition.reward + bonus);
        (self.reward, self.ended) = (transition.reward, transition.done);
        if transition.done {
            self.final_observation.clone_from(&self.observation);
            self.trial.returns.push(std::mem::take(&mut self.sum));
            self.payments = 0;
            self.task.reset(&mut self.luck);
            self.task.observe(&mut self.observation);
        }
    }

    /// What the observation after a step is worth as a new one: nothing where the trial knows already
    /// how to be paid next. Which cells never pay is learned from the training tasks, and wrong for the
    /// others: this pays for going there all the same.
    fn bonus(&mut self) -> f32 {
        let searches = self.novelty > 0.0 && self.payments >= self.most_payments;
        let new = searches && self.observed.insert((self.observation.clone(), self.payments));
        if new {
            self.novelty
        } else {
            0.0
        }
    }

    fn finish(self) -> Trial {
        Trial { inputs: self.tokens.into_inputs(), ..self.trial }
    }
}

/// An action by the logarithms of its probabilities.
fn draw(logs: &[f32], rng: &mut PortableRng) -> usize {
    let mut left = rng.uniform() * logs.iter().map(|log| log.exp()).sum::<f32>();
    for (action, log) in logs.iter().enumerate() {
        if left < log.exp() {
            return action;
        }
        left -= log.exp();
    }
    // Rounding: the last one that can be.
    logs.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::transformer::initial_parameters;

    /// Trials of three episodes of four steps in a room of 3x3 cells, of a policy that knows nothing.
    fn trials(novelty: f32, barren: f32) -> Vec<Trial> {
        let environment = EnvironmentConfig::preset("dark-room").unwrap();
        let parameters = ["size=3", "horizon=4"].iter().map(|text| text.parse().unwrap()).collect();
        let environment = environment.with(&parameters).unwrap();
        let interface = environment.interface().unwrap();
        let dimensions = Dimensions {
            layers: 1,
            d_model: 16,
            heads: 2,
            d_ff: 16,
            window: 12,
            final_observation: true,
            ..Dimensions::default()
        };
        let mut model = Packed::new(&dimensions, &interface);
        model.set(&initial_parameters(&dimensions, &interface, 1).values);
        let value_head = ValueHead::new(16);
        let value_parameters = value_head.initial(1);
        let actor = Actor { model: &model, value_head: &value_head, value_parameters: &value_parameters };
        let trials = Trials {
            environment: &environment,
            interface: &interface,
            dimensions: &dimensions,
            normalisers: &[],
            episodes: 3,
            novelty,
            barren,
            seed: 5,
        };
        trials.run(&actor, &[0, 1, 2, 3, 5, 6, 7, 8], 64, Purpose::Trials, 0).unwrap()
    }

    #[test]
    fn novelty_pays_for_each_new_cell_until_the_trial_is_paid() {
        let (without, with) = (trials(0.0, 0.0), trials(1.0, 0.0));
        let mut unpaid = 0;
        for (without, with) in without.iter().zip(&with) {
            assert_eq!((&without.inputs, &without.returns), (&with.inputs, &with.returns));
            let bonus: Vec<f32> =
                with.rewards.iter().zip(&without.rewards).map(|(with, without)| with - without).collect();
            assert!(bonus.iter().all(|bonus| *bonus == 0.0 || *bonus == 1.0), "{bonus:?}");
            if without.returns.iter().sum::<f32>() == 0.0 {
                unpaid += 1;
                let cells = bonus.iter().sum::<f32>();
                assert!((1.0..=8.0).contains(&cells), "of 9 cells, one would have paid: {cells}");
            } else if without.returns[0] > 0.0 && without.returns[1] == 0.0 {
                assert!(bonus[4..8].iter().all(|bonus| *bonus == 0.0), "{bonus:?}");
            }
        }
        assert!(unpaid > 0 && unpaid < 64, "{unpaid}");
    }

    #[test]
    fn a_barren_trial_pays_nothing() {
        let paid = |barren| {
            let trials = trials(0.0, barren);
            trials.iter().filter(|trial| trial.rewards.iter().any(|reward| *reward != 0.0)).count()
        };
        let (none, half, all) = (paid(0.0), paid(0.5), paid(0.999));
        assert!(all == 0 && half > 0 && half < none, "{all} {half} {none}");
    }
}
