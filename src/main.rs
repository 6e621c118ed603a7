//! The binary: exit codes and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    tailwater::cli::main()
}
