//! `completions`: what makes a shell complete commands and options.

use std::io;

use clap_complete::Shell;

use crate::CommandResult;

/// Options of `completions`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  millstream completions bash > ~/.local/share/bash-completion/completions/millstream
  millstream completions zsh > ~/.zfunc/_millstream
  millstream completions fish > ~/.config/fish/completions/millstream.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Print them.
pub fn run(args: &CompletionsArgs, command: &mut clap::Command) -> CommandResult {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, command, "millstream", &mut text);
    io::Write::write_all(&mut io::stdout(), &text).map_err(|e| format!("output: {e}"))
}
