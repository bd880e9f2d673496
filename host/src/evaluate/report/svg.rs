//! A [`Chart`] as SVG.

use super::chart::{Chart, Kind, Line};
use plotters::prelude::*;

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
    let last = chart.points().max(2) as f64;
    let mut axes = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(1.0..last, chart.bottom()..chart.top())?;
    axes.configure_mesh()
        // No more labels than points: they would fall between.
        .x_labels(chart.points().clamp(2, 11))
        .x_desc(chart.x)
        .y_desc(chart.y.as_str())
        .axis_desc_style((FONT, 17))
        .label_style((FONT, 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.*}", decimals(chart)))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for line in &chart.lines {
        let colour = colour(line.series.kind);
        if !line.series.kind.is_reference() {
            axes.draw_series(std::iter::once(Polygon::new(band(line), colour.mix(0.2))))?;
        }
        let stroke = colour.stroke_width(if line.series.kind == Kind::Main { 3 } else { 2 });
        let label = line.series.label.as_str();
        if line.series.kind.is_reference() {
            let sample = move |(x, y)| {
                plotters::element::DashedPathElement::new([(x, y), (x + 24, y)], DASH.0, DASH.1, stroke)
            };
            axes.draw_series(DashedLineSeries::new(means(line), DASH.0, DASH.1, stroke))?
                .label(label)
                .legend(sample);
        } else {
            let sample = move |(x, y)| PathElement::new([(x, y), (x + 24, y)], stroke);
            axes.draw_series(LineSeries::new(means(line), stroke))?.label(label).legend(sample);
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
        let right = chart.lines.iter().flat_map(|line| line.points.iter().skip(chart.points() * 2 / 3));
        right.filter(|estimate| band.contains(&estimate.mean)).count()
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

fn means(line: &Line) -> Vec<(f64, f64)> {
    line.points.iter().enumerate().map(|(point, estimate)| ((point + 1) as f64, estimate.mean)).collect()
}

/// Outline of the confidence interval: along the upper side and back along the lower.
fn band(line: &Line) -> Vec<(f64, f64)> {
    let numbered = || line.points.iter().enumerate().map(|(point, estimate)| ((point + 1) as f64, estimate));
    let upper = numbered().map(|(x, estimate)| (x, estimate.high));
    let lower = numbered().map(|(x, estimate)| (x, estimate.low));
    upper.chain(lower.collect::<Vec<_>>().into_iter().rev()).collect()
}
