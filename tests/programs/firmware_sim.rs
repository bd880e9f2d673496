//! The simulated device, on the host and on five instruction sets in QEMU.
//!
//! Golden traces: refresh with `OVERWRITE_EXPECTED=1 cargo test -p algodistill-firmware-sim` (host)
//! and `algodistill-firmware-sim expected --overwrite-expected` (targets), and review the diff.

use algodistill::memory::{MemoryPlan, TargetMemory};
use algodistill_core::Model;
use assert_cmd::Command;
use std::io::Write;
use std::path::{Path, PathBuf};

fn simulator() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("algodistill-firmware-sim"))
}

fn assert_golden(environment: &str, task: &str, episodes: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("expected/host.{environment}.json"));
    let output = simulator()
        .args(["--environment", environment, "--task", task, "--episodes", episodes, "--json"])
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

/// Whether the tools for bare targets are here. In CI they must be.
fn tools() -> bool {
    let output = simulator().arg("tools").output().unwrap();
    let missing = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        // Written directly: the test harness keeps what `eprintln!` says of a test that passes.
        let test = std::thread::current().name().unwrap_or_default().to_string();
        let message = format!("SKIPPED {test}: the firmware images were not tested.\n{missing}\n");
        std::io::stderr().write_all(message.as_bytes()).unwrap();
    }
    output.status.success()
}

fn random_model(name: &str, window: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    simulator().args(["random-model", "--window", window, "--out"]).arg(&path).assert().success();
    path
}

#[test]
fn dark_room_trace() {
    assert_golden("dark-room", "65", "40");
}

#[test]
fn bandit_trace() {
    assert_golden("bandit", "3", "3");
}

/// With the CRC-32 of its pictures.
#[test]
fn watermaze_trace() {
    assert_golden("watermaze", "3", "20");
}

#[test]
fn the_task_is_the_one_asked_for_or_one_that_the_seed_draws() {
    let run = |arguments: &[&str]| {
        let output = simulator().args(["--episodes", "2", "--json"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let drawn = run(&["--seed", "3"]);
    assert_eq!(run(&["--seed", "3", "--task", &drawn["task"].to_string()]), drawn);
    assert_ne!(run(&["--seed", "4"])["task"], drawn["task"]);
    let output = simulator().args(["--task", "81"]).assert().code(2);
    let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(message.contains("--task: is 81, but dark-room has tasks 0 to 80"), "{message}");
}

/// Those without a shipped model run with random weights.
#[test]
fn every_environment_runs() {
    let arguments = ["--environment", "all", "--episodes", "2", "--json"];
    let output = simulator().args(arguments).assert().success().get_output().stdout.clone();
    let runs: Vec<serde_json::Value> = serde_json::from_slice(&output).unwrap();
    let presets: Vec<_> = runs.iter().filter_map(|run| run["environment"].as_str()).collect();
    assert!(presets.contains(&"dark-room") && presets.contains(&"bandit"), "{presets:?}");
    assert!(runs.iter().all(|run| run["steps"].as_u64() > Some(0)), "{runs:?}");
}

/// Actions and logits are those of the host, in every environment. `.ci/firmware` does the same on
/// every target.
#[test]
fn a_device_acts_like_the_host_in_every_environment() {
    if tools() {
        let run = ["run", "--target", "cortex-m3", "--environment", "all", "--episodes", "2"];
        simulator().args(run).assert().success();
    }
}

#[test]
fn faults_are_survived_or_detected_in_every_environment() {
    // Large units of flash make few operations; `.ci/firmware` has the smallest.
    let output = ["--environment=all --flash-unit=256", "--environment=dark-room"].map(|arguments| {
        let mut command = simulator();
        command.args(["faults", "--json", "--brown-out-episodes", "1"]).args(arguments.split(' '));
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    });
    for line in output.concat().lines() {
        assert!(line.contains("\"flipped_bits_detected\""), "{line}");
        let update = &serde_json::from_str::<serde_json::Value>(line).unwrap()["update"];
        let count = |name: &str| update[name].as_u64().unwrap();
        // Two updates: before every operation, in the midst of it, and behind the last one.
        assert_eq!(count("power_cuts"), 2 * count("flash_operations") + 2, "{line}");
        assert_eq!(count("old_model_after") + count("new_model_after"), count("power_cuts"), "{line}");
        assert!(count("new_model_after") >= 2 && count("wrong_models_refused") == 14, "{line}");
    }
}

#[test]
fn a_flash_that_there_is_not_is_refused() {
    for flash in
        [["--flash-unit", "24"], ["--flash-unit", "512"], ["--flash-page", "100"], ["--flash-page", "0"]]
    {
        simulator().arg("faults").args(flash).assert().code(2);
    }
}

/// As `algodistill-firmware-sim | head -0` does.
#[test]
fn a_closed_output_ends_the_program_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("algodistill-firmware-sim"));
    let output = command.args(["--episodes", "1"]).stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn wrong_usage_exits_2() {
    for arguments in
        [["--episodes", "0"], ["--environment", "mars"], ["--seed", "-1"], ["--target", "cortex-a9"]]
    {
        simulator().args(arguments).assert().code(2);
    }
    let bandit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bandit.adw");
    simulator().args(["--environment", "dark-room", "--model"]).arg(&bandit).assert().code(2);
    simulator().args(["faults", "--environment", "dark-room", "--model"]).arg(&bandit).assert().code(2);
    simulator().args(["profile", "--fit", "--environment", "bandit"]).assert().code(2);
    simulator().args(["--timeout", "0"]).assert().code(2);
    simulator().arg("--brown-outs").assert().code(2);
    simulator().args(["--model", "missing.adw"]).assert().code(1);
}

/// A log and a model take the place of another one only.
#[test]
fn a_file_of_something_else_is_not_replaced() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    for arguments in [&["--episodes", "1", "--log"][..], &["random-model", "--out"]] {
        let output = simulator().args(arguments).arg(&path).assert().code(2);
        let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(message.contains("notes.txt is there already"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

/// Actions and logits of every target are those of the host; sizes and instruction counts are the
/// golden ones.
#[test]
fn every_target_is_as_expected() {
    if tools() {
        simulator().arg("expected").assert().success();
    }
}

/// No allocator, no panic, no instruction that the core lacks.
#[test]
fn images_contain_nothing_forbidden() {
    if tools() {
        simulator().arg("check").assert().success();
    }
}

/// `algodistill inspect` says of a model that was never measured what its run then shows: the stack
/// is painted, static memory is the workspace and a few words.
#[test]
fn the_memory_plan_agrees_with_the_run() {
    if !tools() {
        return;
    }
    let path = random_model("planned.adw", "48");
    let file = std::fs::read(&path).unwrap();
    let plan = MemoryPlan::new(&Model::decode(&file).unwrap(), file.len());
    // The board of the Cortex-M0 has 16 KB.
    let fits = |planned: &TargetMemory| planned.target != "cortex-m0" || planned.ram <= 16 * 1024;
    for planned in plan.targets.into_iter().filter(fits) {
        let mut command = simulator();
        command.args(["run", "--episodes", "4", "--json", "--target", planned.target, "--model"]).arg(&path);
        let output = command.assert().success().get_output().stdout.clone();
        let lines: Vec<_> = String::from_utf8(output).unwrap().lines().map(str::to_string).collect();
        let run: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let measured = |name: &str| run[name].as_u64().unwrap() as usize;
        // The plan is that of the environment with the deepest stack.
        let within = |measured: usize, planned: usize| {
            (planned.saturating_sub(768)..=planned + 96).contains(&measured)
        };
        let stack = measured("stack_start_up_bytes").max(measured("stack_act_bytes"));
        assert!(within(stack, planned.stack), "{planned:?}, {run}");
        assert!(within(measured("ram_with_stack_bytes"), planned.ram), "{planned:?}, {run}");
        assert!(measured("flash_bytes").abs_diff(planned.flash) <= 4096, "{planned:?}, {run}");
    }
}

/// The environment on the host, the agent in the image; a picture comes as a camera's would.
#[test]
fn a_fed_device_acts_like_the_host() {
    if tools() {
        for target in ["cortex-m3", "riscv32imac"] {
            simulator().args(["run", "--feed", "--episodes", "10", "--target", target]).assert().success();
        }
        let watermaze = ["run", "--feed", "--environment", "watermaze", "--episodes", "5"];
        simulator().args(watermaze).args(["--target", "cortex-m4f"]).assert().success();
    }
}

/// Of a run its log, and of the log histories that `train` learns from.
#[test]
fn a_log_becomes_histories_that_train_accepts() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let run = |arguments: &[&str]| {
        let arguments = std::iter::once("algodistill").chain(arguments.iter().copied());
        algodistill::cli::run_program(arguments)
    };
    let logs = ["3", "65"].map(|task| {
        let log = path(&format!("{task}.adl"));
        let arguments = ["--task", task, "--episodes", "30", "--log"];
        simulator().args(arguments).arg(&log).assert().success();
        log
    });
    let histories = path("histories.parquet");
    assert_eq!(run(&["histories", "import", &logs[0], &logs[1], "--out", &histories, "--held-out", "1"]), 0);
    assert_eq!(run(&["histories", "check", &histories]), 0);
    let card = std::fs::read_to_string(path("histories.card.json")).unwrap();
    let card: serde_json::Value = serde_json::from_str(&card).unwrap();
    assert_eq!((&card["histories"], &card["steps"]), (&2.into(), &(2 * 30 * 20).into()));
    assert_eq!(card["environment"]["name"], "dark-room");
    let tasks = [&card["split"]["training"][0], &card["split"]["held_out"][0]];
    assert!(tasks.contains(&&3.into()) && tasks.contains(&&65.into()), "{card}");
    let out = path("run");
    assert_eq!(run(&["train", &histories, "--out", &out, "--updates", "2", "--batch", "2"]), 0);
    // A log of one device, and the usage of a log.
    assert_eq!(run(&["histories", "import", &logs[0], "--out", &histories, "--strict"]), 0);
    simulator().args(["--environment", "all", "--log"]).arg(path("all.adl")).assert().code(2);
}

/// What comes out of the device is what the host logs, byte for byte: pictures, a fed device.
#[test]
fn a_device_logs_what_the_host_does() {
    if tools() {
        for arguments in [&["--environment", "watermaze"][..], &["--feed"]] {
            let run = ["run", "--target", "cortex-m4f", "--episodes", "4", "--log"];
            let logs = ["host", "cortex-m4f"].map(|target| {
                let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.adl"));
                let run = run.map(|word| if word == "cortex-m4f" { target } else { word });
                simulator().args(run).arg(&log).args(arguments).assert().success();
                std::fs::read(log).unwrap()
            });
            assert!(logs[0] == logs[1] && logs[0].len() > 100, "{arguments:?}");
        }
    }
}

/// Every part is there, and together they are the step that nobody looked into; the model is the one
/// asked for.
#[test]
fn a_profile_has_every_part_of_a_step() {
    if !tools() {
        return;
    }
    let model = random_model("profiled.adw", "24");
    for target in ["cortex-m4f", "riscv32imac"] {
        let mut command = simulator();
        command.args(["profile", "--json", "--episodes", "4", "--target", target, "--model"]).arg(&model);
        let output = command.assert().success().get_output().stdout.clone();
        let profile: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(profile["target"], target);
        let parts = profile["instructions_by_part"].as_object().unwrap();
        let of = |part: &str| parts[part].as_u64().unwrap();
        let sum: u64 = parts.keys().map(|part| of(part)).sum();
        assert_eq!(parts.len(), 10, "{profile}");
        assert_eq!(profile["instructions_of_all_parts"], sum, "{profile}");
        let whole = profile["instructions_per_step_full_ring"].as_u64().unwrap();
        assert!(50 * sum.abs_diff(whole) <= whole, "{profile}");
        // Of a window this short, the matrices are the most.
        assert!(
            of("feed-forward") > of("query-key-value") && of("query-key-value") > of("scores"),
            "{profile}"
        );
        assert!(parts.keys().all(|part| of(part) > 0), "{profile}");
    }
    // The ring is never full.
    let short = ["profile", "--episodes", "1", "--target", "cortex-m4f", "--model"];
    let output = simulator().args(short).arg(&model).assert().code(1);
    let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(message.contains("expected more --episodes"), "{message}");
}

/// Beside each other, instructions here and cycles of others.
#[test]
fn the_bench_has_the_autoencoder_of_mlperf_tiny() {
    if !tools() {
        return;
    }
    let output = simulator().args(["bench", "--json", "--target", "cortex-m4f"]).assert().success();
    let output = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let network = lines.iter().find(|line| !line["network"].is_null()).unwrap();
    assert_eq!(network["multiplications"], 264_192);
    let count = network["instructions_per_multiplication"].as_f64().unwrap();
    assert!((0.5..2.0).contains(&count), "{network}");
    let others = network["silicon_cycles_of_others_per_multiplication"].as_array().unwrap();
    assert_eq!(others.len(), 3, "{network}");
    assert_eq!(lines.iter().filter(|line| !line["rows"].is_null()).count(), 3, "{output}");
}

/// The ring of 400 steps needs more than the 64 KB of the Cortex-M3's board, and fits the 128 KB of
/// the Cortex-M4F's.
#[test]
fn a_model_too_big_for_the_chip_does_not_link() {
    if tools() {
        let model = random_model("too-big.adw", "400");
        let run = |target| {
            let mut command = simulator();
            command.args(["run", "--episodes", "1", "--target", target, "--model"]).arg(&model);
            command
        };
        let output = run("cortex-m3").assert().code(1);
        let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        for part in ["too-big.adw: does not fit the board of cortex-m3", "will not fit in region 'RAM'"] {
            assert!(message.contains(part), "{message}");
        }
        run("cortex-m4f").assert().success();
    }
}
