//! The binary: exit codes, the allocator, and nothing else.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Batches are allocated by one thread and freed by another: with an arena a thread, as the system's allocator has them, a
/// tenth of the memory lies about unused.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    tailwater::cli::main()
}
