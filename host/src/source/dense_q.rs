//! Deep Q-learning from numbers and pictures: what [`super::dqn::DeepQ`] does, on a perceptron,
//! a batch at a time.

use super::dqn::{lambda_return, Dqn, SEGMENT};
use super::networks::{Episode, Experience, Several};
use super::sight::{Place, Seen};
use super::{argmax, random_argmax, Outcome, Source};
use crate::environment::EnvironmentConfig;
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::mlp::{Mlp, Trained};
use crate::nn::one_hot::follow;
use crate::Result;
use algodistill_core::PortableRng;

/// Units of the hidden layers. One layer of 64, or two of 32, learn the pictures of Watermaze in more
/// steps and are stuck more often.
const HIDDEN: [usize; 2] = [64, 32];

/// Standard deviation of the weights of an output, times the root of what it is a sum of.
const OUTPUT_DEVIATION: f32 = 0.1;

/// Q-learning with a perceptron on numbers and pictures, a target network that follows it, replay of
/// everything, and an epsilon-greedy policy whose epsilon falls linearly, episode by episode.
pub(super) struct DenseQ {
    parameters: Dqn,
    experience: Experience<Seen>,
    /// Of a history.
    episodes: u32,
    /// Epsilon of this episode, as a threshold.
    explore: u64,
    online: Trained,
    target: Buffer,
    batch: Batch,
}

/// What an update is made of; allocated once.
struct Batch {
    samples: Vec<Sample>,
    /// Inputs of the network, a row a sample.
    inputs: Buffer,
    /// The action that is best after each sample.
    best: Vec<usize>,
    /// The value of the state after each sample, then what its own value is moved to.
    values: Vec<f32>,
}

/// Steps of an update.
#[derive(Clone, Copy, Debug)]
struct Sample {
    steps: Several<Place>,
    /// Whether the next sample is the step after this one.
    goes_on: bool,
}

impl DenseQ {
    /// A learner for any task of `environment`; `None` where [`Seen::of`] is.
    ///
    /// # Errors
    /// Where the environment has no interface.
    pub fn new(environment: &EnvironmentConfig, parameters: Dqn, episodes: u32) -> Result<Option<Self>> {
        let actions = usize::from(environment.interface()?.actions);
        let Dqn { paid, memory, batch, lambda, .. } = parameters;
        let seen = |steps| Seen::of(environment, paid, steps);
        let Some(experience) = Experience::new(environment, episodes, memory, seen) else { return Ok(None) };
        let rows = if lambda > 0.0 { batch.next_multiple_of(SEGMENT as u32) } else { batch } as usize;
        let inputs = experience.inputs.count;
        let online = Trained::new(Mlp::new(&[inputs, HIDDEN[0], HIDDEN[1], actions]), rows);
        Ok(Some(Self {
            parameters,
            episodes,
            explore: 0,
            target: online.parameters.clone(),
            online,
            batch: Batch {
                samples: Vec::with_capacity(rows),
                inputs: zeros(rows * inputs),
                best: Vec::with_capacity(rows),
                values: Vec::with_capacity(rows),
            },
            experience,
        }))
    }
}

impl Source for DenseQ {
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
            self.online.begin(rng, OUTPUT_DEVIATION);
            self.target.copy_from_slice(&self.online.parameters);
        } else if self.experience.update_is_due(warm_up, update_every) {
            self.update(rng);
        }
        self.experience.observe(observation);
        if u64::from(rng.next_u32()) < self.explore {
            return rng.below(self.online.network.outputs() as u32) as usize;
        }
        let Experience { inputs, state, .. } = &self.experience;
        let row = &mut self.batch.inputs[..inputs.count];
        inputs.write(*state, row);
        self.online.forward(row);
        random_argmax(self.online.output(0).iter().map(|&value| value.into()), rng)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.experience.add(outcome);
    }
}

impl DenseQ {
    /// One step down the gradient of a batch's Huber loss, and the target network follows.
    fn update(&mut self, rng: &mut PortableRng) {
        self.draw(rng);
        if self.batch.samples.is_empty() {
            return;
        }
        self.value_after();
        self.set_targets();
        self.descend();
        self.online.step(self.parameters.learning_rate, self.parameters.clip);
        let (target, _) = self.target.as_chunks_mut();
        follow(target, self.online.parameters.as_chunks().0, self.parameters.target_rate);
    }

    /// Draws the steps of an update.
    fn draw(&mut self, rng: &mut PortableRng) {
        let Dqn { batch, lambda, discount, n_step, .. } = self.parameters;
        let Experience { memory, .. } = &self.experience;
        let samples = &mut self.batch.samples;
        samples.clear();
        if lambda > 0.0 {
            for _ in 0..(batch as usize).div_ceil(SEGMENT) {
                let Some(number) = memory.draw(rng) else { return };
                samples.extend(memory.from(number).take(SEGMENT).map(|&step| Sample {
                    steps: Several { first: step, last: step, reward: step.reward, discount },
                    goes_on: !step.done,
                }));
                if let Some(last) = samples.last_mut() {
                    last.goes_on = false;
                }
            }
        } else {
            let several = |_| Several::from(memory, memory.draw(rng)?, n_step, discount);
            samples.extend((0..batch).filter_map(several).map(|steps| Sample { steps, goes_on: false }));
        }
    }

    /// Makes inputs of a state of each sample.
    fn gather(&mut self, state: impl Fn(&Several<Place>) -> Place) -> usize {
        let Batch { samples, inputs, .. } = &mut self.batch;
        let seen = &self.experience.inputs;
        for (row, sample) in inputs.chunks_exact_mut(seen.count).zip(samples.iter()) {
            seen.write(state(&sample.steps), row);
        }
        samples.len() * seen.count
    }

    /// The value of the state after each sample: the target network's, of the best action by the
    /// network that chooses.
    fn value_after(&mut self) {
        let len = self.gather(|steps| steps.last.next);
        let Self { online, target, batch, parameters, .. } = self;
        let Batch { samples, inputs, best, values } = batch;
        let inputs = &inputs[..len];
        best.clear();
        values.clear();
        if parameters.double {
            online.forward(inputs);
            best.extend((0..samples.len()).map(|row| best_action(online.output(row))));
        }
        online.forward_with(target, inputs);
        if !parameters.double {
            best.extend((0..samples.len()).map(|row| best_action(online.output(row))));
        }
        values.extend(samples.iter().zip(best.iter()).enumerate().map(|(row, (sample, &best))| {
            match sample.steps.last.terminal {
                true => 0.0,
                false => online.output(row)[best],
            }
        }));
    }

    /// Makes targets of the values after the samples; those of steps that follow each other are
    /// Q(lambda) returns.
    fn set_targets(&mut self) {
        let lambda = self.parameters.lambda;
        let mut after = 0.0;
        for (value, sample) in self.batch.values.iter_mut().zip(&self.batch.samples).rev() {
            let Several { reward, discount, .. } = sample.steps;
            *value = lambda_return(reward, discount, lambda, *value, sample.goes_on.then_some(after));
            after = *value;
        }
    }

    /// Adds the gradient of the mean of `huber(Q(s, a) - target)`.
    fn descend(&mut self) {
        let len = self.gather(|steps| steps.first.state);
        let Self { online, batch, parameters, .. } = self;
        let inputs = &batch.inputs[..len];
        online.forward(inputs);
        let weight = 1.0 / parameters.batch as f32;
        for (row, (sample, target)) in batch.samples.iter().zip(&batch.values).enumerate() {
            let action = usize::from(sample.steps.first.action);
            let error = online.output(row)[action] - target;
            let derivatives = online.output_gradient(row);
            derivatives.fill(0.0);
            derivatives[action] = weight * error.clamp(-1.0, 1.0);
        }
        online.backward(inputs);
    }
}

/// The action of the largest value, the first of equals.
fn best_action(values: &[f32]) -> usize {
    argmax(values.iter().map(|&value| value.into()))
}

#[cfg(test)]
mod tests {
    use super::super::networks::Sight;
    use super::super::testing::solved;
    use super::*;
    use algodistill_core::env::watermaze::Watermaze;

    fn agent(parameters: Dqn) -> DenseQ {
        let mut agent = DenseQ::new(&Watermaze::POSE.into(), parameters, 10).unwrap().unwrap();
        let mut rng = PortableRng::new(2, 0);
        agent.online.begin(&mut rng, 1.0);
        agent.target.copy_from_slice(&agent.online.parameters);
        agent.online.begin(&mut rng, 1.0);
        agent
    }

    /// Where step `step` of a walk begins.
    fn pose(step: i32) -> [i32; 4] {
        [step * 300 - 900, step * step * 100, 1024 - step * 200, step * 100]
    }

    /// Steps along a way; what they pay.
    fn walk(agent: &mut DenseQ, rewards: &[f32], time_out: bool) {
        let mut rng = PortableRng::new(1, 0);
        agent.begin_episode(0);
        agent.experience.steps = 1;
        agent.experience.episode.time = if time_out { 50 - rewards.len() as u32 } else { 0 };
        for (step, &reward) in (0..).zip(rewards) {
            agent.act(&pose(step), &mut rng);
            let done = step as usize + 1 == rewards.len();
            agent.learn(&Outcome { action: 2, reward, next_observation: &pose(step + 1), done });
        }
    }

    /// Value of where step `step` of a walk begins: the target network's, of the network's best
    /// action.
    fn value(agent: &mut DenseQ, step: i32, has_paid: bool) -> f32 {
        let seen = &mut agent.experience.inputs;
        let place = seen.see(&pose(step), has_paid);
        let mut row = zeros(seen.count);
        seen.write(place, &mut row);
        agent.online.forward(&row);
        let best = best_action(agent.online.output(0));
        agent.online.forward_with(&agent.target, &row);
        agent.online.output(0)[best]
    }

    /// The targets of steps of the memory; with lambda they follow each other.
    fn targets(agent: &mut DenseQ, numbers: std::ops::Range<usize>) -> Vec<f32> {
        let Dqn { n_step, discount, lambda, .. } = agent.parameters;
        let count = if lambda > 0.0 { 1 } else { n_step };
        agent.batch.samples.clear();
        for number in numbers.clone() {
            let steps = Several::from(&agent.experience.memory, number, count, discount).unwrap();
            let goes_on = lambda > 0.0 && number + 1 < numbers.end && !steps.first.done;
            agent.batch.samples.push(Sample { steps, goes_on });
        }
        agent.value_after();
        agent.set_targets();
        agent.batch.values.clone()
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }

    #[test]
    fn targets_are_rewards_of_a_few_steps_and_the_value_after_them() {
        let mut agent = agent(Dqn { discount: 0.5, ..Dqn::default() });
        walk(&mut agent, &[0.0, 0.0, 1.0, 0.0, 1.0], false);
        walk(&mut agent, &[0.0, 0.0], true);
        let targets = targets(&mut agent, 0..7);
        close(targets[0], 0.25 + 0.125 * value(&mut agent, 3, true));
        // Nothing comes after a platform.
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
        walk(&mut agent, &[1.0], false);
        walk(&mut agent, &[0.0, 1.0, 0.0], true);
        let found = targets(&mut agent, 0..4);
        close(found[0], 1.0);
        let [one, two, three] =
            [(1, false), (2, true), (3, true)].map(|(step, has_paid)| value(&mut agent, step, has_paid));
        close(found[3], discount * three);
        close(found[2], 1.0 + discount * ((1.0 - lambda) * two + lambda * found[3]));
        close(found[1], discount * ((1.0 - lambda) * one + lambda * found[2]));
    }

    #[test]
    fn steps_of_an_update_follow_each_other_where_lambda_wants_them() {
        let mut agent = agent(Dqn { lambda: 0.5, batch: 48, ..Dqn::default() });
        (0..9).for_each(|_| walk(&mut agent, &[0.0; 5], true));
        agent.draw(&mut PortableRng::new(7, 0));
        assert!((3..=48).contains(&agent.batch.samples.len()));
        for pair in agent.batch.samples.windows(2) {
            let [steps, next] = [pair[0].steps.first, pair[1].steps.first];
            assert!(!pair[0].goes_on || !steps.done && steps.next == next.state);
        }
        assert!(!agent.batch.samples.last().unwrap().goes_on);
        assert!(agent.batch.samples.iter().any(|sample| sample.goes_on));
    }

    #[test]
    fn the_gradient_is_that_of_the_mean_huber_loss() {
        let mut agent = agent(Dqn { batch: 5, clip: 0.0, ..Dqn::default() });
        walk(&mut agent, &[0.0; 5], true);
        targets(&mut agent, 0..5);
        // Errors on both sides of the loss's corners.
        agent.batch.values.copy_from_slice(&[0.3, 9.0, -8.0, 0.1, 0.2]);
        let loss = |agent: &mut DenseQ, parameters: &[f32]| -> f64 {
            let len = agent.gather(|steps| steps.first.state);
            agent.online.forward_with(parameters, &agent.batch.inputs[..len]);
            let losses = agent.batch.values.iter().enumerate().map(|(row, &target)| {
                let error = f64::from(agent.online.output(row)[2] - target).abs();
                if error < 1.0 {
                    error * error / 2.0
                } else {
                    error - 0.5
                }
            });
            losses.sum::<f64>() / 5.0
        };
        agent.descend();
        let gradient = agent.online.gradient.to_vec();
        let square: f64 = gradient.iter().map(|&value| f64::from(value).powi(2)).sum();
        let moved = |way: f32| -> Vec<f32> {
            agent.online.parameters.iter().zip(&gradient).map(|(value, slope)| value + way * slope).collect()
        };
        let (above, below) = (moved(1e-3), moved(-1e-3));
        let slope = (loss(&mut agent, &above) - loss(&mut agent, &below)) / 2e-3;
        assert!(square > 0.1 && (slope / square - 1.0).abs() < 0.01, "{slope} {square}");
    }

    #[test]
    fn a_platform_is_found_from_pictures_and_from_the_pose() {
        let quick = Dqn {
            learning_rate: 1e-3,
            update_every: 2,
            warm_up: 100,
            target_rate: 0.03,
            exploration: 0.2,
            ..Dqn::default()
        };
        let tasks: Vec<u32> = (0..16).collect();
        for maze in [Watermaze { rows: 4, ..Watermaze::PIXELS }, Watermaze::POSE] {
            let (count, median) = solved(maze, quick, &tasks, 200);
            assert!(count >= 15 && median.is_some_and(|median| median <= 2_000), "{count}, {median:?}");
        }
    }
}
