//! `evaluate --environment-command`: the program of docs/serve.md, as somebody would run it.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;

fn evaluate(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("algodistill"));
    command.args(["--json", "evaluate", "models/dark-room.adw"]).args(arguments);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The example of an environment in docs/serve.md.
fn example() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/serve.md")).unwrap();
    let mut blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains("for line in sys.stdin")).expect("an environment in Python").to_owned()
}

#[test]
fn the_environment_of_the_documentation_gives_the_returns_of_ours() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3 to run the example of docs/serve.md");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("my env.py");
    std::fs::write(&program, example()).unwrap();
    let command = format!("python3 '{}'", program.display());
    let stem = folder.path().join("report");
    let usual = ["--runs", "1", "--episodes", "8"];
    let ours = json(evaluate(&usual).args(["--tasks", "16"]));
    let theirs =
        json(evaluate(&usual).args(["--environment-command", &command, "--out", stem.to_str().unwrap()]));
    assert_eq!((&theirs["environment"], &theirs["tasks"]), (&"My dark room".into(), &81.into()));
    let mut learned = 0.0;
    for task in ours["per_task"].as_array().unwrap() {
        let same = &theirs["per_task"][task["task"].as_u64().unwrap() as usize];
        for line in ["int8", "random"] {
            assert_eq!(same[line], task[line], "{line}, task {}", task["task"]);
        }
        learned += task["int8"].as_f64().unwrap() / 16.0;
    }
    assert!(learned > 3.0, "the mean return of the second half was {learned}");
    let page = std::fs::read_to_string(stem.with_extension("html")).unwrap();
    for expected in ["My dark room", "Of each task, the highest first", "--environment-command"] {
        assert!(page.contains(expected), "{expected}");
    }
    for extension in ["json", "csv", "svg"] {
        assert!(stem.with_extension(extension).exists(), "{extension}");
    }
}

/// Whether the process of this number runs.
#[cfg(target_os = "linux")]
fn runs(number: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    // What has ended and was not asked for yet is a Z.
    state.rsplit(") ").next().is_some_and(|fields| !fields.is_empty() && !fields.starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_command_started_ends_with_whoever_asked_it() {
    let wait_until = |happened: &dyn Fn() -> bool| {
        let in_time = (0..2_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            happened()
        });
        assert!(in_time);
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("number");
    // Of a shell in a shell the outer one waits: the one that hangs is nobody's child whom we know.
    let inner = format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 1000", file.display());
    let hanging = format!("sh -c '{inner}'; true");
    let left_behind = format!("sh -c '{inner}' & while ! test -e {}; do :; done; exit 3", file.display());
    for (command, signal) in [(&hanging, Some("-KILL")), (&hanging, Some("-INT")), (&left_behind, None)] {
        // What runs in the background ignores Ctrl-C, unless it is told not to.
        let mut asking = std::process::Command::new("env");
        asking.arg("--default-signal=INT").arg(assert_cmd::cargo::cargo_bin!("algodistill"));
        asking.args(["evaluate", "models/dark-room.adw", "--environment-command", command]);
        asking.stderr(std::process::Stdio::piped());
        let asking = asking.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).spawn().unwrap();
        wait_until(&|| file.exists());
        let number = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        if let Some(signal) = signal {
            assert!(runs(&number));
            Command::new("kill").args([signal, &asking.id().to_string()]).assert().success();
        }
        let output = asking.wait_with_output().unwrap();
        if signal.is_none() {
            // What was left behind holds its standard output open, which is no reason to wait for it.
            let problem = String::from_utf8(output.stderr).unwrap();
            assert!(problem.contains("it ended (exit status: 3)"), "{problem}");
        }
        wait_until(&|| !runs(&number));
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn what_goes_wrong_is_said_and_leaves_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("report");
    let fail = |status: i32, arguments: &[&str]| {
        let mut command = evaluate(arguments);
        command.args(["--out", stem.to_str().unwrap()]);
        let output = command.assert().code(status).get_output().clone();
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let crash = r#"read -r info; echo '{"actions":5,"tasks":1}'; read -r reset; echo boom >&2; exit 7"#;
    let problem = fail(1, &["--environment-command", crash]);
    for expected in ["\"do\":\"reset\",\"task\":0", "it ended (exit status: 7)", "standard error:\nboom"] {
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
    let unsaid = r#"read -r info; echo '{"actions":5}'; cat >&2"#;
    let problem = fail(2, &["--environment-command", unsaid]);
    assert!(problem.contains("--tasks: is needed"), "{problem}");
    for wrong in [&["--environment", "dark-room"][..], &["--steps", "9"], &["--prompt", "9"]] {
        let problem = fail(2, &[&["--environment-command", "cat"], wrong].concat());
        assert!(problem.contains("cannot be used with"), "{problem}");
    }
    assert!(fail(2, &["--environment-timeout", "3"]).contains("--environment-command"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no report of half an evaluation");
    assert!(!Path::new(&stem).exists());
}
