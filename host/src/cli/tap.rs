//! `tap`: follows the events of a running host live.

use std::io::{self, Write};
use std::process::ExitCode;

use chrono::{DateTime, Local};
use clap::Args;

use super::admin::{AdminArguments, encoded, one_line};
use super::finish;
use crate::admin::shape::{Delivery, Handled, Outcome, TapLine};

#[derive(Debug, Args)]
pub(super) struct TapArguments {
    /// Only events of this client
    #[arg(long, value_name = "ID", default_value = "")]
    client: String,
    /// Only events whose topic matches this filter
    #[arg(long, value_name = "FILTER", default_value = "")]
    topic: String,
    /// Only this event: its hook, such as message-publish, or its id
    #[arg(long, value_name = "EVENT", default_value = "")]
    event: String,
    /// Only what this module does, and requests that it made
    #[arg(long, value_name = "NAME", default_value = "")]
    module: String,
    /// Only attempts to deliver the requests of this webhook
    #[arg(long, value_name = "NAME", default_value = "")]
    webhook: String,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn tap(arguments: &TapArguments) -> ExitCode {
    let followed = follow(arguments);
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    match followed {
        // The reader of the lines has what it wanted.
        Err(error) if error.downcast_ref().is_some_and(is_closed) => ExitCode::SUCCESS,
        followed => finish(followed),
    }
}

/// Returns when the host stops. With `--json` prints the lines of the host unchanged.
fn follow(arguments: &TapArguments) -> anyhow::Result<()> {
    let TapArguments {
        client,
        topic,
        event,
        module,
        webhook,
        admin,
    } = arguments;
    let [client, topic, event, module, webhook] = [client, topic, event, module, webhook].map(|text| encoded(text));
    let path = format!("/tap?client={client}&topic={topic}&event={event}&module={module}&webhook={webhook}");
    admin.client()?.follow(&path, |line: TapLine| {
        let text = if admin.json {
            serde_json::to_string(&line)? + "\n"
        } else {
            text(&line)
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    })
}

/// A line for people.
fn text(line: &TapLine) -> String {
    let text = match line {
        TapLine::Outcome(outcome) => {
            let Outcome {
                hook,
                client,
                topic,
                handled,
                ..
            } = outcome;
            let (at, module) = (&handled.at, &handled.module);
            let result = result(handled);
            format!("{}  {hook:20}  {client}  {topic}  {module}: {result}", local(at))
        }
        TapLine::Attempt(attempt) => {
            let Delivery {
                at,
                hook,
                client,
                topic,
                module,
                url,
                attempt,
                result,
                status,
                text,
                took_ms,
                ..
            } = attempt;
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            let text = if text.is_empty() {
                String::new()
            } else {
                format!(": {text}")
            };
            let again = if *attempt > 1 {
                format!(", attempt {attempt}")
            } else {
                String::new()
            };
            let when = local(at);
            format!(
                "{when}  {hook:20}  {client}  {topic}  {module} -> {url}{status} {result}, {took_ms} ms{again}{text}"
            )
        }
        TapLine::Lost { lines } => format!("({lines} lines left out: this command reads slower than the host writes)"),
    };
    one_line(&text) + "\n"
}

/// What a module did with an event.
pub(super) fn result(handled: &Handled) -> String {
    let Handled {
        outcome,
        requests,
        text,
        ..
    } = handled;
    match outcome.as_str() {
        "answered" => format!("{requests} requests"),
        outcome if text.is_empty() => outcome.to_owned(),
        outcome => format!("{outcome}: {text}"),
    }
}

/// The local time of day of a time in UTC.
pub(super) fn local(at: &str) -> String {
    let time = DateTime::parse_from_rfc3339(at).map(|at| at.with_timezone(&Local));
    time.map_or_else(|_| at.to_owned(), |at| at.format("%H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(line: &TapLine) -> String {
        text(line).get(12..).unwrap().to_owned()
    }

    #[test]
    fn lines_for_people() {
        let outcome = |outcome: &str, requests, text: &str| {
            TapLine::Outcome(Outcome {
                event: "A".into(),
                hook: "message-publish".into(),
                client: "c\n".into(),
                topic: "t".into(),
                handled: Handled {
                    at: "2026-09-21T14:13:21.000Z".into(),
                    module: "webhook".into(),
                    generation: 1,
                    outcome: outcome.into(),
                    requests,
                    text: text.into(),
                    waited_ms: 0,
                    call_us: 9,
                    call_events: 1,
                },
            })
        };
        let begin = "  message-publish       c   t  webhook: ";
        for (line, expected) in [
            (outcome("answered", 2, ""), "2 requests\n"),
            (outcome("ignored", 0, ""), "ignored\n"),
            (outcome("trapped", 0, "panicked"), "trapped: panicked\n"),
        ] {
            assert_eq!(rest(&line), format!("{begin}{expected}"));
        }
        let attempt = TapLine::Attempt(Delivery {
            number: 1,
            request: 1,
            at: "2026-09-21T14:13:21.000Z".into(),
            event: "A".into(),
            hook: "message-publish".into(),
            client: "c".into(),
            topic: "t".into(),
            module: "webhook".into(),
            generation: 1,
            url: "http://h/".into(),
            destination: String::new(),
            attempt: 2,
            result: "retried".into(),
            status: Some(503),
            text: "the answer is 503".into(),
            answer: String::new(),
            took_ms: 7,
        });
        let expected =
            "  message-publish       c  t  webhook -> http://h/ 503 retried, 7 ms, attempt 2: the answer is 503\n";
        assert_eq!(rest(&attempt), expected);
        assert!(text(&TapLine::Lost { lines: 3 }).starts_with("(3 lines left out"));
    }
}
