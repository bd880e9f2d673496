//! The main job at toy size: repeatable to the byte, and indifferent to being killed.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

const TOY: [&str; 8] = ["--updates", "60", "--histories", "2", "--runs", "1", "--episodes", "3"];

fn quickstart(folder: &Path) -> Value {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
        .args(["--json", "quickstart", "--out"])
        .arg(folder)
        .args(TOY)
        .assert()
        .success()
        .get_output()
        .clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Files of a run that a seed decides, by name.
fn results(folder: &Path) -> Vec<(&'static str, Vec<u8>)> {
    [
        "histories.parquet",
        "histories.card.json",
        "seed-0/model.safetensors",
        "seed-0.adw",
        "dark-room.csv",
        "dark-room.svg",
    ]
    .map(|name| (name, std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))))
    .into()
}

fn assert_same(a: &Path, b: &Path) {
    for ((name, a), (_, b)) in results(a).into_iter().zip(results(b)) {
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn quickstart_is_repeatable_to_the_byte() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let report = quickstart(&first);
    for field in ["train_seconds", "generate_seconds", "tokens_per_second"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field}: {report}");
    }
    assert_eq!(report["environment"], "dark-room");
    assert_eq!(report["curves"]["int8"].as_array().unwrap().len(), 3);
    quickstart(&second);
    assert_same(&first, &second);

    let again = quickstart(&first);
    assert_eq!(again["curves"], report["curves"], "a finished run only reports");
    assert_same(&first, &second);

    let again = |options: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"));
        command.args(["quickstart", "--out"]).arg(&first).args(TOY).args(options).assert()
    };
    let text = String::from_utf8(again(&[]).success().get_output().stdout.clone()).unwrap();
    assert!(text.contains("made before"), "{text}");
    let message = String::from_utf8(again(&["--seed", "1"]).code(2).get_output().stderr.clone()).unwrap();
    assert!(message.contains("experiment.toml: this folder holds a run of another experiment"), "{message}");
}

/// Runs `arguments` and kills it (the signal cannot be caught) after 100 ms, then after longer and
/// longer, until it ends by itself. The number of kills.
fn run_killed(arguments: &[&str]) -> usize {
    let mut milliseconds = 100;
    for kills in 0.. {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{arguments:?} failed after {kills} kills");
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        milliseconds += milliseconds / 3;
    }
    unreachable!("the loop has no end")
}

#[test]
fn a_quickstart_killed_again_and_again_ends_with_the_same_files() {
    let folder = TempDir::new().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    quickstart(&whole);
    let kills = run_killed(&[&["quickstart", "--out", killed.to_str().unwrap()][..], &TOY].concat());
    assert!(kills > 0, "the run ended before it could be killed");
    assert_same(&whole, &killed);
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&killed), names(&whole), "a killed run leaves no temporary file once it is resumed");
}

/// With a checkpoint every third update, most kills fall between two checkpoints and some into the
/// writing of one.
#[test]
fn a_training_killed_between_checkpoints_ends_with_the_same_files() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let histories = path("histories.parquet");
    let generate = [
        "generate",
        "--environment",
        "dark-room",
        "--source",
        "psrl",
        "--histories",
        "1",
        "--out",
        &histories,
    ];
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill")).args(generate).assert().success();
    let (whole, killed) = (path("whole"), path("killed"));
    let train = |out| {
        let options =
            ["--updates", "90", "--batch", "8", "--checkpoint-every", "3", "--dropout", "0.1", "--resume"];
        [&["train", &histories, "--out", out][..], &options].concat()
    };
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill")).args(train(&whole)).assert().success();
    assert!(run_killed(&train(&killed)) > 0, "the run ended before it could be killed");
    for name in ["model.safetensors", "checkpoint.safetensors"] {
        let read = |folder: &str| std::fs::read(Path::new(folder).join(name)).unwrap();
        assert!(read(&whole) == read(&killed), "{name} differs");
    }
    let losses = |folder: &str| -> Vec<(Value, Value)> {
        let text = std::fs::read_to_string(Path::new(folder).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["update"].clone(), line["loss"].clone())).collect()
    };
    assert_eq!(losses(&whole), losses(&killed));
}

/// Generates, trains, exports and evaluates where numbers or pictures are seen.
#[test]
fn numbers_and_pictures_go_all_the_way() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"));
        let done = command.args(arguments.split_whitespace()).current_dir(&folder).assert().success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    for (environment, seen) in [("watermaze", "8x16x3 pixels"), ("watermaze-pose", "4 numbers")] {
        run(&format!(
            "generate --environment {environment} --tasks 6 --held-out 2 --episodes 4 --out h.parquet"
        ));
        run("histories check h.parquet");
        run("train h.parquet --out run --updates 4 --batch 2 --window 16 --layers 1 --checkpoint-every 2");
        run("train h.parquet --out run --resume");
        run("export run --histories h.parquet --out model.adw");
        assert!(run("inspect model.adw").contains(seen));
        let report: Value = serde_json::from_str(&run(
            "--json evaluate model.adw --episodes 3 --runs 1 --compare-float run/model.safetensors",
        ))
        .unwrap();
        assert_eq!(report["environment"], environment);
        assert!(report["kl_nats"].as_f64().unwrap() < 0.01, "{report}");
        run("play model.adw --episodes 1");
        std::fs::remove_dir_all(folder.path().join("run")).unwrap();
    }
}
