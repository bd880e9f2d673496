//! `vary` written out: one entry that stands for many becomes these.

use super::config::{within, Experiment, HistoriesConfig, ModelConfig};
use crate::error::in_plain_words;
use crate::parameters::Parameters;
use crate::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// Names and values of those that took the place of one entry.
type Group = Vec<(String, f64)>;

impl Experiment {
    /// The same without `vary`. What named an entry that varies names all that took its place.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the entry.
    pub(super) fn written_out(mut self) -> Result<Self> {
        let mut histories = Vec::new();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for one in std::mem::take(&mut self.histories) {
            match varied(&one.vary).map_err(|error| within("histories", &one.name, error))? {
                None => histories.push(one),
                Some((field, values)) => {
                    let (name, mut group) = (one.name.clone(), Group::new());
                    for value in values {
                        let next = histories_with(&one, &field, &value);
                        let next = next.map_err(|error| within("histories", &name, error))?;
                        group.push((next.name.clone(), number(&value)?));
                        histories.push(next);
                    }
                    groups.insert(name, group);
                }
            }
        }
        let mut models = Vec::new();
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in std::mem::take(&mut self.models) {
            let all = models_of(&one, &groups).map_err(|error| within("model", &one.name, error))?;
            lines.insert(one.name, all.iter().map(|model| model.name.clone()).collect());
            models.extend(all);
        }
        for evaluation in &mut self.evaluations {
            let named = std::mem::take(&mut evaluation.models);
            let all = named.into_iter().flat_map(|name| lines.get(&name).cloned().unwrap_or(vec![name]));
            evaluation.models = all.collect();
        }
        Ok(Self { histories, models, ..self })
    }
}

/// The field that varies and its values.
fn varied(vary: &Parameters) -> Result<Option<(String, Vec<Value>)>> {
    if vary.is_empty() {
        return Ok(None);
    }
    let mut fields = vary.0.iter();
    let one = fields.next().filter(|_| fields.next().is_none());
    match one.map(|(field, values)| (field, values.as_array().filter(|values| !values.is_empty()))) {
        Some((field, Some(values))) => Ok(Some((field.clone(), values.clone()))),
        _ => Err(Error::argument(
            "vary",
            "expected one field and a list of values, such as { window = [10, 100] }",
        )),
    }
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| Error::argument("vary", format!("has {value}, expected numbers")))
}

fn histories_with(one: &HistoriesConfig, field: &str, value: &Value) -> Result<HistoriesConfig> {
    let mut fields = crate::parameters::fields(one);
    fields.remove("vary");
    fields.insert(field.into(), value.clone());
    let read = serde_json::from_value(fields.into());
    let with: HistoriesConfig =
        read.map_err(|error| Error::argument(format!("vary.{field}"), in_plain_words(error)))?;
    Ok(HistoriesConfig { name: format!("{}-{value}", one.name), ..with })
}

/// The models that take the place of `one`.
fn models_of(one: &ModelConfig, groups: &BTreeMap<String, Group>) -> Result<Vec<ModelConfig>> {
    let line = one.line.clone().or(one.label.clone()).unwrap_or_else(|| one.name.clone());
    let with = |value: &str, x: f64| ModelConfig {
        name: format!("{}-{value}", one.name),
        label: Some(format!("{line} {value}")),
        line: Some(line.clone()),
        x: Some(x),
        vary: Parameters::default(),
        ..one.clone()
    };
    let group = one.histories.iter().find_map(|name| Some((name, groups.get(name)?)));
    match (varied(&one.vary)?, group) {
        (None, None) => Ok(vec![one.clone()]),
        (Some(_), Some((name, _))) => {
            let problem = format!("the histories {name:?} vary already; one of both can");
            Err(Error::argument("vary", problem))
        }
        (Some((field, values)), None) => {
            let model = |value: &Value| {
                let mut model = with(&value.to_string(), number(value)?);
                model.set(&field, value.clone());
                Ok(model)
            };
            values.iter().map(model).collect()
        }
        (None, Some((name, group))) => {
            let model = |(member, x): &(String, f64)| {
                let mut model = with(&x.to_string(), *x);
                let histories = model.histories.iter_mut().filter(|known| *known == name);
                histories.for_each(|known| known.clone_from(member));
                model
            };
            Ok(group.iter().map(model).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Experiment> {
        let written: Experiment = toml::from_str(text).expect("an experiment");
        written.written_out()
    }

    const SWEEP: &str = r#"
        name = "sweep"
        [[histories]]
        name = "some"
        environment = "key-to-door"
        vary = { tasks = [9, 75] }
        [[histories]]
        name = "all"
        environment = "key-to-door"
        [[models]]
        name = "window"
        histories = ["all"]
        train = { updates = 7 }
        vary = { window = [10, 100] }
        [[models]]
        name = "tasks"
        histories = ["some"]
        [[evaluations]]
        name = "windows"
        models = ["window"]
        figure = "sweep"
    "#;

    #[test]
    fn one_entry_stands_for_many() {
        let experiment = read(SWEEP).expect("written out");
        let histories: Vec<_> =
            experiment.histories.iter().map(|one| (one.name.as_str(), one.tasks)).collect();
        assert_eq!(histories, [("some-9", Some(9)), ("some-75", Some(75)), ("all", None)]);
        let models: Vec<_> = experiment
            .models
            .iter()
            .map(|one| (one.name.as_str(), one.x, one.histories[0].as_str(), one.line.as_deref()))
            .collect();
        assert_eq!(
            models,
            [
                ("window-10", Some(10.0), "all", Some("window")),
                ("window-100", Some(100.0), "all", Some("window")),
                ("tasks-9", Some(9.0), "some-9", Some("tasks")),
                ("tasks-75", Some(75.0), "some-75", Some("tasks")),
            ]
        );
        assert_eq!(experiment.models[1].train.0["window"], json!(100));
        assert_eq!(experiment.models[1].train.0["updates"], json!(7));
        assert_eq!(experiment.evaluations[0].models, ["window-10", "window-100"]);
        experiment.validate().expect("valid");
    }

    #[test]
    fn what_cannot_vary_is_said_by_name() {
        for (from, to, expected) in [
            ("window = [10, 100]", "window = 10", "vary: expected one field and a list of values"),
            ("window = [10, 100]", "window = [\"x\"]", "vary: has \"x\", expected numbers"),
            ("tasks = [9, 75]", "task = [9, 75]", "vary.task: task is no field here"),
            ("tasks = [9, 75]", "tasks = [-1]", "vary.tasks: is -1"),
            ("histories = [\"all\"]", "histories = [\"some\"]", "the histories \"some\" vary already"),
        ] {
            let error = read(&SWEEP.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
