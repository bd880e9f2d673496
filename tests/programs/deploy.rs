//! `algodistill deploy`, run as a program: what it refuses, and what is in a folder. Whether the folders
//! build and run is checked by `.ci/deploy`, with the compilers of their chips.

use assert_cmd::Command;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dark-room.adw");

fn deploy(model: &str, arguments: &[&str], out: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"));
    command.args(["deploy", model]).args(arguments).arg("--out").arg(out);
    command
}

/// Runs what must fail with `status`; the message.
fn refused(status: i32, model: &str, arguments: &[&str], out: &Path) -> String {
    let output = deploy(model, arguments, out).assert().code(status).get_output().clone();
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let mut names = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => assert!(names.insert(path.strip_prefix(folder).unwrap().to_path_buf())),
            }
        }
    }
    names
}

#[test]
fn wrong_arguments_say_what_was_expected_and_leave_nothing() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    for (arguments, expected) in [
        (
            &["--for", "keil"][..],
            "is \"keil\", expected one of arduino, platformio, esp-idf, zephyr, cmsis-pack, rust",
        ),
        (
            &["--for", "esp-idf", "--core", "cortex-m4"],
            "\"cortex-m4\"; a folder for ESP-IDF can be for rv32imc, rv32imac",
        ),
        (&["--for", "cmsis-pack", "--core", "rv32imc"], "a folder for CMSIS-Pack can be for cortex-m0plus"),
        (&["--for", "rust", "--core", "cortex-m4", "--core", "cortex-m3"], "is for one core"),
        (&["--for", "arduino", "--core", "ESP32-S3"], "an Xtensa processor"),
        (&["--for", "rust", "--core", "xtensa"], "use an ESP32-C3"),
        (&["--for", "esp-idf", "--core", "esp32-c3"], "\"esp32-c3\", a chip with the core rv32imc;"),
        (&["--for", "arduino", "--core", "rv32imc", "--core", "rv32imc"], "\"rv32imc\" twice"),
    ] {
        let message = refused(2, MODEL, arguments, &out);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn files_that_are_no_model_and_folders_with_content_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.adw"), "not a model").unwrap();
    let mut broken = fs::read(MODEL).unwrap();
    broken[5_000] ^= 1;
    fs::write(path("broken.adw"), broken).unwrap();
    for (model, expected) in
        [("text.adw", "expected a weights file"), ("broken.adw", "CRC"), ("missing.adw", "missing.adw")]
    {
        let message = refused(1, path(model).to_str().unwrap(), &["--for", "rust"], &path("out"));
        assert!(message.contains(expected), "{model}: {message}");
    }
    fs::create_dir(path("full")).unwrap();
    fs::write(path("full/mine"), "mine").unwrap();
    fs::write(path("file"), "mine").unwrap();
    std::os::unix::fs::symlink(path("nothing"), path("link")).unwrap();
    for (out, expected) in [("full", "is not empty"), ("file", "is a file"), ("link", "is a symbolic link")] {
        let message = refused(1, MODEL, &["--for", "rust"], &path(out));
        assert!(message.contains(expected) && message.contains(out), "{message}");
    }
    assert_eq!(fs::read_to_string(path("full/mine")).unwrap(), "mine");
    assert!(!path("out").exists() && names(&path("full")).len() == 1);
}

#[test]
fn a_model_that_needs_another_loop_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (histories, run, model) = (path("histories.parquet"), path("run"), path("model.adw"));
    for arguments in [
        &[
            "generate",
            "--environment",
            "dark-room",
            "--source",
            "psrl",
            "--histories",
            "1",
            "--out",
            &histories,
        ][..],
        &[
            "train",
            &histories,
            "--objective",
            "decision-transformer",
            "--updates",
            "1",
            "--batch",
            "2",
            "--out",
            &run,
        ],
        &["export", &run, "--histories", &histories, "--out", &model],
    ] {
        Command::new(assert_cmd::cargo::cargo_bin!("algodistill")).args(arguments).assert().success();
    }
    let message = refused(1, &model, &["--for", "rust"], &folder.path().join("out"));
    assert!(message.contains("decision transformer"), "{message}");
}

#[test]
fn a_rust_project_has_its_model_its_core_and_the_source_of_the_agent() {
    let folder = TempDir::new().unwrap();
    // An empty folder is as good as none.
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    deploy(MODEL, &["--for", "rust", "--core", "rv32imac"], &out).assert().success();
    assert_eq!(fs::read(out.join("src/model.adw")).unwrap(), fs::read(MODEL).unwrap());
    let vendored = names(&out.join("algodistill-core/src"));
    let source = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src"));
    assert_eq!(vendored, source);
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(text(".cargo/config.toml").contains("riscv32imac-unknown-none-elf"));
    let manifest = text("algodistill-core/Cargo.toml");
    assert!(manifest.contains("version = \"") && !manifest.contains("workspace = true"), "{manifest}");
    let mut own = names(&out);
    own.retain(|path| !path.starts_with("algodistill-core"));
    let expected = [
        ".cargo/config.toml",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "build.rs",
        "memory.x",
        "src/device.rs",
        "src/main.rs",
        "src/model.adw",
        "src/model.rs",
    ];
    assert_eq!(own, expected.map(PathBuf::from).into());
    // Beside it there is nothing half-written.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // A manifest that cargo does not understand.
    Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--no-deps"])
        .current_dir(&out)
        .assert()
        .success();
}

#[test]
fn the_memory_is_that_of_the_folder_and_stands_in_its_readme() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let json = |command: &mut Command| -> serde_json::Value {
        serde_json::from_slice(&command.arg("--json").assert().success().get_output().stdout).unwrap()
    };
    let deployed = json(&mut deploy(MODEL, &["--for", "rust"], &out));
    let inspected = json(Command::new(assert_cmd::cargo::cargo_bin!("algodistill")).args(["inspect", MODEL]));
    let bytes = |value: &serde_json::Value| value.as_u64().unwrap();
    let [m4] = &deployed["memory"].as_array().unwrap()[..] else { panic!("{deployed}") };
    assert_eq!(m4["core"], "cortex-m4");
    assert_eq!(bytes(&m4["flash"]), bytes(&m4["code"]) + fs::metadata(MODEL).unwrap().len());
    let plan = &inspected["memory"];
    assert_eq!(bytes(&m4["workspace"]), bytes(&plan["ring"]) + bytes(&plan["scratch"]));
    assert_eq!(bytes(&m4["ram"]), bytes(&m4["workspace"]) + bytes(&m4["agent"]) + bytes(&m4["stack"]));
    let readme = fs::read_to_string(out.join("README.md")).unwrap();
    for field in ["flash", "ram"] {
        assert!(readme.contains(&format!("| {} = ", m4[field])), "{field} of {m4}");
    }
}
