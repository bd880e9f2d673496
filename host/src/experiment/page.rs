//! The page of all results, made from the reports: nothing on it is written by hand.

use super::results::Results;
use crate::files::read_text;
use crate::{Error, Result};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Name of the page.
pub(super) const FILE: &str = "results.md";
/// Folder of its figures, beside it.
const FIGURES: &str = "results";
/// What no experiment tries, a line each.
const NOT_TRIED: &str = include_str!("../../experiments/not-reproduced.md");

/// Figures of a page: where each is, and where it goes.
type Figures = Vec<(PathBuf, PathBuf)>;

/// The page of those of `all` experiments that were run in `folder` so far, and its figures.
pub(super) fn page(results: &[Results], all: usize, folder: &Path) -> Result<(String, Figures)> {
    let mut text = String::from(
        "# Results\n\nMade by `algodistill reproduce all` from the reports of its experiments; every number, every figure \
         and every \"holds\" is theirs. Held-out tasks, int8 models, no weight updates. Intervals are 95 % (bootstrap \
         over tasks and training seeds). An experiment with one seed says less than its interval: that is over tasks \
         alone.\n\n",
    );
    if results.len() < all {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "**So far: {} of {all} experiments.**\n", results.len());
    }
    let mut figures = Vec::new();
    overview(&mut text, results);
    for one in results {
        section(&mut text, one, folder, &mut figures)?;
    }
    not_reproduced(&mut text, results);
    Ok((text, figures))
}

fn overview(text: &mut String, results: &[Results]) {
    text.push_str(
        "| experiment | stands beside | scale | seeds | claims that hold |\n|---|---|---|---|---|\n",
    );
    for one in results {
        let holding = one.claims.iter().filter(|claim| claim.holds).count();
        let (name, beside, seeds, all) = (&one.name, &one.beside, seeds_in_words(one), one.claims.len());
        let _ = writeln!(
            text,
            "| [{name}](#{name}) | {beside} | {} | {seeds} | {holding} of {all} |",
            scale_in_words(one)
        );
    }
}

fn scale_in_words(results: &Results) -> &'static str {
    results.scale.note().unwrap_or("full")
}

fn seeds_in_words(results: &Results) -> String {
    match results.seeds {
        (fewest, most) if fewest == most => most.to_string(),
        (fewest, most) => format!("{fewest} to {most}"),
    }
}

fn section(text: &mut String, results: &Results, folder: &Path, figures: &mut Figures) -> Result<()> {
    let _ = writeln!(text, "\n## {}\n\n{}. Beside: {}.\n", results.name, results.makes, results.beside);
    if let Some(note) = results.scale.note() {
        let _ = writeln!(text, "**{note}.**\n");
    }
    let own = folder.join(&results.name);
    for report in &results.reports {
        let path = own.join(format!("{report}.json"));
        let json: Value =
            serde_json::from_str(&read_text(&path)?).map_err(|error| Error::file(&path, error))?;
        let figure = own.join(format!("{report}.svg"));
        // Where drawing is not built in there is none.
        if figure.exists() {
            let to = format!("{FIGURES}/{}-{report}.svg", results.name);
            let _ = writeln!(text, "![{}, {report}]({to})\n", results.name);
            figures.push((figure, to.into()));
        }
        table(text, report, &json);
    }
    if !results.shows.is_empty() {
        let _ = writeln!(text, "*The original*: {}\n", results.shows);
    }
    if !results.claims.is_empty() {
        let seeds = match results.seeds {
            // Only the histories were looked at.
            (_, 0) => String::new(),
            (1, 1) => "one training seed of each model, ".into(),
            _ => format!("{} training seeds of each model, ", seeds_in_words(results)),
        };
        let _ = writeln!(text, "*Ours* ({seeds}scale: {}):\n", scale_in_words(results));
        for claim in &results.claims {
            let word = if claim.holds { "holds" } else { "**does not hold**" };
            let _ = writeln!(text, "- {}: {word}. {}.", claim.text, claim.measured());
        }
    }
    Ok(())
}

/// Mean return of every line of a report, and what a new task costs there.
fn table(text: &mut String, report: &str, json: &Value) {
    let [first, last] = [0, 1].map(|end| json["mean_over_episodes"][end].as_u64());
    let over = match (first, last) {
        (Some(first), Some(last)) if last > 1 => format!("mean return, episodes {first}-{last}"),
        _ => "mean return".into(),
    };
    // Where the models differ in their rings, the report is about them.
    let ring = |key: &str| if key == "int8" { &json["ring_bytes"] } else { &json["other_ring_bytes"][key] };
    let keys = keys(json);
    let shows_ring = keys.iter().any(|key| ring(key).is_u64() && ring(key) != ring("int8"));
    let ring_column = |cell: &str| if shows_ring { format!(" {cell} |") } else { String::new() };
    let _ = writeln!(
        text,
        "| {report} | {over} | 95 % interval | steps to 90 % of the optimum | int8 bytes |{}\n|---|---|---|---|---|{}",
        ring_column("ring bytes"),
        ring_column("---").replace(' ', ""),
    );
    let number = |value: &Value| value.as_f64().map_or("-".into(), |value| format!("{value:.2}"));
    for key in keys {
        let summary = &json["mean_return"][key];
        let label = json["labels"][key].as_str().unwrap_or(key);
        let [mean, low, high] = ["mean", "low", "high"].map(|field| number(&summary[field]));
        let steps =
            json["steps_to_90_percent"][key].as_f64().map_or("-".into(), |steps| format!("{steps:.0}"));
        let bytes = if key == "int8" { &json["model_bytes"] } else { &json["other_model_bytes"][key] };
        let in_words = |bytes: &Value| bytes.as_u64().map_or(String::new(), |bytes| bytes.to_string());
        let (bytes, ring) = (in_words(bytes), ring_column(&in_words(ring(key))));
        let _ = writeln!(text, "| {label} | {mean} | {low} to {high} | {steps} | {bytes} |{ring}");
    }
    let optimum = number(&json["curves"]["optimal"]);
    let _ = writeln!(text, "| optimum | {optimum} | | | |{}\n", ring_column(""));
}

/// The lines of a report: in the order of the values where they differ in one, else what it is about
/// first.
fn keys(json: &Value) -> Vec<&str> {
    let of_line = |line: &'_ Value| line["points"].as_array().cloned().unwrap_or_default();
    let swept: Vec<String> = (json["sweep"]["lines"].as_object().into_iter().flatten())
        .flat_map(|(_, line)| of_line(line))
        .filter_map(|point| point["curve"].as_str().map(String::from))
        .collect();
    let place = |key: &str| match swept.iter().position(|known| known == key) {
        Some(place) => place,
        None if key == "int8" => 0,
        None if ["source", "random"].contains(&key) => swept.len() + 2,
        None => swept.len() + 1,
    };
    let all = json["mean_return"].as_object().into_iter().flatten();
    let mut keys: Vec<&str> = all.map(|(key, _)| key.as_str()).collect();
    keys.sort_by_key(|key| place(key));
    keys
}

fn not_reproduced(text: &mut String, results: &[Results]) {
    text.push_str("\n## Not reproduced\n\n");
    for one in results {
        for claim in one.claims.iter().filter(|claim| !claim.holds) {
            let _ = writeln!(text, "- {}: {}: {}.", one.name, claim.text, claim.measured());
        }
        if let Some(note) = one.scale.note() {
            let _ = writeln!(text, "- {}: {note}.", one.name);
        }
    }
    text.push_str(NOT_TRIED.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{all::run_all, Experiment, Scale};
    use crate::progress::NoProgress;

    #[test]
    fn a_page_has_figure_table_and_verdict_of_each_and_what_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let toy = |name| Experiment::named(name).and_then(|one| one.at_scale(Scale::Toy)).expect(name);
        let experiments = ["context-length", "prompts", "kv-heads"].map(toy);
        let outcome = run_all(&experiments, folder.path(), &NoProgress).expect("all");
        let page = read_text(&outcome.page).expect("a page");
        for experiment in &experiments {
            assert!(page.contains(&format!("\n## {}\n", experiment.name)), "{page}");
            assert!(page.contains(&experiment.shows) && page.contains(&experiment.beside));
            for claim in &experiment.claims {
                let verdicts = page.matches(&format!("\n- {}: holds.", claim.text)).count()
                    + page.matches(&format!("\n- {}: **does not hold**.", claim.text)).count();
                assert_eq!(verdicts, 1, "{}: {page}", claim.text);
            }
        }
        let links: Vec<&str> =
            page.split("](results/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        let reports: usize = outcome.results.iter().map(|one| one.reports.len()).sum();
        assert_eq!(links.len(), reports);
        for link in links {
            let svg = read_text(&folder.path().join("results").join(link)).expect("a figure");
            assert!(svg.starts_with("<svg") && svg.contains("TOY SCALE"), "{link}");
        }
        let (_, missing) = page.split_once("\n## Not reproduced\n").expect("the last section");
        let failed = outcome.results.iter().flat_map(|one| &one.claims).filter(|claim| !claim.holds).count();
        assert!(failed > 0, "nothing was learned");
        assert_eq!(
            missing.matches("\n- ").count(),
            failed + experiments.len() + NOT_TRIED.matches("- ").count()
        );
        assert!(page.matches("TOY SCALE").count() >= 3 * experiments.len(), "said everywhere");
        // Of the models whose keys and values are of one head: a quarter of four.
        assert!(page.contains("| int8 bytes | ring bytes |\n|---|---|---|---|---|---|\n"), "{page}");
        for (kv_heads, bytes) in [(4, 960), (1, 240)] {
            let line = format!("| heads of keys and values: {kv_heads} |");
            let rings = page.lines().filter(|row| row.starts_with(&line)).map(|row| row.rsplit(" | ").next());
            assert_eq!(rings.collect::<Vec<_>>(), [Some(&*format!("{bytes} |")); 2], "{page}");
        }
        assert!(!page.contains("So far"));
        let (part, _) = super::page(&outcome.results, 4, folder.path()).expect("a page");
        assert!(part.contains("**So far: 3 of 4 experiments.**"));
    }
}
