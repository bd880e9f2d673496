//! A [`Chart`] as SVG.

use super::chart::{Chart, Kind, Line};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::ops::Range;

/// Width and height in pixels.
const SIZE: (u32, u32) = (960, 600);
/// Length and distance of the dashes of a reference line, in pixels.
const DASH: (u32, u32) = (7, 5);
const FONT: &str = "sans-serif";

/// Colours of further models, by their place; after the last one they begin again.
const OTHERS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(117, 76, 153),
    RGBColor(150, 140, 0),
    RGBColor(140, 80, 45),
    RGBColor(0, 90, 80),
];

/// Okabe and Ito's palette, which colour-blind readers can tell apart.
fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Main => RGBColor(0, 114, 178),
        Kind::Float => RGBColor(0, 158, 115),
        Kind::Other(place) => OTHERS[place % OTHERS.len()],
        Kind::Source => RGBColor(230, 159, 0),
        Kind::Random => RGBColor(130, 130, 130),
        Kind::Ideal => RGBColor(204, 121, 167),
        Kind::Optimal => RGBColor(0, 0, 0),
    }
}

/// The SVG document of `chart`.
pub fn render(chart: &Chart) -> String {
    let mut document = String::new();
    if let Err(problem) = draw(chart, &mut document) {
        // The backend writes to a string and every coordinate is finite, so this would be a defect of the
        // drawing code.
        unreachable!("an SVG in memory cannot fail: {problem}");
    }
    document
}

fn draw(
    chart: &Chart,
    document: &mut String,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let root = SVGBackend::with_string(document, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.margin(10, 0, 0, 0);
    let root = root.titled(&chart.title, (FONT, 24).into_font())?;
    let root = root.titled(&chart.subtitle, (FONT, 15).into_font().color(&RGBColor(90, 90, 90)))?;
    let (first, last) = chart.ends();
    let horizontal = Horizontal {
        inner: (at(chart, first)..at(chart, last)).into(),
        ticks: swept_values(chart).into_iter().filter(|_| chart.log).map(|x| at(chart, x)).collect(),
    };
    let mut axes = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(horizontal, chart.bottom()..chart.top())?;
    axes.configure_mesh()
        // No more labels than points: they would fall between.
        .x_labels(chart.points().clamp(2, 11))
        .x_desc(chart.x.as_str())
        .y_desc(chart.y.as_str())
        .axis_desc_style((FONT, 17))
        .label_style((FONT, 14))
        .x_label_formatter(&|x| label(chart, *x))
        .y_label_formatter(&|y| format!("{y:.*}", decimals(chart)))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for line in &chart.lines {
        let colour = colour(line.series.kind);
        if !line.series.kind.is_reference() {
            axes.draw_series(std::iter::once(Polygon::new(band(chart, line), colour.mix(0.2))))?;
        }
        let stroke = colour.stroke_width(if line.series.kind == Kind::Main { 3 } else { 2 });
        let label = line.series.label.as_str();
        if line.series.kind.is_reference() {
            let sample = move |(x, y)| {
                plotters::element::DashedPathElement::new([(x, y), (x + 24, y)], DASH.0, DASH.1, stroke)
            };
            axes.draw_series(DashedLineSeries::new(means(chart, line), DASH.0, DASH.1, stroke))?
                .label(label)
                .legend(sample);
        } else {
            let sample = move |(x, y)| PathElement::new([(x, y), (x + 24, y)], stroke);
            axes.draw_series(LineSeries::new(means(chart, line), stroke))?.label(label).legend(sample);
        }
    }
    axes.configure_series_labels()
        .position(legend_position(chart))
        .legend_area_size(30)
        .margin(10)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font((FONT, 15))
        .draw()?;
    root.present()
}

/// The third of the right edge that the fewest points cross.
fn legend_position(chart: &Chart) -> SeriesLabelPosition {
    let height = (chart.top() - chart.bottom()) / 3.0;
    let crossings = |third: f64| {
        let band = chart.bottom() + third * height..chart.bottom() + (third + 1.0) * height;
        let points = chart.lines.iter().flat_map(|line| line.xs.iter().zip(&line.points));
        let right = points.filter(|(x, _)| chart.place(**x) > 2.0 / 3.0);
        right.filter(|(_, estimate)| band.contains(&estimate.mean)).count()
    };
    let thirds = [
        (1.0, SeriesLabelPosition::MiddleRight),
        (0.0, SeriesLabelPosition::LowerRight),
        (2.0, SeriesLabelPosition::UpperRight),
    ];
    let least = thirds.into_iter().min_by_key(|(third, _)| crossings(*third));
    least.map_or(SeriesLabelPosition::MiddleRight, |(_, position)| position)
}

/// Decimals that tell the labels of the vertical axis apart.
fn decimals(chart: &Chart) -> usize {
    if chart.top() - chart.bottom() > 5.0 {
        0
    } else {
        2
    }
}

/// The horizontal axis. A logarithmic one is labelled where there are points, and nowhere else.
struct Horizontal {
    inner: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Horizontal {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match self.ticks.is_empty() {
            true => self.inner.key_points(hint),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.inner.range()
    }
}

/// Where the value `x` lies on the axis, which is linear.
fn at(chart: &Chart, x: f64) -> f64 {
    if chart.log {
        x.ln()
    } else {
        x
    }
}

/// What is written at the place `at` of the axis.
fn label(chart: &Chart, at: f64) -> String {
    let near = |x: &f64| (x.ln() - at).abs() < 1e-9;
    let (first, last) = chart.ends();
    let is_whole = |x: f64| (x - x.round()).abs() < 1e-6;
    let whole = swept_values(chart).into_iter().all(is_whole);
    match chart.log {
        true => swept_values(chart).into_iter().find(near).map_or(String::new(), |x| x.to_string()),
        // Episodes and the like: there is nothing between them.
        false if whole && !is_whole(at) => String::new(),
        false if last - first < 5.0 && !whole => format!("{at:.2}"),
        false => format!("{at:.0}"),
    }
}

/// The values that points lie at, ascending.
fn swept_values(chart: &Chart) -> Vec<f64> {
    let mut all: Vec<f64> = chart.lines.iter().flat_map(|line| line.xs.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn means(chart: &Chart, line: &Line) -> Vec<(f64, f64)> {
    line.xs.iter().zip(&line.points).map(|(x, estimate)| (at(chart, *x), estimate.mean)).collect()
}

/// Outline of the confidence interval: along the upper side and back along the lower.
fn band(chart: &Chart, line: &Line) -> Vec<(f64, f64)> {
    let placed = || line.xs.iter().zip(&line.points).map(|(x, estimate)| (at(chart, *x), estimate));
    let upper = placed().map(|(x, estimate)| (x, estimate.high));
    let lower = placed().map(|(x, estimate)| (x, estimate.low));
    upper.chain(lower.collect::<Vec<_>>().into_iter().rev()).collect()
}
