//! `algodistill histories filter`: the histories that show learning best, as a file of their own.

use super::super::evaluate::episodes;
use super::Report;
use crate::history::card::card_path;
use crate::history::filter::Judged;
use crate::history::{filter, FilterConfig, Filtering};
use crate::Result;
use serde_json::json;
use std::path::PathBuf;

/// What to filter, and what for.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Parquet file.
    file: PathBuf,
    /// File to write, NAME.parquet; NAME.card.json appears beside it.
    #[arg(long)]
    out: PathBuf,
    /// Only histories that solved their task: the mean return of a 50th of the history, at least of
    /// three episodes, reached 90 % of the optimum.
    #[arg(long)]
    solved: bool,
    /// Only histories whose mean return rose by at least this share of the optimum, from the first
    /// tenth of the episodes to the last.
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    min_improvement: Option<f64>,
    /// Only histories at least this stable: 1 minus how far the smoothed return lies below its
    /// highest point so far, on average, as a share of the optimum.
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    min_stability: Option<f64>,
    /// Of those left, the best fraction by the sum of improvement and stability: of the training
    /// histories, and of the held-out ones.
    #[arg(long, value_name = "FRACTION")]
    keep: Option<f64>,
    /// With --keep, the best fraction of the histories of each task, at least one of each.
    #[arg(long)]
    per_task: bool,
    /// Only these episodes of the histories that stay, numbered from 0.
    #[arg(long, value_name = "FIRST-LAST", value_parser = episodes, allow_hyphen_values = true)]
    episodes: Option<(u32, u32)>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let config = FilterConfig {
        solved: args.solved,
        min_improvement: args.min_improvement,
        min_stability: args.min_stability,
        keep: args.keep,
        per_task: args.per_task,
        episodes: args.episodes,
    };
    let card = filter(&config, &args.file, &args.out)?;
    let did = card.filters.last();
    let text = format!(
        "{}: {} histories of {}, {} steps\n\n{}",
        args.out.display(),
        card.histories,
        args.file.display(),
        card.steps,
        did.map_or_else(String::new, table)
    );
    Ok(Report {
        text,
        json: json!({
            "file": args.out.display().to_string(),
            "card": card_path(&args.out).display().to_string(),
            "sha256": card.sha256,
            "histories": card.histories,
            "steps": card.steps,
            "filter": did,
            "returns": card.returns,
        }),
    })
}

/// What stayed and what went, as a small table.
pub(super) fn table(filtering: &Filtering) -> String {
    let number = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.3}"));
    let line = |name: &str, judged: &Judged| {
        let [improvement, stability, solved] =
            [judged.improvement, judged.stability, judged.solved_share].map(number);
        format!("{name:<8} {:>10} {improvement:>12} {stability:>10} {solved:>8}\n", judged.histories)
    };
    let mut text =
        format!("{:<8} {:>10} {:>12} {:>10} {:>8}\n", "", "histories", "improvement", "stability", "solved");
    text += &line("kept", &filtering.kept);
    text += &line("dropped", &filtering.dropped);
    for (tasks, lost) in
        [("training", filtering.training_tasks_lost), ("held-out", filtering.held_out_tasks_lost)]
    {
        if lost > 0 {
            text += &format!("{lost} {tasks} tasks have no history left\n");
        }
    }
    text
}
