//! `bench`: how fast this machine is.

use super::Report;
use crate::Result;

pub mod act;
pub mod generate;
pub mod train;

/// What is timed.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Microseconds per step of the int8 agent.
    Act(act::Args),
    /// Tokens per second of training.
    Train(train::Args),
    /// Steps per second of a source algorithm.
    Generate(generate::Args),
}

/// Runs the command.
pub fn run(command: &Command) -> Result<Report> {
    match command {
        Command::Act(args) => act::run(args),
        Command::Train(args) => train::run(args),
        Command::Generate(args) => generate::run(args),
    }
}
