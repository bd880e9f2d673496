//! Advantage actor-critic over a few steps (Mnih et al. 2016, "Asynchronous Methods for Deep
//! Reinforcement Learning", A3C) on a small network.

use super::networks::{check_positive, check_rate, draw, softmax, Active, Episode, Inputs, Paid};
use super::team::{Shared, Team};
use super::{check_fraction, wrong_environment, Algorithm, Learning, Outcome, Schedule};
use crate::environment::EnvironmentConfig;
use crate::nn::kernels::elementwise::exponential;
use crate::nn::one_hot::{OneHot, Row, Trained};
use crate::Result;
use algodistill_core::env::ParameterError;
use algodistill_core::PortableRng;
use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Parameters of [`ActorCritic`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct A3c {
    /// Actors that learn one network together, 1 to 64; the stream of each is a history.
    pub actors: u32,
    /// Steps of an actor's turn, after which the network is updated, 1 to 1,000.
    pub n_step: u32,
    /// Step size of Adam, in (0, 1].
    pub learning_rate: f32,
    /// Discount, in [0, 1].
    pub discount: f32,
    /// Decay of the traces of an advantage (Schulman et al. 2016), in [0, 1]; 1 is the sum of
    /// all rewards of the turn.
    pub lambda: f32,
    /// Weight of the policy's entropy in what is maximised.
    pub entropy: f32,
    /// Weight of the squared error of the values.
    pub value_weight: f32,
    /// Largest norm of a gradient; 0 is any.
    pub clip: f32,
    /// Whether it sees if the episode has paid yet.
    pub paid: Paid,
}

impl Default for A3c {
    fn default() -> Self {
        Self {
            actors: 4,
            n_step: 10,
            learning_rate: 1e-2,
            discount: 0.95,
            lambda: 0.95,
            entropy: 0.02,
            value_weight: 0.5,
            clip: 0.5,
            paid: Paid::Auto,
        }
    }
}

impl Algorithm for A3c {
    const NAME: &'static str = "a3c";

    fn check(&self) -> std::result::Result<(), ParameterError> {
        ParameterError::unless((1..=64).contains(&self.actors), "actors", "1 to 64")?;
        ParameterError::unless((1..=1_000).contains(&self.n_step), "n_step", "1 to 1,000")?;
        check_rate(self.learning_rate, "learning_rate")?;
        check_fraction(self.discount, "discount")?;
        check_fraction(self.lambda, "lambda")?;
        check_positive(self.entropy, "entropy")?;
        check_positive(self.value_weight, "value_weight")?;
        check_positive(self.clip, "clip")
    }

    fn learns_in(&self, environment: &EnvironmentConfig) -> bool {
        Inputs::of(environment, self.paid).is_some()
    }

    fn actors(&self) -> u32 {
        self.actors
    }

    fn schedule(&self, usual: Schedule) -> Schedule {
        let histories_per_task = usual.histories_per_task.next_multiple_of(self.actors);
        Schedule { histories_per_task, episodes: 200, keep_every: 5 }
    }

    fn learns_many_tasks(&self) -> bool {
        true
    }

    fn learner(
        &self,
        environment: &EnvironmentConfig,
        task: u32,
        _episodes: u32,
    ) -> Result<Box<dyn Learning>> {
        let Some(agent) = ActorCritic::new(environment, *self)? else {
            return Err(wrong_environment(Self::NAME, environment));
        };
        let optimum = environment.optimal_return(task)?;
        let environments: Vec<_> =
            (0..self.actors).map(|actor| environment.task_of_actor(task, actor)).collect::<Result<_>>()?;
        Ok(Box::new(Team::new(environments, agent, optimum)))
    }
}

/// A policy and its values, two heads on one hidden layer. It is updated after every turn, from the
/// steps of the turn, with the gradient of
///
/// `mean of -A log pi(a | s) - entropy H(pi(. | s)) + value_weight (V(s) - R)^2`
///
/// with advantages `A = r + discount V(s') - V(s) + discount lambda A'` and returns `R = A + V(s)`.
#[derive(Clone, Debug)]
pub struct ActorCritic {
    parameters: A3c,
    inputs: Inputs,
    actions: usize,
    horizon: u32,
    trained: Trained,
    /// The outputs: logits of the actions, and the value.
    outputs: Vec<f32>,
    /// The steps of this turn.
    turn: Vec<Step>,
    /// Logarithms of the probabilities of the actions, at each step of the turn.
    log_policy: Vec<f32>,
}

/// A step of a turn.
#[derive(Clone, Copy, Debug)]
struct Step {
    state: Active,
    hidden: Row,
    value: f32,
    action: usize,
    reward: f32,
    /// Where it led.
    next: Active,
    done: bool,
    terminal: bool,
}

impl ActorCritic {
    /// An agent for any task of `environment`; `None` where its observations are too many, or
    /// nothing is observed.
    ///
    /// # Errors
    /// Where the environment has no interface.
    pub fn new(environment: &EnvironmentConfig, parameters: A3c) -> Result<Option<Self>> {
        let actions = usize::from(environment.interface()?.actions);
        let Some(inputs) = Inputs::of(environment, parameters.paid) else { return Ok(None) };
        let steps = parameters.n_step as usize;
        Ok(Some(Self {
            parameters,
            inputs,
            actions,
            horizon: environment.horizon().unwrap_or(0),
            trained: Trained::new(OneHot::new(inputs.count, actions + 1)),
            outputs: vec![0.0; actions + 1],
            turn: Vec::with_capacity(steps),
            log_policy: Vec::with_capacity(steps * actions),
        }))
    }
}

impl Shared for ActorCritic {
    type Memory = Episode;

    fn begin_history(&mut self, rng: &mut PortableRng) {
        let actions = self.actions;
        self.trained.begin(rng, |output| if output < actions { 0.01 } else { 1.0 });
        self.turn.clear();
        self.log_policy.clear();
    }

    fn act(&mut self, episode: &mut Episode, observation: &[i32], rng: &mut PortableRng) -> usize {
        act(self, self.inputs.active(observation, episode.has_paid), rng)
    }

    fn learn(&mut self, episode: &mut Episode, outcome: &Outcome) {
        let terminal = episode.add(outcome, self.horizon);
        if let Some(step) = self.turn.last_mut() {
            step.reward = outcome.reward;
            step.next = self.inputs.active(outcome.next_observation, episode.has_paid);
            step.done = outcome.done;
            step.terminal = terminal;
        }
    }

    fn turn_is_over(&self) -> bool {
        self.turn.len() >= self.parameters.n_step as usize
    }

    fn end_turn(&mut self) {
        update(self);
    }
}

/// Draws an action and begins a step of the turn.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn act(agent: &mut ActorCritic, state: Active, rng: &mut PortableRng) -> usize {
    let ActorCritic { trained, outputs, inputs, actions, turn, log_policy, .. } = agent;
    let active = &state[..inputs.channels()];
    let hidden = trained.network.outputs_of(&trained.parameters, active, outputs);
    let value = outputs[*actions];
    let first = log_policy.len();
    log_policy.extend_from_slice(&outputs[..*actions]);
    let probabilities = &mut outputs[..*actions];
    softmax(&mut log_policy[first..], probabilities);
    let action = draw(probabilities, rng);
    turn.push(Step { state, hidden, value, action, reward: 0.0, next: state, done: false, terminal: false });
    action
}

/// One step down the gradient of the turn, which is then over.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn update(agent: &mut ActorCritic) {
    agent.descend();
    agent.trained.step(agent.parameters.learning_rate, agent.parameters.clip);
    agent.turn.clear();
    agent.log_policy.clear();
}

impl ActorCritic {
    /// Adds the gradient of the turn.
    #[inline(always)]
    fn descend(&mut self) {
        let Self { parameters, inputs, actions, trained, turn, log_policy, .. } = self;
        let A3c { discount, lambda, entropy, value_weight, .. } = *parameters;
        let (channels, actions) = (inputs.channels(), *actions);
        let Trained { network, parameters, gradient, .. } = trained;
        let weight = 1.0 / turn.len() as f32;
        let mut after: Option<(f32, f32)> = None;
        for (step, log_policy) in turn.iter().zip(log_policy.chunks_exact(actions)).rev() {
            let (value_after, advantage_after) = match after.filter(|_| !step.done) {
                Some(after) => after,
                None if step.terminal => (0.0, 0.0),
                None => {
                    let hidden = network.hidden(parameters, &step.next[..channels]);
                    (network.output(parameters, &hidden, actions), 0.0)
                }
            };
            let error = step.reward + discount * value_after - step.value;
            let advantage = error + discount * lambda * advantage_after;
            after = Some((step.value, advantage));
            let probabilities = log_policy.iter().map(|log| exponential(*log));
            let negative_entropy: f32 = log_policy.iter().map(|log| log * exponential(*log)).sum();
            let of_logits = probabilities.zip(log_policy).enumerate().map(|(action, (probability, log))| {
                let chosen = f32::from(u8::from(action == step.action));
                let of_policy = advantage * (probability - chosen);
                (action, weight * (of_policy + entropy * probability * (log - negative_entropy)))
            });
            let of_value = (actions, -2.0 * weight * value_weight * advantage);
            let derivatives = of_logits.chain([of_value]);
            network.backward(parameters, &step.state[..channels], &step.hidden, derivatives, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{scattered, solved};
    use super::*;
    use crate::history::Steps;
    use crate::source::{Run, SourceConfig};
    use algodistill_core::env::dark_room::DarkRoom;
    use algodistill_core::env::key_to_door::KeyToDoor;
    use dfdx::prelude::*;

    /// A turn of five steps along a row, of which the third ends an episode, as `terminal` says.
    fn after_a_turn(parameters: A3c, terminal: bool) -> ActorCritic {
        let mut agent = ActorCritic::new(&KeyToDoor::DARK.into(), parameters).unwrap().unwrap();
        let mut rng = PortableRng::new(3, 0);
        agent.trained.begin(&mut rng, |_| 1.0);
        let mut episode = Episode { time: if terminal { 0 } else { 47 }, has_paid: false };
        for (column, reward) in [(0, 0.0), (1, 1.0), (2, 1.0), (5, 0.0), (6, 1.0)] {
            if column == 5 {
                episode = Episode::default();
            }
            let action = Shared::act(&mut agent, &mut episode, &[2, column], &mut rng);
            let done = column == 2;
            let outcome = Outcome { action, reward, next_observation: &[2, column + 1], done };
            agent.learn(&mut episode, &outcome);
        }
        assert!(agent.turn_is_over());
        agent
    }

    #[test]
    fn the_gradient_is_that_of_the_loss_by_dfdx() {
        for terminal in [true, false] {
            let parameters = A3c { n_step: 5, discount: 0.9, lambda: 0.8, entropy: 0.1, ..A3c::default() };
            let mut agent = after_a_turn(parameters, terminal);
            agent.descend();
            let rows = &agent.trained.parameters;
            // States of the turn, where it led, and where the first episode ended.
            let states = agent.turn.iter().map(|step| step.state);
            let states: Vec<Active> = states.chain([agent.turn[4].next, agent.turn[2].next]).collect();
            let device = Cpu::default();
            let tensor =
                |rows: &[Row]| device.tensor_from_vec(rows.as_flattened().to_vec(), (rows.len(), 32));
            let (first, policy, value) = (tensor(&rows[..36]), tensor(&rows[37..42]), tensor(&rows[42..43]));
            let ones = |states: &[Active]| {
                let mut ones = vec![0.0; states.len() * 36];
                for (row, state) in ones.chunks_mut(36).zip(states) {
                    state[..2].iter().for_each(|&input| row[usize::from(input)] = 1.0);
                }
                device.tensor_from_vec(ones, (states.len(), 36))
            };
            let v = ones(&states).matmul(first.clone()).relu();
            let v = v.matmul(value.clone().permute::<_, Axes2<1, 0>>()).as_vec();
            // By the definition, forward: a discounted sum of one-step errors.
            let rewards = [0.0, 1.0, 1.0, 0.0, 1.0];
            let after = [v[1], v[2], if terminal { 0.0 } else { v[6] }, v[4], v[5]];
            let errors: Vec<f32> = (0..5).map(|t| rewards[t] + 0.9 * after[t] - v[t]).collect();
            let advantage = |t: usize| {
                let end = if t < 3 { 3 } else { 5 };
                (t..end).map(|u| errors[u] * 0.72_f32.powi((u - t) as i32)).sum::<f32>()
            };
            let advantages: Vec<f32> = (0..5).map(advantage).collect();
            let returns: Vec<f32> = (0..5).map(|t| advantages[t] + v[t]).collect();
            let mut chosen = vec![0.0; 5 * 5];
            for (row, step) in agent.turn.iter().enumerate() {
                chosen[5 * row + step.action] = advantages[row];
            }
            let hidden = || ones(&states[..5]).leaky_trace().matmul(first.leaky_trace()).relu();
            let log = || {
                let logits = hidden().matmul(policy.leaky_trace().permute::<_, Axes2<1, 0>>());
                logits.log_softmax::<Axis<1>>()
            };
            let gained = (log() * device.tensor_from_vec(chosen, (5, 5))).sum::<Rank0, _>();
            let negative_entropy = (log() * log().exp()).sum::<Rank0, _>();
            let values = hidden().matmul(value.leaky_trace().permute::<_, Axes2<1, 0>>());
            let errors = values - device.tensor_from_vec(returns, (5, 1));
            let loss = (errors.square().sum::<Rank0, _>() * 0.5 - gained + negative_entropy * 0.1) / 5.0;
            let expected = loss.backward();
            let expected = [&first, &policy, &value].map(|tensor| expected.get(tensor).as_vec()).concat();
            let gradient = &agent.trained.gradient;
            let found = [&gradient[..36], &gradient[37..42], &gradient[42..43]].concat();
            assert!(expected.iter().any(|value| value.abs() > 0.1));
            for (found, expected) in found.as_flattened().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn key_to_door_and_dark_room_are_solved_within_fifteen_thousand_steps() {
        let (count, median) = solved(KeyToDoor::DARK, A3c::default(), &scattered(KeyToDoor::DARK, 64), 200);
        assert!(count >= 62 && median.is_some_and(|median| median <= 15_000), "{count}, {median:?}");
        let tasks = scattered(DarkRoom::STANDARD, 64);
        let (count, median) = solved(DarkRoom::STANDARD, A3c::default(), &tasks, 400);
        assert!(count == 64 && median.is_some_and(|median| median <= 15_000), "{count}, {median:?}");
    }

    #[test]
    fn the_stream_of_every_actor_is_a_history() {
        let environment = EnvironmentConfig::from(KeyToDoor::DARK);
        let source = SourceConfig::from(A3c { actors: 3, ..A3c::default() });
        let (run, room) = (Run { episodes: 7, keep_every: 2 }, 4 * 50);
        let record = |together: bool| {
            let mut learner = source.learner(&environment, 100, 7).unwrap();
            let (mut steps, mut rng) = (Steps::zeroed(2, 3 * room), PortableRng::new(1, 0));
            let mut columns = steps.as_mut();
            let recorded = match together {
                true => learner.histories(run, &mut rng, &mut columns, 0),
                false => vec![learner.history(run, &mut rng, None, &mut columns, 0)],
            };
            let finals = columns.final_observations.clone();
            (recorded, finals, steps)
        };
        let (all, finals, steps) = record(true);
        assert_eq!(all.len(), 3);
        let written: usize = all.iter().map(|history| history.written).sum();
        let first = all[0].written;
        assert_ne!(steps.actions[..50], steps.actions[first..first + 50]);
        for history in steps.episodes[..written].chunk_by(|a, b| a <= b) {
            let mut numbers = history.to_vec();
            numbers.dedup();
            assert_eq!(numbers, [0, 2, 4, 6]);
        }
        assert_eq!(steps.dones.iter().filter(|&&done| done).count(), 3 * 4);
        assert!(finals.iter().all(|(step, _)| steps.dones[step]));
        assert_eq!(finals.len(), 12);
        let (one, _, alone) = record(false);
        assert_eq!(one[0], all[0]);
        assert_eq!(alone.actions[..first], steps.actions[..first]);
    }
}
