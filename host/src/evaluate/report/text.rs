//! The report for people: a table of returns, and where drawing is built in the curve.

use super::chart::{chart, Chart, Kind, Series};
use super::figure::Figure;
use super::json::ratio_to_source;
#[cfg(feature = "cli")]
use super::terminal;
use crate::evaluate::evaluation::Evaluation;
use crate::evaluate::fidelity::Fidelity;
use crate::evaluate::rollout::Axis;
use crate::evaluate::statistics::Estimate;
use std::fmt::Write;

/// Episodes (from 1) that get a column in the text.
pub(super) const SHOWN_EPISODES: [usize; 9] = [1, 2, 3, 5, 8, 15, 20, 40, 100];

/// The summary table and the plot for the terminal, `width` columns wide.
#[cfg(feature = "cli")]
pub fn text(evaluation: &Evaluation, width: usize) -> String {
    let chart = chart(evaluation);
    format!("{}\n{}:\n{}", summary(evaluation, &chart), chart.y, terminal::render(&chart, width))
}

/// What [`text()`] says above the plot.
pub fn summary_text(evaluation: &Evaluation) -> String {
    summary(evaluation, &chart(evaluation))
}

fn summary(evaluation: &Evaluation, chart: &Chart) -> String {
    let mut text = format!("{}\n{}\n\n", chart.title, chart.subtitle);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "{}", table(evaluation));
    if let Some(int8) = evaluation.of(Kind::Main) {
        let counted = int8.never_solved;
        let _ = writeln!(
            text,
            "never solved (no reward in any episode): {} of {} runs, {} of {} tasks",
            counted.runs, counted.of_runs, counted.tasks, counted.of_tasks
        );
    }
    if let Some(ratio) = ratio_to_source(evaluation) {
        let _ = writeln!(text, "int8 model / source algorithm: {ratio:.3}");
    }
    if let Some(Fidelity { kl_nats, top1_agreement, steps }) = evaluation.fidelity {
        let _ = writeln!(
            text,
            "int8 against float over {steps} steps: KL {kl_nats:.5} nats, the same preferred action in {:.2} %",
            100.0 * top1_agreement
        );
    }
    text
}

/// Returns by episode, one line per learner.
fn table(evaluation: &Evaluation) -> String {
    let (first, last) = (evaluation.summary.start + 1, evaluation.summary.end);
    let recorded = matches!(evaluation.figure, Figure::Recorded(_));
    let (points, heading, summary) = match evaluation.axis {
        Axis::Episode if recorded => (0, "", "second half".into()),
        Axis::Episode => {
            (evaluation.contexts.episodes, "return of episode", format!("episodes {first}-{last}"))
        }
        Axis::Block(_) => (evaluation.contexts.blocks(), "reward of block", format!("blocks {first}-{last}")),
        Axis::Step => (0, "", "total reward".into()),
    };
    let shown: Vec<usize> = SHOWN_EPISODES.into_iter().filter(|point| *point <= points as usize).collect();
    let mut table = row(heading, shown.iter().map(|episode| episode.to_string()));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(table, "   {summary} [95 % interval]");
    for one in &evaluation.measured {
        let Estimate { mean, low, high } = one.summary;
        let curve = shown.iter().map(|episode| format!("{:.2}", one.curve[episode - 1].mean));
        let _ = writeln!(table, "{}   {mean:.2} [{low:.2}, {high:.2}]", row(&one.series.label, curve));
    }
    if !evaluation.ideal.is_empty() {
        let curve = shown.iter().map(|episode| format!("{:.2}", evaluation.ideal[episode - 1]));
        let _ = writeln!(table, "{}", row(&Series::of(Kind::Ideal).label, curve));
    }
    let blank = shown.iter().map(|_| String::new());
    if let Some(optimal) = evaluation.optimal {
        let _ = write!(table, "{}   {optimal:.2}", row(&Series::of(Kind::Optimal).label, blank));
    }
    table
}

/// A label and its cells, in columns.
fn row(label: &str, cells: impl Iterator<Item = String>) -> String {
    cells.fold(format!("{label:<24}"), |row, cell| format!("{row}{cell:>7}"))
}
