//! The command line: parses it, runs the command, and turns the result into an exit code.
//!
//! Exit codes: 0 success, 1 failure while running, 2 errors in the command line or the configuration.

mod admin;
mod clients;
mod dead_letters;
mod destinations;
mod host;
mod hosts;
mod log;
mod module;
mod modules;
mod package;
mod quarantine;
mod ready;
mod selection;
mod sink;
mod summary;
mod tap;
mod trace;
mod users;
mod webhook;
mod webhooks;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Problem;
use crate::version;
use clients::ClientsArguments;
use dead_letters::DeadLettersArguments;
use destinations::DestinationsArguments;
use hookhost_wasm as wasm;
use host::{HostArguments, RunArguments};
use hosts::HostsArguments;
use log::LogArguments;
use module::ModuleCommand;
use modules::ModulesArguments;
use package::{CompletionsArguments, ManArguments};
use quarantine::QuarantineArguments;
use ready::ReadyArguments;
use sink::SinkArguments;
use tap::TapArguments;
use trace::TraceArguments;
use users::UsersCommand;
use webhook::WebhookCommand;
use webhooks::WebhooksArguments;

/// An MQTT broker that sends webhooks about its clients and messages, by rules or by WebAssembly modules.
///
/// Without a command hookhost runs the host. Settings come from flags, the environment and a configuration file;
/// hookhost.example.toml lists them all.
#[derive(Debug, Parser)]
#[command(name = "hookhost", version = version::LONG, args_conflicts_with_subcommands = true, after_help = host::ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host
    #[command(after_help = host::ENVIRONMENT)]
    Run(RunArguments),
    /// Check the configuration and the modules: report every error, or print a summary. Starts nothing
    #[command(after_help = host::ENVIRONMENT)]
    Check(HostArguments),
    /// Receive webhooks over HTTP and print them, for experiments
    Sink(SinkArguments),
    /// Create, inspect and test modules
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Show the modules of a running host, or reload them
    Modules(ModulesArguments),
    /// Show or disconnect MQTT clients of a running host
    Clients(ClientsArguments),
    /// Show, replay or drop events that modules of a running host could not handle
    Quarantine(QuarantineArguments),
    /// Show, send again or drop requests that a running host could not deliver
    DeadLetters(DeadLettersArguments),
    /// Show what a running host has sent to each destination
    Destinations(DestinationsArguments),
    /// Show the hosts that share the outbox of a running host
    Hosts(HostsArguments),
    /// Add, remove and list the users of a password file
    #[command(subcommand)]
    Users(UsersCommand),
    /// Show live what modules of a running host do with each event, and each attempt to deliver a request
    Tap(TapArguments),
    /// Show what happened to one event in a running host: modules, attempts, dead letters
    Trace(TraceArguments),
    /// Report whether a running host is ready; exits with 1 if it is not
    Ready(ReadyArguments),
    /// Show which lines a running host logs, or select others
    Log(LogArguments),
    /// List, create, change and test the webhooks of a running host
    Webhooks(WebhooksArguments),
    /// Convert webhook configurations of other brokers
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Write manual pages into a folder
    Man(ManArguments),
    /// Compile a component from standard input to machine code on standard output; hookhost starts itself with this
    #[command(hide = true, name = wasm::COMPILE_COMMAND)]
    CompileCode {
        /// For an engine that counts what is executed
        #[arg(long)]
        metered: bool,
    },
}

/// Runs the command of the command line; the whole program.
pub fn main() -> ExitCode {
    let Cli { command, run } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" too, and exit with 0. A failure to print cannot be reported.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match command.unwrap_or(Command::Run(run)) {
        Command::Run(arguments) => host::run(arguments),
        Command::Check(arguments) => host::check(arguments),
        Command::Sink(arguments) => sink::receive(arguments),
        Command::Module(command) => module::main(command),
        Command::Modules(arguments) => modules::modules(&arguments),
        Command::Clients(arguments) => clients::clients(&arguments),
        Command::Quarantine(arguments) => quarantine::quarantine(&arguments),
        Command::DeadLetters(arguments) => dead_letters::dead_letters(&arguments),
        Command::Destinations(arguments) => destinations::destinations(&arguments),
        Command::Hosts(arguments) => hosts::hosts(&arguments),
        Command::Users(command) => finish(users::users(command)),
        Command::Tap(arguments) => tap::tap(&arguments),
        Command::Trace(arguments) => trace::trace(&arguments),
        Command::Ready(arguments) => ready::ready(&arguments),
        Command::Completions(arguments) => package::completions(&arguments, Cli::command()),
        Command::Man(arguments) => package::man(&arguments, Cli::command()),
        Command::Log(arguments) => log::log(&arguments),
        Command::Webhooks(arguments) => webhooks::webhooks(&arguments),
        Command::Webhook(command) => webhook::run(command),
        Command::CompileCode { metered } => wasm::compile_standard_input(metered),
    }
}

fn refuse(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("error: {problem}");
    }
    ExitCode::from(2)
}

fn finish(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    fn flags(line: &str) -> Flags {
        let Cli { command, run } = parse(line).unwrap();
        match command.unwrap_or(Command::Run(run)) {
            Command::Run(run) => run.host.into(),
            Command::Check(host) => host.into(),
            other => panic!("no host: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_become_flags() {
        assert_eq!(flags("hookhost"), Flags::default());
        assert_eq!(flags("hookhost run"), Flags::default());
        let expected = Flags {
            config: Some("a".into()),
            listen: Some("b".into()),
            webhook_urls: vec!["c".into(), "d".into()],
            webhook_config: Some("e".into()),
            webhook_format: Some("f".to_owned()),
            modules: Some("g".into()),
            data: Some("h".into()),
            admin: Some("i".into()),
            strict: true,
            ignore_access_control: true,
            default_config: None,
        };
        let options = "--config a --listen b --webhook-url c --webhook-url d --webhook-config e --webhook-format f \
                       --modules g --data h --admin i --strict --ignore-access-control";
        for command in ["hookhost", "hookhost run", "hookhost check"] {
            assert_eq!(flags(&format!("{command} {options}")), expected, "{command}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "hookhost nonsense",
            "hookhost --nonsense",
            "hookhost run --listen",
            "hookhost sink --status 99",
            "hookhost sink --status 600",
            "hookhost sink --delay 5",
            "hookhost sink --webhook-url x",
            "hookhost --listen x run",
            "hookhost check --record x",
            "hookhost run --record-hook message-publish",
            "hookhost run --record x --record-hook message.publish",
            "hookhost run --record x --record-topic a/#/b",
            "hookhost run --record x --record-size big",
            "hookhost clients",
            "hookhost clients kick",
            "hookhost module",
            "hookhost module new",
            "hookhost module new Too_Hot",
            "hookhost module new x --lang cobol",
            "hookhost module test x.wasm",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert!(!parse("hookhost --version").unwrap_err().use_stderr());
        assert!(!parse("hookhost run --help").unwrap_err().use_stderr());
    }
}
