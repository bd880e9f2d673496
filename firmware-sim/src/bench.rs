//! `bench`: instructions of the matrix-vector kernel on each target.

use crate::arguments::BenchArguments;
use crate::environment::shipped_model;
use crate::{device, image};
use std::time::Duration;

/// See [`crate::arguments::Command::Bench`].
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    for target in &arguments.target.bare {
        let image = image::build(target, &shipped_model("dark-room"), arguments.build)?;
        let report = device::bench(target, &image, Duration::from_secs(arguments.build.timeout))?;
        for bench in &report.bench {
            let (rows, columns, count) = (bench.rows, bench.columns, bench.instructions_per_multiplication());
            let kernels = &report.kernels;
            if arguments.json {
                let json = serde_json::json!({
                    "target": target.name,
                    "kernels": kernels,
                    "rows": rows,
                    "columns": columns,
                    "instructions_per_multiplication": count,
                });
                println!("{json}");
            } else {
                let name = target.name;
                println!(
                    "{name} ({kernels}): {rows} x {columns}: {count:.2} instructions per multiplication"
                );
            }
        }
    }
    Ok(())
}
