//! `completions` and `man`: files for shells and manual readers, made from the definition of the command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

use super::finish;

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The folder; created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the completions of a command for a shell.
pub(super) fn completions(CompletionsArguments { shell }: &CompletionsArguments, mut command: Command) -> ExitCode {
    let name = command.get_name().to_owned();
    // Into memory first: the library panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(*shell, &mut command, name, &mut text);
    match io::stdout().write_all(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => finish(Err(error).context("cannot write")),
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a manual page for a command and for each of its subcommands.
pub(super) fn man(ManArguments { folder }: &ManArguments, command: Command) -> ExitCode {
    finish(pages(folder, command))
}

fn pages(folder: &Path, command: Command) -> anyhow::Result<()> {
    let place = || format!("cannot write manual pages into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(place)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder).with_context(place)
}
