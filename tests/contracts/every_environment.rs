//! What every environment of the list promises, and every source in it. One that is added is held
//! to all of it; only what its documents say of it alone is listed here by name.

use algodistill::environment::{presets, AnyTask, EnvironmentConfig, Episode};
use algodistill::source::{self, possible_sources, Columns, FinalObservations, Outcome, Run, SourceConfig};
use algodistill_core::env::{AnyFamily, MAX_HORIZON};
use algodistill_core::{Environment, Interface, PortableRng};
use rayon::prelude::*;

/// Environments whose tasks go on over a reset, as their documents say.
const GO_ON: [&str; 1] = ["restless-bandit"];

/// Calls `body` with every preset.
fn every(mut body: impl FnMut(&str, &EnvironmentConfig)) {
    for name in presets() {
        body(name, &EnvironmentConfig::preset(name).expect("a preset"));
    }
}

/// At most `count` numbers of tasks, from the first to the last.
fn tasks(environment: &EnvironmentConfig, count: u32) -> Vec<u32> {
    match environment.task_count() {
        // A stride that shares no factor with a side of a room meets all rows and columns.
        Some(all) if all > count => {
            (0..count).map(|i| (u64::from(i) * 1009 % u64::from(all)) as u32).collect()
        }
        Some(all) => (0..all).collect(),
        None => (0..count).collect(),
    }
}

fn task(environment: &EnvironmentConfig, number: u32) -> Box<dyn AnyTask> {
    environment.task(number).expect("a task")
}

fn interface(environment: &EnvironmentConfig) -> Interface {
    environment.interface().expect("an interface")
}

fn horizon(environment: &EnvironmentConfig) -> u32 {
    environment.horizon().expect("a simulator")
}

/// What happened in an episode.
#[derive(Clone, Debug, Default, PartialEq)]
struct Played {
    /// One more than the rewards.
    observations: Vec<Vec<i32>>,
    actions: Vec<usize>,
    /// As bits: the same number, not a near one.
    rewards: Vec<u32>,
}

impl Played {
    fn total(&self) -> f64 {
        self.rewards.iter().map(|&reward| f64::from(f32::from_bits(reward))).sum()
    }
}

/// Resets `task` and plays an episode of it. `act` sees the observation, `learn` what came of the
/// action.
fn play(
    task: &mut (impl Environment + ?Sized),
    words: usize,
    rng: &mut PortableRng,
    mut act: impl FnMut(&[i32], &mut PortableRng) -> usize,
    mut learn: impl FnMut(&Outcome),
) -> Played {
    let mut played = Played::default();
    let mut observation = vec![0; words];
    task.reset(rng);
    task.observe(&mut observation);
    played.observations.push(observation.clone());
    loop {
        let action = act(&observation, rng);
        let transition = task.step(action, rng);
        task.observe(&mut observation);
        let (reward, done) = (transition.reward, transition.done);
        learn(&Outcome { action, reward, next_observation: &observation, done });
        played.observations.push(observation.clone());
        played.actions.push(action);
        played.rewards.push(reward.to_bits());
        if done {
            return played;
        }
        assert!(played.rewards.len() <= MAX_HORIZON as usize, "an episode without end");
    }
}

/// Plays an episode of uniformly random actions.
fn play_at_random(
    task: &mut (impl Environment + ?Sized),
    environment: &EnvironmentConfig,
    rng: &mut PortableRng,
) -> Played {
    let Interface { actions, .. } = interface(environment);
    let words = interface(environment).observation_len();
    play(task, words, rng, |_, rng| rng.below(actions.into()) as usize, |_| {})
}

/// Refuses a mean of `differences` that is more than four standard errors away from 0.
fn assert_none_on_average(what: &str, differences: &[f64]) {
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt();
    // The references are exact to the rounding of their sums.
    assert!(mean.abs() <= 4.0 * error + 1e-4, "{what}: {mean} too much, the standard error is {error}");
}

#[test]
fn host_and_core_have_the_same_list() {
    assert_eq!(presets(), AnyFamily::preset_names().collect::<Vec<_>>());
    every(|name, environment| {
        let family = AnyFamily::preset(name).expect("a preset");
        assert_eq!(family.name(), environment.name());
        assert_eq!(family.interface(), interface(environment), "{name}");
        assert_eq!(Some(family.horizon()), environment.horizon(), "{name}");
        assert_eq!(family.task_count(), environment.task_count(), "{name}");
        assert!(family.interface().is_valid(), "{name}");
        assert_eq!(environment.preset_name(), name);
        assert!(!environment.describe().is_empty());
        let text = serde_json::to_string(environment).expect("JSON");
        assert_eq!(serde_json::from_str::<EnvironmentConfig>(&text).expect("an environment"), *environment);
    });
}

#[test]
fn a_number_is_the_same_task_on_host_and_core_and_a_seed_decides_what_happens_in_it() {
    every(|name, environment| {
        let family = AnyFamily::preset(name).expect("a preset");
        for number in tasks(environment, 20) {
            let on_host = |seed| {
                let (mut task, mut rng) = (task(environment, number), PortableRng::new(seed, 0));
                (0..3).map(|_| play_at_random(&mut *task, environment, &mut rng)).collect::<Vec<_>>()
            };
            let mut in_core = family.task(number).expect("a task");
            let mut rng = PortableRng::new(1, 0);
            let of_core: Vec<_> =
                (0..3).map(|_| play_at_random(&mut in_core, environment, &mut rng)).collect();
            assert_eq!(on_host(1), of_core, "{name}, task {number}");
            assert_eq!(on_host(1), on_host(1), "{name}, task {number}");
            assert_ne!(on_host(1), on_host(2), "{name}, task {number}");
        }
    });
}

#[test]
fn task_numbers_go_to_the_count_and_no_further() {
    every(|name, environment| {
        let family = AnyFamily::preset(name).expect("a preset");
        let last = environment.task_count().map_or(u32::MAX, |count| count - 1);
        assert!(environment.task(last).is_ok() && family.task(last).is_some(), "{name}");
        assert!(environment.optimal_return(last).is_ok() && environment.random_return(last).is_ok());
        if let Some(count) = environment.task_count() {
            for number in [count, u32::MAX] {
                let problem = environment.task(number).err().expect("refused").to_string();
                assert!(problem.contains(&last.to_string()), "{problem}");
                assert!(family.task(number).is_none(), "{name}");
                assert!(environment.expert(number).is_err() && environment.random_return(number).is_err());
            }
        }
    });
}

#[test]
fn observations_stay_in_their_ranges_to_the_one_that_ends_an_episode_and_the_horizon_is_kept() {
    every(|name, environment| {
        let interface = interface(environment);
        let (words, horizon) = (interface.observation_len(), horizon(environment) as usize);
        let mut longest = 0;
        for number in tasks(environment, 40) {
            let (mut task, mut rng) = (task(environment, number), PortableRng::new(3, number.into()));
            let mut episodes: Vec<_> =
                (0..3).map(|_| play_at_random(&mut *task, environment, &mut rng)).collect();
            // Into every wall, and whatever else one action leads to.
            for action in 0..usize::from(interface.actions) {
                episodes.push(play(&mut *task, words, &mut rng, |_, _| action, |_| {}));
            }
            for episode in episodes {
                for observation in &episode.observations {
                    assert_eq!(interface.check(observation), Ok(()), "{name}, task {number}");
                }
                assert!((1..=horizon).contains(&episode.rewards.len()), "{name}, task {number}");
                assert!(episode.total().is_finite());
                longest = longest.max(episode.rewards.len());
            }
        }
        assert_eq!(longest, horizon, "{name}: no episode is as long as the horizon says");
    });
}

#[test]
fn an_action_that_there_is_not_does_what_the_first_one_does() {
    every(|name, environment| {
        let interface = interface(environment);
        let words = interface.observation_len();
        let episode = |action| {
            let mut rng = PortableRng::new(4, 0);
            let played = play(&mut *task(environment, 7), words, &mut rng, |_, _| action, |_| {});
            (played.observations, played.rewards)
        };
        assert_eq!(episode(0), episode(interface.actions.into()), "{name}");
        assert_eq!(episode(0), episode(usize::MAX), "{name}");
    });
}

#[test]
fn a_reset_takes_a_task_back_to_its_beginning() {
    every(|name, environment| {
        if GO_ON.contains(&environment.name()) {
            return;
        }
        for number in tasks(environment, 20) {
            let mut used = task(environment, number);
            for seed in 0..3 {
                play_at_random(&mut *used, environment, &mut PortableRng::new(seed, 1));
            }
            // In the middle of an episode, too.
            used.reset(&mut PortableRng::new(5, 0));
            used.step(1, &mut PortableRng::new(5, 0));
            let [again, fresh] = [used, task(environment, number)]
                .map(|mut task| play_at_random(&mut *task, environment, &mut PortableRng::new(9, 0)));
            assert_eq!(again, fresh, "{name}, task {number}");
        }
    });
}

#[test]
fn random_actions_earn_the_random_return() {
    every(|name, environment| {
        let differences = tasks(environment, 400).into_iter().filter_map(|number| {
            let expected = environment.random_return(number).expect("a task")?;
            let (mut task, mut rng) = (task(environment, number), PortableRng::new(6, number.into()));
            let returns = (0..10).map(|_| play_at_random(&mut *task, environment, &mut rng).total());
            Some(returns.sum::<f64>() / 10.0 - expected)
        });
        let differences: Vec<f64> = differences.collect();
        if !differences.is_empty() {
            assert_none_on_average(name, &differences);
        }
    });
}

#[test]
fn an_expert_earns_the_optimal_return_in_every_episode_of_a_context() {
    every(|name, environment| {
        let words = interface(environment).observation_len();
        let differences = tasks(environment, 300).into_iter().filter_map(|number| {
            let expected = environment.optimal_return(number).expect("a task")?;
            let random = environment.random_return(number).expect("a task");
            assert!(random.is_none_or(|random| random <= expected + 1e-6), "{name}, task {number}");
            let mut expert = environment.expert(number).expect("a task")?;
            let mut total = 0.0;
            // The second context is with a new task of this number and the same expert.
            for context in 0..2 {
                let mut rng = PortableRng::new(7, u64::from(number) << 1 | context);
                let mut task = task(environment, number);
                expert.begin_context();
                for _ in 0..3 {
                    // Two closures cannot both have the expert.
                    let expert = std::cell::RefCell::new(&mut expert);
                    let act = |seen: &[i32], rng: &mut PortableRng| expert.borrow_mut().act(seen, rng);
                    let learn = |outcome: &Outcome| expert.borrow_mut().learn(outcome);
                    total += play(&mut *task, words, &mut rng, act, learn).total() / 6.0;
                }
            }
            Some(total - expected)
        });
        let differences: Vec<f64> = differences.collect();
        if !differences.is_empty() {
            assert_none_on_average(name, &differences);
        }
    });
}

#[test]
fn people_see_every_episode_that_can_be_drawn() {
    every(|name, environment| {
        let mut task = task(environment, 3);
        let Played { observations, actions, rewards } =
            play_at_random(&mut *task, environment, &mut PortableRng::new(8, 0));
        let rewards = rewards.into_iter().map(f32::from_bits).collect();
        if let Some(drawing) = task.draw(&Episode { observations, actions, rewards }) {
            assert!(drawing.plain().lines().count() > 1, "{name}");
        }
        let names: Vec<String> = (0..interface(environment).actions)
            .map(|action| environment.action_name(action.into()))
            .collect();
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{name}: {names:?}");
    });
}

/// A history of `episodes` episodes: returns by episode, and everything that was written.
fn history(
    learner: &mut dyn source::Learning,
    environment: &EnvironmentConfig,
    episodes: u32,
    seed: u64,
) -> (Vec<f64>, Vec<f32>, Vec<u16>) {
    let words = interface(environment).observation_len();
    let room = episodes as usize * horizon(environment) as usize;
    let (mut numbers, mut actions, mut rewards, mut dones) =
        (vec![0; room], vec![0; room], vec![0.0; room], vec![false; room]);
    let mut observations = vec![vec![0; room]; words];
    let mut columns = Columns {
        episodes: &mut numbers,
        observations: observations.iter_mut().map(|column| &mut column[..]).collect(),
        actions: &mut actions,
        rewards: &mut rewards,
        dones: &mut dones,
        final_observations: FinalObservations::default(),
    };
    let run = Run { episodes, keep_every: 1 };
    let written = learner.history(run, &mut PortableRng::new(seed, 0), None, &mut columns, 0).written;
    let mut returns = vec![0.0; episodes as usize];
    for (&episode, &reward) in numbers.iter().zip(&rewards[..written]) {
        returns[episode as usize] += f64::from(reward);
    }
    rewards.truncate(written);
    actions.truncate(written);
    (returns, rewards, actions)
}

#[test]
fn a_history_does_not_depend_on_those_before_it() {
    every(|name, environment| {
        for source in possible_sources(environment) {
            let config = SourceConfig::preset(source).expect("a source");
            let learner = || config.learner(environment, 5, 3).expect("a learner");
            let (mut used, mut fresh) = (learner(), learner());
            history(&mut *used, environment, 3, 1);
            let [again, first] =
                [&mut used, &mut fresh].map(|learner| history(&mut **learner, environment, 3, 2));
            assert_eq!(again, first, "{source} in {name}");
        }
    });
}

#[test]
fn a_source_learns_wherever_it_says_that_it_can() {
    let mut idle = source::names();
    every(|name, environment| {
        let possible = possible_sources(environment);
        idle.retain(|source| !possible.contains(source));
        for source in source::names() {
            let config = SourceConfig::preset(source).expect("a source");
            if !possible.contains(&source) {
                assert!(config.learner(environment, 0, 1).is_err(), "{source} in {name}");
                continue;
            }
            let usual = environment.defaults().expect("defaults").episodes;
            let usual = source::Schedule { histories_per_task: 1, episodes: usual, keep_every: 1 };
            let episodes = config.schedule(usual).episodes;
            // What the last quarter of a history pays, beyond what random actions would be paid.
            let gains = tasks(environment, 60).into_par_iter().filter_map(|number| {
                let mut learner = config.learner(environment, number, episodes).expect("a learner");
                let (returns, rewards, _) = history(&mut *learner, environment, episodes, 3);
                let random = environment.random_return(number).expect("a task")?;
                let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
                Some(match episodes {
                    1..4 => {
                        let rewards: Vec<f64> = rewards.into_iter().map(f64::from).collect();
                        mean(&rewards[rewards.len() * 3 / 4..]) - random / f64::from(horizon(environment))
                    }
                    _ => mean(&returns[returns.len() * 3 / 4..]) - random,
                })
            });
            let gains: Vec<f64> = gains.collect();
            let mean = gains.iter().sum::<f64>() / gains.len() as f64;
            assert!(gains.is_empty() || mean > 0.0, "{source} in {name}: {mean}");
            println!("{name:20} {source:20} {episodes:4} episodes, {mean:7.3} more than random actions");
        }
    });
    assert!(idle.is_empty(), "no environment for {idle:?}");
}

#[test]
fn the_first_source_is_the_one_to_distill() {
    for (name, source) in [
        ("dark-room", "psrl"),
        ("bandit", "ucb"),
        ("key-to-door", "psrl"),
        ("linear-bandit", "linucb"),
        ("restless-bandit", "belief"),
        ("watermaze", "psrl"),
        ("servo", "self-tuning"),
    ] {
        let environment = EnvironmentConfig::preset(name).expect("a preset");
        assert_eq!(possible_sources(&environment)[0], source, "in {name}");
    }
}
