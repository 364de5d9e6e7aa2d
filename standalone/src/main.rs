//! The binary `stockline`.

use std::process::ExitCode;

/// Under load, the system's allocator took a tenth to a fifth of the CPU (docs/proof.md, Overload).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stockline::Cli::of_process().map_or_else(|code| code, stockline::run)
}
