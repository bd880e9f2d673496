//! What folders can be made for. The files of each are `templates/NAME`, as they lie in the folder; the
//! list here says the rest.

use super::cores::{Core, Library};

/// A build system of firmware and the chips it is for.
#[derive(Debug)]
pub struct Ecosystem {
    /// On the command line, and of the folder of its templates.
    pub name: &'static str,
    /// As its makers write it.
    pub title: &'static str,
    /// Names of the cores it is for.
    pub cores: &'static [&'static str],
    /// Most of them that a folder may be for.
    pub most_cores: usize,
    /// Where the C API goes; `None` where the agent is used in Rust.
    pub c: Option<Layout>,
}

/// Where the files that all folders in C have go.
#[derive(Debug)]
pub struct Layout {
    /// Headers.
    pub headers: &'static str,
    /// The loop and the model.
    pub sources: &'static str,
    /// The two functions that the user writes.
    pub device: &'static str,
    /// Where the build system looks for the libraries of a core: folder and library.
    pub libraries: fn(&Core) -> Vec<(String, &'static Library)>,
}

const ALL: &[&str] =
    &["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imc", "rv32imac"];
const CORTEX_M: &[&str] = &["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"];

/// All of them.
pub static ECOSYSTEMS: [Ecosystem; 6] = [
    Ecosystem {
        name: "arduino",
        title: "Arduino",
        cores: ALL,
        most_cores: ALL.len(),
        c: Some(Layout {
            headers: "src",
            sources: "src",
            device: "examples/Agent/device.cpp",
            libraries: arduino,
        }),
    },
    Ecosystem {
        name: "platformio",
        title: "PlatformIO",
        cores: ALL,
        most_cores: ALL.len(),
        c: Some(Layout {
            headers: "include",
            sources: "src",
            device: "examples/agent/src/device.cpp",
            libraries: by_target,
        }),
    },
    Ecosystem {
        name: "esp-idf",
        title: "ESP-IDF",
        cores: &["rv32imc", "rv32imac"],
        most_cores: 2,
        c: Some(Layout {
            headers: "include",
            sources: "src",
            device: "examples/agent/main/device.c",
            libraries: by_target,
        }),
    },
    Ecosystem {
        name: "zephyr",
        title: "Zephyr",
        cores: ALL,
        most_cores: ALL.len(),
        c: Some(Layout {
            headers: "include",
            sources: "src",
            device: "samples/agent/src/device.c",
            libraries: by_target,
        }),
    },
    Ecosystem {
        name: "cmsis-pack",
        title: "CMSIS-Pack",
        cores: CORTEX_M,
        most_cores: CORTEX_M.len(),
        c: Some(Layout {
            headers: "include",
            sources: "src",
            device: "template/device.c",
            libraries: by_target,
        }),
    },
    Ecosystem {
        name: "rust",
        title: "Rust with Embassy",
        cores: &["cortex-m4", "cortex-m3", "cortex-m7", "cortex-m33", "rv32imac"],
        most_cores: 1,
        c: None,
    },
];

/// A folder for each target of the compiler.
fn by_target(core: &Core) -> Vec<(String, &'static Library)> {
    core.libraries().map(|library| (format!("lib/{}", library.triple), library)).collect()
}

/// The Arduino builder looks in `src/{build.mcu}`, and of a core with an FPU below that in
/// `{build.fpu}-{build.float-abi}`.
fn arduino(core: &Core) -> Vec<(String, &'static Library)> {
    let units: &[&str] = match core.name {
        "cortex-m4" => &["fpv4-sp-d16"],
        "cortex-m7" => &["fpv5-sp-d16", "fpv5-d16"],
        "cortex-m33" => &["fpv5-sp-d16"],
        "rv32imc" => return ["esp32c2", "esp32c3"].map(|chip| (format!("src/{chip}"), core.soft)).into(),
        "rv32imac" => return ["esp32c6", "esp32h2"].map(|chip| (format!("src/{chip}"), core.soft)).into(),
        _ => &[],
    };
    let mut libraries = vec![(format!("src/{}", core.name), core.soft)];
    for unit in units {
        libraries.push((format!("src/{}/{unit}-softfp", core.name), core.soft));
        libraries.extend(core.hard.map(|hard| (format!("src/{}/{unit}-hard", core.name), hard)));
    }
    libraries
}
