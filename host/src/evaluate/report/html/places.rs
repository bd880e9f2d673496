//! What came of each task: on a map, where tasks are places, or else one beside the other.

use super::{picture, summary_in_words, two};
use crate::environment::{Episode, Mark, Trajectory};
use crate::evaluate::evaluation::{Evaluation, Measured};
use crate::evaluate::report::Kind;
use algodistill_core::PortableRng;
use maud::{html, Markup};
use std::fmt::Write;

/// Side of a map, in pixels.
const SIDE: f32 = 400.0;
/// Width and height of the strip of tasks.
const STRIP: (f32, f32) = (800.0, 140.0);
/// More tasks than these are no picture and no table for people.
const MOST_TASKS: usize = 2_000;
/// Colour of a value; how little of it is seen says how low the value is.
const COLOUR: &str = "#0072B2";

/// What one task came to.
struct TaskResult {
    name: String,
    value: f64,
    marks: Vec<Mark>,
    cells: Option<u16>,
}

/// The mean return of each task, for the line that the evaluation is about.
pub(super) fn by_task(evaluation: &Evaluation) -> Markup {
    let main = evaluation.of(Kind::Main).filter(|_| !evaluation.contexts.tasks.is_empty());
    let Some(main) = main else { return html! {} };
    let tasks = evaluation.contexts.tasks.len();
    if tasks > MOST_TASKS {
        return html! { h3 { "By task" } p { "There are " (tasks) ": the JSON report has the return of each." } };
    }
    let mut all = results(evaluation, main);
    let what = summary_in_words(evaluation);
    let of_whom = format!("{what}, {}", main.series.label);
    let described = |how: &str| format!("{what} {how}; the table of tasks has the numbers");
    let scale = Scale::of(&all);
    let kinds = all.first().map_or(0, |first| first.marks.len());
    let maps: Vec<(String, String)> = (0..kinds).map(|kind| map(&all, kind, &scale)).collect();
    all.sort_by(|a, b| b.value.total_cmp(&a.value));
    html! {
        h3 { "By task" }
        div.maps {
            @for (name, svg) in &maps {
                figure {
                    (picture(&described(&format!("by place of the {name}")), svg))
                    figcaption {
                        "By place of the " (name) ": " (of_whom) ", from "
                        (two(scale.low)) " (pale) to " (two(scale.high)) "."
                    }
                }
            }
        }
        @if maps.is_empty() {
            figure {
                (picture(&described("of each task, the highest first"), &strip(&all, &scale)))
                figcaption {
                    "Of each task, the highest first: " (of_whom) ", from "
                    (two(scale.highest)) " to " (two(scale.lowest)) "."
                }
            }
        }
        details {
            summary { "Table of tasks" }
            table {
                caption { "Tasks by " (what) ": " (main.series.label) }
                thead { tr { th scope="col" { "task" } th scope="col" { "return" } } }
                tbody { @for one in &all { tr { th scope="row" { (one.name) } td { (two(one.value)) } } } }
            }
        }
    }
}

fn results(evaluation: &Evaluation, main: &Measured) -> Vec<TaskResult> {
    let result = |(place, task): (usize, &u32)| {
        let name = evaluation.task_names.get(place).cloned().unwrap_or_else(|| task.to_string());
        let Trajectory { marks, cells, .. } = at_start(evaluation, *task).unwrap_or_default();
        TaskResult { name, value: evaluation.task_return(main, *task), marks, cells }
    };
    evaluation.contexts.tasks.iter().enumerate().map(result).collect()
}

/// The task from above, before anything happened; `None` where there is no above.
fn at_start(evaluation: &Evaluation, task: u32) -> Option<Trajectory> {
    let running = evaluation.running();
    let mut observation = vec![0; running.interface().ok()?.observation_len()];
    let mut task = running.task(task).ok()?;
    task.reset(&mut PortableRng::new(0, 0));
    task.observe(&mut observation);
    task.trajectory(&Episode { observations: vec![observation], ..Episode::default() })
}

/// Which value is how strong.
struct Scale {
    /// Ends of the scale: 0 and the highest value, or the lowest where there are negative ones.
    low: f64,
    high: f64,
    /// Values that there are.
    lowest: f64,
    highest: f64,
}

impl Scale {
    fn of(all: &[TaskResult]) -> Self {
        let values = || all.iter().map(|one| one.value);
        let (lowest, highest) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        Self { low: lowest.min(0.0), high: highest.max(0.0), lowest, highest }
    }

    /// 0 to 1.
    fn share(&self, value: f64) -> f64 {
        match self.high > self.low {
            true => (value - self.low) / (self.high - self.low),
            false => 0.0,
        }
    }
}

/// What the marks of number `kind` are, and the map of them: several tasks with one place are one
/// value, their mean.
fn map(all: &[TaskResult], kind: usize, scale: &Scale) -> (String, String) {
    let mut places: Vec<(&Mark, Vec<f64>)> = Vec::new();
    for (mark, value) in all.iter().filter_map(|one| Some((one.marks.get(kind)?, one.value))) {
        match places.iter_mut().find(|(known, _)| known.at == mark.at) {
            Some((_, values)) => values.push(value),
            None => places.push((mark, vec![value])),
        }
    }
    let name = places.first().map_or(String::new(), |(mark, _)| mark.name.to_owned());
    let cells = all.iter().find_map(|one| one.cells);
    let size = SIDE + 2.0;
    let mut svg =
        format!("<svg class=\"themed\" viewBox=\"-1 -1 {size} {size}\" font-family=\"sans-serif\">");
    if let Some(cells) = cells {
        let lines = (1..cells).map(|cell| SIDE * f32::from(cell) / f32::from(cells));
        let ways: String = lines.map(|at| format!("M{at:.1} 0V{SIDE}M0 {at:.1}H{SIDE}")).collect();
        add(
            &mut svg,
            &format!("<path d=\"{ways}\" stroke=\"currentColor\" stroke-opacity=\".15\" fill=\"none\"/>"),
        );
    }
    for (mark, values) in &places {
        let value = values.iter().sum::<f64>() / values.len() as f64;
        place(&mut svg, mark, value, values.len(), cells.is_some(), scale);
    }
    add(
        &mut svg,
        &format!("<rect width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"currentColor\"/></svg>"),
    );
    (name, svg)
}

/// A place and its value.
fn place(svg: &mut String, mark: &Mark, value: f64, tasks: usize, is_cell: bool, scale: &Scale) {
    let (x, y, radius) = (SIDE * mark.at.0, SIDE * mark.at.1, SIDE * mark.radius);
    let opacity = 0.08 + 0.92 * scale.share(value);
    let look = format!("fill=\"{COLOUR}\" fill-opacity=\"{opacity:.2}\" stroke=\"{COLOUR}\"");
    let shape = match is_cell {
        true => {
            let (left, top, side) = (x - radius, y - radius, 2.0 * radius);
            format!("<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" {look}>")
        }
        false => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" {look}>"),
    };
    let end = if is_cell { "rect" } else { "circle" };
    let tasks = if tasks == 1 { String::new() } else { format!(", mean of {tasks} tasks") };
    add(svg, &format!("{shape}<title>{}{tasks}</title></{end}>", two(value)));
    // Room for four characters.
    if radius >= 14.0 {
        let colour = if opacity > 0.55 { "#FFFFFF" } else { "currentColor" };
        add(
            svg,
            &format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"middle\" fill=\"{colour}\">{value:.1}</text>",
                y + 4.0
            ),
        );
    }
}

/// A bar for each task.
fn strip(all: &[TaskResult], scale: &Scale) -> String {
    let (width, height) = STRIP;
    let bar = width / all.len().max(1) as f32;
    let level = |value: f64| height - height * scale.share(value) as f32;
    let zero = level(0.0);
    let mut svg = format!("<svg class=\"themed\" viewBox=\"0 -1 {width} {}\">", height + 2.0);
    for (number, one) in all.iter().enumerate() {
        let (x, y) = (bar * number as f32, level(one.value));
        let (top, tall) = (y.min(zero), (y - zero).abs());
        let title = html! { title { "task " (one.name) ": " (two(one.value)) } };
        let thick = if bar > 3.0 { bar - 1.0 } else { bar };
        add(
            &mut svg,
            &format!(
                "<rect x=\"{x:.2}\" y=\"{top:.1}\" width=\"{thick:.2}\" height=\"{tall:.1}\" fill=\"{COLOUR}\">{}</rect>",
                title.into_string()
            ),
        );
    }
    add(&mut svg, &format!("<path d=\"M0 {zero:.1}H{width}\" stroke=\"currentColor\"/></svg>"));
    svg
}

fn add(svg: &mut String, element: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}
