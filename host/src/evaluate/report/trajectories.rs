//! Where the model went, as SVG: a row of small squares for each task, episode by episode.

use crate::environment::Trajectory;
use crate::evaluate::drawn::DrawnEpisode;
use crate::evaluate::evaluation::Evaluation;
use std::fmt::Write;

/// Side of a square, in pixels.
const SIDE: f32 = 150.0;
/// From the left edge of a square to that of the next, and from its upper edge to that of the next.
const STEP: (f32, f32) = (186.0, 186.0);
/// Where the first square begins: what is left of it says which task, what is above has the title.
const ORIGIN: (f32, f32) = (116.0, 92.0);

/// Of the path, as the main line of the chart; of marks, in their order.
const PATH: &str = "#0072B2";
const MARKS: [&str; 2] = ["#E69F00", "#CC79A7"];

/// The SVG document; `None` where nothing of `evaluation` is drawn from above.
pub fn render(evaluation: &Evaluation) -> Option<String> {
    let drawn = &evaluation.drawn;
    let legend = legend(&drawn.first()?.trajectory);
    let mut tasks: Vec<u32> = drawn.iter().map(|episode| episode.task).collect();
    tasks.dedup();
    let of = |task: u32| drawn.iter().filter(move |episode| episode.task == task);
    let columns = tasks.iter().map(|task| of(*task).count()).max().unwrap_or(0);
    // One square is too narrow for the title.
    let width = (ORIGIN.0 + columns as f32 * STEP.0).max(760.0);
    let height = ORIGIN.1 + tasks.len() as f32 * STEP.1;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n"
    );
    let title = format!("{}: from above", evaluation.title);
    let model = format!("int8 model, one context a task; return and steps of an episode; {legend}");
    for (y, size, colour, text) in [(30, 20, "#000000", title), (52, 14, "#5A5A5A", model)] {
        line(
            &mut svg,
            &format!(
                "<text x=\"16\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\">{}</text>",
                escaped(&text)
            ),
        );
    }
    for (row, task) in tasks.into_iter().enumerate() {
        let y = ORIGIN.1 + row as f32 * STEP.1;
        let middle = y + SIDE / 2.0;
        line(&mut svg, &format!("<text x=\"16\" y=\"{middle}\" font-size=\"14\">task {task}</text>"));
        for (column, episode) in of(task).enumerate() {
            let corner = (ORIGIN.0 + column as f32 * STEP.0, y);
            heading(&mut svg, corner, episode);
            square(&mut svg, corner, episode);
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// What the signs in the squares mean.
pub(super) fn legend(trajectory: &Trajectory) -> String {
    let marks = trajectory.marks.iter().map(|mark| format!(", {} {}", letter(mark.name), mark.name));
    marks.fold("circle start, dot end".into(), |legend, mark| legend + &mark)
}

/// What an episode came to, above a square with its upper left corner at `corner`.
fn heading(svg: &mut String, (left, top): (f32, f32), episode: &DrawnEpisode) {
    let DrawnEpisode { number, total, trajectory, .. } = episode;
    line(
        svg,
        &format!(
            "<text x=\"{left}\" y=\"{:.1}\" font-size=\"11\" fill=\"#5A5A5A\">episode {number}: {} in {} steps</text>",
            top - 6.0,
            short(*total),
            trajectory.path.len().saturating_sub(1)
        ),
    );
}

/// One episode alone.
pub(super) fn frame(episode: &DrawnEpisode) -> String {
    let size = SIDE + 2.0;
    let mut svg = format!("<svg viewBox=\"-1 -1 {size} {size}\" font-family=\"sans-serif\">\n");
    line(&mut svg, "<rect x=\"-1\" y=\"-1\" width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>");
    square(&mut svg, (0.0, 0.0), episode);
    svg.push_str("</svg>\n");
    svg
}

/// An episode in a square with its upper left corner at `corner`.
fn square(svg: &mut String, corner: (f32, f32), episode: &DrawnEpisode) {
    let Trajectory { path, marks, cells } = &episode.trajectory;
    let at = |(x, y): (f32, f32)| (corner.0 + SIDE * x, corner.1 + SIDE * y);
    let (left, top) = corner;
    if let Some(cells) = cells {
        let ways = (1..*cells).map(|cell| {
            let place = f32::from(cell) / f32::from(*cells);
            let ((x, y), (right, bottom)) = (at((place, place)), at((1.0, 1.0)));
            format!("M{x:.1} {top:.1}V{bottom:.1}M{left:.1} {y:.1}H{right:.1}")
        });
        let ways: String = ways.collect();
        line(svg, &format!("<path d=\"{ways}\" stroke=\"#E8E8E8\" fill=\"none\"/>"));
    }
    for (place, mark) in marks.iter().enumerate() {
        let ((x, y), radius) = (at(mark.at), SIDE * mark.radius);
        let colour = MARKS[place % MARKS.len()];
        line(
            svg,
            &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{colour}\" fill-opacity=\".4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\">{}</text>",
                y + 4.0,
                letter(mark.name)
            ),
        );
    }
    let points: Vec<String> =
        path.iter().map(|place| at(*place)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    line(
        svg,
        &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{PATH}\" stroke-width=\"1.5\" stroke-linejoin=\"round\"/>",
            points.join(" ")
        ),
    );
    let ends = [(path.first(), "#FFFFFF"), (path.last(), PATH)];
    for ((x, y), fill) in ends.into_iter().filter_map(|(place, fill)| Some((at(*place?), fill))) {
        line(
            svg,
            &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{fill}\" stroke=\"{PATH}\"/>"),
        );
    }
    line(
        svg,
        &format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#000000\"/>"
        ),
    );
}

fn line(svg: &mut String, element: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}

/// The sign of a mark.
fn letter(name: &str) -> String {
    let first: String = name.chars().take(1).flat_map(char::to_uppercase).collect();
    escaped(&first)
}

/// At most two decimals, and none that says nothing.
fn short(number: f32) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// For text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
