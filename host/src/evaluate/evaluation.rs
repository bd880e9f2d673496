//! One evaluation: learners and references on the same tasks.

use super::drawn::DrawnEpisode;
use super::fidelity::{fidelity, Fidelity};
use super::models::{FloatModel, Int8Model};
use super::policy::Learner;
use super::report::{Figure, Kind, Series};
use super::rollout::{rollout, rollout_drawn, rollout_source, Axis, Contexts};
use super::statistics::{
    curve, mean_over, never_solved, steps_so_far, task_mean, Cluster, Estimate, NeverSolved,
};
use crate::environment::EnvironmentConfig;
use crate::export::card::EvaluationSummary;
use crate::progress::Progress;
use crate::source::SourceConfig;
use crate::Result;
use std::ops::Range;

/// A model that was evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// Its file.
    pub file: String,
    /// Number of its parameters.
    pub parameters: usize,
    /// Size of its file in bytes.
    pub bytes: usize,
    /// Bytes of its context on a device: keys and values.
    pub ring_bytes: usize,
}

/// Everything that a report says.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Name of the environment as the user gave it.
    pub name: String,
    /// What the environment is called in titles.
    pub title: String,
    /// The environment.
    pub environment: EnvironmentConfig,
    /// The same where an episode is as long as an unbroken stream; else the same.
    running: EnvironmentConfig,
    /// Tasks, runs, episodes, seed.
    pub contexts: Contexts,
    /// What the points of its curves are.
    pub axis: Axis,
    /// What the tasks are called, in their order; empty where they are numbers only.
    pub task_names: Vec<String>,
    /// Whether it is known that the models were not trained on these tasks. It is not where their
    /// histories are of another program.
    pub held_out: bool,
    /// The int8 models that it is about: training seeds of one configuration.
    pub models: Vec<ModelSummary>,
    /// Further models on the same axes, by the key of their line.
    pub others: Vec<(String, Vec<ModelSummary>)>,
    /// How actions are chosen from logits.
    pub sampling: String,
    /// What was measured, the int8 model among it.
    pub measured: Vec<Measured>,
    /// Mean over the tasks of the largest expected return of an episode, where it is known.
    pub optimal: Option<f64>,
    /// Return of the ideal in-context learner by episode, mean over all tasks of the environment;
    /// empty where none is known.
    pub ideal: Vec<f64>,
    /// How near the first int8 model is to its float model, where that was asked for.
    pub fidelity: Option<Fidelity>,
    /// Episodes (of an unbroken stream, blocks; from 0) over which returns are averaged for the
    /// summary.
    pub summary: Range<usize>,
    /// What a reader of the numbers must know.
    pub warnings: Vec<String>,
    /// What its figure shows of it.
    pub figure: Figure,
    /// What is said under the title of its figure, too.
    pub note: Option<String>,
    /// Episodes of the first int8 model that are drawn from above, where the environment can be:
    /// task by task. No number depends on them.
    pub drawn: Vec<DrawnEpisode>,
}

/// One learner's contexts and what they amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its line.
    pub series: Series,
    /// Every context.
    pub clusters: Vec<Cluster>,
    /// Mean by episode, step or block, see [`Axis`].
    pub curve: Vec<Estimate>,
    /// Environment steps that a context has taken, on average, when it is through with each point.
    pub steps: Vec<f64>,
    /// Mean return of an episode over [`Evaluation::summary`].
    pub summary: Estimate,
    /// Runs and tasks without any reward.
    pub never_solved: NeverSolved,
}

impl Evaluation {
    /// An evaluation with its references and nothing measured yet.
    pub fn new(
        name: &str,
        environment: EnvironmentConfig,
        contexts: Contexts,
        summary: Range<usize>,
    ) -> Result<Self> {
        let running = contexts.running(&environment)?;
        let optimal: Option<f64> =
            contexts.tasks.iter().map(|task| running.optimal_return(*task)).sum::<Result<Option<f64>>>()?;
        let per_point = contexts.tasks.len() as f64 * f64::from(contexts.blocks().max(1));
        let axis = contexts.axis();
        let ideal = match (axis, environment.ideal()) {
            (Axis::Episode, Some(curve)) => {
                // Once everything is swept it stays as it is.
                let settled = std::iter::repeat(curve.last().copied().unwrap_or(0.0));
                curve.iter().copied().chain(settled).take(contexts.episodes as usize).collect()
            }
            _ => Vec::new(),
        };
        let optimal = optimal.map(|sum| sum / per_point);
        let title = environment.describe();
        let bare = Self::without_references(name, title, environment, contexts, axis, summary);
        Ok(Self { running, optimal, ideal, ..bare })
    }

    /// An evaluation of which nothing is known yet but where and how often.
    pub(super) fn without_references(
        name: &str,
        title: String,
        environment: EnvironmentConfig,
        contexts: Contexts,
        axis: Axis,
        summary: Range<usize>,
    ) -> Self {
        Self {
            name: name.into(),
            title,
            running: environment.clone(),
            environment,
            contexts,
            axis,
            task_names: Vec::new(),
            held_out: true,
            models: Vec::new(),
            others: Vec::new(),
            sampling: String::new(),
            measured: Vec::new(),
            optimal: None,
            ideal: Vec::new(),
            fidelity: None,
            summary,
            warnings: Vec::new(),
            figure: Figure::default(),
            note: None,
            drawn: Vec::new(),
        }
    }

    /// Runs `learners` (training seeds of one configuration; one for a baseline) and adds the
    /// result.
    pub fn measure(
        &mut self,
        series: Series,
        learners: &[&dyn Learner],
        progress: &dyn Progress,
    ) -> Result<()> {
        self.measure_after(self.contexts.demonstration, series, learners, progress)
    }

    /// [`Evaluation::measure`] where each context begins with this `demonstration` (see
    /// [`Contexts`]), whatever the others begin with.
    pub fn measure_after(
        &mut self,
        demonstration: Option<f32>,
        series: Series,
        learners: &[&dyn Learner],
        progress: &dyn Progress,
    ) -> Result<()> {
        progress.begin(&series.key, (self.contexts.count() * learners.len()) as u64);
        let contexts = Contexts { demonstration, ..self.contexts.clone() };
        let mut clusters = Vec::new();
        for (model, learner) in learners.iter().enumerate() {
            if series.kind == Kind::Main && model == 0 {
                let (found, drawn) = rollout_drawn(&self.running, &contexts, model, *learner, progress)?;
                clusters.extend(found);
                self.drawn = drawn;
            } else {
                clusters.extend(rollout(&self.running, &contexts, model, *learner, progress)?);
            }
        }
        self.add(series, clusters, progress);
        Ok(())
    }

    /// The environment as its contexts run it: in an unbroken stream, with an episode as long as that.
    pub fn running(&self) -> &EnvironmentConfig {
        &self.running
    }

    /// Runs the source algorithm on the same tasks and adds the result; `planned_episodes` as in
    /// [`rollout_source`].
    pub fn measure_source(
        &mut self,
        source: &SourceConfig,
        planned_episodes: u32,
        progress: &dyn Progress,
    ) -> Result<()> {
        let series = Series::of(Kind::Source);
        progress.begin(&series.key, self.contexts.count() as u64);
        let clusters = rollout_source(&self.running, &self.contexts, source, planned_episodes, progress)?;
        self.add(series, clusters, progress);
        Ok(())
    }

    /// Compares the int8 model with its float model, step by step on the same contexts.
    /// A return is `wanted` of a Decision Transformer; absent: the optimum.
    pub fn compare(
        &mut self,
        int8: &Int8Model,
        float: &FloatModel,
        wanted: Option<f32>,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.fidelity = Some(fidelity(&self.running, &self.contexts, int8, float, wanted, progress)?);
        Ok(())
    }

    /// Adds a line of clusters that were run elsewhere.
    pub(crate) fn add(&mut self, series: Series, clusters: Vec<Cluster>, progress: &dyn Progress) {
        let curve = curve(&clusters, self.contexts.seed);
        let summary = self.summarize(&clusters);
        let never_solved = never_solved(&clusters);
        let Estimate { mean, low, high } = summary;
        progress.finish(&format!("mean return {mean:.2} [{low:.2}, {high:.2}]"));
        let steps = steps_so_far(&clusters);
        self.measured.push(Measured { series, clusters, curve, steps, summary, never_solved });
    }

    /// Mean return of an episode over [`Evaluation::summary`].
    fn summarize(&self, clusters: &[Cluster]) -> Estimate {
        let (points, scale) = self.summary_points();
        let Estimate { mean, low, high } = mean_over(clusters, &points, self.contexts.seed);
        Estimate { mean: mean * scale, low: low * scale, high: high * scale }
    }

    /// Environment steps that a context takes until the mean return of an episode (or block) reaches
    /// 90 % of the optimum, that episode included; `None` where it does not, where the optimum is
    /// not known, and where all learning happens within one episode.
    pub fn steps_to_90_percent(&self, measured: &Measured) -> Option<f64> {
        let goal = 0.9 * self.optimal.filter(|_| self.axis != Axis::Step)?;
        let reached = measured.curve.iter().position(|point| point.mean >= goal)?;
        measured.steps.get(reached).copied()
    }

    /// Points of a curve that the summary covers, and what turns the mean over them into the return
    /// of an episode.
    fn summary_points(&self) -> (Range<usize>, f64) {
        match self.axis {
            Axis::Episode | Axis::Block(_) => (self.summary.clone(), 1.0),
            Axis::Step => {
                let steps = self.environment.horizon().unwrap_or(0);
                (0..steps as usize, f64::from(steps))
            }
        }
    }

    /// Mean return of an episode of `task` over [`Evaluation::summary`], all models and runs.
    pub fn task_return(&self, measured: &Measured, task: u32) -> f64 {
        let (points, scale) = self.summary_points();
        let of_task = measured.clusters.iter().filter(|cluster| cluster.task == task);
        let means: Vec<f64> = of_task.map(|cluster| task_mean(cluster, &points)).collect();
        means.iter().sum::<f64>() / means.len().max(1) as f64 * scale
    }

    /// The results of model number `model` of the line called `key` alone, for its training card.
    pub fn results_of(&self, key: &str, model: usize) -> Option<EvaluationSummary> {
        let line = self.measured.iter().find(|measured| measured.series.key == key)?;
        let clusters: Vec<Cluster> =
            line.clusters.iter().filter(|cluster| cluster.model == model).cloned().collect();
        Some(EvaluationSummary {
            environment: self.name.clone(),
            tasks: self.contexts.tasks.len(),
            runs: self.contexts.runs,
            seed: self.contexts.seed,
            steps: self.contexts.stream.map(|stream| stream.steps),
            episodes: [self.summary.start + 1, self.summary.end],
            mean_return: self.summarize(&clusters).mean,
            source_mean_return: self.of(Kind::Source).map(|source| source.summary.mean),
            never_solved: never_solved(&clusters).runs,
        })
    }

    /// All its models.
    pub(crate) fn all_models_mut(&mut self) -> impl Iterator<Item = &mut ModelSummary> {
        self.models.iter_mut().chain(self.others.iter_mut().flat_map(|(_, models)| models))
    }

    /// The measurement of a kind of line.
    pub fn of(&self, kind: Kind) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.series.kind == kind)
    }
}
