//! Several ranks on one machine, started with `mpirun`: the same bytes as one process, and an end
//! that is clean whatever happens to one of them.

use algodistill::train::TrainingRecord;
use assert_cmd::cargo::cargo_bin;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest time from the loss of a rank to the end of the run.
const END_AFTER_LOSS: Duration = Duration::from_secs(30);

/// Dropout, so that the masks must not depend on the rank; a validation batch that the ranks do not
/// share evenly.
const TRAIN: [&str; 14] = [
    "--updates",
    "12",
    "--batch",
    "8",
    "--dropout",
    "0.1",
    "--residual-dropout",
    "0.1",
    "--validation-every",
    "5",
    "--validation-windows",
    "7",
    "--checkpoint-every",
    "4",
];

/// The launcher; a container may run as root, with fewer cores than ranks.
fn launcher() -> Command {
    let mut command = Command::new("mpirun");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.args(["--oversubscribe", "--bind-to", "none"]);
    command
}

/// The program on `ranks` ranks.
fn mpirun(ranks: usize) -> Command {
    let mut command = launcher();
    command.args(["-n", &ranks.to_string()]).arg(cargo_bin!("algodistill"));
    command
}

fn output(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().expect("mpirun, of the package openmpi-bin");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code().expect("an exit status"), text)
}

fn succeeds(command: &mut Command) -> String {
    let (status, text) = output(command);
    assert_eq!(status, 0, "{text}");
    text
}

fn fails(status: i32, command: &mut Command) -> String {
    let (found, text) = output(command);
    assert_eq!(found, status, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn generate(command: &mut Command, out: &Path) {
    let options =
        ["generate", "--environment", "dark-room", "--source", "psrl", "--histories", "20", "--out"];
    succeeds(command.args(options).arg(out));
}

fn train<'a>(command: &'a mut Command, out: &Path) -> &'a mut Command {
    command.arg("train").arg(&histories().0).arg("--out").arg(out).args(TRAIN)
}

/// A file of several row groups, and the run of one process on it: made once.
fn histories() -> &'static (PathBuf, PathBuf) {
    static MADE: OnceLock<(TempDir, (PathBuf, PathBuf))> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let (file, run) = (folder.path().join("histories.parquet"), folder.path().join("run"));
        generate(&mut Command::new(cargo_bin!("algodistill")), &file);
        let mut command = Command::new(cargo_bin!("algodistill"));
        succeeds(command.arg("train").arg(&file).arg("--out").arg(&run).args(TRAIN));
        (folder, (file, run))
    });
    &made.1
}

fn same(a: &Path, b: &Path, name: &str) {
    let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read(a) == read(b), "{name} differs");
}

#[test]
fn two_and_four_ranks_end_with_the_bytes_of_one_process() {
    let whole = &histories().1;
    let folder = TempDir::new().unwrap();
    for ranks in [1, 2, 4] {
        let run = folder.path().join(ranks.to_string());
        let text = succeeds(train(&mut mpirun(ranks), &run));
        assert_eq!(text.matches("training loss").count(), 1, "one report:\n{text}");
        same(whole, &run, "model.safetensors");
        same(whole, &run, "checkpoint.safetensors");
        let losses = |folder: &Path| -> Vec<(serde_json::Value, serde_json::Value)> {
            let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|line| (line["loss"].clone(), line["validation_loss"].clone())).collect()
        };
        assert_eq!(losses(whole), losses(&run), "{ranks} ranks");
    }
}

#[test]
fn the_configuration_is_that_of_rank_0() {
    let (file, whole) = histories();
    let folder = TempDir::new().unwrap();
    let machines = ["a", "b"].map(|name| folder.path().join(name));
    machines.iter().for_each(|machine| std::fs::create_dir(machine).unwrap());
    std::fs::copy(whole.join("config.toml"), machines[0].join("config.toml")).unwrap();
    let mut command = launcher();
    for (rank, machine) in machines.iter().enumerate() {
        command.args((rank > 0).then_some(":")).args(["-n", "1", "-wdir"]).arg(machine);
        command.arg(cargo_bin!("algodistill")).arg("train").arg(file);
        command.args(["--out", "run", "--config", "config.toml"]);
    }
    succeeds(&mut command);
    same(whole, &machines[0].join("run"), "model.safetensors");
    assert!(!machines[1].join("run").exists());
}

#[test]
fn ranks_share_the_histories_of_several_files() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.parquet");
    let options =
        ["generate", "--environment", "dark-room", "--source", "noise", "--histories", "2", "--out"];
    succeeds(Command::new(cargo_bin!("algodistill")).args(options).arg(&other));
    let train = |mut command: Command, out: &str| {
        command.arg("train").arg(&histories().0).arg(&other);
        succeeds(command.arg("--out").arg(folder.path().join(out)).args(TRAIN));
    };
    train(Command::new(cargo_bin!("algodistill")), "one");
    train(mpirun(2), "two");
    same(&folder.path().join("one"), &folder.path().join("two"), "model.safetensors");
}

#[test]
fn three_ranks_agree_within_rounding() {
    let folder = TempDir::new().unwrap();
    succeeds(train(&mut mpirun(3), folder.path()));
    let read = |folder: &Path| {
        let model = folder.join("model.safetensors");
        algodistill::train::load_parameters::<TrainingRecord>(&model).expect("a model").0.values
    };
    let (one, three) = (read(&histories().1), read(folder.path()));
    let difference = one.iter().zip(&three).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn ranks_generate_the_files_of_one_process() {
    let one = &histories().0;
    let folder = TempDir::new().unwrap();
    for ranks in [2, 3] {
        let file = folder.path().join("histories.parquet");
        generate(&mut mpirun(ranks), &file);
        for name in ["histories.parquet", "histories.card.json"] {
            same(one.parent().unwrap(), folder.path(), name);
        }
    }
}

#[test]
fn wrong_input_ends_all_ranks_with_the_status_of_one_process() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.parquet");
    let message = fails(1, mpirun(2).arg("train").arg(&missing).arg("--out").arg(folder.path()));
    assert!(message.contains("error: rank 0 of 2") && message.contains("missing.parquet"), "{message}");
    let message = fails(2, train(&mut mpirun(2), folder.path()).args(["--heads", "3"]));
    assert!(message.contains("train.heads: is 3"), "{message}");
    let message = fails(2, train(&mut mpirun(9), folder.path()));
    assert!(message.contains("train.batch: is 8, must be at least 9"), "{message}");
    let message = fails(2, mpirun(2).args(["train", "--no-such-option"]));
    assert_eq!(message.matches("unexpected argument").count(), 1, "{message}");
    let message = fails(2, mpirun(2).args(["inspect", "x.adw"]));
    assert!(message.contains("runs on one rank only"), "{message}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
}

#[test]
fn a_rank_that_is_killed_ends_the_run_with_status_1_and_it_can_be_resumed() {
    let folder = TempDir::new().unwrap();
    // Long enough to be killed, so not the run of the other tests.
    let long = |command: &mut Command, name: &str| {
        let out = folder.path().join(name);
        command.arg("train").arg(&histories().0).arg("--out").arg(out);
        command.args([
            "--updates",
            "120",
            "--batch",
            "8",
            "--dropout",
            "0.1",
            "--checkpoint-every",
            "3",
            "--resume",
        ]);
    };
    let mut whole = Command::new(cargo_bin!("algodistill"));
    long(&mut whole, "whole");
    succeeds(&mut whole);
    for rank in [1, 0] {
        let name = format!("lost-{rank}");
        let mut command = mpirun(2);
        long(&mut command, &name);
        let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&folder.path().join(&name).join("checkpoint.safetensors"));
        let lost = rank_process(run.id(), rank);
        let killed = Command::new("kill").args(["-9", &lost.to_string()]).status().unwrap();
        assert!(killed.success());
        let begun = Instant::now();
        let (status, message) = end(run);
        assert!(begun.elapsed() < END_AFTER_LOSS, "{:?}", begun.elapsed());
        assert_eq!(status, Some(1), "{message}");
        assert!(message.contains(&format!("rank {rank} of 2 was lost")), "{message}");
        assert!(message.contains("--resume"), "{message}");
        assert!(!folder.path().join(&name).join("model.safetensors").exists(), "the run ended too early");

        let mut again = mpirun(2);
        long(&mut again, &name);
        succeeds(&mut again);
        same(&folder.path().join("whole"), &folder.path().join(&name), "model.safetensors");
    }
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(run: Child) -> (Option<i32>, String) {
    let output = run.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The process that does the work of `rank`: it has the program's name, and its grandparent is
/// `mpirun`.
fn rank_process(mpirun: u32, rank: usize) -> u32 {
    let field = |process: u32, name: &str| -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
    };
    let parent = |process| field(process, "PPid:").and_then(|parent| parent.parse::<u32>().ok());
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_rank = |&process: &u32| {
        field(process, "Name:").as_deref() == Some("algodistill")
            && parent(process).and_then(parent) == Some(mpirun)
            && std::fs::read(format!("/proc/{process}/environ"))
                .is_ok_and(|all| all.split(|&byte| byte == 0).any(|one| one == variable.as_bytes()))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.find(is_rank).unwrap_or_else(|| panic!("no process of rank {rank} under mpirun {mpirun}"))
}
