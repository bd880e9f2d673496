//! `algodistill bench train`: what it reports, and how it deals with the programs that it compares
//! itself with.

use assert_cmd::Command;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A model and a batch so small that a turn is nothing.
const SMALL: &str = "--layers 1 --d-model 16 --d-ff 16 --window 4 --sequence-length 8 --batch 2";

/// `bench train` on the small model, with the peers of a folder.
fn bench(peers: &Path, arguments: &str) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"));
    command.env("ALGODISTILL_PEERS", peers);
    command.args(["--json", "--threads", "2", "bench", "train", "--seconds", "0.05"]);
    command.args(arguments.split(' ')).args(SMALL.split(' '));
    command
}

fn json(peers: &Path, arguments: &str) -> Value {
    let output = bench(peers, arguments).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failure(peers: &Path, arguments: &str) -> String {
    let output = bench(peers, arguments).assert().code(1).get_output().clone();
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// Makes the program of a peer: a shell script.
fn install(peers: &Path, name: &str, script: &str) {
    let path = peers.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The line with which an honest peer begins.
fn ready(peers: &Path) -> String {
    let own = json(peers, "--rounds 1");
    let (parameters, loss) = (&own["parameters"], &own["shapes"][0]["loss"]);
    format!(r#"echo '{{"ready": true, "parameters": {parameters}, "loss": {loss}, "about": "fake 1"}}'"#)
}

#[test]
fn compares_with_the_composed_network_unless_told_otherwise() {
    let report = json(Path::new("no-such-folder"), "--rounds 2");
    let number = |field: &str| report[field].as_f64().unwrap_or_else(|| panic!("{field} in {report}"));
    let ratio = number("tokens_per_second") / number("composed_tokens_per_second");
    assert!((ratio / number("ratio") - 1.0).abs() < 1e-9, "{report}");
    assert_eq!(number("threads"), 2.0);
    assert!(number("machine_gigaflops") > 0.0);
    let shape = &report["shapes"][0];
    assert_eq!(shape["shape"]["sequence_length"], 8);
    assert_eq!(shape["ratio_to_pytorch"], Value::Null);
    let fraction = shape["gigaflops"].as_f64().unwrap() / number("machine_gigaflops");
    assert_eq!(shape["peak_fraction"], fraction);
    for (contestant, name) in shape["contestants"].as_array().unwrap().iter().zip(["algodistill", "composed"])
    {
        assert_eq!(contestant["name"], name);
        assert_eq!(contestant["rounds"].as_array().unwrap().len(), 2);
        assert!(contestant["peak_megabytes"].as_f64().unwrap() > 1.0, "{contestant}");
    }
}

#[test]
fn without_a_gpu_that_contestant_says_so_and_the_others_run() {
    let report = json(Path::new("no-such-folder"), "--against cuda --rounds 1");
    let contestants = &report["shapes"][0]["contestants"];
    assert!(contestants[0]["tokens_per_second"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(contestants[1]["name"], "cuda");
    assert_eq!(contestants[1]["failed"], "this program was built without the feature cuda");
}

#[test]
fn a_peer_that_is_not_installed_names_the_script() {
    let peers = TempDir::new().unwrap();
    let message = failure(peers.path(), "--against pytorch");
    let program = peers.path().join("pytorch").display().to_string();
    assert!(message.contains(&program) && message.contains("benches/peers/install pytorch"), "{message}");
}

#[test]
fn contestants_take_turns_in_alternating_order() {
    let peers = TempDir::new().unwrap();
    let ready = ready(peers.path());
    let turns = peers.path().join("turns");
    for (name, rates) in [("burn", "1000 3000"), ("candle", "500 500")] {
        let script = format!(
            "{ready}\nfor rate in {rates}; do\nread seconds || exit\necho {name} $seconds >>'{}'\n\
             echo \"{{\\\"tokens_per_second\\\": $rate, \\\"steps\\\": 1}}\"\ndone\nread end",
            turns.display()
        );
        install(peers.path(), name, &script);
    }
    let report = json(peers.path(), "--against burn,candle --rounds 2");
    let turns = std::fs::read_to_string(turns).unwrap();
    assert_eq!(turns, "burn 0.05\ncandle 0.05\ncandle 0.05\nburn 0.05\n");
    let contestants = &report["shapes"][0]["contestants"];
    let ours = report["tokens_per_second"].as_f64().unwrap();
    for (index, name, rate) in [(1, "burn", 2000.0), (2, "candle", 500.0)] {
        let contestant = &contestants[index];
        assert_eq!((&contestant["name"], &contestant["about"]), (&name.into(), &"fake 1".into()));
        assert_eq!(contestant["tokens_per_second"], rate);
        assert_eq!(contestant["ratio"], ours / rate);
    }
    assert!(report.get("ratio").is_none(), "the composed network took no part: {report}");
}

#[test]
fn pytorch_counts_by_the_better_of_its_two_and_one_that_cannot_run_says_why() {
    let peers = TempDir::new().unwrap();
    let script = format!(
        "case $1 in *pytorch-compiled*) echo '{{\"failed\": \"no compiler\"}}'; exit;; esac\n{}\n\
         while read seconds; do echo '{{\"tokens_per_second\": 100, \"steps\": 1}}'; done",
        ready(peers.path())
    );
    install(peers.path(), "pytorch", &script);
    let report = json(peers.path(), "--against pytorch --rounds 1");
    let shape = &report["shapes"][0];
    assert_eq!(shape["ratio_to_pytorch"], report["tokens_per_second"].as_f64().unwrap() / 100.0);
    assert_eq!(shape["contestants"][2]["failed"], "no compiler");
}

#[test]
fn peers_without_shared_keys_and_values_take_no_part() {
    let peers = TempDir::new().unwrap();
    install(peers.path(), "burn", "echo it must not be started >&2; exit 9");
    let report = json(peers.path(), "--against composed,burn --rounds 1 --kv-heads 2");
    let contestants = report["shapes"][0]["contestants"].as_array().unwrap();
    assert_eq!(contestants[2]["failed"], "it has no heads of keys and values that others share");
    assert!(contestants[1]["tokens_per_second"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn a_peer_that_fails_is_an_error_with_its_name_and_its_last_words() {
    let peers = TempDir::new().unwrap();
    let ready = ready(peers.path());
    let turn = |answer: &str| format!("{ready}\nread seconds\n{answer}");
    for (script, expected) in [
        ("echo no memory left >&2; exit 3".into(), &["exit status: 3", "no memory left"][..]),
        ("echo hello".into(), &["\"hello\"", "that it is ready"]),
        (ready.replace(r#""parameters": "#, r#""parameters": 7"#), &["parameters, ours"]),
        (ready.replace(r#""loss": "#, r#""loss": 9"#) + "\nread seconds", &["another model"]),
        (turn("echo stopped >&2; exit 4"), &["exit status: 4", "stopped"]),
        (turn("echo fast"), &["\"fast\"", "tokens per second"]),
        (turn(r#"echo '{"tokens_per_second": 0, "steps": 1}'"#), &["it reported 0 tokens"]),
    ] {
        install(peers.path(), "burn", &script);
        let message = failure(peers.path(), "--against burn --rounds 1");
        assert!(message.contains("the contestant burn: "), "{script}\n{message}");
        for part in expected {
            assert!(message.contains(part), "{script}\nno {part:?} in {message}");
        }
    }
}

#[test]
fn options_that_exclude_each_other_are_wrong_usage() {
    for arguments in ["--scaling", "--table"] {
        bench(Path::new("no-such-folder"), arguments).assert().code(2);
    }
}
