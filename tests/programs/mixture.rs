//! Several environments in one model, by the program itself.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

fn algodistill(arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill")).arg("--json").args(arguments).assert()
}

fn json(arguments: &[&str]) -> Value {
    let output = algodistill(arguments).success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failure(status: i32, arguments: &[&str]) -> String {
    let output = algodistill(arguments).code(status).get_output().clone();
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// Histories of `environment`, options as on the command line.
fn generate(file: &str, environment: &str) -> Value {
    let options: Vec<&str> = environment.split(' ').collect();
    json(
        &[&["generate", "--histories", "2", "--held-out", "2", "--out", file, "--environment"], &options[..]]
            .concat(),
    )
}

const TOY: [&str; 10] =
    ["--updates", "6", "--batch", "4", "--layers", "1", "--sequence-length", "12", "--window", "12"];

#[test]
fn two_dark_rooms_train_one_model_that_is_evaluated_in_each() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (paid, once, run, model) =
        (path("paid.parquet"), path("once.parquet"), path("run"), path("model.adw"));
    generate(&paid, "dark-room --set size=3 --set horizon=6");
    generate(&once, "dark-room --set size=3 --set horizon=8 --set reward=once");

    let trained = json(&[&["train", &paid, &once, "--out", &run], &TOY[..]].concat());
    for (number, file, horizon) in [(0, &paid, 6), (1, &once, 8)] {
        let listed = &trained["histories"][number];
        assert_eq!(listed["file"], **file);
        assert_eq!(listed["environment"]["horizon"], horizon);
        assert_eq!((&listed["histories"], &listed["held_out_histories"]), (&14.into(), &8.into()));
    }
    assert!(trained["validation_loss"].as_f64().unwrap() > 0.0);

    // The order of the files is part of the data.
    let refused = failure(1, &["export", &run, "--histories", &once, &paid, "--out", &model]);
    assert!(refused.contains("in another order"), "{refused}");
    json(&["export", &run, "--histories", &paid, &once, "--out", &model]);

    let evaluate = |environment: &str| {
        let options: Vec<&str> = environment.split(' ').filter(|word| !word.is_empty()).collect();
        json(&[&["evaluate", &model, "--episodes", "3", "--runs", "2"], &options[..]].concat())
    };
    let held_out = {
        let card: Value = serde_json::from_slice(&std::fs::read(path("paid.card.json")).unwrap()).unwrap();
        card["split"]["held_out"].clone()
    };
    let (first, second, unnamed) = (
        evaluate("--environment dark-room --set size=3 --set horizon=6"),
        evaluate("--environment dark-room --set size=3 --set horizon=8 --set reward=once"),
        evaluate(""),
    );
    assert_eq!(first, unnamed, "the first file's environment is the default");
    for (report, best) in [(&first, 6.0), (&second, 1.0)] {
        assert_eq!((&report["task_numbers"], &report["tasks_held_out"]), (&held_out, &true.into()));
        assert!(report["curves"]["optimal"].as_f64().unwrap() <= best, "{report}");
        for curve in ["int8", "source", "random"] {
            assert_eq!(report["curves"][curve].as_array().unwrap().len(), 3);
        }
    }
    assert_eq!(second["environment_config"]["reward"], "once");
    json(&[
        "play",
        &model,
        "--environment",
        "dark-room",
        "--set",
        "size=3",
        "--set",
        "reward=once",
        "--episodes",
        "2",
    ]);
    let refused = failure(2, &["evaluate", &model, "--environment", "dark-room"]);
    assert!(refused.contains("[0 to 2, 0 to 2] in the model, [0 to 8, 0 to 8] there"), "{refused}");
    let refused = failure(2, &["evaluate", &model, "--set", "size=3"]);
    assert!(refused.contains("--environment: is needed"), "{refused}");
}

#[test]
fn a_mixed_training_resumed_ends_with_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (odd, even) = (path("odd.parquet"), path("even.parquet"));
    generate(&odd, "bandit-odd --tasks 30 --set horizon=12");
    generate(&even, "bandit-even --tasks 20 --set horizon=12");
    let model = |run: &str| std::fs::read(Path::new(run).join("model.safetensors")).unwrap();
    let arguments = |run: &str, files: [&String; 2]| -> Vec<String> {
        let updates = ["--updates", "2000", "--checkpoint-every", "100", "--resume"];
        let all = [&["train", files[0], files[1], "--out", run][..], &TOY[2..], &updates];
        all.concat().into_iter().map(String::from).collect()
    };
    let train = |run: &str, files: [&String; 2]| {
        let arguments = arguments(run, files);
        algodistill(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (whole, killed) = (path("whole"), path("killed"));
    train(&whole, [&odd, &even]).success();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
        .args(arguments(&killed, [&odd, &even]))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !Path::new(&killed).join("checkpoint.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended without a checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !Path::new(&killed).join("model.safetensors").exists(),
        "the run ended before it could be killed"
    );
    train(&killed, [&odd, &even]).success();
    assert!(model(&whole) == model(&killed));
    for files in [[&even, &odd], [&odd, &odd]] {
        let output = train(&whole, files).code(1).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("other histories") || message.contains("same histories"), "{message}");
    }
}

#[test]
fn files_that_cannot_be_one_model_leave_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (three, five, bandit, run) =
        (path("three.parquet"), path("five.parquet"), path("bandit.parquet"), path("run"));
    generate(&three, "dark-room --set size=3");
    generate(&five, "dark-room --set size=5");
    generate(&bandit, "bandit --tasks 4 --set horizon=5");
    for (other, field) in [
        (&five, "interface.channels is [0 to 4, 0 to 4], but [0 to 2, 0 to 2]"),
        (&bandit, "interface.channels is []"),
    ] {
        let message = failure(1, &["train", &three, other, "--out", &run]);
        assert!(message.contains(field) && message.contains("three.parquet"), "{message}");
        assert!(message.contains(other.as_str()), "{message}");
    }
    let message = failure(1, &["train", &three, &three, "--out", &run]);
    assert!(message.contains("give every file once"), "{message}");
    let message = failure(1, &["train", &three, "absent.parquet", "--out", &run]);
    assert!(message.contains("absent.parquet"), "{message}");
    assert!(!Path::new(&run).exists());
}
