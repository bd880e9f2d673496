//! What reports should say: checked against their numbers, never by hand.

use super::config::{within, EvaluationConfig, Experiment, FigureKind};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Lines that reports have without being asked for.
const BASELINES: [&str; 3] = ["source", "random", "optimal"];

/// A sentence about a report, and the number that decides whether it holds: the mean return of a
/// line, how much it is above that of another, or its percentage of that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claim {
    /// The sentence.
    pub text: String,
    /// Name of the evaluation; absent: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<String>,
    /// The line: a model, `source`, `random` or `optimal`; of a figure of histories, these.
    pub line: String,
    /// First and last episode of the mean, from 1; absent: those of the evaluation's summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episodes: Option<(u32, u32)>,
    /// The line whose mean is taken away from it; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minus: Option<String>,
    /// As `episodes`, of the other line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minus_episodes: Option<(u32, u32)>,
    /// The line of whose mean over the same episodes it is so many percent; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_of: Option<String>,
    /// The claim holds where the number is at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The claim holds where the number is at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Where it is known not to hold: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The sentence.
    pub text: String,
    /// What was computed, in words.
    pub number: String,
    /// Its value; absent where the report does not have it.
    pub value: Option<f64>,
    /// What it should be, in words.
    pub expected: String,
    /// Whether it is.
    pub holds: bool,
    /// Where it does not hold and that is known: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Verdict {
    /// The number and what it should be, in words, and why it is not where that is known.
    pub fn measured(&self) -> String {
        let value = self.value.map_or("not measured".into(), |value| format!("{value:.2}"));
        let why = self.why.as_ref().map_or(String::new(), |why| format!(". {why}"));
        format!("{} = {value}, expected {}{}", self.number, self.expected, why.trim_end_matches('.'))
    }
}

impl Claim {
    /// Refuses a claim about what no report has.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<()> {
        let refuse =
            |field: &str, problem: String| Err(within("claim", &self.text, Error::argument(field, problem)));
        let Some(evaluation) = self.evaluation_of(experiment)? else {
            let name = self.evaluation.as_deref().unwrap_or_default();
            return refuse("evaluation", format!("there is none called {name:?}"));
        };
        let known = experiment.line_names(evaluation)?;
        for line in std::iter::once(&self.line).chain(&self.minus).chain(&self.percent_of) {
            if !known.contains(line) {
                let problem = format!("there is no line called {line:?}; known are {}", known.join(", "));
                return refuse("line", problem);
            }
        }
        if self.minus.is_some() && self.percent_of.is_some() {
            return refuse("percent_of", "is said beside minus, expected one of both".into());
        }
        if self.at_least.is_none() && self.at_most.is_none() {
            return refuse("at_least", "is needed, or at_most".into());
        }
        for (field, bound) in [("at_least", self.at_least), ("at_most", self.at_most)] {
            if let Some(bound) = bound.filter(|bound| !bound.is_finite()) {
                return refuse(field, format!("is {bound}, expected a finite number"));
            }
        }
        if let Some((least, most)) = self.at_least.zip(self.at_most).filter(|(least, most)| least > most) {
            return refuse("at_least", format!("is {least}, expected no more than at_most, {most}"));
        }
        for (first, last) in self.episodes.iter().chain(&self.minus_episodes) {
            if *first == 0 || first > last {
                return refuse("episodes", format!("is {first}-{last}, expected FIRST-LAST, from 1"));
            }
            if let Some(most) = experiment.episodes_of(evaluation)?.filter(|most| last > most) {
                let problem = format!("is {first}-{last}, but the evaluation has {most} episodes");
                return refuse("episodes", problem);
            }
        }
        Ok(())
    }

    /// The evaluation that it is about.
    fn evaluation_of<'a>(&self, experiment: &'a Experiment) -> Result<Option<&'a EvaluationConfig>> {
        let Some(name) = &self.evaluation else { return Ok(experiment.evaluations.first()) };
        for evaluation in &experiment.evaluations {
            if experiment.stem(evaluation)? == *name {
                return Ok(Some(evaluation));
            }
        }
        Ok(None)
    }

    /// Looks into `reports`, the JSON objects of the evaluations of `experiment` in their order.
    pub(super) fn decide(&self, experiment: &Experiment, reports: &[Value]) -> Result<Verdict> {
        let evaluation = self.evaluation_of(experiment)?;
        let place = experiment.evaluations.iter().position(|one| Some(one) == evaluation);
        let (report, main) = match (place.and_then(|place| reports.get(place)), evaluation) {
            (Some(report), Some(evaluation)) => (report, experiment.main_line(evaluation)),
            _ => (&Value::Null, None),
        };
        let mean = |line: &str, episodes| {
            let key = if Some(line) == main { "int8" } else { line };
            mean(report, key, episodes)
        };
        let mut value = mean(&self.line, self.episodes);
        let mut number = in_words(&self.line, self.episodes);
        if let Some(minus) = &self.minus {
            value = value.zip(mean(minus, self.minus_episodes)).map(|(value, minus)| value - minus);
            number = format!("{number} minus {}", in_words(minus, self.minus_episodes));
        }
        if let Some(whole) = &self.percent_of {
            let whole_mean = mean(whole, self.episodes).filter(|whole| *whole != 0.0);
            value = value.zip(whole_mean).map(|(value, whole)| 100.0 * value / whole);
            number = format!("{number} in percent of {}", in_words(whole, self.episodes));
        }
        let bound = |word: &str, bound: Option<f64>| bound.map(|bound| format!("{word} {bound}"));
        let expected: Vec<String> =
            bound("at least", self.at_least).into_iter().chain(bound("at most", self.at_most)).collect();
        let within = |value: f64| {
            self.at_least.is_none_or(|least| value >= least) && self.at_most.is_none_or(|most| value <= most)
        };
        let holds = value.is_some_and(within);
        Ok(Verdict {
            text: self.text.clone(),
            number,
            value,
            expected: expected.join(" and "),
            holds,
            why: self.why.clone().filter(|_| !holds),
        })
    }
}

/// The number of a line, in words.
fn in_words(line: &str, episodes: Option<(u32, u32)>) -> String {
    match episodes {
        None => line.into(),
        Some((first, last)) if first == last => format!("{line} (episode {first})"),
        Some((first, last)) => format!("{line} (episodes {first}-{last})"),
    }
}

/// Mean return of the line `key` of a report.
fn mean(report: &Value, key: &str, episodes: Option<(u32, u32)>) -> Option<f64> {
    let curve = &report["curves"][key];
    match (episodes, curve) {
        // The optimum is the same in every episode.
        (_, Value::Number(level)) => level.as_f64(),
        (None, _) => report["mean_return"][key]["mean"].as_f64(),
        (Some((first, last)), Value::Array(points)) => {
            let wanted = points.get(first as usize - 1..last as usize)?;
            let values: Option<Vec<f64>> = wanted.iter().map(Value::as_f64).collect();
            Some(values?.iter().sum::<f64>() / wanted.len() as f64)
        }
        _ => None,
    }
}

impl Experiment {
    /// The model that `evaluation` is about; reports call its line `int8`.
    fn main_line(&self, evaluation: &EvaluationConfig) -> Option<&str> {
        let first = *self.entrants(evaluation).first()?;
        (evaluation.figure != FigureKind::Histories).then(|| self.models[first].name.as_str())
    }

    /// Names of the lines of the report of `evaluation`.
    fn line_names(&self, evaluation: &EvaluationConfig) -> Result<Vec<String>> {
        if evaluation.figure == FigureKind::Histories {
            return Ok(self.histories.iter().map(|one| one.name.clone()).collect());
        }
        let models = self.contestants(evaluation)?.into_iter().map(|one| one.name);
        Ok(models.chain(BASELINES.map(String::from)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "curves": {"int8": [1.0, 2.0, 6.0], "source": [0.0, 1.0, 2.0], "optimal": 8.0},
            "mean_return": {"int8": {"mean": 4.0}, "source": {"mean": 1.5}},
        })
    }

    fn decided(claim: Claim) -> Verdict {
        let experiment = Experiment::named("quickstart").expect("an experiment");
        claim.check(&experiment).expect("valid");
        claim.decide(&experiment, &[report()]).expect("decided")
    }

    fn claim(line: &str) -> Claim {
        Claim { text: "so it is".into(), line: line.into(), at_least: Some(2.5), ..Claim::default() }
    }

    #[test]
    fn a_claim_is_decided_by_the_numbers_of_a_report() {
        let model = "algorithm-distillation";
        let verdict = decided(Claim { minus: Some("source".into()), ..claim(model) });
        assert_eq!((verdict.value, verdict.holds), (Some(2.5), true), "the bound itself is enough");
        assert_eq!(verdict.number, "algorithm-distillation minus source");
        let verdict = decided(Claim { episodes: Some((1, 2)), ..claim(model) });
        assert_eq!((verdict.value, verdict.holds, verdict.why), (Some(1.5), false, None));
        let explained = |at_least| {
            decided(Claim { at_least: Some(at_least), why: Some("It is slow.".into()), ..claim(model) }).why
        };
        assert_eq!([9.0, 1.0].map(explained), [Some("It is slow.".into()), None]);
        let verdict = decided(Claim { at_least: None, at_most: Some(9.0), ..claim("optimal") });
        assert_eq!((verdict.value, verdict.holds), (Some(8.0), true));
        let verdict = decided(Claim {
            percent_of: Some("source".into()),
            episodes: Some((2, 3)),
            at_least: Some(266.0),
            ..claim(model)
        });
        assert_eq!((verdict.value, verdict.holds), (Some(100.0 * 4.0 / 1.5), true));
        assert!(verdict.number.ends_with("(episodes 2-3) in percent of source (episodes 2-3)"));
        let nothing = Claim { percent_of: Some("source".into()), episodes: Some((1, 1)), ..claim(model) };
        assert_eq!(decided(nothing).value, None, "there is no share of nothing");
        // What is not there does not hold.
        let verdict = decided(Claim { episodes: Some((3, 4)), ..claim(model) });
        assert_eq!((verdict.value, verdict.holds), (None, false));
        // A model improves in context.
        let verdict = decided(Claim {
            episodes: Some((3, 3)),
            minus: Some(model.into()),
            minus_episodes: Some((1, 1)),
            at_least: Some(5.0),
            ..claim(model)
        });
        assert_eq!((verdict.value, verdict.holds), (Some(5.0), true));
    }

    #[test]
    fn a_claim_about_nothing_is_refused() {
        let experiment = Experiment::named("quickstart").expect("an experiment");
        for (claim, expected) in [
            (Claim { percent_of: Some("nobody".into()), ..claim("source") }, "no line called \"nobody\""),
            (
                Claim { minus: Some("source".into()), percent_of: Some("source".into()), ..claim("source") },
                "percent_of: is said beside minus",
            ),
            (claim("nobody"), "known are algorithm-distillation, source, random, optimal"),
            (Claim { at_least: None, ..claim("source") }, "at_least: is needed"),
            (Claim { evaluation: Some("other".into()), ..claim("source") }, "there is none called"),
            (Claim { episodes: Some((0, 1)), ..claim("source") }, "episodes: is 0-1"),
            (Claim { episodes: Some((40, 41)), ..claim("source") }, "the evaluation has 40 episodes"),
            (Claim { at_least: Some(f64::NAN), ..claim("source") }, "at_least: is NaN"),
            (Claim { at_most: Some(1.0), ..claim("source") }, "at_least: is 2.5, expected no more than"),
        ] {
            let error = claim.check(&experiment).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains("so it is"), "{error}");
        }
    }
}
