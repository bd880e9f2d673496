//! A [`Chart`] in the terminal: the first learner in braille dots, the others in letters of their
//! own.

use super::chart::{Chart, Kind, Line};
use std::fmt::Write;

/// Rows of the plot.
const ROWS: usize = 18;
/// Columns left of the plot: labels of the vertical axis.
const MARGIN: usize = 8;
/// Most labels of the vertical axis.
const MOST_TICKS: f64 = 6.0;
/// Fewest columns of the plot itself.
const LEAST_COLUMNS: usize = 20;

/// Dots of a braille cell, two across and four down, as bits of U+2800 + bits.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Marks of further models, by their place; after the last one they begin again.
const OTHERS: [char; 6] = ['x', '*', '#', '%', '&', '@'];

/// Mark of a line; `None` for the one drawn in braille.
fn mark(kind: Kind) -> Option<char> {
    match kind {
        Kind::Main => None,
        Kind::Float => Some('f'),
        Kind::Other(place) => Some(OTHERS[place % OTHERS.len()]),
        Kind::Source => Some('o'),
        Kind::Random => Some('.'),
        Kind::Ideal => Some('+'),
        Kind::Optimal => Some('-'),
    }
}

/// The plot, at most `width` columns wide (but never narrower than `LEAST_COLUMNS` and the labels).
pub fn render(chart: &Chart, width: usize) -> String {
    let columns = width.saturating_sub(MARGIN + 1).max(LEAST_COLUMNS);
    let mut cells = vec![vec![' '; columns]; ROWS];
    for line in &chart.lines {
        match mark(line.series.kind) {
            Some(mark) => draw_marks(chart, line, mark, &mut cells),
            None => draw_dots(chart, line, &mut cells),
        }
    }
    let mut text = String::new();
    for (row, cells) in cells.iter().enumerate() {
        let label =
            tick_in_row(chart, row).map_or(String::new(), |tick| format!("{tick:.*}", decimals(chart)));
        let cells: String = cells.iter().collect();
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "{label:>7} |{}", cells.trim_end());
    }
    let _ = writeln!(text, "{:>7} +{}", "", "-".repeat(columns));
    let (first, last) = chart.ends();
    let round = |x: f64| (x * 100.0).round() / 100.0;
    let (first, last) = (round(first).to_string(), round(last).to_string());
    let between = columns.saturating_sub(first.len() + last.len());
    let _ = writeln!(text, "{:>7}  {first}{:^between$}{last}", "", chart.x);
    for line in chart.lines.iter().rev() {
        let mark = mark(line.series.kind).unwrap_or('⣿');
        let _ = writeln!(text, "{:>7}  {mark} {}", "", line.series.label);
    }
    text
}

/// Distance between the labels of the vertical axis: 1, 2 or 5 times a power of ten, at most
/// [`MOST_TICKS`] of them.
fn tick_distance(chart: &Chart) -> f64 {
    let least = (chart.top() - chart.bottom()) / MOST_TICKS;
    let power = 10f64.powi(least.log10().floor() as i32);
    [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

fn decimals(chart: &Chart) -> usize {
    (-tick_distance(chart).log10().floor()).max(0.0) as usize
}

/// The label that belongs to `row`, if one does.
fn tick_in_row(chart: &Chart, row: usize) -> Option<f64> {
    let step = tick_distance(chart);
    let first = (chart.bottom() / step).ceil() as i64;
    let last = (chart.top() / step).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).find(|tick| row_of(chart, *tick, ROWS) == row)
}

/// Value of `line` at column `column` of `columns`, between the points where it falls between two.
fn value_at(chart: &Chart, line: &Line, column: usize, columns: usize) -> Option<f64> {
    // The hair is for a point that lies on a column but for rounding.
    let hair = 1e-9;
    let wanted = column as f64 / columns.saturating_sub(1).max(1) as f64;
    let place = |index: usize| line.xs.get(index).map(|x| chart.place(*x));
    let before = line.xs.iter().rposition(|x| chart.place(*x) <= wanted + hair)?;
    let value = line.points.get(before)?.mean;
    match (place(before)?, place(before + 1), line.points.get(before + 1)) {
        (from, Some(to), Some(after)) if to > from => {
            Some(value + (after.mean - value) * ((wanted - from) / (to - from)).max(0.0))
        }
        (from, ..) => (wanted - from <= hair).then_some(value),
    }
}

/// Row of `value` among `rows`.
fn row_of(chart: &Chart, value: f64, rows: usize) -> usize {
    let depth = (chart.top() - value) / (chart.top() - chart.bottom());
    ((depth * rows as f64) as usize).min(rows - 1)
}

fn draw_marks(chart: &Chart, line: &Line, mark: char, cells: &mut [Vec<char>]) {
    let columns = cells[0].len();
    // Every other column: where two curves coincide both stay visible.
    for column in (0..columns).step_by(2) {
        if let Some(value) = value_at(chart, line, column, columns) {
            cells[row_of(chart, value, ROWS)][column] = mark;
        }
    }
}

fn draw_dots(chart: &Chart, line: &Line, cells: &mut [Vec<char>]) {
    let columns = cells[0].len();
    let mut previous = None;
    for x in 0..2 * columns {
        let Some(value) = value_at(chart, line, x, 2 * columns) else { break };
        let y = row_of(chart, value, 4 * ROWS);
        // A steep piece is a column of dots, not a gap.
        let from = previous.unwrap_or(y);
        for y in from.min(y)..=from.max(y) {
            let cell = &mut cells[y / 4][x / 2];
            let dots = (*cell as u32).checked_sub(0x2800).filter(|dots| *dots < 256).unwrap_or(0);
            *cell = char::from_u32(0x2800 + (dots | DOTS[y % 4][x % 2])).unwrap_or('⣿');
        }
        previous = Some(y);
    }
}
