//! Programs in a few lines of shell: one that is a Dark Room, and every way to be wrong.

use super::*;
use crate::evaluate::{evaluate, report};
use crate::progress::NoProgress;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Dark Room 9x9 of 20 steps, on the tasks of `TASKS`.
const DARK_ROOM: &str = r#"
while read -r line; do
  case $line in
    *info*) echo '{"protocol":1,"name":"My room","actions":5,"tasks":TASKS}'; continue ;;
    *reset*)
      task=${line#*\"task\":}; task=${task%%,*}
      row=4; column=4; steps=0
      echo '{"observation":[4,4]}'; continue ;;
    *:1}) [ $row -eq 0 ] || row=$((row - 1)) ;;
    *:3}) [ $row -eq 8 ] || row=$((row + 1)) ;;
    *:4}) [ $column -eq 0 ] || column=$((column - 1)) ;;
    *:2}) [ $column -eq 8 ] || column=$((column + 1)) ;;
  esac
  steps=$((steps + 1)); reward=0; done=false
  [ $((row * 9 + column)) -ne $task ] || reward=1
  [ $steps -lt 20 ] || done=true
  echo "{\"observation\":[$row,$column],\"reward\":$reward,\"terminated\":false,\"truncated\":$done}"
done"#;

fn model() -> Contestants {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dark-room.adw"));
    Contestants { models: vec![path], ..Contestants::default() }
}

fn config() -> EvaluateConfig {
    EvaluateConfig { tasks: Some(2), runs: Some(2), episodes: Some(3), seed: 5, ..EvaluateConfig::default() }
}

fn run(command: &CommandConfig) -> Result<Evaluation> {
    evaluate_command(command, &config(), &model(), &NoProgress)
}

#[test]
fn a_mirror_of_our_environment_gives_the_returns_of_our_environment() {
    let config = EvaluateConfig { tasks: Some(4), episodes: Some(8), ..config() };
    let ours = evaluate(&config, &model(), &NoProgress).expect("an evaluation");
    let tasks = format!("{:?}", ours.contexts.tasks);
    let mut command = CommandConfig::new(&DARK_ROOM.replace("TASKS", &tasks));
    let run = |command: &CommandConfig| evaluate_command(command, &config, &model(), &NoProgress);
    let theirs = run(&command).expect("an evaluation");
    for key in ["int8", "random"] {
        let line = |evaluation: &Evaluation| {
            let found = evaluation.measured.iter().find(|one| one.series.key == key);
            let found = found.unwrap_or_else(|| panic!("no line {key}")).clone();
            let runs: Vec<_> =
                found.clusters.into_iter().map(|cluster| (cluster.runs, cluster.steps)).collect();
            (runs, found.curve, found.summary, found.never_solved)
        };
        assert_eq!(line(&theirs), line(&ours), "{key}");
    }
    assert!(report::json(&ours)["mean_return"]["int8"]["mean"].as_f64() > Some(1.0), "nothing was learned");
    assert_eq!((theirs.title.as_str(), theirs.task_names.len()), ("My room", 4));
    // However many programs share the work.
    command.processes = 3;
    assert_eq!(run(&command).expect("an evaluation"), theirs);
}

/// A program with these answers.
fn program(info: &str, reset: &str, step: &str) -> String {
    format!("while read -r line; do case $line in *info*) {info};; *reset*) {reset};; *) {step};; esac; done")
}

/// Begun by the mark of UTF-8, as some languages do.
const INFO: &str = r#"printf '\357\273\277{"actions":5,"tasks":3}\n'"#;
const RESET: &str = r#"echo '{"observation":[4,4]}'"#;
const STEP: &str = r#"echo '{"observation":[4,4],"reward":0,"done":true}'"#;

#[test]
fn what_a_program_does_wrong_is_said_with_what_it_was_asked_and_what_it_answered() {
    run(&CommandConfig::new(&program(INFO, RESET, STEP))).expect("all is well");
    let say = |text: &str| format!("echo '{text}'");
    let info = |text: &str| program(&say(text), RESET, STEP);
    let reset = |text: &str| program(INFO, &say(text), STEP);
    let step = |rest: &str| program(INFO, RESET, &say(&format!("{{\"observation\":[4,4]{rest}}}")));
    let silent = "sleep 100";
    let cases = [
        ("no-such-program-at-all".into(), "asked {\"do\":\"info\"}: it ended (exit status 127"),
        ("exit 3".into(), "it ended (exit status: 3) and wrote nothing to standard error"),
        ("exec >&-; exec <&-; sleep 100".into(), "it closed its standard input or output"),
        (
            program(INFO, RESET, "echo boom >&2; exit 1"),
            "it ended (exit status: 1); its last words on standard error:\nboom",
        ),
        (program(INFO, "kill -9 $$", STEP), "it ended (signal: 9"),
        (program(INFO, RESET, "printf half; exit 0"), "it ended (exit status: 0)"),
        (program(INFO, silent, STEP), "\"episode\":1,\"seed\":"),
        (
            program(INFO, silent, STEP),
            "no answer within 0.5 s: the program must write a line for each request and flush",
        ),
        (program(INFO, RESET, "head -c 1100000 /dev/zero | tr '\\0' x"), "a line of more than 1048576 bytes"),
        (program(INFO, "echo '{\"observation\":[4,4]}'; echo surplus", "sleep 100"), "surplus"),
        (program("echo hello", RESET, STEP), "it answered hello: the line is no JSON"),
        (info("[1]"), "it answered [1]: it is no object"),
        (info("{\"actions\":5,\"task\":3}"), "task is no field here; the fields are protocol, name, actions"),
        (info("{\"tasks\":3}"), "actions is missing"),
        (info("{\"actions\":4,\"tasks\":3}"), "actions are 5 in the model, 4 there"),
        (info("{\"actions\":1,\"tasks\":3}"), "outside of the limits of a model"),
        (info("{\"actions\":5,\"tasks\":3,\"protocol\":2}"), "protocol is 2, expected 1"),
        (info("{\"actions\":5,\"tasks\":\"all\"}"), "tasks is neither how many there are nor a list"),
        (info("{\"actions\":5,\"tasks\":1}"), "tasks: is 2, expected 1 to 1: the environment has 1"),
        (info("{\"actions\":5,\"tasks\":[1,2,1]}"), "tasks names task 1 more than once"),
        (info("{\"actions\":5,\"tasks\":0}"), "it has no tasks"),
        (info("{\"actions\":\"5\",\"tasks\":3}"), "actions is \"5\", expected a whole number"),
        (info("{\"actions\":5,\"tasks\":3,\"optimal\":[1]}"), "optimal has 1 returns"),
        (info("{\"actions\":5,\"tasks\":3,\"channels\":[{\"discrete\":{\"size\":16}}]}"), "observations are"),
        (info("{\"actions\":5,\"tasks\":3,\"channels\":[16]}"), "channels: is 16, expected"),
        (info("{\"error\":\"no such map\"}"), "it says: no such map"),
        (reset("{}"), "observation is missing"),
        (reset("{\"observation\":[4]}"), "observation has 1 numbers, expected 2"),
        (
            reset("{\"observation\":[4,9]}"),
            "it answered {\"observation\":[4,9]}: observation[1] is 9, expected 0 to 8",
        ),
        (reset("{\"observation\":[4,0.5]}"), "observation[1] is 0.5, expected a whole number"),
        (reset("{\"observation\":\"here\"}"), "observation is neither a list of numbers nor a number"),
        (step(""), "reward is missing"),
        (step(",\"reward\":1"), "terminated is missing"),
        (step(",\"reward\":1,\"truncated\":true"), "terminated is missing"),
        (step(",\"reward\":1,\"done\":true,\"terminated\":true"), "give one or the other"),
        (step(",\"reward\":NaN,\"done\":true"), "NaN is no number in JSON"),
        (step(",\"reward\":1e300,\"done\":true"), "reward is 1e+300, expected a number of 32 bits"),
        (step(",\"reward\":null,\"done\":true"), "reward is nothing, expected a number"),
        (step(",\"reward\":\"1\",\"done\":true"), "reward is \"1\", expected a number"),
        (step(",\"reward\":1,\"done\":1"), "done is 1, expected true or false"),
        (
            step(",\"reward\":0,\"done\":false"),
            "task 0, episode 1 has not ended after 50 steps: let the environment answer",
        ),
    ];
    for (command, expected) in cases {
        let command = CommandConfig {
            timeout: Duration::from_millis(500),
            max_episode_steps: 50,
            ..CommandConfig::new(&command)
        };
        let error = run(&command).expect_err(expected);
        let problem = error.to_string();
        assert!(problem.contains(expected), "{expected}: {problem}");
        let of_us = problem.starts_with("tasks: ") || problem.contains("in the model");
        assert!(of_us || matches!(error, Error::Command { .. }), "{error:?}");
    }
}

#[test]
fn what_only_our_environments_have_is_refused() {
    let command = CommandConfig::new(&program(INFO, RESET, STEP));
    let refused =
        |config| evaluate_command(&command, &config, &model(), &NoProgress).expect_err("refused").to_string();
    let usual = EvaluateConfig::default;
    assert!(refused(EvaluateConfig { steps: Some(9), ..usual() }).starts_with("steps: "));
    assert!(refused(EvaluateConfig { prompt: Some(9), ..usual() }).starts_with("prompt: "));
    assert!(refused(EvaluateConfig { environment: Some("bandit".into()), ..usual() })
        .starts_with("environment: "));
    assert!(refused(EvaluateConfig { wanted_return: Some(1.0), ..usual() }).starts_with("wanted_return: "));
    assert!(refused(EvaluateConfig { mean_over: Some((3, 99)), ..usual() }).starts_with("mean_over: "));
    let unsaid = CommandConfig::new(&program("echo '{\"actions\":5}'", RESET, STEP));
    let problem =
        evaluate_command(&unsaid, &usual(), &model(), &NoProgress).expect_err("refused").to_string();
    assert!(problem.starts_with("tasks: is needed"), "{problem}");
}

/// Whether a process of this number runs.
fn runs(process: &Path) -> bool {
    let number = std::fs::read_to_string(process).expect("a number").trim().to_owned();
    let state = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    // What has ended and was not asked for yet is a Z.
    state.rsplit(") ").next().is_some_and(|fields| !fields.is_empty() && !fields.starts_with('Z'))
}

#[test]
fn a_program_that_goes_on_when_its_input_has_ended_is_ended_with_what_it_started() {
    if !Path::new("/proc/self/stat").exists() {
        eprintln!("skipped: without /proc nobody can tell which processes run");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("child");
    let command = format!("sleep 1000 & echo $! > {}\n{}\nwait", file.display(), program(INFO, RESET, STEP));
    let begun = Instant::now();
    run(&CommandConfig::new(&command)).expect("an evaluation");
    assert!(begun.elapsed() < Duration::from_secs(30));
    // Init may need a moment to take it away.
    let ended = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !runs(&file)
    });
    assert!(ended, "the program's child still runs");
}
