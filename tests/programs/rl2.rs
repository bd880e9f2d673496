//! `train-rl2` at toy size, as a program: trained, stopped, resumed, exported, evaluated.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

fn algodistill() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
}

/// Runs with `--json`; the one object on stdout.
fn json(arguments: &[&str]) -> Value {
    let output = algodistill().arg("--json").args(arguments).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// Runs what must fail with `status`; the message.
fn failure(status: i32, arguments: &[&str]) -> String {
    let output = algodistill().args(arguments).assert().code(status).get_output().clone();
    String::from_utf8(output.stderr).expect("text")
}

const TOY: [&str; 13] = [
    "train-rl2",
    "--set",
    "size=4",
    "--held-out",
    "3",
    "--iterations",
    "4",
    "--trials",
    "16",
    "--evaluate-every",
    "2",
    "--evaluation-trials",
    "8",
];

#[test]
fn a_policy_is_trained_resumed_exported_and_evaluated_on_tasks_that_were_held_out() {
    let folder = TempDir::new().expect("a folder");
    let text = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (run, again, weights, histories) =
        (text("run"), text("again"), text("model.adw"), text("none.parquet"));
    let trained = json(&[&TOY[..], &["--out", &run]].concat());
    assert_eq!((&trained["iterations"], &trained["steps"]), (&4.into(), &(4 * 16 * 200).into()), "{trained}");
    assert_eq!(trained["last"]["held_out"].as_array().expect("evaluated").len(), 10, "{trained}");

    // In two parts, the second with what the folder says.
    json(&[&TOY[..], &["--out", &again]].concat());
    std::fs::remove_file(Path::new(&again).join("model.safetensors")).expect("written");
    let resumed = json(&["train-rl2", "--out", &again, "--resume"]);
    assert_eq!(resumed["last"], Value::Null);
    let model = |run: &str| std::fs::read(Path::new(run).join("model.safetensors")).expect("a model");
    assert!(model(&run) == model(&again));

    json(&["export", &run, "--out", &weights]);
    let message = failure(2, &["export", &run, "--histories", &histories, "--out", &weights]);
    assert!(message.contains("--histories") && message.contains("was trained by RL2"), "{message}");
    let inspected = json(&["inspect", &weights]);
    assert_eq!(inspected["card"]["training"]["rl2"]["environment"]["size"], 4, "{inspected}");
    assert_eq!(inspected["dimensions"]["window"], 200);
    assert_eq!(inspected["environment"], "dark-room");
    let float = format!("{run}/model.safetensors");
    let evaluated = json(&["evaluate", &weights, "--runs", "1", "--episodes", "10", "--float", &float]);
    assert_eq!((&evaluated["environment"], &evaluated["tasks"]), (&"dark-room".into(), &3.into()));
    let steps = json(&["evaluate", &weights, "--runs", "1", "--steps", "400"]);
    assert!(steps["curves"]["int8"].is_array(), "{steps}");

    for (arguments, expected) in [
        (&["--out", &run, "--trials", "0"][..], "rl2.trials: is 0"),
        (&["--out", &run, "--window", "0"], "rl2.window: is 0"),
        (&["--out", &run], "--out: "),
        (&["--out", &run, "--resume", "--discount", ".5"], "rl2.discount: is 0.5, but "),
        (&["--out", &run, "--set", "arms=3"], "environment.arms: is not a parameter of dark-room"),
    ] {
        let message = failure(2, &[&["train-rl2"], arguments].concat());
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    let histories = failure(1, &["train", "none.parquet", "--out", &run, "--resume"]);
    assert!(histories.contains("is a configuration of `train-rl2`"), "{histories}");
}
