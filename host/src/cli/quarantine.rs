//! `quarantine`: the events that the modules of a running host could not handle.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, each, encoded, ended, escaped, print, print_json};
use super::selection::{self, Page, print_page};
use crate::admin::client::Client;
use crate::admin::shape::{Quarantine, Quarantined, Replayed};

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
    /// Pass events to their modules again
    Replay(SelectionArguments),
    /// Delete events from the quarantine
    Drop(SelectionArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only events of one module
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    #[command(flatten)]
    page: Page,
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
struct SelectionArguments {
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
        QuarantineCommand::Replay(chosen) => replay(&chosen.of(&client, admin.json)),
        QuarantineCommand::Drop(chosen) => chosen.of(&client, admin.json).forget(),
    });
    ended(result)
}

fn list(client: &Client, arguments: &ListArguments, json: bool) -> anyhow::Result<bool> {
    let module = arguments
        .module
        .iter()
        .map(|module| format!("module={}", encoded(module)));
    let query: Vec<String> = arguments.page.query().into_iter().chain(module).collect();
    let path = format!("/quarantine?{}", query.join("&"));
    let answer: Quarantine = client.ask(Method::GET, &path)?;
    if json {
        print_json(&answer)?;
        return Ok(true);
    }
    let rows: Vec<_> = answer.entries.iter().map(row).collect();
    let headings = ["ID", "TIME", "MODULE", "GENERATION", "FAULT", "EVENT", "CLIENT", "TEXT"];
    print_page(
        headings,
        &rows,
        answer.entries.last().filter(|_| answer.more).map(|last| last.id),
    )
}

fn row(entry: &Quarantined) -> [String; 8] {
    [
        entry.id.to_string(),
        entry.at.clone(),
        entry.module.clone(),
        entry.generation.to_string(),
        entry.fault.clone(),
        selection::event(&entry.hook, entry.topic.as_deref()),
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

fn replay(chosen: &selection::Selection<'_>) -> anyhow::Result<bool> {
    chosen.repeat("replay", |answer: &Replayed| {
        (&answer.replayed, &answer.left, "passed to its module")
    })
}

impl SelectionArguments {
    fn of<'a>(&'a self, client: &'a Client, json: bool) -> selection::Selection<'a> {
        let query = match &self.module {
            Some(module) => Some(format!("module={}", encoded(module))),
            None => self.all.then(|| "all=true".to_owned()),
        };
        selection::Selection {
            client,
            path: "/quarantine",
            ids: &self.ids,
            query,
            json,
        }
    }
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
