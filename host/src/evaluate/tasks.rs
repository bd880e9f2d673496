//! Which tasks models may be evaluated on.

use crate::environment::{EnvironmentConfig, TaskSplit};
use crate::export::card::{TrainedIn, TrainingCard};
use crate::{Error, Result};
use algodistill_core::PortableRng;
use std::collections::HashSet;

/// Tasks of an environment without an end to them, unless the histories or the user say how many.
const DEFAULT_TASKS: u32 = 500;

/// Tasks of `environment`, ascending, that no model with one of these cards was trained on.
///
/// They are held out from the histories of this environment (or else from the first of the same
/// tasks, see [`same_tasks`]), and not trained on with other parameters either. Where tasks have no
/// end, they are those after the last one that was trained on. Where no model was trained on any
/// task of this environment, they are those that its own histories would hold out. What another
/// program's histories are of is not known: models of such histories only get all tasks.
///
/// `wanted` of them are drawn by `seed`; absent: all, or as many as are usual where no histories but
/// those of devices say which they are.
///
/// # Errors
/// [`Error::Argument`] where there is none, or fewer than `wanted`.
pub(crate) fn untrained_tasks(
    environment: &EnvironmentConfig,
    cards: &[TrainingCard],
    wanted: Option<u32>,
    seed: u64,
) -> Result<Vec<u32>> {
    let known = || cards.iter().flat_map(TrainingCard::trained_in);
    let here: Vec<TrainedIn> = known().filter(|one| same_tasks(one.environment(), environment)).collect();
    let splits: Vec<TaskSplit> = match here.is_empty() && known().next().is_some() {
        true => {
            let usual = environment.defaults()?;
            vec![environment.split(0, usual.tasks, usual.held_out)?]
        }
        false => here.iter().map(|one| one.split()).collect::<Result<_>>()?,
    };
    let own = here.iter().position(|one| one.environment() == environment).unwrap_or(0);
    let Some(all) = environment.task_count() else {
        let last = splits.iter().filter_map(|split| split.training.last()).max();
        let first = last.map_or(0, |last| last.saturating_add(1));
        let held_out = splits.get(own).map_or(0, |split| split.held_out.len() as u32);
        let count = wanted.unwrap_or(if held_out == 0 { DEFAULT_TASKS } else { held_out });
        return Ok((first..first.saturating_add(count)).collect());
    };
    let trained: HashSet<u32> = splits.iter().flat_map(|split| split.training.iter().copied()).collect();
    let mut tasks = splits.get(own).map_or_else(|| (0..all).collect(), |split| split.held_out.clone());
    tasks.retain(|task| !trained.contains(task));
    if tasks.is_empty() {
        let problem = "has no task that the model was not trained on; train with held_out above 0, everything with the same split_seed";
        return Err(Error::argument("environment", problem));
    }
    let usual = match here.get(own) {
        Some(TrainedIn::Recorded(_)) => Some(environment.defaults()?.held_out.min(tasks.len() as u32)),
        _ => None,
    };
    let Some(wanted) = wanted.or(usual) else { return Ok(tasks) };
    if wanted as usize > tasks.len() {
        let problem =
            format!("is {wanted}, but {} has {} held-out tasks here", environment.name(), tasks.len());
        return Err(Error::argument("tasks", problem));
    }
    Ok(choose(tasks, wanted as usize, seed))
}

/// Whether a number means the same task in both, or a related one: the same goal with another
/// reward, arms of the same draws.
pub(crate) fn same_tasks(a: &EnvironmentConfig, b: &EnvironmentConfig) -> bool {
    a.name() == b.name() && a.task_count() == b.task_count()
}

/// Whether the model of this card was trained on no task of `environment`, as far as is known.
pub(crate) fn is_foreign(card: &TrainingCard, environment: &EnvironmentConfig) -> bool {
    card.knows_all_tasks() && card.trained_in().all(|one| !same_tasks(one.environment(), environment))
}

/// `wanted` of `tasks`, drawn by `seed`, ascending.
fn choose(mut tasks: Vec<u32>, wanted: usize, seed: u64) -> Vec<u32> {
    // The stream lies apart from those of rollouts, whose upper half is a task number, and from that of
    // the bootstrap.
    let mut rng = PortableRng::new(seed, u64::MAX - 1);
    for place in 0..wanted {
        let left = (tasks.len() - place) as u32;
        tasks.swap(place, place + rng.below(left) as usize);
    }
    tasks.truncate(wanted);
    tasks.sort_unstable();
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::card::{Origin, Recorded};
    use crate::export::Training;
    use crate::history::GenerateConfig;
    use crate::source::{possible_sources, SourceConfig};
    use crate::train::{TrainConfig, TrainingRecord};

    #[test]
    fn chosen_tasks_are_ascending_and_distinct() {
        let chosen = choose((10..30).collect(), 7, 3);
        assert_eq!(chosen.len(), 7);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(chosen.iter().all(|task| (10..30).contains(task)));
        assert_eq!(chosen, choose((10..30).collect(), 7, 3));
    }

    /// The card of a model that was trained on histories of `environments` with these numbers of
    /// training tasks and seeds of the split.
    fn card(files: &[(&str, Option<u32>, u64)]) -> TrainingCard {
        let generation = |&(name, tasks, split_seed): &(&str, Option<u32>, u64)| {
            let environment = EnvironmentConfig::preset(name).expect("a preset");
            let source = possible_sources(&environment)[0];
            let source = SourceConfig::preset(source).expect("a source");
            let defaults = GenerateConfig::recommended(environment, source).expect("defaults");
            let config = GenerateConfig { tasks, split_seed, held_out: 10, ..defaults };
            Some(Origin::Generated(Box::new(config)))
        };
        let record = TrainingRecord { config: TrainConfig::default(), dataset: String::new(), update: 0 };
        TrainingCard {
            origins: files.iter().map(generation).collect(),
            training: Training::Histories(record),
            evaluation: None,
        }
    }

    fn tasks(name: &str, wanted: Option<u32>, cards: &[TrainingCard]) -> Result<Vec<u32>> {
        untrained_tasks(&EnvironmentConfig::preset(name).expect("a preset"), cards, wanted, 0)
    }

    #[test]
    fn no_task_of_an_evaluation_was_trained_on() {
        let split = |seed| {
            let room = EnvironmentConfig::preset("dark-room").expect("a preset");
            room.split(seed, None, 10).expect("a split")
        };
        let (a, b) = (card(&[("dark-room", None, 0)]), card(&[("dark-room", None, 1)]));
        assert_eq!(tasks("dark-room", None, std::slice::from_ref(&a)).expect("tasks"), split(0).held_out);
        // Held out in both, where two files or two models have splits of their own.
        let mut both = split(0).held_out;
        both.retain(|task| split(1).held_out.contains(task));
        let mixed = card(&[("dark-room", None, 0), ("dark-room", None, 1)]);
        for cards in [&[a.clone(), b.clone()][..], &[mixed]] {
            match tasks("dark-room", None, cards) {
                Ok(found) => assert_eq!(found, both),
                Err(error) => {
                    assert!(both.is_empty() && error.to_string().contains("split_seed"), "{error}")
                }
            }
        }
        assert!(tasks("dark-room", Some(11), &[a])
            .expect_err("too many")
            .to_string()
            .contains("10 held-out"));
        // Where tasks have no end, those after the last one of any file.
        let bandits = card(&[("bandit-odd", Some(200), 0), ("bandit-uniform", Some(300), 0)]);
        for name in ["bandit-odd", "bandit-uniform", "bandit-even"] {
            let cards = [bandits.clone()];
            assert_eq!(tasks(name, None, &cards).expect("tasks"), (300..310).collect::<Vec<_>>(), "{name}");
            assert_eq!(tasks(name, Some(3), &cards).expect("tasks"), [300, 301, 302], "{name}");
        }
    }

    /// Dark Room and Key-to-Door show the same, but task 5 of one has nothing to do with task 5 of the
    /// other.
    #[test]
    fn a_model_of_another_environment_is_run_on_the_tasks_that_this_one_holds_out() {
        let (room, door) = (card(&[("dark-room", None, 3)]), card(&[("key-to-door", None, 0)]));
        let preset = |name| EnvironmentConfig::preset(name).expect("a preset");
        let usual = preset("dark-room").split(0, None, 16).expect("a split").held_out;
        assert_eq!(tasks("dark-room", None, std::slice::from_ref(&door)).expect("tasks"), usual);
        let both = [door.clone(), room.clone()];
        let alone = tasks("dark-room", None, std::slice::from_ref(&room));
        assert_eq!(tasks("dark-room", None, &both).expect("tasks"), alone.expect("tasks"));
        assert!(is_foreign(&door, &preset("dark-room")) && !is_foreign(&door, &preset("key-to-door")));
        assert!(!is_foreign(&TrainingCard { origins: vec![None], ..door }, &preset("dark-room")));
    }

    #[test]
    fn a_model_of_devices_is_evaluated_on_tasks_that_none_of_them_was_in() {
        let recorded = |name, tasks: &[u32]| {
            let environment = EnvironmentConfig::preset(name).expect("a preset");
            let origin = Origin::Recorded(Recorded { environment, tasks: tasks.to_vec() });
            TrainingCard { origins: vec![Some(origin)], ..card(&[]) }
        };
        let fleet = recorded("dark-room", &[3, 65]);
        let some = tasks("dark-room", None, std::slice::from_ref(&fleet)).expect("tasks");
        assert_eq!(some.len(), 16);
        assert!(some.iter().all(|task| *task < 81 && ![3, 65].contains(task)), "{some:?}");
        let all = tasks("dark-room", Some(79), std::slice::from_ref(&fleet)).expect("tasks");
        assert_eq!(all, (0..81).filter(|task| ![3, 65].contains(task)).collect::<Vec<_>>());
        assert!(tasks("dark-room", Some(80), std::slice::from_ref(&fleet)).is_err());
        assert!(fleet.knows_all_tasks() && is_foreign(&fleet, &EnvironmentConfig::preset("bandit").unwrap()));
        // Beside generated histories, what those hold out, if no device was in it.
        let split = EnvironmentConfig::preset("dark-room").unwrap().split(0, None, 10).expect("a split");
        let held_out = &split.held_out;
        let mixed = [card(&[("dark-room", None, 0)]), recorded("dark-room", &held_out[..1])];
        assert_eq!(tasks("dark-room", None, &mixed).expect("tasks"), held_out[1..]);
        let bandits = tasks("bandit", Some(2), &[recorded("bandit", &[7])]);
        assert_eq!(bandits.expect("tasks"), [8, 9]);
    }

    #[test]
    fn histories_without_held_out_tasks_leave_a_dark_room_nothing_to_evaluate_on() {
        let mut all = card(&[("dark-room", None, 0), ("bandit", Some(200), 0)]);
        for origin in &mut all.origins {
            let Some(Origin::Generated(generation)) = origin else { panic!("all were generated") };
            generation.held_out = 0;
        }
        let refused = tasks("dark-room", None, &[all.clone()]).expect_err("every goal was trained on");
        assert!(refused.to_string().contains("held_out"), "{refused}");
        all.origins.remove(0);
        assert_eq!(tasks("bandit", Some(2), &[all]).expect("tasks"), [200, 201]);
    }
}
