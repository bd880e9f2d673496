//! The simulated device: its trace is golden. Refresh with `OVERWRITE_EXPECTED=1 cargo test -p algodistill-firmware-sim` and review the diff.

use assert_cmd::Command;
use std::path::Path;

fn assert_golden(environment: &str, episodes: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("expected/host.{environment}.json"));
    let output = Command::new(assert_cmd::cargo::cargo_bin!("algodistill-firmware-sim"))
        .args(["--environment", environment, "--episodes", episodes, "--json"])
        .assert()
        .success()
        .get_output()
        .clone();
    let found = String::from_utf8(output.stdout).unwrap();
    if std::env::var_os("OVERWRITE_EXPECTED").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{}", path.display());
}

#[test]
fn dark_room_trace() {
    assert_golden("dark-room", "40");
}

#[test]
fn bandit_trace() {
    assert_golden("bandit", "3");
}

#[test]
fn wrong_usage_exits_2() {
    for arguments in [["--episodes", "0"], ["--environment", "mars"], ["--seed", "-1"]] {
        Command::new(assert_cmd::cargo::cargo_bin!("algodistill-firmware-sim"))
            .args(arguments)
            .assert()
            .code(2);
    }
}
