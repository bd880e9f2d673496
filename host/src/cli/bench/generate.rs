//! `algodistill bench generate`: steps per second of a source algorithm, in memory and written to
//! Parquet.

use crate::cli::generate::{EnvironmentArgs, SourceArgs};
use crate::cli::progress::Terminal;
use crate::cli::Report;
use crate::history::{generate, generate_to_file, GenerateConfig};
use crate::progress::{NoProgress, Progress};
use crate::{Error, Result};
use algodistill_core::env::dark_room::DarkRoom;
use serde_json::json;
use std::time::Instant;

/// Time the generation of learning histories on this machine, every step kept: q-learning in
/// dark-room unless told otherwise.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Millions of steps of a run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    millions: u32,
    /// Runs; the fastest is reported, since other programs can only slow it down.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    let environment = args.environment.config()?;
    let mut source = args.source.clone();
    if environment.family::<DarkRoom>().is_some() {
        // The source whose speed is promised.
        source.source.get_or_insert_with(|| "q-learning".into());
    }
    let source = source.config(&environment)?;
    let mut config = GenerateConfig { keep_every: 1, ..GenerateConfig::recommended(environment, source)? };
    let steps_of_one = config.source_steps()? / u64::from(config.histories_per_task);
    config.histories_per_task = (u64::from(args.millions) * 1_000_000 / steps_of_one).max(1) as u32;
    let steps = config.source_steps()? as f64;
    let folder = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
    let file = folder.path().join("bench.parquet");
    let progress = Terminal::default();
    progress.begin("bench", u64::from(args.runs));
    let (mut memory, mut parquet) = (0.0_f64, 0.0_f64);
    for _ in 0..args.runs {
        let start = Instant::now();
        generate(&config, &NoProgress)?;
        memory = memory.max(steps / start.elapsed().as_secs_f64());
        let start = Instant::now();
        generate_to_file(&config, &file, &NoProgress)?;
        parquet = parquet.max(steps / start.elapsed().as_secs_f64());
        progress.advance(1, &|| format!("{:.1} million per second", memory / 1e6));
    }
    let threads = rayon::current_num_threads();
    progress.finish(&format!("{steps} steps, best of {} runs", args.runs));
    Ok(Report {
        text: format!(
            "{} in {}, {threads} threads: {:.1} million steps per second in memory, {:.1} written to Parquet\n",
            config.source.name(),
            config.environment.name(),
            memory / 1e6,
            parquet / 1e6
        ),
        json: json!({
            "steps_per_second": memory,
            "parquet_steps_per_second": parquet,
            "threads": threads,
            "steps": steps,
            "environment": config.environment,
            "source": config.source,
        }),
    })
}
