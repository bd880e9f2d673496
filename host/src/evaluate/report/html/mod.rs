//! Reports as one HTML page that needs nothing else: no server, no font, no script from elsewhere.

mod places;
mod steps;
#[cfg(test)]
mod tests;

use super::chart::{chart, count, Kind, Series};
use super::figure::Figure;
use super::svg;
use super::text::SHOWN_EPISODES;
use crate::evaluate::evaluation::{Evaluation, Measured, ModelSummary};
use crate::evaluate::rollout::Axis;
use crate::evaluate::statistics::Estimate;
use maud::{html, Markup, PreEscaped, DOCTYPE};
use serde_json::Value;

/// What is on a page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its title.
    pub title: &'a str,
    /// What it is about: paragraphs.
    pub about: &'a [String],
    /// What should hold: whether it does, the sentence, and what was measured.
    pub claims: &'a [(bool, String, String)],
    /// The evaluations, each with the name of its other reports; empty where it has none.
    pub evaluations: &'a [(String, &'a Evaluation)],
    /// The file that says all of what was run, by its name and its text.
    pub source: Option<(&'a str, &'a str)>,
    /// The command that repeats it; empty where a program did it that is no command.
    pub repeat: &'a str,
}

/// The page of one evaluation, which `command` repeats, where it is not empty.
pub fn of_evaluation(evaluation: &Evaluation, command: &str) -> String {
    let title = format!("{}: in-context learning", evaluation.title);
    render(&Page {
        title: &title,
        about: &[],
        claims: &[],
        evaluations: &[(String::new(), evaluation)],
        source: None,
        repeat: command,
    })
}

/// The HTML document.
pub fn render(page: &Page) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (page.title) }
                    @for paragraph in page.about { p { (paragraph) } }
                    (claims(page.claims))
                    @for (name, evaluation) in page.evaluations { (section(name, evaluation)) }
                    @if !page.repeat.is_empty() { (repeat(page)) }
                    footer { "Made by algodistill " (env!("CARGO_PKG_VERSION")) "." }
                }
                script { (PreEscaped(include_str!("script.js"))) }
            }
        }
    };
    document.into_string()
}

/// An SVG document as a piece of the page, told to whoever does not see it as `label`.
fn picture(label: &str, svg: &str) -> Markup {
    // In HTML it needs no name of its language.
    let inline = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    html! { div.picture role="img" aria-label=(label) { (PreEscaped(inline)) } }
}

fn claims(claims: &[(bool, String, String)]) -> Markup {
    html! {
        @if !claims.is_empty() {
            h2 { "Claims" }
            ul.claims {
                @for (holds, text, measured) in claims {
                    li { strong { (if *holds { "holds" } else { "does not hold" }) } ": " (text) " (" (measured) ")" }
                }
            }
        }
    }
}

/// One evaluation.
fn section(name: &str, evaluation: &Evaluation) -> Markup {
    let chart = chart(evaluation);
    let what = format!("The {}, by {}", chart.y, chart.x);
    html! {
        section {
            h2 { (chart.title) }
            @if !name.is_empty() { p { "Numbers: " code { (name) ".json" } " and " code { (name) ".csv" } } }
            p { (chart.subtitle) }
            @for warning in &evaluation.warnings { p.warning role="note" { strong { "Mind: " } (warning) } }
            figure {
                div.wide tabindex="0" role="region" aria-label="Chart" {
                    (picture(&format!("{what}; the table of results has the numbers"), &svg::render(&chart)))
                }
                figcaption { (what) "; the bands are 95 % confidence intervals." }
            }
            (results(evaluation))
            (places::by_task(evaluation))
            (steps::of_one_context(evaluation))
            (setup(evaluation))
        }
    }
}

/// The summary of each learner.
fn results(evaluation: &Evaluation) -> Markup {
    let (point, points) = match evaluation.axis {
        Axis::Episode if is_recorded(evaluation) => ("", 0),
        Axis::Episode => ("episode", evaluation.contexts.episodes as usize),
        Axis::Block(_) => ("block", evaluation.contexts.blocks() as usize),
        Axis::Step => ("", 0),
    };
    let shown: Vec<usize> = SHOWN_EPISODES.into_iter().filter(|number| *number <= points).collect();
    let row = |one: &Measured| {
        let Estimate { mean, low, high } = one.summary;
        html! {
            tr {
                th scope="row" { (one.series.label) }
                td { (two(mean)) }
                td { (two(low)) " to " (two(high)) }
                td { (one.never_solved.runs) " of " (one.never_solved.of_runs) }
                td { (one.never_solved.tasks) " of " (one.never_solved.of_tasks) }
                @for number in &shown { td { (two(one.curve[number - 1].mean)) } }
            }
        }
    };
    let known = |kind, at: &dyn Fn(usize) -> Option<f64>, summary: Option<f64>| {
        let cell = |value: Option<f64>| html! { td { (value.map_or(String::new(), two)) } };
        html! {
            tr {
                th scope="row" { (Series::of(kind).label) }
                (cell(summary)) td {} td {} td {}
                @for number in &shown { (cell(at(*number))) }
            }
        }
    };
    html! {
        div.wide tabindex="0" role="region" aria-label="Results" {
            table {
                caption { "Results. Never solved: no reward in any episode." }
                thead {
                    tr {
                        th scope="col" { "learner" }
                        th scope="col" { (summary_in_words(evaluation)) }
                        th scope="col" { "95 % interval" }
                        th scope="col" { "runs never solved" }
                        th scope="col" { "tasks never solved" }
                        @for number in &shown { th scope="col" { (point) " " (number) } }
                    }
                }
                tbody {
                    @for one in &evaluation.measured { (row(one)) }
                    @if !evaluation.ideal.is_empty() {
                        (known(Kind::Ideal, &|number| evaluation.ideal.get(number - 1).copied(), None))
                    }
                    @if let Some(optimal) = evaluation.optimal {
                        (known(Kind::Optimal, &|_| None, Some(optimal)))
                    }
                }
            }
        }
    }
}

fn is_recorded(evaluation: &Evaluation) -> bool {
    matches!(evaluation.figure, Figure::Recorded(_))
}

/// What the summary of a learner is.
fn summary_in_words(evaluation: &Evaluation) -> String {
    let (first, last) = (evaluation.summary.start + 1, evaluation.summary.end);
    match evaluation.axis {
        Axis::Episode if is_recorded(evaluation) => "mean return, second half".into(),
        Axis::Episode if first == last => format!("return of episode {first}"),
        Axis::Episode => format!("mean return of episodes {first} to {last}"),
        Axis::Block(_) => format!("mean reward of blocks {first} to {last}"),
        Axis::Step => "total reward".into(),
    }
}

/// What was run.
fn setup(evaluation: &Evaluation) -> Markup {
    let contexts = &evaluation.contexts;
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let parameters = evaluation.environment.fields().into_iter().filter(|(field, _)| field != "name");
    let parameters: Vec<String> =
        parameters.map(|(field, value)| format!("{field} = {}", plain(&value))).collect();
    let length = match contexts.stream {
        Some(stream) => format!("one stream of {} steps, in blocks of {}", stream.steps, stream.block),
        None => count(contexts.episodes as usize, "episode"),
    };
    let mut all = vec![("environment", evaluation.name.clone()), ("its parameters", parameters.join(", "))];
    if !contexts.tasks.is_empty() {
        let (tasks, runs) = (count(contexts.tasks.len(), "task"), count(contexts.runs as usize, "run"));
        all.push(("contexts", format!("{tasks}, {runs} of each, {length}")));
        all.push(("seed", contexts.seed.to_string()));
    }
    if let Some(share) = contexts.demonstration {
        all.push(("demonstration", format!("one episode, {:.0} % of its actions optimal", 100.0 * share)));
    }
    if !evaluation.sampling.is_empty() {
        all.push(("actions", evaluation.sampling.clone()));
    }
    let model = |of: &str, one: &ModelSummary| {
        format!(
            "{of}{}: {} parameters, {} bytes, ring {} bytes",
            one.file, one.parameters, one.bytes, one.ring_bytes
        )
    };
    let main = evaluation.models.iter().map(|one| model("", one));
    let others = evaluation.others.iter();
    let others =
        others.flat_map(|(key, models)| models.iter().map(move |one| model(&format!("{key}: "), one)));
    all.extend(main.chain(others).map(|text| ("model", text)));
    html! {
        h3 { "What was run" }
        dl { @for (term, text) in all { dt { (term) } dd { (text) } } }
    }
}

/// The file of the experiment, and the command.
fn repeat(page: &Page) -> Markup {
    html! {
        section {
            h2 { "How to repeat it" }
            pre tabindex="0" { code { (page.repeat) } }
            @if let Some((name, text)) = page.source {
                p { code { (name) } " is in the folder of this report, and it is this:" }
                pre tabindex="0" { code { (text) } }
            }
        }
    }
}

/// Two decimals.
fn two(number: f64) -> String {
    format!("{number:.2}")
}
