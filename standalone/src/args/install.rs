//! Options of `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline completions bash > ~/.local/share/bash-completion/completions/stockline
  stockline completions fish > ~/.config/fish/completions/stockline.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stockline man --dir ~/.local/share/man/man1 && man stockline-load")]
pub(crate) struct ManArgs {
    /// The folder to write the pages into; it is created if it is missing
    #[arg(long = "dir", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
