//! `quarantine`: the events that the modules of a running host could not handle.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, each, encoded, ended, escaped, print, print_json, table};
use crate::admin::client::Client;
use crate::admin::shape::{Dropped, Quarantine, Quarantined, Replayed};

#[derive(Debug, Args)]
pub(super) struct QuarantineArguments {
    #[command(subcommand)]
    command: QuarantineCommand,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List events that modules could not handle, newest first
    List(ListArguments),
    /// Show events and why they are in the quarantine
    Show(ShowArguments),
    /// Hand events to their modules again
    Replay(Chosen),
    /// Delete events from the quarantine
    Drop(Chosen),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only events of one module
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// At most this many events
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only events with a smaller number
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// Numbers from the list
    #[arg(value_name = "ID", required = true)]
    ids: Vec<u64>,
    /// Print only the events, one JSON object on each line, for `hookhost module test --events`
    #[arg(long)]
    events: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// Numbers from the list
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// All events of one module
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// All events of all modules
    #[arg(long)]
    all: bool,
}

pub(super) fn quarantine(arguments: &QuarantineArguments) -> ExitCode {
    let QuarantineArguments { command, admin } = arguments;
    let result = admin.client().and_then(|client| match command {
        QuarantineCommand::List(arguments) => list(&client, arguments, admin.json),
        QuarantineCommand::Show(arguments) => show(&client, arguments, admin.json),
        QuarantineCommand::Replay(chosen) => replay(&client, chosen, admin.json),
        QuarantineCommand::Drop(chosen) => forget(&client, chosen, admin.json),
    });
    ended(result)
}

fn list(client: &Client, arguments: &ListArguments, json: bool) -> anyhow::Result<bool> {
    let ListArguments { module, limit, before } = arguments;
    let mut path = format!("/quarantine?limit={limit}");
    if let Some(module) = module {
        path.push_str(&format!("&module={}", encoded(module)));
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={before}"));
    }
    let answer: Quarantine = client.ask(Method::GET, &path)?;
    if json {
        print_json(&answer)?;
        return Ok(true);
    }
    let rows: Vec<_> = answer.entries.iter().map(row).collect();
    let headings = ["ID", "TIME", "MODULE", "GENERATION", "FAULT", "EVENT", "CLIENT", "TEXT"];
    let mut text = table(headings, &rows);
    if let Some(last) = answer.entries.last().filter(|_| answer.more) {
        text.push_str(&format!("there are more: --before {}\n", last.id));
    }
    print(&text)?;
    Ok(true)
}

fn row(entry: &Quarantined) -> [String; 8] {
    let event = match &entry.topic {
        Some(topic) => format!("{} {topic}", entry.hook),
        None => entry.hook.clone(),
    };
    [
        entry.id.to_string(),
        entry.at.clone(),
        entry.module.clone(),
        entry.generation.to_string(),
        entry.fault.clone(),
        event,
        entry.client.clone().unwrap_or_default(),
        entry.text.clone(),
    ]
}

fn show(client: &Client, arguments: &ShowArguments, json: bool) -> anyhow::Result<bool> {
    each(&arguments.ids, |id| {
        let entry: Quarantined = client.ask(Method::GET, &format!("/quarantine/{id}"))?;
        if json {
            return print_json(&entry);
        }
        let event = entry.event.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut shown = String::new();
        if !arguments.events {
            let Quarantined {
                id,
                at,
                module,
                generation,
                fault,
                text,
                ..
            } = &entry;
            let text = escaped(text);
            shown = format!("{id}: {fault} in generation {generation} of {module} at {at}\n{text}\n");
        }
        print(&format!("{shown}{event}\n"))
    })
}

fn replay(client: &Client, chosen: &Chosen, json: bool) -> anyhow::Result<bool> {
    let one = |id: u64| client.ask(Method::POST, &format!("/quarantine/{id}/replay"));
    let tell = |answer: &Replayed| {
        for left in &answer.left {
            eprintln!("error: {}: {}", left.id, escaped(&left.error));
        }
        let lines = answer.replayed.iter().map(|id| format!("{id}: handed to its module\n"));
        (lines.collect(), answer.left.is_empty())
    };
    let all = |whose: &str| client.ask(Method::POST, &format!("/quarantine/replay?{whose}"));
    act(chosen, json, one, all, tell)
}

fn forget(client: &Client, chosen: &Chosen, json: bool) -> anyhow::Result<bool> {
    let one = |id: u64| client.ask(Method::DELETE, &format!("/quarantine/{id}"));
    let tell = |answer: &Dropped| {
        let lines = answer.dropped.iter().map(|id| format!("{id}: dropped\n"));
        (lines.collect(), true)
    };
    let all = |whose: &str| client.ask(Method::DELETE, &format!("/quarantine?{whose}"));
    act(chosen, json, one, all, tell)
}

/// Runs an operation on the chosen events, as [`super::admin::act`].
fn act<T: serde::Serialize, E: std::error::Error + Send + Sync + 'static>(
    chosen: &Chosen,
    json: bool,
    one: impl Fn(u64) -> Result<T, E>,
    all: impl Fn(&str) -> Result<T, E>,
    tell: impl Fn(&T) -> (String, bool),
) -> anyhow::Result<bool> {
    let query = match &chosen.module {
        Some(module) => Some(format!("module={}", encoded(module))),
        None => chosen.all.then(|| "all=true".to_owned()),
    };
    super::admin::act(&chosen.ids, query.as_deref(), json, one, all, tell)
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser;

    #[test]
    fn whose_events_are_meant_must_be_said() {
        for (line, fine) in [
            ("quarantine list", true),
            ("quarantine list --module a --limit 5 --before 9 --json", true),
            ("quarantine list --limit 0", false),
            ("quarantine show 1 2 --events", true),
            ("quarantine show", false),
            ("quarantine replay 1 2", true),
            ("quarantine replay --module a", true),
            ("quarantine replay --all", true),
            ("quarantine replay", false),
            ("quarantine drop --all --module a", false),
            ("quarantine drop 1 --all", false),
            ("quarantine drop x", false),
            ("quarantine --admin a:1 drop 1", true),
            ("quarantine drop 1 --admin a:1", true),
            ("quarantine", false),
            ("modules", true),
            ("modules rescan --json", true),
            ("modules list", true),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("hookhost").chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), fine, "{line}");
        }
    }
}
