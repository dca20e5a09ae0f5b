//! `webhook convert`: another broker's configuration as one of this host.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::refuse;
use crate::config::{self, Convert, Format, Problem};

/// What to do with a webhook configuration.
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Print the configuration of another broker as a hookhost.toml, with remarks on what was made of what
    Convert(ConvertArguments),
}

#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    /// File of EMQX 4, EMQX 5, NanoMQ or RMQTT, or with variables of their environment; without one, the environment of
    /// this process
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Whose it is, if that cannot be told
    #[arg(long, value_name = "BROKER", value_parser = format)]
    webhook_format: Option<Format>,
    /// Let the environment of this process beat the file, as it does when the host runs
    #[arg(long)]
    environment: bool,
    /// Leave out what may be secret, to show the result to somebody
    #[arg(long)]
    redact: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| format!("should be one of {}", Format::ALL.map(Format::name).join(", ")))
}

/// Does it.
pub(super) fn run(command: WebhookCommand) -> ExitCode {
    let WebhookCommand::Convert(arguments) = command;
    let environment = match arguments.file.is_none() || arguments.environment {
        true => config::environment(),
        false => config::Environment::new(),
    };
    let file = match arguments.file.map(|path| (path.clone(), config::read_text(path))) {
        None => None,
        Some((_, Ok(file))) => Some(file),
        Some((path, Err(error))) => return refuse(&[Problem::of_file(path, format!("cannot be read: {error}"))]),
    };
    let convert = Convert {
        file,
        format: arguments.webhook_format,
        environment,
        redact: arguments.redact,
    };
    match convert.run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}
