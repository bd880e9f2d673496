//! Evaluations of what this program does not run: returns that somebody else measured, in an
//! environment of their own.

use super::evaluation::{Evaluation, ModelSummary};
use super::report::{Kind, Series};
use super::rollout::{Axis, Contexts};
use super::run::{check_name, check_values, summary};
use super::statistics::Cluster;
use crate::environment::EnvironmentConfig;
use crate::progress::NoProgress;
use crate::{Error, Result};
use algodistill_core::Interface;

/// What was measured, for [`outside`].
///
/// A *context* is one learner with an empty memory on one task, over several episodes in which it
/// keeps what it learned; its *returns* are the sums of the rewards of its episodes, in their order.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Name of the environment, in titles and in the field `environment` of JSON. Any text.
    pub name: String,
    /// What the agent sees and does there: that of the model's weights file.
    pub interface: Interface,
    /// What each task is called, in the order of [`Returns::returns`]. Any text; at least one task.
    /// In JSON they are numbered from 0 and called by these.
    pub tasks: Vec<String>,
    /// Whether it is known that the models were not trained on these tasks. Where it is not, charts
    /// say so.
    pub held_out: bool,
    /// Largest expected return of an episode of each task, in their order, where it is known: gives
    /// the level line `optimum`, their mean.
    pub optimal: Option<Vec<f64>>,
    /// First and last episode, from 1, of those that the summary averages; absent: the second half.
    pub mean_over: Option<(u32, u32)>,
    /// Seed of the bootstrap of the intervals, and what the report gives as the seed.
    pub seed: u64,
    /// How actions were chosen, for readers: `temperature 1`, `greedy`. Any text.
    pub sampling: String,
    /// What a reader of the numbers must know.
    pub warnings: Vec<String>,
    /// The learners, at least one. All have the same numbers of runs and episodes.
    pub lines: Vec<OutsideLine>,
}

/// A learner: a line of the chart.
#[derive(Clone, Debug)]
pub struct OutsideLine {
    /// Its key in JSON and CSV, and what it is: `int8` is the model that the evaluation is about,
    /// `random` uniform random actions, `float` the model before quantization, `source` the algorithm
    /// whose histories it was trained on. Any other learner has a name of letters, digits, `-`, `_`
    /// and `.`. Each name once.
    pub key: String,
    /// Its name in legends; absent: the usual one of its key, or the key.
    pub label: Option<String>,
    /// Weights files, one for each entry of [`OutsideLine::seeds`]; empty for what has none.
    pub models: Vec<ModelSummary>,
    /// What each training seed of the learner did: several models trained with different seeds, one of
    /// anything else.
    pub seeds: Vec<Returns>,
}

/// All contexts of one learner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Returns {
    /// Return of each episode: `returns[task][run][episode]`, as many tasks as [`Outside::tasks`], of
    /// each as many runs (contexts, at least one), of each as many episodes (at least one). Finite.
    pub returns: Vec<Vec<Vec<f32>>>,
    /// Steps that each episode took, of the same shape, where they were counted: then the report says
    /// after how many steps a curve comes to 90 % of the optimum.
    pub steps: Option<Vec<Vec<Vec<u32>>>>,
}

/// The evaluation of what was measured: its curves with 95 % intervals, its summary and what was
/// never solved, by the same statistics as any other's, for the same reports.
///
/// # Errors
/// [`Error::Argument`] for what does not fit together, with the field.
pub fn outside(measured: Outside) -> Result<Evaluation> {
    let first = measured.lines.first().ok_or_else(|| Error::argument("lines", "at least one is needed"))?;
    if measured.tasks.is_empty() {
        return Err(Error::argument("tasks", "at least one is needed"));
    }
    let shape = Shape::of(first, measured.tasks.len())?;
    let optimal = measured.optimal.as_deref().map(|optima| mean_optimum(optima, shape.tasks)).transpose()?;
    let contexts = Contexts {
        tasks: (0..shape.tasks as u32).collect(),
        runs: shape.runs as u32,
        episodes: shape.episodes as u32,
        seed: measured.seed,
        demonstration: None,
        stream: None,
    };
    let environment = EnvironmentConfig::custom(measured.interface);
    environment.validate()?;
    let summary = summary(measured.mean_over, contexts.episodes)?;
    // Rewards of single steps are not known: a single episode is a single point.
    let axis = Axis::Episode;
    let title = measured.name.clone();
    let mut evaluation =
        Evaluation::without_references(&measured.name, title, environment, contexts, axis, summary);
    evaluation.task_names = measured.tasks;
    evaluation.held_out = measured.held_out;
    evaluation.sampling = measured.sampling;
    evaluation.warnings = measured.warnings;
    evaluation.optimal = optimal;
    for line in measured.lines {
        let series = series(&evaluation, &line)?;
        let mut clusters = Vec::new();
        for (model, seed) in line.seeds.iter().enumerate() {
            shape.check(&line.key, seed)?;
            clusters.extend((0..shape.tasks).map(|task| cluster(seed, model, task)));
        }
        if clusters.is_empty() {
            return Err(refuse(&line.key, "seeds", "is empty, expected one or more".into()));
        }
        match series.kind {
            Kind::Main => evaluation.models = line.models,
            _ if line.models.is_empty() => {}
            _ => evaluation.others.push((line.key, line.models)),
        }
        evaluation.add(series, clusters, &NoProgress);
    }
    Ok(evaluation)
}

fn refuse(key: &str, field: &str, problem: String) -> Error {
    Error::argument(format!("lines.{key}.{field}"), problem)
}

/// How a learner's line is drawn, where its name can be one.
fn series(evaluation: &Evaluation, line: &OutsideLine) -> Result<Series> {
    let usual = [Kind::Main, Kind::Float, Kind::Source, Kind::Random].map(Series::of);
    let known = usual.into_iter().find(|series| series.key == line.key);
    let series = match known {
        Some(series) => series,
        None => {
            check_name(&line.key)?;
            let is_other = |kind: &Kind| matches!(kind, Kind::Other(_));
            let place = evaluation.measured.iter().filter(|one| is_other(&one.series.kind)).count();
            Series::other(place, &line.key, &line.key)
        }
    };
    if evaluation.measured.iter().any(|one| one.series.key == series.key) {
        return Err(Error::argument("name", format!("there are two lines called {}", series.key)));
    }
    Ok(Series { label: line.label.clone().unwrap_or(series.label), ..series })
}

fn mean_optimum(optima: &[f64], tasks: usize) -> Result<f64> {
    if optima.len() != tasks {
        let problem = format!("has {} returns, expected one for each of {tasks} tasks", optima.len());
        return Err(Error::argument("optimal", problem));
    }
    match optima.iter().position(|optimum| !optimum.is_finite()) {
        Some(task) => Err(Error::argument("optimal", format!("of task {task} is {}", optima[task]))),
        None => Ok(optima.iter().sum::<f64>() / tasks as f64),
    }
}

/// Numbers of tasks, runs and episodes.
#[derive(Clone, Copy)]
struct Shape {
    tasks: usize,
    runs: usize,
    episodes: usize,
}

impl Shape {
    /// That of the first line of all.
    fn of(line: &OutsideLine, tasks: usize) -> Result<Self> {
        let first = line.seeds.first().and_then(|seed| seed.returns.first());
        let runs = first.map_or(0, Vec::len);
        let episodes = first.and_then(|runs| runs.first()).map_or(0, Vec::len);
        for (what, found) in [("runs", runs), ("episodes", episodes)] {
            if found == 0 {
                return Err(refuse(&line.key, "returns", format!("the first task has no {what}")));
            }
        }
        check_values(tasks, runs, episodes)?;
        Ok(Self { tasks, runs, episodes })
    }

    /// Refuses what has another shape, and returns that are no numbers.
    fn check(self, key: &str, seed: &Returns) -> Result<()> {
        self.check_table(key, "returns", &seed.returns)?;
        for (task, runs) in seed.returns.iter().enumerate() {
            for (run, episodes) in runs.iter().enumerate() {
                if let Some(episode) = episodes.iter().position(|value| !value.is_finite()) {
                    let problem =
                        format!("[{task}][{run}][{episode}] is {}, expected a number", episodes[episode]);
                    return Err(refuse(key, "returns", problem));
                }
            }
        }
        seed.steps.as_ref().map_or(Ok(()), |steps| self.check_table(key, "steps", steps))
    }

    fn check_table<T>(self, key: &str, field: &str, table: &[Vec<Vec<T>>]) -> Result<()> {
        let expect = |place: String, found: usize, expected: usize, what: &str| match found == expected {
            true => Ok(()),
            false => {
                let problem = format!("{place} has {found} {what}, expected {expected}");
                Err(refuse(key, field, problem.trim_start().into()))
            }
        };
        expect(String::new(), table.len(), self.tasks, "tasks")?;
        for (task, runs) in table.iter().enumerate() {
            expect(format!("[{task}]"), runs.len(), self.runs, "runs")?;
            for (run, episodes) in runs.iter().enumerate() {
                expect(format!("[{task}][{run}]"), episodes.len(), self.episodes, "episodes")?;
            }
        }
        Ok(())
    }
}

/// The contexts of one task.
fn cluster(seed: &Returns, model: usize, task: usize) -> Cluster {
    let runs = seed.returns[task].clone();
    let steps = seed.steps.as_ref().map_or(Vec::new(), |steps| {
        let of_point = |point| steps[task].iter().map(|run| u64::from(run[point])).sum();
        (0..runs[0].len()).map(of_point).collect()
    });
    Cluster { model, task: task as u32, runs, steps }
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    fn line(key: &str, returns: &[&[&[f32]]]) -> OutsideLine {
        let runs = |runs: &&[&[f32]]| runs.iter().map(|run| run.to_vec()).collect();
        let returns = Returns { returns: returns.iter().map(runs).collect(), steps: None };
        OutsideLine { key: key.into(), label: None, models: Vec::new(), seeds: vec![returns] }
    }

    fn lake(lines: Vec<OutsideLine>) -> Outside {
        Outside {
            name: "Frozen lake".into(),
            interface: Interface::discrete(&[16], 4, &[0.0, 1.0]).expect("an interface"),
            tasks: vec!["map a".into(), "map b".into()],
            held_out: true,
            optimal: Some(vec![1.0, 0.5]),
            mean_over: None,
            seed: 0,
            sampling: "greedy".into(),
            warnings: Vec::new(),
            lines,
        }
    }

    #[test]
    fn returns_that_somebody_else_measured_become_curves_and_reports() {
        let mut int8 = line("int8", &[&[&[0.0, 1.0], &[0.0, 1.0]], &[&[0.0, 0.0], &[0.0, 0.0]]]);
        int8.seeds[0].steps = Some(vec![vec![vec![9, 3], vec![7, 5]], vec![vec![9, 9], vec![7, 9]]]);
        let random = line("random", &[&[&[0.0, 0.0], &[0.0, 0.0]], &[&[0.0, 0.0], &[0.0, 1.0]]]);
        let mine = line("mine", &[&[&[1.0, 1.0], &[1.0, 1.0]], &[&[1.0, 1.0], &[1.0, 1.0]]]);
        let evaluation = outside(lake(vec![int8, random, mine])).expect("an evaluation");
        let json = report::json(&evaluation);
        assert_eq!(json["curves"]["int8"], serde_json::json!([0.0, 0.5]));
        assert_eq!(json["curves"]["optimal"], 0.75);
        assert_eq!(json["mean_return"]["random"]["mean"], 0.25);
        assert_eq!((&json["never_solved"], &json["never_solved_tasks"]), (&2.into(), &1.into()));
        assert_eq!(json["task_names"], serde_json::json!(["map a", "map b"]));
        assert_eq!(json["per_task"][0]["mine"], 1.0);
        assert_eq!(evaluation.measured[0].steps, [8.0, 14.5]);
        assert_eq!(evaluation.measured[2].series.kind, Kind::Other(0));
        let text = report::summary_text(&evaluation);
        assert!(text.starts_with("Frozen lake: learning in context"), "{text}");
        assert!(report::chart(&evaluation).csv().contains("\nmine,2,1.000000,"));
    }

    #[test]
    fn one_episode_is_one_point() {
        let evaluation = outside(lake(vec![line("int8", &[&[&[0.5]], &[&[1.0]]])])).expect("an evaluation");
        assert_eq!(report::json(&evaluation)["curves"]["int8"], serde_json::json!([0.75]));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_its_name() {
        let good = || line("int8", &[&[&[0.0, 1.0]], &[&[0.0, 1.0]]]);
        let of = |key, returns: &[&[&[f32]]]| lake(vec![good(), line(key, returns)]);
        let fine: &[&[&[f32]]] = &[&[&[0.0, 1.0]], &[&[0.0, 1.0]]];
        let mut steps = good();
        steps.seeds[0].steps = Some(vec![vec![vec![1, 1]]]);
        let cases = [
            (lake(vec![]), "lines: at least one"),
            (Outside { tasks: vec![], ..lake(vec![good()]) }, "tasks: at least one"),
            (lake(vec![line("int8", &[])]), "lines.int8.returns: the first task has no runs"),
            (lake(vec![line("int8", &[&[&[]]])]), "lines.int8.returns: the first task has no episodes"),
            (of("random", &[&[&[0.0, 1.0]]]), "lines.random.returns: has 1 tasks, expected 2"),
            (of("mine", &[&[&[0.0, 1.0]], &[]]), "lines.mine.returns: [1] has 0 runs, expected 1"),
            (
                of("mine", &[&[&[0.0, 1.0]], &[&[1.0]]]),
                "lines.mine.returns: [1][0] has 1 episodes, expected 2",
            ),
            (of("mine", &[&[&[0.0, 1.0]], &[&[1.0, f32::NAN]]]), "lines.mine.returns: [1][0][1] is NaN"),
            (lake(vec![steps]), "lines.int8.steps: has 1 tasks"),
            (of("int8", fine), "name: there are two lines called int8"),
            (of("optimal", fine), "name: is \"optimal\", which every chart has"),
            (of("a b", fine), "name: is \"a b\""),
            (Outside { optimal: Some(vec![1.0]), ..lake(vec![good()]) }, "optimal: has 1 returns"),
            (Outside { optimal: Some(vec![1.0, f64::INFINITY]), ..lake(vec![good()]) }, "optimal: of task 1"),
            (Outside { mean_over: Some((2, 3)), ..lake(vec![good()]) }, "mean_over: is 2-3"),
        ];
        for (measured, expected) in cases {
            let problem = outside(measured).expect_err(expected).to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
