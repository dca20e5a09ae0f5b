//! `dead-letters`: the requests that a running host has given up.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, each, encoded, ended, escaped, print, print_json};
use super::selection::{self, Page, print_page};
use crate::admin::client::Client;
use crate::admin::shape::{DeadLetter, DeadLetters, Resent};

/// Letters in one answer of an export.
const EXPORT_PAGE: u16 = 100;

#[derive(Debug, Args)]
pub(super) struct DeadLettersArguments {
    #[command(subcommand)]
    command: DeadLettersCommand,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List requests that the host has given up, newest first
    List(ListArguments),
    /// Show requests with their attempts and the last answer
    Show(ShowArguments),
    /// Print requests as JSON, one on each line, newest first
    Export(Filter),
    /// Send requests again; each keeps its id
    Resend(SelectionArguments),
    /// Delete requests
    Drop(SelectionArguments),
}

/// Which letters are meant: those that fit all conditions.
#[derive(Debug, Args)]
struct Filter {
    /// Only of one destination: its name, or scheme, host and port
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Only of one module
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Only about events of one client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only about topics that match an MQTT topic filter
    #[arg(long, value_name = "FILTER")]
    topic: Option<String>,
    /// Only about one kind of event, such as message-publish
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Only with this HTTP status in the last answer
    #[arg(long, value_name = "CODE")]
    status: Option<u16>,
    /// Only for one reason: refused, gave-up, expired, invalid or barred
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only since this time (2026-11-30T10:00:00Z), or not older than this (2h)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time, or older than this
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// Numbers from the list
    #[arg(value_name = "ID", required = true)]
    ids: Vec<u64>,
}

#[derive(Debug, Args)]
struct SelectionArguments {
    /// Numbers from the list
    #[arg(value_name = "ID", conflicts_with_all = ["Filter", "all"], required_unless_present_any = ["Filter", "all"])]
    ids: Vec<u64>,
    #[command(flatten)]
    filter: Filter,
    /// All requests
    #[arg(long, conflicts_with = "Filter")]
    all: bool,
}

pub(super) fn dead_letters(arguments: &DeadLettersArguments) -> ExitCode {
    let DeadLettersArguments { command, admin } = arguments;
    let result = admin.client().and_then(|client| match command {
        DeadLettersCommand::List(arguments) => list(&client, arguments, admin.json),
        DeadLettersCommand::Show(arguments) => show(&client, arguments, admin.json),
        DeadLettersCommand::Export(filter) => export(&client, filter),
        DeadLettersCommand::Resend(chosen) => resend(&chosen.of(&client, admin.json)),
        DeadLettersCommand::Drop(chosen) => chosen.of(&client, admin.json).forget(),
    });
    ended(result)
}

impl Filter {
    /// The conditions as a query.
    fn query(&self) -> Vec<String> {
        let status = self.status.map(|status| status.to_string());
        let conditions = [
            ("destination", &self.destination),
            ("module", &self.module),
            ("client", &self.client),
            ("topic", &self.topic),
            ("event", &self.event),
            ("status", &status),
            ("reason", &self.reason),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let given = conditions.into_iter();
        let given = given.filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
        given.collect()
    }
}

/// One answer of the list.
fn page(client: &Client, mut query: Vec<String>, page: &Page) -> anyhow::Result<DeadLetters> {
    query.extend(page.query());
    Ok(client.ask(Method::GET, &format!("/dead-letters?{}", query.join("&")))?)
}

fn list(client: &Client, arguments: &ListArguments, json: bool) -> anyhow::Result<bool> {
    let answer = page(client, arguments.filter.query(), &arguments.page)?;
    if json {
        print_json(&answer)?;
        return Ok(true);
    }
    let rows: Vec<_> = answer.letters.iter().map(row).collect();
    let headings = [
        "ID",
        "TIME",
        "DESTINATION",
        "REASON",
        "STATUS",
        "ATTEMPTS",
        "EVENT",
        "CLIENT",
        "TEXT",
    ];
    print_page(
        headings,
        &rows,
        answer.letters.last().filter(|_| answer.more).map(|last| last.id),
    )
}

fn row(letter: &DeadLetter) -> [String; 9] {
    [
        letter.id.to_string(),
        letter.at.clone(),
        letter.destination.clone(),
        letter.reason.clone(),
        letter.status.map(|status| status.to_string()).unwrap_or_default(),
        letter.attempt_count.to_string(),
        selection::event(&letter.event.hook, letter.event.topic.as_deref()),
        letter.event.client.clone().unwrap_or_default(),
        letter.text.clone(),
    ]
}

fn show(client: &Client, arguments: &ShowArguments, json: bool) -> anyhow::Result<bool> {
    each(&arguments.ids, |id| {
        let letter: DeadLetter = client.ask(Method::GET, &format!("/dead-letters/{id}"))?;
        if json {
            print_json(&letter)
        } else {
            print(&escaped(&text(&letter)))
        }
    })
}

/// A letter for people: what happened, the request, and the last answer.
fn text(letter: &DeadLetter) -> String {
    let DeadLetter {
        id,
        at,
        reason,
        destination,
        module,
        generation,
        event,
        ..
    } = letter;
    let mut lines = vec![format!("{id}: {reason} at {at}: {}", letter.text)];
    let mut about = format!("event {} {}", event.hook, event.id);
    for (name, value) in [("client", &event.client), ("topic", &event.topic), ("at", &event.at)] {
        if let Some(value) = value {
            about.push_str(&format!(" {name} {value}"));
        }
    }
    lines.push(about);
    lines.push(format!(
        "module {module}, generation {generation}; destination {destination}"
    ));
    let known = letter.attempts.as_deref().unwrap_or_default();
    lines.push(format!("attempts: {}", letter.attempt_count));
    for attempt in known {
        let (at, time, outcome) = (&attempt.at, attempt.duration_ms, &attempt.outcome);
        lines.push(format!("  {at} {time} ms: {outcome}"));
    }
    lines.push(String::new());
    lines.push(format!("{} {}", letter.method, letter.url));
    lines.push(format!("webhook-id: {}", letter.webhook_id));
    let headers = letter.headers.iter().flatten();
    lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    lines.push(String::new());
    let base64 = letter.body_base64.as_ref().map(|body| format!("(base64) {body}"));
    lines.extend(letter.body.clone().or(base64));
    if let Some(answer) = letter.answer.as_ref().filter(|answer| !answer.is_empty()) {
        lines.push(format!("\nanswer: {answer}"));
    }
    lines.join("\n") + "\n"
}

fn export(client: &Client, filter: &Filter) -> anyhow::Result<bool> {
    let mut next = Page {
        limit: EXPORT_PAGE,
        before: None,
    };
    loop {
        let mut query = filter.query();
        query.push("whole=true".to_owned());
        let answer = page(client, query, &next)?;
        for letter in &answer.letters {
            print(&(serde_json::to_string(letter)? + "\n"))?;
        }
        next.before = answer.letters.last().map(|letter| letter.id);
        if !answer.more || next.before.is_none() {
            return Ok(true);
        }
    }
}

fn resend(chosen: &selection::Selection<'_>) -> anyhow::Result<bool> {
    chosen.repeat("resend", |answer: &Resent| (&answer.resent, &answer.left, "sent again"))
}

impl SelectionArguments {
    fn of<'a>(&'a self, client: &'a Client, json: bool) -> selection::Selection<'a> {
        let query = if self.all {
            "all=true".to_owned()
        } else {
            self.filter.query().join("&")
        };
        selection::Selection {
            client,
            path: "/dead-letters",
            ids: &self.ids,
            query: Some(query).filter(|_| self.ids.is_empty()),
            json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser;

    #[test]
    fn which_letters_are_meant_must_be_said() {
        for (line, fine) in [
            ("dead-letters list", true),
            (
                "dead-letters list --status 422 --client c --topic a/# --since 2h --limit 5 --before 9 --json",
                true,
            ),
            ("dead-letters list --limit 0", false),
            ("dead-letters list --status x", false),
            ("dead-letters show 1 2", true),
            ("dead-letters show", false),
            ("dead-letters export", true),
            (
                "dead-letters export --reason gave-up --until 2026-11-30T10:00:00Z",
                true,
            ),
            ("dead-letters resend 1 2", true),
            ("dead-letters resend --all", true),
            ("dead-letters resend --destination crm --event message-publish", true),
            ("dead-letters resend", false),
            ("dead-letters resend 1 --all", false),
            ("dead-letters resend 1 --status 422", false),
            ("dead-letters drop --all --status 422", false),
            ("dead-letters drop --module webhook", true),
            ("dead-letters drop", false),
            ("dead-letters --admin a:1 drop 1", true),
            ("destinations", true),
            ("destinations --json", true),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("hookhost").chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), fine, "{line}");
        }
    }
}
