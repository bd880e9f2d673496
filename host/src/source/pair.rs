//! A source and its task together, compiled as one loop: most of the time of a tabular source goes
//! into what lies between them.

use super::solving::Solving;
use super::{Columns, Outcome, Source};
use algodistill_core::interface::{MAX_CHANNELS, MAX_OBSERVATION_WORDS};
use algodistill_core::{Environment, PortableRng, Transition};

/// How a history is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Episodes.
    pub episodes: u32,
    /// Of these, every `keep_every`-th is written, beginning with the first.
    pub keep_every: u32,
}

/// What became of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Steps written.
    pub written: usize,
    /// Steps taken, written or not.
    pub taken: u64,
    /// Of these, how many until the task was solved: until the mean return of a 50th of the history
    /// reached 90 % of the optimum; those of all actors where several learn together. `None` where
    /// it never did, or the optimum is not known.
    pub solved_after: Option<u64>,
}

/// A source that learns a task: implemented by [`Pair`], called by generation and evaluation.
pub trait Learning {
    /// Runs a history from nothing, in the task as it was when the learner was made, and writes it
    /// into `columns` from step `first` on, where there must be room. The environment draws
    /// from `luck`, where it is given, in place of `rng`.
    fn history(
        &mut self,
        run: Run,
        rng: &mut PortableRng,
        luck: Option<&mut PortableRng>,
        columns: &mut Columns,
        first: usize,
    ) -> Recorded;

    /// As many histories as [`super::Algorithm::actors`] says, learned together, one after the
    /// other.
    fn histories(
        &mut self,
        run: Run,
        rng: &mut PortableRng,
        columns: &mut Columns,
        first: usize,
    ) -> Vec<Recorded> {
        vec![self.history(run, rng, None, columns, first)]
    }
}

/// A source and its task.
pub struct Pair<E, S> {
    /// The task, as every history meets it at first.
    pub environment: E,
    /// The source.
    pub source: S,
    /// Largest expected return of an episode, where it is known.
    pub optimum: Option<f64>,
}

impl<E: Environment + Clone, S: Source> Learning for Pair<E, S> {
    fn history(
        &mut self,
        run: Run,
        rng: &mut PortableRng,
        luck: Option<&mut PortableRng>,
        columns: &mut Columns,
        first: usize,
    ) -> Recorded {
        // There are tasks that a reset does not take back to where they began.
        let mut environment = self.environment.clone();
        let solving = Solving::new(self.optimum, run.episodes);
        // The number of words is a constant where the loop over the steps is compiled.
        match (luck, columns.observations.len()) {
            (None, 0) => record::<0>(&mut environment, &mut self.source, solving, run, rng, columns, first),
            (None, 2) => record::<2>(&mut environment, &mut self.source, solving, run, rng, columns, first),
            (None, 0..=MAX_CHANNELS) => {
                record::<MAX_CHANNELS>(&mut environment, &mut self.source, solving, run, rng, columns, first)
            }
            (None, _) => record::<MAX_OBSERVATION_WORDS>(
                &mut environment,
                &mut self.source,
                solving,
                run,
                rng,
                columns,
                first,
            ),
            (Some(luck), 0..=MAX_CHANNELS) => {
                let mut environment = WithLuck { environment: &mut environment, luck };
                record::<MAX_CHANNELS>(&mut environment, &mut self.source, solving, run, rng, columns, first)
            }
            (Some(luck), _) => {
                let mut environment = WithLuck { environment: &mut environment, luck };
                record::<MAX_OBSERVATION_WORDS>(
                    &mut environment,
                    &mut self.source,
                    solving,
                    run,
                    rng,
                    columns,
                    first,
                )
            }
        }
    }
}

/// `WORDS` is at least the number of words of an observation.
fn record<const WORDS: usize>(
    environment: &mut impl Environment,
    source: &mut impl Source,
    mut solving: Solving,
    run: Run,
    rng: &mut PortableRng,
    columns: &mut Columns,
    first: usize,
) -> Recorded {
    let Columns { episodes, observations, actions, rewards, dones, final_observations } = columns;
    let words = observations.len();
    // Columns that are known to be of one length are checked once per step, not once per column.
    let room = episodes.len();
    let (actions, rewards) = (&mut actions[..room], &mut rewards[..room]);
    let mut observations: [&mut [i32]; WORDS] = {
        let mut columns = observations.iter_mut();
        std::array::from_fn(|_| columns.next().map_or(&mut [][..], |column| &mut column[..room]))
    };
    let mut at = first;
    source.begin_history();
    for episode in 0..run.episodes {
        let (mut taken, mut total) = (0, 0.0);
        if episode % run.keep_every != 0 {
            run_episode::<WORDS>(environment, source, episode, rng, |_, outcome| {
                taken += 1;
                total += outcome.reward;
            });
            solving.add(total, taken);
            continue;
        }
        let begin = at;
        let last = run_episode::<WORDS>(environment, source, episode, rng, |seen, outcome| {
            for (column, &word) in observations.iter_mut().zip(seen) {
                if let Some(place) = column.get_mut(at) {
                    *place = word;
                }
            }
            actions[at] = outcome.action as u16;
            rewards[at] = outcome.reward;
            total += outcome.reward;
            at += 1;
        });
        final_observations.push(at - 1, &last[..words]);
        solving.add(total, (at - begin) as u64);
        episodes[begin..at].fill(episode);
        // The steps before are false from the beginning.
        dones[at - 1] = true;
    }
    Recorded { written: at - first, taken: solving.steps(), solved_after: solving.solved_after() }
}

/// Runs one episode; `record` sees each observation and what followed it. Returns the observation
/// that the episode ended with. `WORDS` is at least the number of words of an observation; the words
/// past it are 0. The exact number makes loops over an observation straight code.
#[inline]
fn run_episode<const WORDS: usize>(
    environment: &mut impl Environment,
    source: &mut impl Source,
    episode: u32,
    rng: &mut PortableRng,
    mut record: impl FnMut(&[i32; WORDS], &Outcome),
) -> [i32; WORDS] {
    let mut next = [0; WORDS];
    environment.reset(rng);
    source.begin_episode(episode);
    environment.observe(&mut next);
    loop {
        let seen = next;
        let action = source.act(&seen, rng);
        let Transition { reward, done } = environment.step(action, rng);
        environment.observe(&mut next);
        let outcome = Outcome { action, reward, next_observation: &next, done };
        source.learn(&outcome);
        record(&seen, &outcome);
        if done {
            return next;
        }
    }
}

/// An environment that draws from a stream of its own: a source then meets the luck that other
/// learners meet in the same context, and what sets them apart is what they do.
struct WithLuck<'a, E> {
    environment: &'a mut E,
    luck: &'a mut PortableRng,
}

impl<E: Environment> Environment for WithLuck<'_, E> {
    fn reset(&mut self, _rng: &mut PortableRng) {
        self.environment.reset(self.luck);
    }

    fn observe(&self, observation: &mut [i32]) {
        self.environment.observe(observation);
    }

    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.environment.step(action, self.luck)
    }
}
