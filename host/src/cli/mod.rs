//! The command line: one file a command. Each has `Args` and `run(&Args) -> Result<Report>`.

pub mod bench_generate;
pub mod generate;
pub mod histories;
pub mod bench_train;
pub mod train;

/// What a command prints on stdout: `text`, or with `--json` the one object `json`. Everything else goes to stderr.
#[derive(Clone, Debug)]
pub struct Report {
    /// For people; free to change.
    pub text: String,
    /// For machines; fields are only added.
    pub json: serde_json::Value,
}
