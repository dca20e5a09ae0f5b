//! `destinations`: what a running host has sent where.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::admin::{AdminArguments, ended, escaped, print, print_json, table};
use crate::admin::shape::{Destination, DestinationCounts, Destinations, Waiting};

#[derive(Debug, Args)]
pub(super) struct DestinationsArguments {
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn destinations(arguments: &DestinationsArguments) -> ExitCode {
    ended(show(&arguments.admin))
}

fn show(admin: &AdminArguments) -> anyhow::Result<bool> {
    let answer: Destinations = admin.client()?.ask(Method::GET, "/destinations")?;
    if admin.json {
        print_json(&answer)?;
    } else {
        print(&text(&answer))?;
    }
    Ok(true)
}

fn text(answer: &Destinations) -> String {
    let oldest = answer.destinations.iter().filter_map(|one| one.oldest_seconds).max();
    let all = row("(all)", "", "", &answer.all, oldest);
    let rows: Vec<_> = answer.destinations.iter().map(of_destination).chain([all]).collect();
    let headings = [
        "DESTINATION",
        "URL",
        "STATE",
        "ACCEPTED",
        "DELIVERED",
        "RETRIED",
        "DEAD",
        "DROPPED",
        "WAITING",
        "OLDEST",
    ];
    let mut text = table(headings, &rows);
    for destination in &answer.destinations {
        let name = destination.name.as_ref().unwrap_or(&destination.url);
        if let Some(until) = &destination.paused_until {
            text.push_str(&format!("\n{name}: paused until {until}: it has answered 410\n"));
        }
        if let Some(error) = &destination.last_error {
            text.push_str(&format!(
                "\n{name}: last error at {}: {}\n",
                error.at,
                escaped(&error.text)
            ));
        }
    }
    for destination in &answer.destinations {
        let name = destination.name.as_ref().unwrap_or(&destination.url);
        if let Some(lagging) = &destination.lagging {
            text.push_str(&format!(
                "\n{name}: requests with the key {} lag: {} wait, and each takes {} ms; set `order` of the rule to send more \
                 at once\n",
                escaped(&lagging.key).replace('\n', "\\n"),
                lagging.waiting,
                lagging.answer_ms
            ));
        }
    }
    let Waiting { requests, bytes } = answer.waiting_for_nats;
    if requests > 0 {
        text.push_str(&format!(
            "\n{requests} requests ({bytes} bytes) wait in the data folder until NATS can be used\n"
        ));
    }
    let letters = &answer.dead_letters;
    if letters.letters > 0 || letters.evicted > 0 {
        let (count, evicted) = (letters.letters, letters.evicted);
        text.push_str(&format!(
            "\n{count} dead letters are kept, {evicted} were dropped: hookhost dead-letters list\n"
        ));
    }
    text
}

fn of_destination(destination: &Destination) -> [String; 10] {
    let name = destination.name.as_deref().unwrap_or("-");
    row(
        name,
        &destination.url,
        &destination.state,
        &destination.counts,
        destination.oldest_seconds,
    )
}

fn row(name: &str, url: &str, state: &str, counts: &DestinationCounts, oldest: Option<u64>) -> [String; 10] {
    [
        name.to_owned(),
        url.to_owned(),
        state.to_owned(),
        counts.accepted.to_string(),
        counts.delivered.to_string(),
        counts.retried.to_string(),
        counts.dead.total.to_string(),
        counts.dropped.total.to_string(),
        counts.waiting.requests.to_string(),
        oldest.map(|seconds| format!("{seconds}s")).unwrap_or_default(),
    ]
}
