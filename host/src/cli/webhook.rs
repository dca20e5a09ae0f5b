//! `webhook convert`: converts the webhook configuration of another broker.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::refuse;
use crate::config::{self, Broker, Convert, Problem};

/// Commands for webhook configurations of other brokers.
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Print the configuration of another broker as a hookhost.toml, with comments on the conversion
    Convert(ConvertArguments),
}

#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    /// Configuration file of EMQX 4, EMQX 5, NanoMQ or RMQTT, or a file of their environment variables [default: the
    /// environment of this process]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Broker of the file, if hookhost cannot recognise it: emqx4, emqx5, nanomq or rmqtt
    #[arg(long, value_name = "BROKER", value_parser = broker)]
    webhook_format: Option<Broker>,
    /// Let the environment of this process override the file, as in a running host
    #[arg(long)]
    environment: bool,
    /// Leave out possible secrets
    #[arg(long)]
    redact: bool,
    /// Leave out the users and access rules of the broker; needed if hookhost does not support all of them
    #[arg(long)]
    ignore_access_control: bool,
}

fn broker(name: &str) -> Result<Broker, String> {
    Broker::from_name(name).ok_or_else(|| format!("should be one of {}", Broker::ALL.map(Broker::name).join(", ")))
}

/// Runs the command.
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
        broker: arguments.webhook_format,
        environment,
        redact: arguments.redact,
        ignore_access_control: arguments.ignore_access_control,
    };
    match convert.run(&config::read_file) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}
