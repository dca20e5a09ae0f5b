//! `trace`: what happened to one event in a running host.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::admin::{AdminArguments, encoded, one_line, print, print_json};
use super::finish;
use super::tap::{local, result};
use crate::admin::shape::{EventTrace, Handled};

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// The id of the event: 32 hex digits, as in the dashboard, in tap --json and in dead letters
    #[arg(value_name = "EVENT_ID")]
    event: String,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn trace(arguments: &TraceArguments) -> ExitCode {
    finish(show(arguments))
}

fn show(arguments: &TraceArguments) -> anyhow::Result<()> {
    let TraceArguments { event, admin } = arguments;
    let trace: EventTrace = admin
        .client()?
        .ask(Method::GET, &format!("/events/{}", encoded(event)))?;
    if admin.json {
        print_json(&trace)
    } else {
        print(&text(&trace))
    }
}

/// What happened to an event, for people: a line for each thing that happened, with its time.
fn text(trace: &EventTrace) -> String {
    let EventTrace {
        event,
        hook,
        client,
        topic,
        received,
        outcomes,
        attempts,
        quarantine,
        dead_letters,
        state,
    } = trace;
    let of = [("hook", hook), ("client", client), ("topic", topic)];
    let of = of
        .iter()
        .filter_map(|(name, value)| Some(format!("  {name} {}", value.as_ref()?)));
    let mut text = one_line(&format!("event {event}{}", of.collect::<String>())) + "\n";
    let mut lines: Vec<(&str, String)> = Vec::new();
    if let Some(received) = received {
        lines.push((received, "received and queued".to_owned()));
    }
    lines.extend(outcomes.iter().map(|outcome| (outcome.at.as_str(), line(outcome))));
    for attempt in attempts {
        let status = attempt.status.map(|status| format!(" {status}")).unwrap_or_default();
        let reason = if attempt.text.is_empty() { "" } else { ": " };
        let answer = if attempt.answer.is_empty() {
            String::new()
        } else {
            format!("; it answered: {}", attempt.answer)
        };
        let line = format!(
            "{} request {} -> {}: attempt {}{status} {}, {} ms{reason}{}{answer}",
            attempt.module,
            attempt.request,
            attempt.url,
            attempt.attempt,
            attempt.result,
            attempt.took_ms,
            attempt.text
        );
        lines.push((&attempt.at, line));
    }
    for letter in dead_letters {
        let line = format!(
            "dead letter {} ({}): {}: {}",
            letter.id, letter.webhook_id, letter.reason, letter.text
        );
        lines.push((&letter.at, line));
    }
    for entry in quarantine {
        let line = format!(
            "quarantine {}: {} in {}: {}",
            entry.id, entry.fault, entry.module, entry.text
        );
        lines.push((&entry.at, line));
    }
    // All times have the same form.
    lines.sort_by(|one, other| one.0.cmp(other.0));
    for (at, line) in lines {
        // A client chooses some of it, and must not add lines.
        text.push_str(&format!("{}  {}\n", local(at), one_line(&line)));
    }
    text + &format!("state: {state}\n")
}

fn line(outcome: &Handled) -> String {
    let Handled {
        module,
        generation,
        waited_ms,
        call_us,
        call_events,
        ..
    } = outcome;
    let result = result(outcome);
    format!(
        "{module} (generation {generation}): {result}; after {waited_ms} ms in the queue, in a call of {call_events} events that took {call_us} µs"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A client chooses its id and topic, and a receiver its answers.
    #[test]
    fn no_text_adds_a_line() {
        let trace: EventTrace = serde_json::from_value(json!({
            "event": "1", "hook": "message-publish", "client": "c\nstate: delivered", "topic": "t\u{1b}[2J",
            "received": "2026-01-01T00:00:00.000Z", "state": "unknown", "outcomes": [], "attempts": [], "quarantine": [],
            "dead_letters": [],
        }))
        .unwrap();
        let text = text(&trace);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[0],
            "event 1  hook message-publish  client c state: delivered  topic t\\u{1b}[2J"
        );
        assert_eq!(lines[2], "state: unknown");
    }
}
