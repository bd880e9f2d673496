//! What an [`Evaluation`] is told as: JSON, chart, text, and the files of all three.

pub mod chart;
#[cfg(all(test, feature = "cli"))]
mod chart_tests;
mod figure;
#[cfg(all(test, feature = "cli"))]
mod golden;
#[cfg(feature = "cli")]
pub mod html;
mod json;
#[cfg(feature = "cli")]
pub mod svg;
#[cfg(feature = "cli")]
pub mod terminal;
#[cfg(all(test, feature = "cli"))]
mod tests;
mod text;
#[cfg(feature = "cli")]
pub mod trajectories;

pub use chart::{chart, Chart, Kind, Line, Series};
pub use figure::{Figure, Sweep, SweepLine};
pub use json::{json, ratio_to_source, NEVER_SOLVED};
pub use text::summary_text;
#[cfg(feature = "cli")]
pub use text::text;

use super::evaluation::Evaluation;
use crate::files::write_bytes;
use crate::Result;
use std::path::{Path, PathBuf};

/// Writes `{stem}.json`, `{stem}.csv` and, where drawing is built in (feature `cli`), `{stem}.svg`
/// and, of an environment that can be drawn from above, `{stem}.trajectories.svg`; returns their
/// paths.
pub fn write_files(evaluation: &Evaluation, stem: &Path) -> Result<Vec<PathBuf>> {
    let chart = chart(evaluation);
    let json = format!("{:#}\n", json(evaluation));
    let contents = [
        Some(("json", json)),
        Some(("csv", chart.csv())),
        #[cfg(feature = "cli")]
        Some(("svg", svg::render(&chart))),
        #[cfg(feature = "cli")]
        trajectories::render(evaluation).map(|document| ("trajectories.svg", document)),
    ];
    let write = |(extension, content): (&str, String)| write_file(stem, extension, &content);
    contents.into_iter().flatten().map(write).collect()
}

/// Writes `{stem}.{extension}`; returns its path.
pub fn write_file(stem: &Path, extension: &str, content: &str) -> Result<PathBuf> {
    // Not `with_extension`: a stem may contain a dot.
    let mut path = stem.as_os_str().to_owned();
    path.push(format!(".{extension}"));
    write_bytes(Path::new(&path), content.as_bytes()).map(|()| path.into())
}
