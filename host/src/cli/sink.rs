//! `sink`: a web service for experiments.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::finish;
use crate::{config, sink};

#[derive(Debug, Args)]
pub(super) struct SinkArguments {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5656")]
    listen: SocketAddr,
    /// Print only the number of requests in each second
    #[arg(short, long)]
    quiet: bool,
    /// HTTP status of every response
    #[arg(long, value_name = "CODE", default_value = "200", value_parser = status)]
    status: sink::StatusCode,
    /// Time to wait before each response, such as 500ms
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

pub(super) fn receive(arguments: SinkArguments) -> ExitCode {
    let SinkArguments {
        listen,
        quiet,
        status,
        delay,
    } = arguments;
    finish(
        sink::run(&sink::SinkSettings {
            listen,
            quiet,
            status,
            delay,
        })
        .map_err(anyhow::Error::from),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    #[test]
    fn the_sink_has_options_of_its_own() {
        let line = "hookhost sink --listen [::1]:0 -q --status 503 --delay 1s500ms";
        let Some(Command::Sink(sink)) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("a sink");
        };
        assert_eq!((sink.listen, sink.quiet), ("[::1]:0".parse().unwrap(), true));
        assert_eq!((sink.status.as_u16(), sink.delay), (503, Duration::from_millis(1500)));
    }
}
