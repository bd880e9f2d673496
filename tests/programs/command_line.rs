//! The command line, run as a program: what it prints, where, and with which exit status.

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

fn algodistill() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
}

/// Runs with `--json`; the one object on stdout.
fn json(arguments: &[&str]) -> Value {
    let output = algodistill().arg("--json").args(arguments).assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "more than one line on stdout:\n{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(value.is_object(), "{value}");
    value
}

/// Runs what must fail with `status`; stdout stays empty; the message.
fn failure(status: i32, arguments: &[&str]) -> String {
    let output = algodistill().args(arguments).assert().code(status).get_output().clone();
    assert!(output.stdout.is_empty(), "{arguments:?} printed {:?}", String::from_utf8_lossy(&output.stdout));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    message
}

/// A trained toy: histories.parquet, run/, model.adw.
struct Toy {
    folder: TempDir,
}

impl Toy {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Made once for all tests, by the program itself.
    fn get() -> &'static Self {
        static TOY: OnceLock<Toy> = OnceLock::new();
        TOY.get_or_init(|| {
            let toy = Toy { folder: TempDir::new().unwrap() };
            let (histories, run, model) =
                (toy.text("histories.parquet"), toy.text("run"), toy.text("model.adw"));
            let generated = json(&[
                "generate",
                "--environment",
                "dark-room",
                "--source",
                "psrl",
                "--histories",
                "2",
                "--out",
                &histories,
            ]);
            assert_eq!(generated["steps"], (65 * 2 + 16 * 4) * 14 * 20, "{generated}");
            let trained = json(&["train", &histories, "--out", &run, "--updates", "30", "--batch", "4"]);
            for field in ["loss", "validation_loss", "tokens_per_second", "train_seconds"] {
                assert!(trained[field].as_f64().unwrap() > 0.0, "{trained}");
            }
            let exported = json(&["export", &run, "--histories", &histories, "--out", &model]);
            assert_eq!(
                exported["parameters"],
                trained["parameters"].as_u64().unwrap() - 5 * 64,
                "norms are folded in"
            );
            toy
        })
    }
}

#[test]
fn help_and_version_exit_0() {
    for arguments in [&["--help"][..], &["--version"], &["help", "evaluate"], &["bench", "act", "--help"]] {
        algodistill().args(arguments).assert().success();
    }
}

#[test]
fn one_of_several_ranks_does_not_do_the_work_of_all() {
    // As `mpirun -n 2` would start it, without MPI in the program or for a command that has no share
    // for each.
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("x.parquet");
    let generate = ["generate", "--environment", "dark-room", "--out", out.to_str().unwrap()];
    let commands = [&generate[..], &["bench", "act"]];
    for arguments in commands.iter().skip(usize::from(cfg!(feature = "mpi"))) {
        for (rank, expected) in [("0", "an MPI launcher started several"), ("1", "")] {
            let environment = [("OMPI_COMM_WORLD_RANK", rank), ("OMPI_COMM_WORLD_SIZE", "2")];
            let output =
                algodistill().args(*arguments).envs(environment).assert().code(2).get_output().clone();
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message}");
        }
    }
    assert!(!out.exists());
}

#[test]
fn wrong_usage_exits_2_and_says_what_was_expected() {
    let out = TempDir::new().unwrap();
    let file = out.path().join("x.parquet");
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (&["no-such-command"][..], "no-such-command"),
        (&["quickstart", "--updates", "0"], "1.."),
        (&["quickstart", "--updates", "many"], "'many' for '--updates <N>': expected a whole number"),
        (&["train", file, "--out", file, "--batch", "1.5"], "'--batch <BATCH>': expected a whole number"),
        (&["train", file, "--out", file, "--clip", "none"], "'--clip <CLIP>': expected a number"),
        (&["train", file, "--out", file, "--updates", "99999999999999999999"], "is too large"),
        (&["evaluate"], "MODEL.adw"),
        (&["generate", "--tasks-per-history", "3", "--out", file], "--tasks-per-history: is 3"),
        (&["generate", "--tasks-per-history", "none", "--out", file], "a whole number from 1, or all"),
        (&["histories", "filter", "missing.parquet", "--out", file], "filter: takes nothing out"),
        (&["histories", "filter", "missing.parquet", "--out", file, "--keep", "2"], "--keep: is 2"),
        (&["histories", "filter", "missing.parquet", "--out", file, "--episodes", "9"], "FIRST-LAST"),
        (&["generate", "--environment", "dark-rom", "--source", "psrl", "--out", file], "dark-room"),
        (&["generate", "--environment", "dark-room", "--source", "thompson", "--out", file], "psrl"),
        (
            &[
                "generate",
                "--environment",
                "dark-room",
                "--source",
                "psrl",
                "--out",
                file,
                "--held-out",
                "82",
            ],
            "81",
        ),
        (
            &["generate", "--environment", "dark-room", "--out", file, "--episodes", "4294967295"],
            "--episodes",
        ),
        (
            &["generate", "--environment", "dark-room", "--out", file, "--histories", "4000000000"],
            "--histories",
        ),
        (&["generate", "--environment", "bandit", "--out", file, "--tasks", "4000000000"], "--tasks"),
        (&["quickstart", "--histories", "4000000000", "--out", file], "--histories"),
        (&["quickstart", "--seed", "18446744073709551615", "--out", file], "train.seed"),
        (&["bench", "act", "--d-model", "63"], "multiple of 16"),
        (&["bench", "act", "--window", "0"], "window"),
        (&["reproduce", "figure-1"], "known are quickstart, dark-room"),
        (&["reproduce"], "EXPERIMENT"),
        (&["evaluate", "x.adw", "--also", "x.adw"], "expected NAME=MODEL.adw"),
        (&["evaluate", "x.adw", "--steps", "40", "--episodes", "2"], "--episodes"),
        (
            &["generate", "--set", "size=1", "--out", file],
            "environment.size: is 1, expected 2 to 128 (--set size=...)",
        ),
        (
            &["generate", "--source-set", "alpha=1", "--out", file],
            "source.alpha: is not a parameter of psrl; it has target (--source-set alpha=...)",
        ),
        (
            &["generate", "--set", "size=x", "--out", file],
            "environment.size: is \"x\", expected a whole number from 0 to 65535 (--set size=...)",
        ),
        (
            &["generate", "--environment", "restless-bandit", "--set", "good_pays=1e39", "--out", file],
            "environment.good_pays: is 1e+39, expected a number of at most 3.4e38",
        ),
        (&["generate", "--set", "size=1e309", "--out", file], "1e309 is too large for a number"),
        (&["--threads", "0", "bench", "act"], "--threads"),
        (&["--threads", "100000", "bench", "act"], "1..=1024"),
        (&["bench", "act", "--steps", "-1"], "-1 is not in 100..="),
        (&["evaluate", "x.adw", "--runs", "-1"], "-1 is not in 1..="),
        (&["evaluate", "x.adw", "--mean-over", "-1-4"], "expected FIRST-LAST"),
        (
            &[
                "generate",
                "--environment",
                "bandit",
                "--source",
                "epsilon-greedy",
                "--source-set",
                "epsilon=-0.5",
                "--out",
                file,
            ],
            "0 to 1",
        ),
        (
            &["generate", "--environment", "dark-room", "--keep-every", "100", "--out", file],
            "--keep-every: is 100",
        ),
        (&["train", file, "--out", file, "--batch", "65536"], "train.batch: is 65536"),
        (&["train", file, "--out", file, "--learning-rate", "nan"], "train.learning_rate: is NaN"),
        (&["bench", "train", "--batch", "16384"], "--batch: is 16384"),
    ] {
        let message = failure(2, arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "a refused command leaves nothing behind");
}

#[test]
fn a_file_that_is_not_of_histories_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious.parquet");
    std::fs::write(&path, "mine").unwrap();
    let message = failure(1, &["generate", "--environment", "dark-room", "--out", path.to_str().unwrap()]);
    assert!(message.contains("is there already and has no card"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

/// What a user wrote is wrong usage wherever it stands: in an argument or in the file of an
/// experiment.
#[test]
fn a_wrong_experiment_is_wrong_usage_and_said_in_its_own_words() {
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("mine.toml"), folder.path().join("run"));
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/quickstart.toml");
    let good = std::fs::read_to_string(good).unwrap();
    for (from, to, expected) in [
        ("histories_per_task = 100", "histories_per_tasks = 1", "histories_per_tasks is no field here"),
        (
            "histories_per_task = 100",
            "histories_per_task = 0",
            "mine.toml: histories_per_task: is 0, expected",
        ),
        ("updates = 2500", "updates = \"x\"", "mine.toml: train.updates: is \"x\", expected a whole number"),
        ("mean_over = [21, 40]", "mean_over = [21, 41]", "mine.toml: mean_over: is 21-41, expected"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(file, good.replacen(from, to, 1)).unwrap();
        let message = failure(2, &["reproduce", file, "--out", out]);
        assert!(message.contains(expected) && !message.contains("--"), "{message}");
    }
    std::fs::write(file, good).unwrap();
    let message = failure(2, &["reproduce", file, "--out", out, "--histories", "4000000000"]);
    assert!(message.contains("--histories: 260000000064 histories"), "{message}");
    failure(1, &["reproduce", "missing.toml", "--out", out]);
    assert!(!Path::new(out).exists());
}

/// The shipped model of this name.
fn shipped(name: &str) -> String {
    format!("{}/../models/{name}.adw", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_model_that_does_not_fit_what_is_evaluated_is_named() {
    let (room, bandit) = (shipped("dark-room"), shipped("bandit"));
    let also = format!("b={bandit}");
    let message = failure(2, &["evaluate", &room, "--also", &also]);
    let expected =
        "bandit.adw: is a model of bandit and does not fit dark-room as it is to be run: observations are \
                    [] in the model, [0 to 8, 0 to 8] there";
    assert!(message.contains(expected), "{message}");
    let message = failure(2, &["play", &bandit, "--environment", "dark-room"]);
    assert!(message.contains(expected), "{message}");
    // A line of two training seeds needs two models.
    let also = format!("a={room}");
    let message = failure(2, &["evaluate", &room, "--also", &also, "--also", &also]);
    assert!(message.contains("dark-room.adw: is there twice"), "{message}");
    let message = failure(2, &["evaluate", &room, &room]);
    assert!(message.contains("dark-room.adw: is there twice"), "{message}");
}

/// They show the same, so that either model can act in either; their tasks have nothing in common.
#[test]
fn a_model_of_another_environment_is_run_on_the_tasks_of_the_one_asked_for() {
    let (room, door) = (shipped("dark-room"), shipped("key-to-door"));
    let also = format!("door={door}");
    for arguments in [
        &["evaluate", &door, "--environment", "dark-room", "--runs", "1", "--episodes", "2"][..],
        &["evaluate", &room, "--also", &also, "--runs", "1", "--episodes", "2"],
    ] {
        let evaluation = json(arguments);
        assert_eq!((&evaluation["environment"], &evaluation["tasks"]), (&"dark-room".into(), &16.into()));
        let warnings = evaluation["warnings"].to_string();
        assert!(
            warnings.contains("is a model of key-to-door, it never saw a task of dark-room"),
            "{warnings}"
        );
    }
    json(&["play", &door, "--environment", "dark-room", "--episodes", "1"]);
}

#[test]
fn a_stream_has_the_steps_that_were_asked_for_whatever_the_horizon_of_the_histories() {
    let model = shipped("restless-bandit");
    let evaluation = json(&["evaluate", &model, "--steps", "3000", "--tasks", "2"]);
    assert_eq!(evaluation["curves"]["int8"].as_array().unwrap().len(), 5);
    let warnings = evaluation["warnings"].to_string();
    assert!(
        warnings.contains("no multiple of the 608 of an episode: reported in blocks of 600"),
        "{warnings}"
    );
    let preset = ["evaluate", &model, "--environment", "restless-bandit", "--steps", "3000", "--tasks", "2"];
    assert_eq!(json(&preset)["curves"]["int8"].as_array().unwrap().len(), 10);
    let message = failure(2, &["evaluate", &model, "--steps", "2000000"]);
    assert!(
        message.contains("--steps: sets horizon, which is 2000000, expected 1 to 1,000,000"),
        "{message}"
    );
}

#[test]
fn a_model_of_an_unreleased_version_is_to_be_exported_again() {
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/v1.adw");
    let message = failure(1, &["inspect", old]);
    let expected =
        "format version 1 is not supported, expected 2 to 5; written by an earlier version of the program: \
                    export the model again";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn failures_exit_1_and_name_the_file() {
    let toy = Toy::get();
    let damaged = toy.text("damaged.adw");
    let mut bytes = std::fs::read(toy.path("model.adw")).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let foreign = toy.text("foreign.parquet");
    std::fs::copy(&damaged, &foreign).unwrap();
    let histories = toy.text("histories.parquet");
    let (out, weights) = (toy.text("refused"), toy.text("refused.adw"));
    for arguments in [
        &["inspect", "missing.adw"][..],
        &["inspect", &histories],
        &["inspect", &damaged],
        &["evaluate", &damaged],
        &["play", &damaged],
        &["train", &foreign, "--out", &out],
        &["export", &damaged, "--histories", &histories, "--out", &weights],
        &["histories", "show", &foreign],
        &["histories", "check", &foreign],
    ] {
        let message = failure(1, arguments);
        let stem = |argument: &&&str| {
            argument.contains('.') && message.contains(argument.rsplit_once('.').unwrap().0)
        };
        let named = arguments.iter().any(|argument| stem(&argument));
        assert!(named, "{arguments:?} does not name the file: {message}");
    }
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_device_is_no_file_and_of_two_missing_files_the_one_named_is_reported() {
    let toy = Toy::get();
    let (histories, out, weights) =
        (toy.text("histories.parquet"), toy.text("refused"), toy.text("refused.adw"));
    for arguments in [
        &["inspect", "/dev/zero"][..],
        &["play", "/dev/zero"],
        &["evaluate", "/dev/zero"],
        &["evaluate", &toy.text("model.adw"), "--float", "/dev/zero"],
        &["export", "/dev/zero", "--histories", &histories, "--out", &weights],
    ] {
        let message = failure(1, arguments);
        assert!(message.contains("/dev/zero: is not a regular file"), "{arguments:?}: {message}");
    }
    let message = failure(1, &["train", "absent.parquet", "--out", &out]);
    assert!(message.contains("absent.parquet") && !message.contains("card"), "{message}");
    let bare = toy.text("bare.parquet");
    std::fs::copy(&histories, &bare).unwrap();
    let message = failure(1, &["train", &bare, "--out", &out]);
    assert!(message.contains("bare.card.json: is missing") && message.contains("--write-card"), "{message}");
}

#[test]
fn a_finished_training_says_so_and_another_configuration_is_wrong_usage() {
    let toy = Toy::get();
    let (histories, run) = (toy.text("histories.parquet"), toy.text("finished"));
    let train = ["train", &histories, "--out", &run, "--resume", "--updates", "3", "--batch", "2"];
    json(&train);
    let output = algodistill().args(train).assert().success().get_output().clone();
    let (text, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("all 3 updates were done before"), "{text}");
    assert!(log.contains("all 3 updates were done before") && !log.contains("loss"), "{log}");
    let message = failure(2, &[&train[..7], &["--batch", "3"]].concat());
    assert!(message.contains("train.batch: is 3") && message.contains("made with 2"), "{message}");
}

/// Whether another program's task numbers mean the same as here is not known.
#[test]
fn histories_of_one_agent_over_all_tasks_are_filtered_shown_and_trained_on() {
    let toy = Toy::get();
    let (whole, end) = (toy.text("many.parquet"), toy.text("many-end.parquet"));
    let (run, model) = (toy.text("many"), toy.text("many.adw"));
    let words = "generate --environment light-key-to-door --set size=4 --source a3c --tasks-per-history all \
                 --histories 4 --held-out 8 --episodes 300 --keep-every 2 --out";
    let generate: Vec<&str> = words.split_whitespace().chain([whole.as_str()]).collect();
    assert_eq!(json(&generate)["generation"]["tasks_per_history"], "all");
    let filtered = json(&["histories", "filter", &whole, "--out", &end, "--episodes", "200-299"]);
    assert_eq!((&filtered["histories"], &filtered["filter"]["dropped"]["histories"]), (&8.into(), &0.into()));
    assert_eq!(filtered["returns"][0]["first_episode"], 200);
    let shown = json(&["histories", "show", &end, "--steps", "1"]);
    assert!(shown["first_steps"][0].as_str().unwrap().contains("(task "), "{shown}");
    json(&["histories", "check", &end]);
    json(&["train", &end, "--out", &run, "--updates", "2", "--batch", "2"]);
    json(&["export", &run, "--histories", &end, "--out", &model]);
    // The source learned many tasks: it is not run on each as if it had learned that one.
    let evaluated = json(&["evaluate", &model, "--tasks", "2", "--runs", "1", "--episodes", "2"]);
    assert!(evaluated["mean_return"]["int8"].is_object() && evaluated["mean_return"]["source"].is_null());
}

#[test]
fn tasks_of_a_model_of_foreign_histories_are_not_called_held_out() {
    let toy = Toy::get();
    let (histories, run, model) = (toy.text("another.parquet"), toy.text("another"), toy.text("another.adw"));
    std::fs::copy(toy.path("histories.parquet"), &histories).unwrap();
    json(&["histories", "check", &histories, "--write-card", "--held-out", "7"]);
    let message = failure(2, &["histories", "check", &histories, "--write-card", "--held-out", "8"]);
    assert!(message.contains("--held-out: ") && message.contains("another.card.json"), "{message}");
    json(&["train", &histories, "--out", &run, "--updates", "2", "--batch", "2"]);
    json(&["export", &run, "--histories", &histories, "--out", &model]);
    let message = failure(2, &["evaluate", &model]);
    assert!(message.contains("--environment: is needed"), "{message}");
    let evaluate = ["evaluate", &model, "--environment", "dark-room", "--runs", "1", "--episodes", "2"];
    let evaluation = json(&evaluate);
    assert_eq!((&evaluation["tasks_held_out"], &evaluation["tasks"]), (&false.into(), &81.into()));
    let text = algodistill().args(evaluate).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(text).unwrap().contains("81 tasks (training may have seen them)"));
}

/// Killed before its first checkpoint, a run has only a config.toml.
#[test]
fn a_training_that_only_began_is_not_resumed_as_another() {
    let toy = Toy::get();
    let (histories, run) = (toy.text("histories.parquet"), toy.text("begun"));
    let train = ["train", &histories, "--out", &run, "--resume", "--updates", "3", "--batch", "2"];
    json(&train);
    let model = std::fs::read(toy.path("begun/model.safetensors")).unwrap();
    for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl"] {
        std::fs::remove_file(toy.path("begun").join(file)).unwrap();
    }
    let message = failure(2, &[&train[..7], &["--batch", "3"]].concat());
    assert!(
        message.contains("train.batch: is 3") && message.contains("config.toml was made with 2"),
        "{message}"
    );
    let other = toy.text("begun.parquet");
    json(&["generate", "--environment", "dark-room", "--histories", "1", "--out", &other]);
    let message = failure(1, &["train", &other, "--out", &run, "--resume"]);
    assert!(message.contains("config.toml: belongs to other histories"), "{message}");
    json(&train[..5]);
    assert!(std::fs::read(toy.path("begun/model.safetensors")).unwrap() == model);
}

#[test]
fn more_threads_than_the_machine_has_use_for_are_warned_of() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let output = algodistill().args(["--threads", "1024", "inspect", &Toy::get().text("model.adw")]).output();
    let warned = String::from_utf8(output.unwrap().stderr).unwrap().contains("warning: --threads 1024");
    assert_eq!(warned, cores < 256);
}

#[test]
fn a_float_model_is_compared_with_its_own_int8_model_only() {
    let toy = Toy::get();
    let (histories, model, other) =
        (toy.text("histories.parquet"), toy.text("model.adw"), toy.text("other-run"));
    json(&["train", &histories, "--out", &other, "--updates", "2", "--batch", "2", "--seed", "7"]);
    let float = format!("{other}/model.safetensors");
    for option in ["--float", "--compare-float"] {
        let message = failure(1, &["evaluate", &model, option, &float]);
        assert!(message.contains("is not the model that") && message.contains("seed 7"), "{message}");
    }
}

#[test]
fn what_memory_cannot_hold_is_refused_with_the_limit() {
    let model = Toy::get().text("model.adw");
    let message = failure(2, &["evaluate", &model, "--runs", "1000000"]);
    assert!(message.contains("--runs") && message.contains("at most 10000000"), "{message}");
}

/// Starts the program, and waits until it has made `sign`.
fn start(arguments: &[&str], sign: &Path) -> std::process::Child {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("algodistill"))
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !sign.exists() {
        assert!(child.try_wait().unwrap().is_none(), "{arguments:?} ended before it made {}", sign.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child
}

#[test]
fn a_second_process_is_refused_until_the_first_is_dead() {
    let toy = Toy::get();
    let (histories, run, file) = (toy.text("histories.parquet"), toy.text("busy"), toy.text("busy.parquet"));
    let train = ["train", &histories, "--out", &run, "--resume", "--updates", "100000", "--batch", "2"];
    let mut first = start(&train, &toy.path("busy/metrics.jsonl"));
    let message = failure(1, &train);
    assert!(message.contains("busy: another process") && message.contains("--out"), "{message}");
    first.kill().unwrap();
    first.wait().unwrap();

    let generate =
        |histories| ["generate", "--environment", "dark-room", "--histories", histories, "--out", &file];
    let mut first = start(&generate("20000"), &toy.path(".busy.parquet.tmp"));
    let message = failure(1, &generate("1"));
    assert!(message.contains("busy.parquet") && message.contains("another process"), "{message}");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(toy.path(".busy.parquet.tmp").exists() && !toy.path("busy.parquet").exists());
    json(&generate("1"));
    json(&["histories", "check", &file]);
    assert!(!toy.path(".busy.parquet.tmp").exists(), "the next run clears up");
}

#[test]
fn a_model_is_exported_with_its_own_histories_only() {
    let toy = Toy::get();
    let (other, out) = (toy.text("other.parquet"), toy.text("other.adw"));
    json(&["generate", "--environment", "dark-room", "--histories", "1", "--out", &other]);
    let message = failure(1, &["export", &toy.text("run"), "--histories", &other, "--out", &out]);
    assert!(message.contains("other.parquet") && message.contains("other histories"), "{message}");
    assert!(!Path::new(&out).exists());
}

/// The other files of a training lie beside it, and their names are as easily typed.
#[test]
fn an_export_overwrites_nothing_but_weights_files() {
    let toy = Toy::get();
    let histories = toy.text("histories.parquet");
    let before = std::fs::read(&histories).unwrap();
    let message = failure(2, &["export", &toy.text("run"), "--histories", &histories, "--out", &histories]);
    assert!(message.contains("--out") && message.contains(".adw"), "{message}");
    assert!(std::fs::read(&histories).unwrap() == before);
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let out = Toy::get().folder.path().join(std::ffi::OsStr::from_bytes(b"h\xff.parquet"));
    let command = ["--json", "generate", "--environment", "dark-room", "--histories", "1", "--out"];
    algodistill().args(command).arg(&out).assert().success();
    algodistill().args(["--json", "histories", "check"]).arg(&out).assert().success();
}

#[test]
fn with_fewer_heads_of_keys_and_values_the_ring_is_smaller() {
    let toy = Toy::get();
    let (histories, usual) = (toy.text("histories.parquet"), toy.text("model.adw"));
    let [run, float, model, same] =
        ["shared", "shared/model.safetensors", "shared.adw", "same"].map(|name| toy.text(name));
    let budget = ["--updates", "4", "--batch", "2"];
    let train = |run: &str, more: &[&str]| {
        json(&[&["train", &histories, "--out", run], &budget[..], more].concat());
    };
    train(&run, &["--kv-heads", "1"]);
    json(&["export", &run, "--histories", &histories, "--out", &model]);
    let (shared, usual) = (json(&["inspect", &model]), json(&["inspect", &usual]));
    let of = |report: &Value| (report["dimensions"]["kv_heads"].clone(), report["format_version"].clone());
    assert_eq!([of(&shared), of(&usual)], [(1.into(), 5.into()), (4.into(), 3.into())]);
    let ring = |report: &Value| report["memory"]["ring"].as_u64().unwrap();
    assert_eq!(4 * ring(&shared), ring(&usual));
    // Fewer keys and values take fewer instructions, on every target, and parts make up the whole.
    let estimates =
        |report: &Value| report["estimated_instructions_per_step_full_ring"].as_array().unwrap().clone();
    let (few, many) = (estimates(&shared), estimates(&usual));
    assert_eq!((few.len(), many.len()), (7, 7));
    for (few, many) in few.iter().zip(&many) {
        let parts =
            few["parts"].as_array().unwrap().iter().map(|part| part["instructions"].as_u64().unwrap());
        assert_eq!(few["instructions"], parts.sum::<u64>(), "{few}");
        assert!(few["instructions"].as_u64() < many["instructions"].as_u64(), "{few}, {many}");
    }
    let text = algodistill().args(["inspect", &model]).output().unwrap().stdout;
    assert!(String::from_utf8(text).unwrap().contains(", 4 heads (1 of keys and values), "));
    json(&["evaluate", &model, "--runs", "1", "--episodes", "2", "--compare-float", &float]);
    // As many as heads: the same run as without a word of it.
    train(&same, &["--kv-heads", "4"]);
    train(&same, &["--resume"]);
    let message = failure(2, &["train", &histories, "--out", &run, "--kv-heads", "3"]);
    assert!(message.contains("train.kv_heads: is 3, must be 1 to 4 and a divisor of heads = 4"), "{message}");
}

#[test]
fn every_command_prints_one_json_object() {
    let toy = Toy::get();
    let (histories, model) = (toy.text("histories.parquet"), toy.text("model.adw"));
    let inspected = json(&["inspect", &model]);
    assert_eq!((&inspected["parameters"], &inspected["environment"]), (&101_632.into(), &"dark-room".into()));
    json(&["histories", "show", &histories]);
    json(&["histories", "check", &histories]);
    json(&["play", &model, "--episodes", "2"]);
    assert!(json(&["bench", "act", "--steps", "200"])["microseconds_per_act"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_program_in_any_language_is_served_line_by_line() {
    let toy = Toy::get();
    let requests = "{\"do\": \"act\", \"observation\": [4, 4]}\n{\"do\": \"sing\"}\n\
                    {\"do\": \"feedback\", \"reward\": 0, \"done\": false}\n";
    let serve = ["serve", &toy.text("model.adw"), "--greedy"];
    let output = algodistill().args(serve).write_stdin(requests).assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 4, "{text}");
    assert_eq!(answers[0]["actions"], 5);
    assert!(answers[1]["action"].is_u64() && answers[2]["error"].is_string(), "{text}");
    assert_eq!(answers[3], serde_json::json!({}));
    let message = failure(1, &["serve", &toy.text("histories.parquet")]);
    assert!(message.contains("histories.parquet"), "{message}");
}

#[test]
fn evaluate_reports_the_baselines_on_the_same_axes() {
    let toy = Toy::get();
    let (model, float) = (toy.text("model.adw"), toy.text("run/model.safetensors"));
    let report = toy.text("report");
    let arguments = [
        "evaluate",
        &model,
        "--environment",
        "dark-room",
        "--episodes",
        "6",
        "--runs",
        "2",
        "--seed",
        "3",
        "--tasks",
        "8",
        "--compare-float",
        &float,
        "--out",
        &report,
    ];
    let evaluation = json(&arguments);
    assert_eq!(evaluation["environment"], "dark-room");
    assert_eq!(evaluation["parameters"], 101_632);
    assert_eq!(evaluation["tasks"], 8);
    assert!(evaluation["never_solved"].is_number());
    for curve in ["random", "source", "int8"] {
        let curve = evaluation["curves"][curve].as_array().unwrap();
        assert_eq!(curve.len(), 6);
        assert!(curve.iter().all(|mean| (0.0..=20.0).contains(&mean.as_f64().unwrap())));
    }
    assert!(evaluation["curves"]["optimal"].as_f64().unwrap() > 13.0);
    assert!(evaluation["kl_nats"].as_f64().unwrap() < 0.05, "{}", evaluation["kl_nats"]);
    assert!(evaluation["top1_agreement"].as_f64().unwrap() > 0.9);
    for kind in ["json", "csv", "svg"] {
        assert!(std::fs::metadata(format!("{report}.{kind}")).unwrap().len() > 100);
    }
    assert_eq!(json(&arguments)["curves"], evaluation["curves"], "a seed decides everything");
}

#[test]
fn a_demonstration_begins_the_context() {
    let model = Toy::get().text("model.adw");
    let arguments = ["evaluate", &model, "--episodes", "2", "--runs", "1", "--prompt", "100"];
    assert_eq!(json(&arguments)["curves"]["int8"].as_array().unwrap().len(), 2);
}

#[test]
fn progress_stays_off_stdout() {
    let toy = Toy::get();
    let out = toy.text("noisy");
    let output = algodistill()
        .args(["train", &toy.text("histories.parquet"), "--out", &out, "--updates", "12", "--batch", "2"])
        .assert()
        .success()
        .get_output()
        .clone();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("train:"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("train:"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_or_closed_stderr_changes_nothing() {
    let toy = Toy::get();
    let program = assert_cmd::cargo::cargo_bin!("algodistill");
    let (histories, model, out) =
        (toy.text("histories.parquet"), toy.text("model.adw"), toy.text("full.parquet"));
    for stderr in ["2>/dev/full", "2>&-"] {
        for (arguments, expected) in [
            (format!("generate --environment dark-room --histories 1 --out '{out}'"), 0),
            (format!("evaluate '{model}' --runs 1 --episodes 2"), 0),
            (format!("inspect '{histories}'"), 1),
            ("no-such-command".into(), 2),
        ] {
            let script = format!("'{}' {arguments} >/dev/null {stderr}", program.display());
            let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
            assert_eq!(status.code(), Some(expected), "{script}");
        }
    }
}

/// `head` closes the pipe early.
#[test]
fn a_closed_pipe_is_no_panic() {
    let program = assert_cmd::cargo::cargo_bin!("algodistill");
    let model = Toy::get().text("model.adw");
    let commands = ["--help", "inspect", "play", "evaluate --runs 1 --episodes 2", "--json inspect"];
    let script: String = commands
        .iter()
        .map(|command| match *command {
            "--help" => format!("'{}' --help | true; ", program.display()),
            command => format!("'{}' {command} '{model}' | true; ", program.display()),
        })
        .collect();
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
}
