//! The parts of the bench that are separate processes, and their reports.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use hookhost_tests::PATIENCE;
use hookhost_tests::process::Process;
use serde_json::Value;

/// Timeout of one part in total.
pub(crate) const LONGEST_PART: Duration = Duration::from_secs(300);

/// The report of publishers.
pub(crate) struct Published {
    pub(crate) confirmed: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Published {
    pub(crate) fn per_second(&self) -> f64 {
        self.confirmed as f64 * 1e9 / (self.last - self.first).max(1) as f64
    }
}

/// This program as one of its parts.
pub(crate) fn this(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running executable has a path"));
    command.arg(part);
    command
}

/// Runs a part to its end and reads the line that it prints.
pub(crate) async fn part(name: &str, arguments: &[(&str, String)]) -> anyhow::Result<Published> {
    let mut command = this(name);
    for (argument, value) in arguments {
        command.arg(format!("--{argument}")).arg(value);
    }
    let mut process = Process::start(command);
    let code = process.wait(LONGEST_PART).await;
    ensure!(code == Some(0), "{name} failed: {}", process.stderr.tail());
    let line = process
        .stdout
        .wait("its result", PATIENCE, |line| line.starts_with('{'))
        .await;
    let result: Value = serde_json::from_str(&line)?;
    let field = |name: &str| result[name].as_u64().with_context(|| format!("no {name} in {line}"));
    Ok(Published {
        confirmed: field("confirmed")?,
        first: field("first")?,
        last: field("last")?,
    })
}
