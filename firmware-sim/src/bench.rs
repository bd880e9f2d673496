//! `bench`: instructions of the matrix-vector kernel on each target.

use crate::arguments::BenchArguments;
use crate::environment::Folder;
use crate::{device, image};
use std::time::Duration;

/// See [`crate::arguments::Command::Bench`].
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for target in &arguments.target.bare {
        let (image, _) = image::build_for_dark_room(target, &folder, arguments.build)?;
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
