//! Deep Q-learning (Mnih et al. 2015) on a small network: double (van Hasselt et al. 2016), over
//! several steps, or as Peng's Q(lambda) (Peng and Williams 1994; Daley and Amato 2019).

use super::dense_q::DenseQ;
use super::networks::{check_positive, check_rate, Active, Episode, Experience, Inputs, Paid, Several, Step};
use super::sight::Seen;
use super::{check_fraction, pair, random_argmax, threshold, wrong_environment};
use super::{Algorithm, Learning, Outcome, Schedule, Source};
use crate::environment::EnvironmentConfig;
use crate::nn::one_hot::{follow, outputs_of, OneHot, Row, Trained};
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Parameters of [`DeepQ`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dqn {
    /// Step size of Adam, in (0, 1].
    pub learning_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Rewards of a target before the value of the state after them, 1 to 100; not looked at where
    /// `lambda` is above 0.
    pub n_step: u32,
    /// Above 0, targets are Q(lambda) returns over 16 steps that follow each other, in [0, 1].
    pub lambda: f32,
    /// Whether the network itself chooses the action that the target network values.
    pub double: bool,
    /// Fraction of the episodes over which epsilon falls linearly from 1 to `final_epsilon`.
    pub exploration: f32,
    /// Probability of a random action from then on, in [0, 1].
    pub final_epsilon: f32,
    /// Steps between updates, at least 1.
    pub update_every: u32,
    /// Transitions of an update, 1 to 1,024; with `lambda`, in whole sixteens.
    pub batch: u32,
    /// Steps before the first update.
    pub warm_up: u32,
    /// Steps remembered, 1 to 10,000,000.
    pub memory: u32,
    /// Fraction of the way that the target network moves at each update, in (0, 1].
    pub target_rate: f32,
    /// Largest norm of a gradient; 0 is any.
    pub clip: f32,
    /// Whether it sees if the episode has paid yet.
    pub paid: Paid,
}

impl Default for Dqn {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            discount: 0.95,
            n_step: 3,
            lambda: 0.0,
            double: true,
            exploration: 0.5,
            final_epsilon: 0.02,
            update_every: 4,
            batch: 32,
            warm_up: 500,
            memory: 100_000,
            target_rate: 0.01,
            clip: 10.0,
            paid: Paid::Auto,
        }
    }
}

impl Algorithm for Dqn {
    const NAME: &'static str = "dqn";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_rate(self.learning_rate, "learning_rate")?;
        check_fraction(self.discount, "discount")?;
        ParameterError::unless((1..=100).contains(&self.n_step), "n_step", "1 to 100")?;
        check_fraction(self.lambda, "lambda")?;
        check_fraction(self.exploration, "exploration")?;
        check_fraction(self.final_epsilon, "final_epsilon")?;
        ParameterError::unless(self.update_every > 0, "update_every", "at least 1")?;
        ParameterError::unless((1..=1_024).contains(&self.batch), "batch", "1 to 1,024")?;
        ParameterError::unless((1..=10_000_000).contains(&self.memory), "memory", "1 to 10,000,000")?;
        check_rate(self.target_rate, "target_rate")?;
        check_positive(self.clip, "clip")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        Inputs::of(environment, self.paid).is_some() || Seen::of(environment, self.paid, 0).is_some()
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        match usual.episodes {
            1 => usual,
            _ => Schedule { episodes: 400, keep_every: 10, ..usual },
        }
    }

    fn learns_many_tasks(&self) -> bool {
        true
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        if let Some(source) = DeepQ::new(environment, *self, episodes)? {
            return pair(environment, task, source);
        }
        match DenseQ::new(environment, *self, episodes)? {
            Some(source) => pair(environment, task, source),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

impl Dqn {
    /// Epsilon of an episode of a history of `episodes`, as [`threshold`].
    pub(super) fn explore(&self, episode: u32, episodes: u32) -> u64 {
        let progress = (episode as f32 / (self.exploration * episodes as f32)).min(1.0);
        // Not a number: no exploring episodes, in the first.
        let progress = if progress.is_nan() { 1.0 } else { progress };
        threshold(1.0 - progress * (1.0 - self.final_epsilon))
    }
}

/// Steps that follow each other of a Q(lambda) target.
pub(super) const SEGMENT: usize = 16;

/// Q-learning with a network on one-hot inputs, a target network that follows it, replay of
/// everything, and an epsilon-greedy policy whose epsilon falls linearly, episode by episode.
#[derive(Clone, Debug)]
pub struct DeepQ {
    parameters: Dqn,
    experience: Experience,
    actions: usize,
    /// Of a history.
    episodes: u32,
    /// Epsilon of this episode, as [`threshold`].
    explore: u64,
    online: Trained,
    target: Vec<Row>,
    /// Values of the actions.
    values: Vec<f32>,
}

/// What a value is moved to.
#[derive(Clone, Copy, Debug)]
struct Target {
    state: Active,
    action: u16,
    value: f32,
}

impl DeepQ {
    /// A learner for any task of `environment`; `None` where its observations are too many or not
    /// all of indices, or nothing is observed.
    ///
    /// # Errors
    /// Where the environment has no interface.
    pub fn new(environment: &EnvironmentConfig, parameters: Dqn, episodes: u32) -> Result<Option<Self>> {
        let actions = usize::from(environment.interface()?.actions);
        let Dqn { paid, memory, .. } = parameters;
        let inputs = |_| Inputs::of(environment, paid);
        let Some(experience) = Experience::new(environment, episodes, memory, inputs) else {
            return Ok(None);
        };
        let online = Trained::new(OneHot::new(experience.inputs.count, actions));
        Ok(Some(Self {
            parameters,
            experience,
            actions,
            episodes,
            explore: 0,
            target: online.parameters.clone(),
            online,
            values: vec![0.0; actions],
        }))
    }
}

impl Source for DeepQ {
    fn begin_history(&mut self) {
        self.experience.begin_history();
    }

    fn begin_episode(&mut self, episode: u32) {
        self.explore = self.parameters.explore(episode, self.episodes);
        self.experience.episode = Episode::default();
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let Dqn { warm_up, update_every, .. } = self.parameters;
        if self.experience.steps == 0 {
            self.online.begin(rng, |_| 0.1);
            self.target.clone_from(&self.online.parameters);
        } else if self.experience.update_is_due(warm_up, update_every) {
            update(self, rng);
        }
        self.experience.observe(observation);
        if u64::from(rng.next_u32()) < self.explore {
            return rng.below(self.actions as u32) as usize;
        }
        let active = &self.experience.state[..self.experience.inputs.channels()];
        outputs_of(&self.online.network, &self.online.parameters, active, &mut self.values);
        random_argmax(self.values.iter().map(|&value| value.into()), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.experience.add(outcome);
    }
}

/// The Q(lambda) return of a step, `G = r + discount ((1 - lambda) V' + lambda G')`: `value` is V' and
/// `after` is G', which is not there at the end of an episode and of what is looked at.
#[inline(always)]
pub(super) fn lambda_return(reward: f32, discount: f32, lambda: f32, value: f32, after: Option<f32>) -> f32 {
    let rest = after.map_or(value, |after| (1.0 - lambda) * value + lambda * after);
    reward + discount * rest
}

/// One step down the gradient of a batch's Huber loss, and the target network follows.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn update(agent: &mut DeepQ, rng: &mut PortableRng) {
    let Dqn { batch, lambda, learning_rate, clip, target_rate, .. } = agent.parameters;
    let count = if lambda > 0.0 { (batch as usize).div_ceil(SEGMENT) } else { batch as usize };
    for _ in 0..count {
        let Some(number) = agent.experience.memory.draw(rng) else { return };
        if lambda > 0.0 {
            let mut targets = [None; SEGMENT];
            agent.segment(number, &mut targets);
            targets.into_iter().flatten().for_each(|target| agent.descend(target, 1.0 / batch as f32));
        } else if let Some(target) = agent.several_steps(number) {
            agent.descend(target, 1.0 / batch as f32);
        }
    }
    agent.online.step(learning_rate, clip);
    follow(&mut agent.target, &agent.online.parameters, target_rate);
}

impl DeepQ {
    /// Value of the state after `step`; 0 where there is none.
    #[inline(always)]
    fn value_after(&mut self, step: &Step) -> f32 {
        if step.terminal {
            return 0.0;
        }
        let network = self.online.network;
        let active = &step.next[..self.experience.inputs.channels()];
        let chooser = if self.parameters.double { &self.online.parameters } else { &self.target };
        network.outputs_of(chooser, active, &mut self.values);
        let largest = |best: usize, action: usize| match self.values[action] > self.values[best] {
            true => action,
            false => best,
        };
        let best = (1..self.actions).fold(0, largest);
        match self.parameters.double {
            true => network.output(&self.target, &network.hidden(&self.target, active), best),
            false => self.values[best],
        }
    }

    /// The rewards of the next few steps of an episode and the value after them.
    #[inline(always)]
    fn several_steps(&mut self, number: usize) -> Option<Target> {
        let Dqn { discount, n_step, .. } = self.parameters;
        let several = Several::from(&self.experience.memory, number, n_step, discount)?;
        let value = several.reward + several.discount * self.value_after(&several.last);
        Some(Target { state: several.first.state, action: several.first.action, value })
    }

    /// The Q(lambda) returns of steps that follow each other.
    #[inline(always)]
    fn segment(&mut self, number: usize, targets: &mut [Option<Target>; SEGMENT]) {
        let Dqn { discount, lambda, .. } = self.parameters;
        let mut steps = [None; SEGMENT];
        steps.iter_mut().zip(self.experience.memory.from(number)).for_each(|(to, step)| *to = Some(*step));
        let mut after = None;
        for (target, step) in targets.iter_mut().zip(&steps).rev() {
            let Some(step) = step else { continue };
            let value = self.value_after(step);
            let value = lambda_return(step.reward, discount, lambda, value, after.filter(|_| !step.done));
            *target = Some(Target { state: step.state, action: step.action, value });
            after = Some(value);
        }
    }

    /// Adds the gradient of `weight * huber(Q(s, a) - target)`.
    #[inline(always)]
    fn descend(&mut self, target: Target, weight: f32) {
        let Trained { network, parameters, gradient, .. } = &mut self.online;
        let (active, action) =
            (&target.state[..self.experience.inputs.channels()], usize::from(target.action));
        let hidden = network.hidden(parameters, active);
        let error = network.output(parameters, &hidden, action) - target.value;
        let derivative = weight * error.clamp(-1.0, 1.0);
        network.backward(parameters, active, &hidden, [(action, derivative)], gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{scattered, solved};
    use super::*;
    use algodistill_core::env::dark_room::DarkRoom;
    use algodistill_core::env::key_to_door::KeyToDoor;
    use dfdx::prelude::*;

    fn agent(parameters: Dqn) -> DeepQ {
        let mut agent = DeepQ::new(&KeyToDoor::DARK.into(), parameters, 10).unwrap().unwrap();
        let mut rng = PortableRng::new(2, 0);
        agent.online.begin(&mut rng, |_| 1.0);
        agent.target.clone_from(&agent.online.parameters);
        agent.online.begin(&mut rng, |_| 1.0);
        agent
    }

    /// Steps through the cells of a row, the last of which ends the episode.
    fn walk(agent: &mut DeepQ, rewards: &[f32], time_out: bool) {
        let mut rng = PortableRng::new(1, 0);
        agent.begin_episode(0);
        agent.experience.steps = 1;
        agent.experience.episode.time = if time_out { 50 - rewards.len() as u32 } else { 0 };
        for (column, &reward) in (0..).zip(rewards) {
            agent.act(&[3, column], &mut rng);
            let done = column as usize + 1 == rewards.len();
            agent.learn(&Outcome { action: 2, reward, next_observation: &[3, column + 1], done });
        }
    }

    /// Value of the cell in the fourth row: the target network's, of the network's best action.
    fn value(agent: &mut DeepQ, column: i32, has_paid: bool) -> f32 {
        let active = agent.experience.inputs.active(&[3, column], has_paid);
        let [own, target] = [&agent.online.parameters, &agent.target].map(|parameters| {
            let mut values = [0.0; 5];
            agent.online.network.outputs_of(parameters, &active[..2], &mut values);
            values
        });
        let best = (0..5).max_by(|&a, &b| own[a].total_cmp(&own[b])).unwrap();
        target[best]
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }

    #[test]
    fn targets_are_rewards_of_a_few_steps_and_the_value_after_them() {
        let mut agent = agent(Dqn { discount: 0.5, ..Dqn::default() });
        walk(&mut agent, &[0.0, 0.0, 1.0, 0.0, 1.0], false);
        walk(&mut agent, &[0.0, 0.0], true);
        let targets: Vec<f32> = (0..7).map(|number| agent.several_steps(number).unwrap().value).collect();
        close(targets[0], 0.25 + 0.125 * value(&mut agent, 3, true));
        // Nothing comes after a door.
        close(targets[2], 1.25);
        close(targets[4], 1.0);
        // The clock ends nothing.
        close(targets[5], 0.25 * value(&mut agent, 2, false));
        close(targets[6], 0.5 * value(&mut agent, 2, false));
    }

    #[test]
    fn targets_with_lambda_are_means_of_those_of_all_numbers_of_steps() {
        let (discount, lambda) = (0.5, 0.8);
        let mut agent = agent(Dqn { discount, lambda, ..Dqn::default() });
        walk(&mut agent, &[0.0, 1.0, 0.0], true);
        let mut targets = [None; SEGMENT];
        agent.segment(0, &mut targets);
        let found: Vec<f32> = targets.into_iter().flatten().map(|target| target.value).collect();
        let [one, two, three] =
            [(1, false), (2, true), (3, true)].map(|(column, has_paid)| value(&mut agent, column, has_paid));
        assert_eq!(found.len(), 3);
        close(found[2], discount * three);
        close(found[1], 1.0 + discount * ((1.0 - lambda) * two + lambda * found[2]));
        close(found[0], discount * ((1.0 - lambda) * one + lambda * found[1]));
    }

    #[test]
    fn the_gradient_is_that_of_the_huber_loss_by_dfdx() {
        let mut agent = agent(Dqn::default());
        // Errors on both sides of the loss's corners.
        let targets: Vec<Target> = [(0, 1, 0.3), (1, 1, 9.0), (4, 0, -8.0), (7, 3, 0.1)]
            .into_iter()
            .map(|(column, action, value)| Target {
                state: agent.experience.inputs.active(&[5, column], column > 2),
                action,
                value,
            })
            .collect();
        targets.iter().for_each(|target| agent.descend(*target, 0.25));
        let (network, parameters) = (agent.online.network, &agent.online.parameters);
        let device = Cpu::default();
        let tensor = |rows: &[Row]| device.tensor_from_vec(rows.as_flattened().to_vec(), (rows.len(), 32));
        let (first, heads) = (tensor(&parameters[..36]), tensor(&parameters[37..42]));
        let (mut ones, mut chosen) = (vec![0.0; 4 * 36], vec![0.0; 4 * 5]);
        for (row, target) in targets.iter().enumerate() {
            target.state[..2].iter().for_each(|&input| ones[36 * row + usize::from(input)] = 1.0);
            chosen[5 * row + usize::from(target.action)] = 1.0;
        }
        let hidden = device.tensor_from_vec(ones, (4, 36)).leaky_trace().matmul(first.leaky_trace()).relu();
        let values = hidden.matmul(heads.leaky_trace().permute::<_, Axes2<1, 0>>());
        let of_action = (values * device.tensor_from_vec(chosen, (4, 5))).sum::<(usize,), Axis<1>>();
        let wanted = device.tensor_from_vec(targets.iter().map(|target| target.value).collect(), (4,));
        let expected = huber_loss(of_action, wanted, 1.0).backward();
        assert_eq!(network.outputs(), 5);
        let found = agent.online.gradient[..36]
            .as_flattened()
            .iter()
            .chain(agent.online.gradient[37..42].as_flattened());
        let expected = [expected.get(&first).as_vec(), expected.get(&heads).as_vec()].concat();
        assert!(expected.iter().any(|value| value.abs() > 0.1));
        found.zip(expected).for_each(|(found, expected)| close(*found, expected));
    }

    #[test]
    fn key_to_door_is_solved_within_eight_thousand_steps() {
        let (count, median) = solved(KeyToDoor::DARK, Dqn::default(), &scattered(KeyToDoor::DARK, 64), 400);
        assert!(count >= 62 && median.is_some_and(|median| median <= 8_000), "{count}, {median:?}");
    }

    #[test]
    fn dark_room_is_solved_with_lambda_as_well() {
        let tasks = scattered(DarkRoom::STANDARD, 16);
        for lambda in [0.0, 0.8] {
            let (count, median) = solved(DarkRoom::STANDARD, Dqn { lambda, ..Dqn::default() }, &tasks, 400);
            assert!(
                count >= 15 && median.is_some_and(|median| median <= 8_000),
                "{lambda}: {count}, {median:?}"
            );
        }
    }
}
