//! Runs the agent the way firmware does: in the image for a real instruction set, in QEMU, and on
//! the host with the same constraints. Every action and every logit must be the same.

#[macro_use]
mod output;

mod arguments;
mod bench;
mod device;
mod elf;
mod environment;
mod expected;
mod faults;
mod fit;
mod flash;
mod gates;
mod host;
mod image;
mod profile;
mod qemu;
mod random_model;
mod report;
mod run;
mod sealed_allocator;
mod table;
mod target;
mod tools;
mod trace;
mod update;
mod usage;

use arguments::{Arguments, Command};
use clap::Parser;
use sealed_allocator::SealedAllocator;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator::new();

fn main() -> ExitCode {
    let Arguments { command, run } = Arguments::parse();
    match output::until_closed(|| dispatch(command.unwrap_or(Command::Run(run)))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<usage::Wrong>() {
                return ExitCode::from(usage::STATUS);
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => gates::run(&arguments),
        Command::Expected(arguments) => expected::run(&arguments),
        Command::Tools(arguments) => tools::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Faults(arguments) => faults::run(&arguments),
        Command::Table(arguments) => table::run(&arguments),
        Command::RandomModel(arguments) => random_model::run(&arguments),
    }
}
