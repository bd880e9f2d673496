//! Golden files of the chart formats.

use super::chart::{Chart, Kind, Line, Series};
use super::golden::assert_golden;
use super::{svg, terminal};
use crate::evaluate::statistics::Estimate;

/// A learning curve of the usual shape, computed without libm so that every machine draws the same.
fn example() -> Chart {
    let line = |kind, points: &[f64], width: f64| {
        let estimate = |&mean| Estimate { mean, low: mean - width, high: mean + width };
        Line::numbered(Series::of(kind), points.iter().map(estimate).collect())
    };
    let learned: Vec<f64> = (0..20).map(|episode| 16.0 - 14.0 / f64::from(1 + episode * episode)).collect();
    let source: Vec<f64> = (0..20).map(|episode| 16.5 - 14.5 / f64::from(1 + episode)).collect();
    Chart {
        title: "Dark Room 9x9: learning in context".into(),
        subtitle: "int8, 103 k parameters; 16 held-out tasks x 4 runs; mean and 95 % confidence interval"
            .into(),
        x: "episode".into(),
        log: false,
        y: "return".into(),
        lines: vec![
            line(Kind::Optimal, &[16.5; 20], 0.0),
            line(Kind::Random, &[0.25; 20], 0.1),
            line(Kind::Source, &source, 0.3),
            line(Kind::Main, &learned, 0.5),
        ],
    }
}

#[test]
fn csv() {
    assert_golden("chart.csv", &example().csv());
}

#[test]
fn terminal_plot() {
    assert_golden("chart.txt", &terminal::render(&example(), 80));
}

#[test]
fn svg_plot() {
    assert_golden("chart.svg", &svg::render(&example()));
}
