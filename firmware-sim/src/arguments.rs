//! The command line.

use crate::environment::{Environment, Environments};
use crate::target::{Target, TARGETS};
use algodistill::deploy::toolchain::Toolchain;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Run the int8 agent as firmware would, on the host or in QEMU, and compare every action and
/// logit. Without a command: `run`.
#[derive(Parser, Debug)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the agent and print the CRC of its action trace; on a target, compare it with the host.
    Run(RunArguments),
    /// Build the image and look into it: no allocator, no panic, no instruction that the core does
    /// not have.
    Check(CheckArguments),
    /// Compare traces, instruction counts and sizes of the shipped models with
    /// `firmware-sim/expected`.
    Expected(ExpectedArguments),
    /// Count the instructions of linear layers for each multiplication, rescaling included: shapes of the
    /// reference model, and the anomaly-detection autoencoder of MLPerf Tiny.
    Bench(BenchArguments),
    /// Count the instructions of each part of a step with a full ring.
    Profile(ProfileArguments),
    /// Say what is missing on this machine to build and run every image.
    Tools(ToolsArguments),
    /// What a device in the field sees: sensor dropouts, brown-outs, flipped flash bits, power cuts
    /// while its model is replaced. On the host, without QEMU.
    Faults(FaultArguments),
    /// Instructions, flash, RAM and stack of every target for models of several sizes.
    Table(TableArguments),
    /// Write a weights file with random weights, to measure sizes and speed of a model before it
    /// exists.
    RandomModel(RandomModelArguments),
}

#[derive(Args, Debug)]
pub struct RunArguments {
    /// Where the agent runs: host, an instruction set, or all of these.
    #[arg(long, default_value = "host", value_parser = parse_targets)]
    pub target: Targets,
    /// Weights file; the shipped one of the environment if absent.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// What the device lives in: the name of a preset, or all of these.
    #[arg(long, default_value = "dark-room", value_parser = Environments::parser())]
    pub environment: Environments,
    /// Episodes; the context is kept from one to the next.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub episodes: u32,
    #[command(flatten)]
    pub drawn: DrawnArguments,
    /// The environment runs on the host and sends observations to the device, as a sensor would.
    #[arg(long)]
    pub feed: bool,
    /// The device loses its power before every step, and goes on from a snapshot; what it does must not
    /// change. It needs RAM for the snapshot, as much as for the ring. On the host: `faults`.
    #[arg(long)]
    pub brown_outs: bool,
    /// File to write the log of the steps to, as it comes from the device; for one environment.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Print one JSON object (an array of them for all targets).
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct DrawnArguments {
    /// Number of the task, which means the same one in `algodistill play --task`; drawn with the
    /// seed if absent.
    #[arg(long)]
    pub task: Option<u32>,
    /// Decides everything random.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct BuildArguments {
    /// Which compiler builds the image.
    #[arg(long, value_enum, default_value = "auto")]
    pub compiler: Compiler,
    /// Seconds until an image that does not end is stopped.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

#[derive(Args, Debug)]
pub struct CheckArguments {
    /// An instruction set, or all of them.
    #[arg(long, default_value = "all", value_parser = parse_bare_targets)]
    pub target: Targets,
    /// Weights file; the shipped one for Dark Room if absent.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Print one JSON object per target.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Debug)]
pub struct ExpectedArguments {
    /// An instruction set, or all of them.
    #[arg(long, default_value = "all", value_parser = parse_bare_targets)]
    pub target: Targets,
    /// Write what is found instead; review the diff.
    #[arg(long)]
    pub overwrite_expected: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Debug)]
pub struct BenchArguments {
    /// An instruction set, or all of them.
    #[arg(long, default_value = "all", value_parser = parse_bare_targets)]
    pub target: Targets,
    /// Print one JSON object per shape.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Debug)]
pub struct ProfileArguments {
    /// An instruction set, or all of them.
    #[arg(long, default_value = "all", value_parser = parse_bare_targets)]
    pub target: Targets,
    /// Weights file; the shipped one of the environment if absent.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Preset that the device lives in.
    #[arg(long, default_value = "dark-room", value_parser = Environment::parser())]
    pub environment: Environment,
    /// Episodes, enough to fill the ring and then count some steps.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub episodes: u32,
    #[command(flatten)]
    pub drawn: DrawnArguments,
    /// Print one JSON object per target.
    #[arg(long)]
    pub json: bool,
    /// Instead: count for some small models with random weights, and write `firmware-sim/expected/TARGET.fit`,
    /// which `algodistill inspect` estimates from.
    #[arg(long, conflicts_with_all = ["model", "json", "environment", "episodes", "task"])]
    pub fit: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Debug)]
pub struct ToolsArguments {
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Debug)]
pub struct FaultArguments {
    /// Weights file; the shipped one of the environment if absent.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// What the device lives in: the name of a preset, or all of these.
    #[arg(long, default_value = "dark-room", value_parser = Environments::parser())]
    pub environment: Environments,
    /// Episodes with a brown-out at every step.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub brown_out_episodes: u32,
    /// Episodes with sensor dropouts.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub episodes: u32,
    /// Bytes of flash that are erased at once.
    #[arg(long, default_value_t = 2048, value_parser = parse_flash_page)]
    pub flash_page: usize,
    /// Bytes of flash that are programmed at once.
    #[arg(long, default_value_t = 32, value_parser = parse_flash_unit)]
    pub flash_unit: usize,
    /// Probability that the sensor fails at a step and its last value is held.
    #[arg(long, default_value_t = 0.1, value_parser = parse_probability)]
    pub dropout: f32,
    #[command(flatten)]
    pub drawn: DrawnArguments,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct TableArguments {
    /// Print JSON instead of Markdown.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub build: BuildArguments,
}

#[derive(Args, Clone, Debug)]
pub struct RandomModelArguments {
    #[arg(long, default_value_t = 2)]
    pub layers: u16,
    #[arg(long, default_value_t = 64)]
    pub d_model: u16,
    #[arg(long, default_value_t = 4)]
    pub heads: u16,
    /// Heads of keys and values, each shared by several query heads; as many as these if absent.
    #[arg(long)]
    pub kv_heads: Option<u16>,
    #[arg(long, default_value_t = 256)]
    pub d_ff: u16,
    #[arg(long, default_value_t = 160)]
    pub window: u16,
    /// With tables for the observation that ends an episode.
    #[arg(long)]
    pub final_observation: bool,
    /// Preset whose interface the model has.
    #[arg(long, default_value = "dark-room", value_parser = Environment::parser())]
    pub environment: Environment,
    /// Decides the weights.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// File to write.
    #[arg(long)]
    pub out: PathBuf,
}

/// Compilers that can build for bare targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compiler {
    /// rustup's if it has the target, else Debian's.
    Auto,
    /// The one in the PATH, with the target added by rustup.
    Rustup,
    /// /usr/bin/rustc, which compiles the standard library's core as well.
    Debian,
}

impl Compiler {
    /// It, if it can build for `target`; otherwise what to install.
    pub fn find(self, target: &Target) -> algodistill::Result<Toolchain> {
        let found = match self {
            Self::Auto => Toolchain::find(&[target.triple]),
            Self::Rustup => Toolchain::rustup(&[target.triple]),
            Self::Debian => Toolchain::debian(),
        };
        found?.that_links()
    }
}

/// What `--target` names.
#[derive(Clone, Debug)]
pub struct Targets {
    pub host: bool,
    pub bare: Vec<&'static Target>,
}

fn parse_targets(name: &str) -> Result<Targets, String> {
    let bare = TARGETS.iter().filter(|target| name == "all" || name == target.name).collect();
    let targets = Targets { host: matches!(name, "host" | "all"), bare };
    if targets.host || !targets.bare.is_empty() {
        return Ok(targets);
    }
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    Err(format!("one of host, {}, all", names.join(", ")))
}

/// For what looks at images: the host has none.
fn parse_bare_targets(name: &str) -> Result<Targets, String> {
    let targets = parse_targets(name).map_err(|names| names.replacen("host, ", "", 1))?;
    if targets.bare.is_empty() {
        return Err("the host has no image; an instruction set, or all".into());
    }
    Ok(targets)
}

fn parse_flash_page(text: &str) -> Result<usize, String> {
    power_of_two(text, 256, 131_072)
}

fn parse_flash_unit(text: &str) -> Result<usize, String> {
    power_of_two(text, 1, 256)
}

fn power_of_two(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value: &usize| value.is_power_of_two());
    let problem = || format!("not a power of two from {least} to {most}");
    value.filter(|value| (least..=most).contains(value)).ok_or_else(problem)
}

fn parse_probability(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not between 0 and 1".into())
    }
}
