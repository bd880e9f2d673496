//! Several actors that learn one task together, each in an episode of its own: they take turns in a
//! fixed order, so that a seed decides everything.

use super::solving::Solving;
use super::{Columns, FinalObservations, Learning, Outcome, Recorded, Run};
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Environment, PortableRng, Transition};

/// What the actors share: a learning algorithm that is updated after every turn.
///
/// Order of calls: `begin_history`; then for each turn `act` and `learn` until `turn_is_over` or the
/// actor's history is, and `end_turn`. A turn may go on over the end of an episode.
pub(crate) trait Shared {
    /// What an actor knows of its episode, forgotten at its end.
    type Memory: Default;

    /// Starts from no experience.
    fn begin_history(&mut self, rng: &mut PortableRng);

    /// Chooses an action where `observation` is seen.
    fn act(&mut self, memory: &mut Self::Memory, observation: &[i32], rng: &mut PortableRng) -> usize;

    /// Takes note of what followed the last `act`.
    fn learn(&mut self, memory: &mut Self::Memory, outcome: &Outcome);

    /// Whether this turn has its steps.
    fn turn_is_over(&self) -> bool;

    /// Learns from a turn of one step or more.
    fn end_turn(&mut self);
}

/// A task, and the actors that learn it.
pub(crate) struct Team<E, S> {
    /// The task, as each of the actors meets it at first.
    environments: Vec<E>,
    shared: S,
    optimum: Option<f64>,
}

impl<E: Environment + Clone, S: Shared> Team<E, S> {
    /// An actor in each of `environments`, whose optimum is `optimum` where it is known.
    pub fn new(environments: Vec<E>, shared: S, optimum: Option<f64>) -> Self {
        Self { environments, shared, optimum }
    }

    /// Runs the histories of all actors and writes those of the first `written` one after the other.
    fn run(
        &mut self,
        written: usize,
        run: Run,
        rng: &mut PortableRng,
        mut luck: Option<&mut PortableRng>,
        columns: &mut Columns,
        first: usize,
    ) -> Vec<Recorded> {
        let actor = |environment| Actor::<E, S::Memory>::new(environment, columns, run, self.optimum);
        let mut actors: Vec<_> = self.environments.iter().map(actor).collect();
        self.shared.begin_history(rng);
        let (mut at_work, mut taken) = (true, 0);
        while at_work {
            at_work = false;
            for (number, actor) in actors.iter_mut().enumerate() {
                // What other learners meet as well, the first actor meets.
                let mut luck = luck.as_deref_mut().filter(|_| number == 0);
                let steps = actor.turn(&mut self.shared, run, rng, luck.as_mut());
                if steps > 0 {
                    at_work = true;
                    self.shared.end_turn();
                }
                taken += steps;
                if actor.solving.solved_after().is_some() {
                    actor.solved_after.get_or_insert(taken);
                }
            }
        }
        let mut end = first;
        let write = |actor: &Actor<E, S::Memory>| {
            let begin = end;
            end = actor.recorded.write(columns, begin);
            let (taken, solved_after) = (actor.solving.steps(), actor.solved_after);
            Recorded { written: end - begin, taken, solved_after }
        };
        actors.iter().take(written).map(write).collect()
    }
}

impl<E: Environment + Clone, S: Shared> Learning for Team<E, S> {
    /// The history of the first actor.
    fn history(
        &mut self,
        run: Run,
        rng: &mut PortableRng,
        luck: Option<&mut PortableRng>,
        columns: &mut Columns,
        first: usize,
    ) -> Recorded {
        self.run(1, run, rng, luck, columns, first)[0]
    }

    fn histories(
        &mut self,
        run: Run,
        rng: &mut PortableRng,
        columns: &mut Columns,
        first: usize,
    ) -> Vec<Recorded> {
        self.run(self.environments.len(), run, rng, None, columns, first)
    }
}

/// An actor in its episode.
struct Actor<E, M> {
    environment: E,
    memory: M,
    seen: [i32; MAX_CHANNELS],
    episode: u32,
    /// Steps and rewards of this episode.
    steps: u64,
    total: f32,
    solving: Solving,
    /// Steps of all actors until this one had solved the task.
    solved_after: Option<u64>,
    recorded: Recording,
}

impl<E: Environment + Clone, M: Default> Actor<E, M> {
    fn new(environment: &E, columns: &Columns, run: Run, optimum: Option<f64>) -> Self {
        Self {
            environment: environment.clone(),
            memory: M::default(),
            seen: [0; MAX_CHANNELS],
            episode: 0,
            steps: 0,
            total: 0.0,
            solving: Solving::new(optimum, run.episodes),
            solved_after: None,
            recorded: Recording { words: columns.observations.len(), ..Recording::default() },
        }
    }

    /// Takes the steps of a turn, and says how many: none where the history is over.
    fn turn<S: Shared<Memory = M>>(
        &mut self,
        shared: &mut S,
        run: Run,
        rng: &mut PortableRng,
        mut luck: Option<&mut &mut PortableRng>,
    ) -> u64 {
        let mut taken = 0;
        while self.episode < run.episodes && !shared.turn_is_over() {
            if self.steps == 0 {
                self.environment.reset(luck.as_deref_mut().map_or(&mut *rng, |luck| &mut **luck));
                self.environment.observe(&mut self.seen);
                (self.memory, self.total) = (M::default(), 0.0);
            }
            let action = shared.act(&mut self.memory, &self.seen, rng);
            let luck = luck.as_deref_mut().map_or(&mut *rng, |luck| &mut **luck);
            let Transition { reward, done } = self.environment.step(action, luck);
            let seen = self.seen;
            self.environment.observe(&mut self.seen);
            let outcome = Outcome { action, reward, next_observation: &self.seen, done };
            shared.learn(&mut self.memory, &outcome);
            if self.episode.is_multiple_of(run.keep_every) {
                self.recorded.add(self.episode, &seen, &outcome);
            }
            taken += 1;
            self.steps += 1;
            self.total += reward;
            if done {
                self.solving.add(self.total, self.steps);
                self.steps = 0;
                self.episode += 1;
            }
        }
        taken
    }
}

/// The steps of an actor.
#[derive(Default)]
struct Recording {
    /// Words of an observation.
    words: usize,
    episodes: Vec<u32>,
    /// Of each step, one after the other.
    observations: Vec<i32>,
    actions: Vec<u16>,
    rewards: Vec<f32>,
    dones: Vec<bool>,
    final_observations: FinalObservations,
}

impl Recording {
    fn add(&mut self, episode: u32, seen: &[i32], outcome: &Outcome) {
        if let Some(last) = outcome.ended() {
            self.final_observations.push(self.actions.len(), &last[..self.words]);
        }
        self.episodes.push(episode);
        self.observations.extend_from_slice(&seen[..self.words]);
        self.actions.push(outcome.action as u16);
        self.rewards.push(outcome.reward);
        self.dones.push(outcome.done);
    }

    /// Writes it into `columns` from step `first` on; returns where it ends.
    fn write(&self, columns: &mut Columns, first: usize) -> usize {
        let end = first + self.actions.len();
        columns.episodes[first..end].copy_from_slice(&self.episodes);
        columns.actions[first..end].copy_from_slice(&self.actions);
        columns.rewards[first..end].copy_from_slice(&self.rewards);
        columns.dones[first..end].copy_from_slice(&self.dones);
        for (word, column) in columns.observations.iter_mut().enumerate() {
            for (place, words) in column[first..end].iter_mut().zip(self.observations.chunks(self.words)) {
                *place = words[word];
            }
        }
        columns.final_observations.append(first, &self.final_observations);
        end
    }
}
