//! `log`: the log of a running host.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::admin::{AdminArguments, encoded, ended, escaped, print, print_json};
use crate::admin::shape::Log;

#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// Select other log lines until the host restarts, such as debug or info,rmqtt=debug; "" selects the default
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn log(arguments: &LogArguments) -> ExitCode {
    ended(show(arguments))
}

fn show(LogArguments { filter, admin }: &LogArguments) -> anyhow::Result<bool> {
    let client = admin.client()?;
    let answer: Log = match filter {
        Some(filter) => client.ask(Method::PUT, &format!("/log?filter={}", encoded(filter)))?,
        None => client.ask(Method::GET, "/log")?,
    };
    if admin.json {
        print_json(&answer)?;
    } else if answer.filter.is_empty() {
        print("the default: info\n")?;
    } else {
        print(&format!("{}\n", escaped(&answer.filter)))?;
    }
    Ok(true)
}
