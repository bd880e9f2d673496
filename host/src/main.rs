use std::process::ExitCode;

fn main() -> ExitCode {
    algodistill::cli::main()
}
