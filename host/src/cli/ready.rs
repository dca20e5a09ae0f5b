//! `ready`: whether a running host is ready, for health checks.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::admin::{AdminArguments, ended, escaped, print, print_json};
use crate::admin::shape::{Overview, Ready};

#[derive(Debug, Args)]
pub(super) struct ReadyArguments {
    #[command(flatten)]
    admin: AdminArguments,
}

/// Succeeds if the host is ready.
pub(super) fn ready(ReadyArguments { admin }: &ReadyArguments) -> ExitCode {
    ended(show(admin))
}

fn show(admin: &AdminArguments) -> anyhow::Result<bool> {
    let Overview { problems, .. } = admin.client()?.ask(Method::GET, "/overview")?;
    let ready = problems.is_empty();
    if admin.json {
        print_json(&Ready { ready, problems })?;
    } else if ready {
        print("ready\n")?;
    } else {
        print(&escaped(&format!("not ready\n{}\n", problems.join("\n"))))?;
    }
    Ok(ready)
}
