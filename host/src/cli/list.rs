//! `list`: what can be named on the command line and in files.

use super::Report;
use crate::environment::{presets, EnvironmentConfig};
use crate::parameters::fields;
use crate::source::{self, SourceConfig};
use crate::train::objective;
use crate::{experiment, Result};
use serde_json::{json, Map, Value};

/// Runs the command.
pub fn run() -> Result<Report> {
    let (environments, sources) = (presets(), source::names());
    let (objectives, experiments) = (objective::names(), experiment::names());
    let mut text = String::from("environments, by preset (--environment NAME --set FIELD=VALUE)\n");
    for name in &environments {
        text += &row(name, &EnvironmentConfig::preset(name)?.fields());
    }
    text += "\nsources (--source NAME --source-set FIELD=VALUE)\n";
    for name in &sources {
        text += &row(name, &fields(&SourceConfig::preset(name)?));
    }
    text += &format!("\nobjectives (train --objective NAME)\n  {}\n", objectives.join("\n  "));
    text += &format!(
        "\nexperiments (reproduce NAME; reproduce --list says more)\n  {}\n",
        experiments.join("\n  ")
    );
    let json = json!({
        "environments": environments, "sources": sources, "objectives": objectives, "experiments": experiments,
    });
    Ok(Report { text, json })
}

/// A name, and its parameters with their defaults as they would be set.
fn row(name: &str, parameters: &Map<String, Value>) -> String {
    let set = |(field, value): (&String, &Value)| match value {
        Value::String(word) => format!("{field}={word}"),
        other => format!("{field}={other}"),
    };
    let parameters: Vec<String> = parameters.iter().filter(|(field, _)| *field != "name").map(set).collect();
    format!("  {name:<22} {}\n", parameters.join(" ")).trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_named_is_listed_with_its_defaults() {
        let report = run().expect("a list");
        for (list, name) in [
            ("environments", "bandit-even"),
            ("sources", "psrl"),
            ("objectives", "expert"),
            ("experiments", "quickstart"),
        ] {
            let names = report.json[list].as_array().expect("an array");
            assert!(names.iter().any(|known| known == name), "{list}: {names:?}");
        }
        assert!(report.text.contains("dark-room-hard         horizon=20 reward=once size=17 start=centre"));
        assert!(report.text.contains("ucb                    alpha="), "{}", report.text);
    }
}
