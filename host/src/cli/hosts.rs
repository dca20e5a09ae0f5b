//! `hosts`: the hosts that share the outbox of a running host.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::admin::{AdminArguments, ended, escaped, print, print_json, table};
use crate::admin::shape::{Host, Hosts};

#[derive(Debug, Args)]
pub(super) struct HostsArguments {
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn hosts(arguments: &HostsArguments) -> ExitCode {
    ended(show(&arguments.admin))
}

fn show(admin: &AdminArguments) -> anyhow::Result<bool> {
    let answer: Hosts = admin.client()?.ask(Method::GET, "/hosts")?;
    if admin.json {
        print_json(&answer)?;
    } else {
        print(&text(&answer.hosts))?;
    }
    Ok(true)
}

fn text(hosts: &[Host]) -> String {
    if hosts.is_empty() {
        return "this host shares its outbox with no other host\n".to_owned();
    }
    let headings = [
        "HOST",
        "STATE",
        "VERSION",
        "ADMIN",
        "CLIENTS",
        "EVENTS/S",
        "WEBHOOKS/S",
        "WAITING",
        "PARTITIONS",
        "REPORTED",
    ];
    let rows: Vec<_> = hosts.iter().map(row).collect();
    let mut text = table(headings, &rows);
    for host in hosts {
        let problems = host.state.iter().flat_map(|state| &state.problems);
        for problem in problems {
            text.push_str(&format!("\n{}: {}\n", escaped(host.name()), escaped(problem)));
        }
    }
    text
}

fn row(host: &Host) -> [String; 10] {
    let partitions = host.partitions.to_string();
    let Some(state) = &host.state else {
        let unknown = || "-".to_owned();
        return [
            host.id.clone(),
            "unknown".to_owned(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            partitions,
            unknown(),
        ];
    };
    let readiness = if state.problems.is_empty() {
        "ready"
    } else {
        "not ready"
    };
    [
        state.name.clone(),
        readiness.to_owned(),
        state.version.clone(),
        state.admin.clone(),
        state.connected.map_or("-".to_owned(), |clients| clients.to_string()),
        state.events_per_second.to_string(),
        state.webhooks_per_second.to_string(),
        state.waiting.requests.to_string(),
        partitions,
        state.at.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::shape::{HostState, Waiting};

    #[test]
    fn problems_are_below_the_table() {
        let state = HostState {
            name: "a".to_owned(),
            version: "1.2.3".to_owned(),
            admin: "10.0.0.1:18083".to_owned(),
            at: "2026-11-30T10:00:00.000Z".to_owned(),
            started: "2026-11-30T09:00:00.000Z".to_owned(),
            problems: vec!["module x: rejected".to_owned()],
            connected: Some(7),
            events_per_second: 2.5,
            webhooks_per_second: 0.0,
            waiting: Waiting { requests: 3, bytes: 9 },
        };
        let of = |id: &str, state| Host {
            id: id.to_owned(),
            partitions: 32,
            state,
        };
        let printed = text(&[of("1f", Some(state)), of("2e", None)]);
        let rows: Vec<Vec<&str>> = printed
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(
            rows[1..],
            [
                vec![
                    "a",
                    "not ready",
                    "1.2.3",
                    "10.0.0.1:18083",
                    "7",
                    "2.5",
                    "0",
                    "3",
                    "32",
                    "2026-11-30T10:00:00.000Z"
                ],
                vec!["2e", "unknown", "-", "-", "-", "-", "-", "-", "32", "-"],
                vec![],
                vec!["a: module x: rejected"],
            ],
            "{printed}"
        );
        assert_eq!(text(&[]), "this host shares its outbox with no other host\n");
    }
}
