//! `completions` and `man`: what an installation has besides the program.

use anyhow::Context as _;
use clap::CommandFactory as _;
use stockline_service::output;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit;

/// Runs `stockline completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stockline", &mut script);
    output::styled(&String::from_utf8(script)?)?;
    Ok(exit::OK)
}

/// Runs `stockline man`: one page for the program and one for each subcommand.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<u8> {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.folder))
        .with_context(|| format!("can't write the man pages into {}", args.folder.display()))?;
    Ok(exit::OK)
}
