//! Which lines an evaluation has, and how they make its figure. Whatever made a model (distillation
//! or RL2), it is a contestant by its weights file.

use super::config::{EvaluationConfig, Experiment, FigureKind};
use crate::evaluate::report::{Figure, Kind, Series, Sweep, SweepLine};
use crate::Result;

/// A line of an evaluation, before there are models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its name: the key in JSON and CSV of all but the first line.
    pub name: String,
    /// Its name in legends; absent: the usual one of the first line.
    pub label: Option<String>,
    /// Place of its model.
    pub place: usize,
    /// The model as it was after so many updates; absent: at the end.
    pub snapshot: Option<u64>,
    /// Percentage of optimal actions of the demonstration that begins each context.
    pub prompt: Option<u8>,
}

impl Experiment {
    /// The lines of `evaluation`: the one that it is about first.
    pub(super) fn contestants(&self, evaluation: &EvaluationConfig) -> Result<Vec<Planned>> {
        let mut all = Vec::new();
        let entrants = self.entrants(evaluation);
        let several = entrants.len() > 1;
        for place in entrants {
            let model = &self.models[place];
            // The first line of all has a usual name.
            let label = model.label.clone().or((!all.is_empty()).then(|| model.name.clone()));
            let plain = Planned { name: model.name.clone(), label, place, snapshot: None, prompt: None };
            all.push(plain.clone());
            if evaluation.figure == FigureKind::Training {
                // Numbered, so that they are called the same at every scale.
                all.extend((1..).zip(model.resolve(0)?.snapshots()).map(|(number, update)| Planned {
                    name: format!("{}-kept-{number}", model.name),
                    label: Some(format!("{} after {update} updates", model.name)),
                    snapshot: Some(update),
                    ..plain.clone()
                }));
            }
            let of = if several { format!("{}, ", model.name) } else { String::new() };
            all.extend(evaluation.prompts.iter().map(|percent| Planned {
                name: format!("{}-prompt-{percent}", model.name),
                label: Some(format!("{of}shown an episode with {percent} % optimal actions")),
                prompt: Some(*percent),
                ..plain.clone()
            }));
        }
        Ok(all)
    }

    /// The figure of `evaluation`.
    pub(super) fn figure(&self, evaluation: &EvaluationConfig) -> Result<Figure> {
        let lines = match evaluation.figure {
            FigureKind::Curves | FigureKind::Histories => return Ok(Figure::Curves),
            FigureKind::Steps => return Ok(Figure::Steps),
            FigureKind::Sweep | FigureKind::Training => self.sweep_lines(evaluation)?,
        };
        let usual = match evaluation.figure {
            FigureKind::Training => "updates",
            _ => "x",
        };
        let x = evaluation.x_label.clone().unwrap_or_else(|| usual.into());
        Ok(Figure::Sweep(Sweep { x, log: evaluation.log_x, lines }))
    }

    fn sweep_lines(&self, evaluation: &EvaluationConfig) -> Result<Vec<SweepLine>> {
        let mut lines: Vec<SweepLine> = Vec::new();
        for (number, planned) in self.contestants(evaluation)?.into_iter().enumerate() {
            let model = &self.models[planned.place];
            let (line, x) = match evaluation.figure {
                FigureKind::Training => {
                    let last = model.resolve(0)?.updates;
                    let line = model.label.clone().unwrap_or_else(|| model.name.clone());
                    (line, planned.snapshot.unwrap_or(last) as f64)
                }
                _ => (model.line.clone().unwrap_or_else(|| model.name.clone()), model.x.unwrap_or(0.0)),
            };
            let key = if number == 0 { Series::of(Kind::Main).key } else { planned.name };
            let point = (x, key);
            match lines.iter_mut().find(|known| known.key == line) {
                Some(known) => known.points.push(point),
                None => lines.push(SweepLine { key: line.clone(), label: line, points: vec![point] }),
            }
        }
        lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quickstart with this in place of its evaluation.
    fn with(model: &str, evaluation: &str) -> Experiment {
        let text = format!(
            r#"
            name = "figures"
            [[histories]]
            name = "histories"
            environment = "dark-room"
            [[models]]
            name = "window"
            histories = ["histories"]
            {model}
            [[evaluations]]
            {evaluation}
            "#
        );
        let written: Experiment = toml::from_str(&text).expect("an experiment");
        written.written_out().expect("written out")
    }

    fn points(experiment: &Experiment) -> Vec<(String, Vec<(f64, String)>)> {
        experiment.validate().expect("valid");
        let Figure::Sweep(sweep) = experiment.figure(&experiment.evaluations[0]).expect("a figure") else {
            panic!("a sweep")
        };
        sweep.lines.into_iter().map(|line| (line.label, line.points)).collect()
    }

    #[test]
    fn models_that_vary_are_the_points_of_one_line() {
        let experiment = with("vary = { window = [100, 10] }", "figure = \"sweep\"\nlog_x = true");
        let expected = vec![(10.0, "window-10".into()), (100.0, "int8".into())];
        assert_eq!(points(&experiment), [("window".into(), expected)]);
        // Without a value there is no place on the axis.
        let none = with("", "figure = \"sweep\"").validate().expect_err("refused").to_string();
        assert!(none.contains("\"window\" has no x"), "{none}");
    }

    #[test]
    fn models_that_were_kept_along_the_way_are_the_points_of_their_own_line() {
        let experiment = with(
            "train = { updates = 500, snapshot_every = 200 }\nvary = { window = [10, 20] }",
            "figure = \"training\"",
        );
        let line = |name: &str, last: &str| {
            let kept =
                [1, 2].map(|number| (200.0 * f64::from(number), format!("window-{name}-kept-{number}")));
            let all = kept.into_iter().chain([(500.0, last.to_owned())]).collect::<Vec<_>>();
            (format!("window {name}"), all)
        };
        assert_eq!(points(&experiment), [line("10", "int8"), line("20", "window-20")]);
        let none = with("", "figure = \"training\"").validate().expect_err("refused").to_string();
        assert!(none.contains("snapshot_every is 0"), "{none}");
    }

    #[test]
    fn each_demonstration_is_a_line_of_each_model() {
        let experiment = with("", "prompts = [5, 95]");
        let names: Vec<_> = experiment
            .contestants(&experiment.evaluations[0])
            .expect("lines")
            .into_iter()
            .map(|one| (one.name, one.prompt))
            .collect();
        let expected = [("window", None), ("window-prompt-5", Some(5)), ("window-prompt-95", Some(95))]
            .map(|(name, prompt)| (name.to_owned(), prompt));
        assert_eq!(names, expected);
    }
}
