//! The command line: what was asked for, and how it ended.
//!
//! Exit codes: 0 done, 1 something failed while running, 2 mistakes in the command line or the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Flags, Loaded, Problem};
use crate::logging::Filter;
use crate::{app, sink};

/// An MQTT broker that turns what happens in it into webhooks, through WebAssembly modules.
///
/// Without a command it runs the host. Every setting may also come from a file or the environment; see
/// hookhost.example.toml.
#[derive(Debug, Parser)]
#[command(name = "hookhost", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    host: HostArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host
    Run(HostArguments),
    /// Report every mistake of configuration and modules, and start nothing
    Check(HostArguments),
    /// Receive webhooks and print them, to try things with
    Sink(SinkArguments),
}

#[derive(Debug, Default, Args)]
struct HostArguments {
    /// Configuration file (TOML) [env: HOOKHOST_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address for MQTT clients; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where webhooks go: http://…, https://…, file:///path or stdout:; may be repeated [default: stdout:]
    #[arg(long = "webhook-url", value_name = "URL")]
    webhook_urls: Vec<String>,
    /// Webhook file of another broker as it is: rmqtt-web-hook.toml [env: HOOKHOST_WEBHOOK_CONFIG]
    #[arg(long, value_name = "FILE")]
    webhook_config: Option<PathBuf>,
    /// Folder of modules: NAME.wasm, and NAME.toml with its settings
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Folder for what outlives the host: the state of modules [default: none, it is kept in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl From<HostArguments> for Flags {
    fn from(arguments: HostArguments) -> Flags {
        let HostArguments {
            config,
            listen,
            webhook_urls,
            webhook_config,
            modules,
            data,
        } = arguments;
        Flags {
            config,
            listen,
            webhook_urls,
            webhook_config,
            modules,
            data,
        }
    }
}

#[derive(Debug, Args)]
struct SinkArguments {
    /// Address to receive at; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5656")]
    listen: SocketAddr,
    /// Print only how many requests came in each second
    #[arg(short, long)]
    quiet: bool,
    /// Status to answer with
    #[arg(long, value_name = "CODE", default_value = "200", value_parser = status)]
    status: sink::StatusCode,
    /// Wait before answering, such as 500ms
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration, default_value = "0s")]
    delay: Duration,
}

/// A status that can end a request.
fn status(text: &str) -> Result<sink::StatusCode, String> {
    let status = text
        .parse()
        .ok()
        .filter(|status: &sink::StatusCode| (200..=599).contains(&status.as_u16()));
    status.ok_or_else(|| "should be between 200 and 599".to_owned())
}

/// Does what the command line says; the whole program.
pub fn main() -> ExitCode {
    let Cli { command, host } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" too, and end with 0. There is nobody to tell that telling has failed.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match command.unwrap_or(Command::Run(host)) {
        Command::Run(arguments) => run(arguments),
        Command::Check(arguments) => check(arguments),
        Command::Sink(arguments) => receive(arguments),
    }
}

fn run(arguments: HostArguments) -> ExitCode {
    let (filter, Loaded { config, warnings }) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    filter.install();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    finish(app::run(config))
}

fn check(arguments: HostArguments) -> ExitCode {
    let (_, Loaded { config, warnings }) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let summary = summary(&config);
    let problems = app::check(&config);
    if !problems.is_empty() {
        return refuse(&problems);
    }
    println!("{summary}");
    ExitCode::SUCCESS
}

/// What a configuration without mistakes amounts to.
fn summary(config: &Config) -> String {
    let modules = config
        .modules
        .dir
        .as_ref()
        .map_or_else(String::new, |dir| format!(", modules in {}", dir.display()));
    format!("configuration is fine: MQTT at {}{modules}", config.mqtt.listen)
}

fn receive(arguments: SinkArguments) -> ExitCode {
    let SinkArguments {
        listen,
        quiet,
        status,
        delay,
    } = arguments;
    finish(
        sink::run(&sink::Settings {
            listen,
            quiet,
            status,
            delay,
        })
        .map_err(anyhow::Error::from),
    )
}

/// Filter and configuration, or everything that is wrong with both.
fn load(arguments: HostArguments) -> Result<(Filter, Loaded), Vec<Problem>> {
    let environment = config::environment();
    let filter = Filter::read(&environment);
    match (filter, config::load(arguments.into(), environment)) {
        (Ok(filter), Ok(loaded)) => Ok((filter, loaded)),
        (Ok(_), Err(problems)) => Err(problems),
        (Err(problem), Ok(_)) => Err(vec![problem]),
        (Err(problem), Err(mut problems)) => {
            problems.insert(0, problem);
            Err(problems)
        }
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
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    fn flags(line: &str) -> Flags {
        let Cli { command, host } = parse(line).unwrap();
        match command.unwrap_or(Command::Run(host)) {
            Command::Run(host) | Command::Check(host) => host.into(),
            Command::Sink(_) => panic!("not a sink"),
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
            modules: Some("f".into()),
            data: Some("g".into()),
        };
        let options = "--config a --listen b --webhook-url c --webhook-url d --webhook-config e --modules f --data g";
        for command in ["hookhost", "hookhost run", "hookhost check"] {
            assert_eq!(flags(&format!("{command} {options}")), expected, "{command}");
        }
    }

    #[test]
    fn the_sink_has_options_of_its_own() {
        let Some(Command::Sink(sink)) = parse("hookhost sink --listen [::1]:0 -q --status 503 --delay 1s500ms")
            .unwrap()
            .command
        else {
            panic!("a sink");
        };
        assert_eq!((sink.listen, sink.quiet), ("[::1]:0".parse().unwrap(), true));
        assert_eq!((sink.status.as_u16(), sink.delay), (503, Duration::from_millis(1500)));
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
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert!(!parse("hookhost --version").unwrap_err().use_stderr());
        assert!(!parse("hookhost run --help").unwrap_err().use_stderr());
    }
}
