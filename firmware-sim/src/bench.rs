//! `bench`: instructions of linear layers on each target.

use crate::arguments::BenchArguments;
use crate::environment::Folder;
use crate::{device, image};
use serde_json::json;
use std::time::Duration;

/// Who, on which core, and the cycles of silicon for a multiplication and its addition: results of others
/// for the autoencoder of MLPerf Tiny. Instructions in QEMU are not cycles.
type Published = (&'static str, &'static str, f64);

/// What is published for the core of a target, or for the one next to it.
fn published(target: &str) -> &'static [Published] {
    const RESULTS: &str = "published MLPerf Tiny results";
    match target {
        "cortex-m0" => &[(RESULTS, "Cortex-M0+", 9.84)],
        "cortex-m4f" => &[
            ("CMSIS-NN", "Cortex-M4F", 3.88),
            ("X-CUBE-AI", "Cortex-M4F", 2.16),
            ("Plumerai", "Cortex-M4F", 1.83),
        ],
        "cortex-m7" => &[(RESULTS, "Cortex-M7", 1.14)],
        "cortex-m33" => &[(RESULTS, "Cortex-M33", 1.86)],
        "cortex-m55" => &[(RESULTS, "Cortex-M85 with Helium", 0.96)],
        _ => &[],
    }
}

/// See [`crate::arguments::Command::Bench`].
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for target in &arguments.target.bare {
        let (image, _) = image::build_for_dark_room(target, &folder, arguments.build, image::Purpose::Bench)?;
        let report = device::bench(target, &image, Duration::from_secs(arguments.build.timeout))?;
        let (name, kernels) = (target.name, &report.kernels);
        for bench in &report.bench {
            let (rows, columns, count) = (bench.rows, bench.columns, bench.count.per_multiplication());
            if arguments.json {
                let json = json!({
                    "target": name,
                    "kernels": kernels,
                    "rows": rows,
                    "columns": columns,
                    "instructions_per_multiplication": count,
                });
                println!("{json}");
            } else {
                println!(
                    "{name} ({kernels}): {rows} x {columns}: {count:.2} instructions per multiplication"
                );
            }
        }
        if let Some(autoencoder) = &report.autoencoder {
            let (multiplications, count) = (autoencoder.multiplications, autoencoder.per_multiplication());
            if arguments.json {
                let cycles = published(name).iter();
                let cycles =
                    cycles.map(|(by, core, cycles)| json!({ "by": by, "core": core, "cycles": cycles }));
                let json = json!({
                    "target": name,
                    "kernels": kernels,
                    "network": "MLPerf Tiny anomaly-detection autoencoder",
                    "multiplications": multiplications,
                    "instructions_per_multiplication": count,
                    "silicon_cycles_of_others_per_multiplication": cycles.collect::<Vec<_>>(),
                });
                println!("{json}");
            } else {
                println!("{name} ({kernels}): MLPerf Tiny's autoencoder, {multiplications} multiplications: {count:.2} instructions each");
                for (by, core, cycles) in published(name) {
                    println!("  silicon cycles of others (not instructions): {cycles} on a {core}, {by}");
                }
            }
        }
    }
    Ok(())
}
