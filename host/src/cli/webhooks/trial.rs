//! Tests and trials of webhooks.

use std::path::Path;

use anyhow::Context;
use hyper::Method;
use serde_json::{Value, json};

use super::input::read_file;
use super::path;
use crate::admin::shape::{EventTrial, TestedRequest, WebhookTest};
use crate::cli::admin::{AdminArguments, encoded, escaped, print, print_json};

pub(super) fn test(admin: &AdminArguments, name: &str) -> anyhow::Result<bool> {
    let answer: WebhookTest = admin.client()?.ask(Method::POST, &format!("{}/test", path(name)))?;
    if admin.json {
        print_json(&answer)?;
        return Ok(answer.ok);
    }
    let mut text = String::new();
    if answer.requests.is_empty() {
        let why = answer.text.as_deref().unwrap_or("the webhook has nothing to send");
        text.push_str(&format!("no request for the sample event: {}\n", escaped(why)));
    }
    for tested in &answer.requests {
        text.push_str(&line(tested));
    }
    print(&text)?;
    Ok(answer.ok)
}

pub(super) fn try_event(admin: &AdminArguments, file: Option<&Path>, event: &str, topic: &str) -> anyhow::Result<bool> {
    let client = admin.client()?;
    let event: Value = match file {
        Some(file) => serde_json::from_str(&read_file(file)?).context("the event is not JSON")?,
        None => client.ask(
            Method::GET,
            &format!("/event-samples?event={}&topic={}", encoded(event), encoded(topic)),
        )?,
    };
    let body = json!({ "event": event }).to_string();
    let answer: EventTrial = client.ask_with(Method::POST, "/event-trials", body.into())?;
    if admin.json {
        print_json(&answer)?;
        return Ok(true);
    }
    let mut text = String::new();
    if answer.webhooks.is_empty() {
        text.push_str("no webhook or rule is for this event\n");
    }
    for tried in &answer.webhooks {
        let why = tried
            .text
            .as_deref()
            .map_or(String::new(), |text| format!(": {}", escaped(text)));
        text.push_str(&format!(
            "{} ({}): {}{why}\n",
            tried.name,
            escaped(&tried.source),
            tried.outcome
        ));
        for request in &tried.requests {
            text.push_str(&format!("  {} {}\n", request.method, escaped(&request.url)));
            let headers = request
                .headers
                .iter()
                .map(|(name, value)| format!("  {name}: {}\n", escaped(value)));
            text.extend(headers);
            text.push_str(&format!(
                "  {}\n",
                escaped(request.body.as_deref().unwrap_or("(bytes)"))
            ));
            if let Some(refused) = &request.refused {
                text.push_str(&format!("  not sent: {}\n", escaped(refused)));
            }
        }
    }
    print(&text)?;
    Ok(true)
}

fn line(tested: &TestedRequest) -> String {
    let TestedRequest {
        request,
        status,
        took_ms,
        reason,
        answer,
        ..
    } = tested;
    let status = status.map_or("no answer".to_owned(), |status| format!("status {status}"));
    let mut line = format!("{} {}: {status}, {took_ms} ms\n", request.method, escaped(&request.url));
    if let Some(reason) = reason {
        line.push_str(&format!("  {}\n", escaped(reason)));
    }
    if !answer.is_empty() {
        line.push_str(&format!("  answer: {}\n", escaped(answer)));
    }
    line
}
