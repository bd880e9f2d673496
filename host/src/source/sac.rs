//! Soft actor-critic (Haarnoja et al. 2018) for discrete actions (Christodoulou 2019) on small
//! networks.

use super::networks::{
    check_positive, check_rate, draw, softmax, Active, Episode, Experience, Inputs, Paid, Several,
};
use super::{check_fraction, pair, wrong_environment};
use super::{Algorithm, Learning, Outcome, Schedule, Source};
use crate::environment::EnvironmentConfig;
use crate::nn::one_hot::{follow, OneHot, Row, Trained};
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Parameters of [`SoftActorCritic`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sac {
    /// Step size of the actor's Adam, in (0, 1].
    pub actor_rate: f32,
    /// Step size of the critics', in (0, 1].
    pub critic_rate: f32,
    /// Temperature: what a nat of entropy is worth. Where it is automatic, at first.
    pub alpha: f32,
    /// Entropy that an automatic temperature aims at, as a fraction of the largest one; 0 leaves
    /// the temperature as it is.
    pub target_entropy: f32,
    /// Step size of an automatic temperature's logarithm, in (0, 1].
    pub alpha_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Rewards of a target before the value of the state after them, 1 to 100.
    pub n_step: u32,
    /// Steps between updates, at least 1.
    pub update_every: u32,
    /// Transitions of an update, 1 to 1,024.
    pub batch: u32,
    /// Steps before the first update.
    pub warm_up: u32,
    /// Steps remembered, 1 to 10,000,000.
    pub memory: u32,
    /// Fraction of the way that the target networks move at each update, in (0, 1].
    pub target_rate: f32,
    /// Largest norm of a gradient; 0 is any.
    pub clip: f32,
    /// Whether it sees if the episode has paid yet.
    pub paid: Paid,
}

impl Default for Sac {
    fn default() -> Self {
        Self {
            actor_rate: 3e-3,
            critic_rate: 3e-3,
            alpha: 0.05,
            target_entropy: 0.0,
            alpha_rate: 1e-3,
            discount: 0.95,
            n_step: 5,
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

impl Algorithm for Sac {
    const NAME: &'static str = "sac";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        check_rate(self.actor_rate, "actor_rate")?;
        check_rate(self.critic_rate, "critic_rate")?;
        let positive = self.alpha > 0.0 && self.alpha.is_finite();
        ParameterError::unless(positive, "alpha", "a number above 0")?;
        check_fraction(self.target_entropy, "target_entropy")?;
        check_rate(self.alpha_rate, "alpha_rate")?;
        check_fraction(self.discount, "discount")?;
        ParameterError::unless((1..=100).contains(&self.n_step), "n_step", "1 to 100")?;
        ParameterError::unless(self.update_every > 0, "update_every", "at least 1")?;
        ParameterError::unless((1..=1_024).contains(&self.batch), "batch", "1 to 1,024")?;
        ParameterError::unless((1..=10_000_000).contains(&self.memory), "memory", "1 to 10,000,000")?;
        check_rate(self.target_rate, "target_rate")?;
        check_positive(self.clip, "clip")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        Inputs::of(environment, self.paid).is_some()
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        Schedule { episodes: 400, keep_every: 10, ..usual }
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
        match SoftActorCritic::new(environment, *self, episodes)? {
            Some(source) => pair(environment, task, source),
            None => Err(wrong_environment(Self::NAME, environment)),
        }
    }
}

/// A policy whose entropy is paid for, and two critics of which the lower is believed; three
/// networks on one-hot inputs, targets that follow the critics, and replay of everything.
#[derive(Clone, Debug)]
pub struct SoftActorCritic {
    parameters: Sac,
    experience: Experience,
    actions: usize,
    actor: Trained,
    critics: [Trained; 2],
    targets: [Vec<Row>; 2],
    /// Logarithm of the temperature.
    log_alpha: f32,
    room: Room,
}

/// Room for what an update computes of each action.
#[derive(Clone, Debug)]
struct Room {
    log_policy: Vec<f32>,
    policy: Vec<f32>,
    values: [Vec<f32>; 2],
}

impl Room {
    /// The lower of the critics' values.
    #[inline(always)]
    fn lower(&self) -> impl Iterator<Item = f32> + '_ {
        let [a, b] = &self.values;
        a.iter().zip(b).map(|(&a, &b)| if b < a { b } else { a })
    }
}

impl SoftActorCritic {
    /// A learner for any task of `environment`; `None` where its observations are too many, or
    /// nothing is observed.
    ///
    /// # Errors
    /// Where the environment has no interface.
    pub fn new(environment: &EnvironmentConfig, parameters: Sac, episodes: u32) -> Result<Option<Self>> {
        let actions = usize::from(environment.interface()?.actions);
        let Sac { paid, memory, .. } = parameters;
        let inputs = |_| Inputs::of(environment, paid);
        let Some(experience) = Experience::new(environment, episodes, memory, inputs) else {
            return Ok(None);
        };
        let network = Trained::new(OneHot::new(experience.inputs.count, actions));
        let zeros = || vec![0.0; actions];
        Ok(Some(Self {
            parameters,
            experience,
            actions,
            critics: [network.clone(), network.clone()],
            targets: [network.parameters.clone(), network.parameters.clone()],
            actor: network,
            log_alpha: 0.0,
            room: Room { log_policy: zeros(), policy: zeros(), values: [zeros(), zeros()] },
        }))
    }

    fn begin(&mut self, rng: &mut PortableRng) {
        self.actor.begin(rng, |_| 0.01);
        for (critic, target) in self.critics.iter_mut().zip(&mut self.targets) {
            critic.begin(rng, |_| 0.1);
            target.clone_from(&critic.parameters);
        }
        self.log_alpha = f64::from(self.parameters.alpha).ln() as f32;
    }
}

impl Source for SoftActorCritic {
    fn begin_history(&mut self) {
        self.experience.begin_history();
    }

    fn begin_episode(&mut self, _episode: u32) {
        self.experience.episode = Episode::default();
    }

    fn act(&mut self, observation: &[i32], rng: &mut PortableRng) -> usize {
        let Sac { warm_up, update_every, .. } = self.parameters;
        if self.experience.steps == 0 {
            self.begin(rng);
        } else if self.experience.update_is_due(warm_up, update_every) {
            update(self, rng);
        }
        self.experience.observe(observation);
        policy(self, self.experience.state);
        draw(&self.room.policy, rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.experience.add(outcome);
    }
}

/// The policy at a state, into the room for it.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn policy(agent: &mut SoftActorCritic, state: Active) {
    agent.policy(&state);
}

/// One step down the gradients of a batch, and the target networks follow.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn update(agent: &mut SoftActorCritic, rng: &mut PortableRng) {
    let Sac { batch, actor_rate, critic_rate, target_rate, clip, .. } = agent.parameters;
    let Sac { target_entropy, alpha_rate, n_step, discount, .. } = agent.parameters;
    let alpha = agent.alpha();
    let weight = 1.0 / batch as f32;
    let mut entropy = 0.0;
    for _ in 0..batch {
        let Some(number) = agent.experience.memory.draw(rng) else { return };
        let Some(several) = Several::from(&agent.experience.memory, number, n_step, discount) else { return };
        let value = if several.last.terminal { 0.0 } else { agent.soft_value(&several.last.next, alpha) };
        let target = several.reward + several.discount * value;
        agent.descend_critics(&several.first.state, several.first.action.into(), target, weight);
        entropy += weight * agent.descend_actor(&several.first.state, alpha, weight);
    }
    agent.actor.step(actor_rate, clip);
    for (critic, target) in agent.critics.iter_mut().zip(&mut agent.targets) {
        critic.step(critic_rate, clip);
        follow(target, &critic.parameters, target_rate);
    }
    if target_entropy > 0.0 {
        let largest = (agent.actions as f64).ln() as f32;
        agent.log_alpha -= alpha_rate * (entropy - target_entropy * largest);
    }
}

impl SoftActorCritic {
    fn alpha(&self) -> f32 {
        f64::from(self.log_alpha).exp() as f32
    }

    /// The policy at a state, and the actor's hidden units there.
    #[inline(always)]
    fn policy(&mut self, state: &Active) -> Row {
        let Self { actor, room, experience, .. } = self;
        let active = &state[..experience.inputs.channels()];
        let hidden = actor.network.outputs_of(&actor.parameters, active, &mut room.log_policy);
        softmax(&mut room.log_policy, &mut room.policy);
        hidden
    }

    /// `sum of pi(a) (min Q(a) - alpha log pi(a))` by the target networks.
    #[inline(always)]
    fn soft_value(&mut self, state: &Active, alpha: f32) -> f32 {
        self.policy(state);
        let active = &state[..self.experience.inputs.channels()];
        for (target, values) in self.targets.iter().zip(&mut self.room.values) {
            self.actor.network.outputs_of(target, active, values);
        }
        let policy = self.room.policy.iter().zip(&self.room.log_policy);
        let terms = self.room.lower().zip(policy).map(|(value, (p, log))| p * (value - alpha * log));
        terms.sum()
    }

    /// Adds the gradients of `weight / 2 (Q(s, a) - target)^2`, and leaves the critics' values of
    /// the state in the room.
    #[inline(always)]
    fn descend_critics(&mut self, state: &Active, action: usize, target: f32, weight: f32) {
        let active = &state[..self.experience.inputs.channels()];
        for (critic, values) in self.critics.iter_mut().zip(&mut self.room.values) {
            let Trained { network, parameters, gradient, .. } = critic;
            let hidden = network.outputs_of(parameters, active, values);
            let derivative = weight * (values[action] - target);
            network.backward(parameters, active, &hidden, [(action, derivative)], gradient);
        }
    }

    /// Adds the gradient of `weight * sum of pi(a) (alpha log pi(a) - min Q(a))` with the critics'
    /// values in the room; returns the entropy.
    #[inline(always)]
    fn descend_actor(&mut self, state: &Active, alpha: f32, weight: f32) -> f32 {
        let hidden = self.policy(state);
        let Self { actor, room, experience, .. } = self;
        let policy = || room.policy.iter().zip(&room.log_policy);
        let cost = |(value, (_, log)): (f32, (&f32, &f32))| alpha * log - value;
        let mean: f32 = room.lower().zip(policy()).map(|each| each.1 .0 * cost(each)).sum();
        let of_logits = room.lower().zip(policy()).map(|each| weight * each.1 .0 * (cost(each) - mean));
        let active = &state[..experience.inputs.channels()];
        let Trained { network, parameters, gradient, .. } = actor;
        network.backward(parameters, active, &hidden, of_logits.enumerate(), gradient);
        -policy().map(|(p, log)| p * log).sum::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::networks::Step;
    use super::super::testing::{scattered, solved};
    use super::*;
    use algodistill_core::env::key_to_door::KeyToDoor;
    use dfdx::prelude::*;

    fn agent(parameters: Sac) -> SoftActorCritic {
        let mut agent = SoftActorCritic::new(&KeyToDoor::DARK.into(), parameters, 10).unwrap().unwrap();
        let mut rng = PortableRng::new(2, 0);
        agent.actor.begin(&mut rng, |_| 1.0);
        for (critic, target) in agent.critics.iter_mut().zip(&mut agent.targets) {
            critic.begin(&mut rng, |_| 1.0);
            target.clone_from(&critic.parameters);
            critic.begin(&mut rng, |_| 1.0);
        }
        agent
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }

    /// Logits or values of each of `states`, with the tensors of the weights.
    macro_rules! network {
        ($device:ident, $rows:expr, $states:expr) => {{
            let tensor =
                |rows: &[Row]| $device.tensor_from_vec(rows.as_flattened().to_vec(), (rows.len(), 32));
            let (first, heads) = (tensor(&$rows[..36]), tensor(&$rows[37..42]));
            let mut ones = vec![0.0; $states.len() * 36];
            for (row, state) in ones.chunks_mut(36).zip($states) {
                state[..2].iter().for_each(|&input| row[usize::from(input)] = 1.0);
            }
            let ones = $device.tensor_from_vec(ones, ($states.len(), 36));
            let hidden = ones.leaky_trace().matmul(first.leaky_trace()).relu();
            (hidden.matmul(heads.leaky_trace().permute::<_, Axes2<1, 0>>()), first, heads)
        }};
    }

    #[test]
    fn gradients_are_those_of_the_losses_by_dfdx() {
        let device = Cpu::default();
        let mut agent = agent(Sac::default());
        let alpha = 0.3;
        let cases = [([1, 2], 0, 0.5), ([7, 7], 4, -2.0), ([0, 8], 2, 1.0), ([7, 3], 1, 0.0)];
        let states: Vec<Active> =
            cases.iter().map(|case| agent.experience.inputs.active(&case.0, case.0[0] > 5)).collect();
        for (state, (_, action, target)) in states.iter().zip(cases) {
            agent.descend_critics(state, action, target, 0.25);
            agent.descend_actor(state, alpha, 0.25);
        }
        let (mut chosen, mut wanted) = (vec![0.0; 4 * 5], vec![0.0; 4 * 5]);
        for (row, (_, action, target)) in cases.into_iter().enumerate() {
            chosen[5 * row + action] = 1.0;
            wanted[5 * row + action] = target;
        }
        let check = |found: &Trained, expected: [Vec<f32>; 2]| {
            let found = [&found.gradient[..36], &found.gradient[37..42]].concat();
            assert!(expected[0].iter().any(|value| value.abs() > 1e-3));
            found
                .as_flattened()
                .iter()
                .zip(expected.concat())
                .for_each(|(found, expected)| close(*found, expected));
        };
        let mut values: Vec<Vec<f32>> = Vec::new();
        for critic in &agent.critics {
            let (found, first, heads) = network!(device, critic.parameters, &states);
            values.push(found.as_vec());
            let errors = found * device.tensor_from_vec(chosen.clone(), (4, 5))
                - device.tensor_from_vec(wanted.clone(), (4, 5));
            let expected = (errors.square().sum::<Rank0, _>() / 8.0).backward();
            check(critic, [expected.get(&first).as_vec(), expected.get(&heads).as_vec()]);
        }
        let lower = values[0].iter().zip(&values[1]).map(|(a, b)| a.min(*b)).collect();
        let lower = device.tensor_from_vec(lower, (4, 5));
        let (logits, first, heads) = network!(device, agent.actor.parameters, &states);
        let cost = logits.log_softmax::<Axis<1>>() * alpha - lower;
        let (logits, again_first, again_heads) = network!(device, agent.actor.parameters, &states);
        let loss = (cost * logits.log_softmax::<Axis<1>>().exp()).sum::<Rank0, _>() / 4.0;
        let expected = loss.backward();
        let sum = |a: Vec<f32>, b: Vec<f32>| a.into_iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        let of_first = sum(expected.get(&first).as_vec(), expected.get(&again_first).as_vec());
        let of_heads = sum(expected.get(&heads).as_vec(), expected.get(&again_heads).as_vec());
        check(&agent.actor, [of_first, of_heads]);
    }

    #[test]
    fn the_value_after_a_step_is_that_of_the_policy_and_its_entropy() {
        let mut agent = agent(Sac::default());
        let state = agent.experience.inputs.active(&[3, 4], true);
        let found = agent.soft_value(&state, 0.5);
        let network = agent.actor.network;
        let outputs = |rows: &[Row]| {
            let mut outputs = [0.0; 5];
            network.outputs_of(rows, &state[..2], &mut outputs);
            outputs
        };
        let (logits, [a, b]) =
            (outputs(&agent.actor.parameters), agent.targets.each_ref().map(|rows| outputs(rows)));
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        let term = |action: usize| {
            let probability = logits[action].exp() / sum;
            probability * (a[action].min(b[action]) - 0.5 * probability.ln())
        };
        close(found, (0..5).map(term).sum());
    }

    #[test]
    fn key_to_door_is_solved_within_eight_thousand_steps() {
        let (count, median) = solved(KeyToDoor::DARK, Sac::default(), &scattered(KeyToDoor::DARK, 64), 400);
        assert!(count >= 54 && median.is_some_and(|median| median <= 8_000), "{count}, {median:?}");
    }

    #[test]
    fn an_automatic_temperature_falls_until_the_entropy_is_the_one_wanted() {
        let parameters = Sac { target_entropy: 0.3, alpha_rate: 0.01, warm_up: 0, ..Sac::default() };
        let mut agent = agent(parameters);
        let mut rng = PortableRng::new(1, 0);
        agent.begin(&mut rng);
        let state = agent.experience.inputs.active(&[3, 4], false);
        // One state, where every step pays 1 for action 0.
        for action in 0..5 {
            let reward = if action == 0 { 1.0 } else { 0.0 };
            agent.experience.memory.push(Step {
                state,
                action,
                reward,
                next: state,
                done: true,
                terminal: true,
            });
        }
        (0..3_000).for_each(|_| update(&mut agent, &mut rng));
        policy(&mut agent, state);
        let entropy: f32 =
            agent.room.policy.iter().zip(&agent.room.log_policy).map(|(p, log)| -p * log).sum();
        assert!((entropy / 5f32.ln() - 0.3).abs() < 0.1, "{entropy}");
        assert!(
            agent.room.policy[0] > 0.7 && agent.alpha() > 0.05,
            "{:?} {}",
            agent.room.policy,
            agent.alpha()
        );
    }
}
