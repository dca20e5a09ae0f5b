//! `webhooks`: the webhooks of a running host.

mod input;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::admin::{AdminArguments, each, encoded, ended, escaped, print, print_json, table};
use crate::admin::shape::{ChangedWebhooks, Webhook, Webhooks};
use input::{WebhookInput, WebhookOptions};

#[derive(Debug, Args)]
pub(super) struct WebhooksArguments {
    #[command(subcommand)]
    command: WebhooksCommand,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum WebhooksCommand {
    /// Show all webhooks, by name
    List {
        /// Only webhooks whose name or URL contains this text, in any case
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// Show at most this number of webhooks: 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Show only webhooks after this name
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// Show the settings of a webhook, with ****** in place of secrets
    Show {
        /// The name
        name: String,
    },
    /// Create a webhook
    Create {
        #[command(flatten)]
        options: WebhookOptions,
        /// The name; not needed for a file with several webhooks
        name: Option<String>,
    },
    /// Change settings of a webhook; other settings do not change
    Change {
        #[command(flatten)]
        options: WebhookOptions,
        /// The name
        name: String,
        /// Remove this setting, so that it has its default; can be repeated
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
    /// Remove webhooks
    Remove {
        /// The names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Enable webhooks: events cause requests again
    Enable {
        /// The names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Disable webhooks: events cause no requests
    Disable {
        /// The names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the requests that webhooks and rules would send for an event; sends nothing
    Try {
        /// A file with one event as JSON; - is standard input. Without it: a sample event
        #[arg(long, value_name = "FILE", conflicts_with_all = ["event", "topic"])]
        file: Option<PathBuf>,
        /// The kind of the sample event, such as client_connected
        #[arg(long, value_name = "EVENT", default_value = "message_publish")]
        event: String,
        /// The topic of the sample event
        #[arg(long, value_name = "TOPIC", default_value = "")]
        topic: String,
    },
    /// Send a request for a sample event now, and show the response; exits with 1 if the receiver does not accept it
    Test {
        /// The name
        name: String,
    },
}

pub(super) fn webhooks(arguments: &WebhooksArguments) -> ExitCode {
    let WebhooksArguments { command, admin } = arguments;
    ended(match command {
        WebhooksCommand::List { search, limit, after } => list(admin, search, *limit, after.as_deref()),
        WebhooksCommand::Show { name } => show(admin, name),
        WebhooksCommand::Create { options, name } => create(admin, options, name.as_deref()),
        WebhooksCommand::Change { options, name, unset } => change(admin, options, name, unset),
        WebhooksCommand::Remove { names } => change_each(admin, names, &Method::DELETE, "", "removed"),
        WebhooksCommand::Enable { names } => change_each(admin, names, &Method::POST, "/enable", "enabled"),
        WebhooksCommand::Disable { names } => change_each(admin, names, &Method::POST, "/disable", "disabled"),
        WebhooksCommand::Try { file, event, topic } => trial::try_event(admin, file.as_deref(), event, topic),
        WebhooksCommand::Test { name } => trial::test(admin, name),
    })
}

fn list(admin: &AdminArguments, search: &str, limit: usize, after: Option<&str>) -> anyhow::Result<bool> {
    let after = after.map_or(String::new(), |name| format!("&after={}", encoded(name)));
    let query = format!("/webhooks?limit={limit}&search={}{after}", encoded(search));
    let answer: Webhooks = admin.client()?.ask(Method::GET, &query)?;
    if admin.json {
        print_json(&answer)?;
        return Ok(true);
    }
    let text = |webhook: &Webhook, key: &str| match webhook.settings.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    };
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    let rows: Vec<_> = answer
        .webhooks
        .iter()
        .map(|webhook| {
            let url = or(text(webhook, "url"), &text(webhook, "urls"));
            [
                webhook.name.clone(),
                match webhook.enabled {
                    _ if !webhook.problems.is_empty() => "invalid",
                    true => "enabled",
                    false => "disabled",
                }
                .to_owned(),
                or(text(webhook, "events"), "all"),
                or(text(webhook, "topics"), "all"),
                url,
                if webhook.read_only {
                    webhook.source.clone()
                } else {
                    String::new()
                },
            ]
        })
        .collect();
    let mut shown = table(["NAME", "STATE", "EVENTS", "TOPICS", "URL", "READ-ONLY"], &rows);
    if answer.more {
        let last = answer.webhooks.last().map_or("", |webhook| webhook.name.as_str());
        shown.push_str(&format!("for more webhooks: --after {last}\n"));
    }
    print(&shown)?;
    Ok(true)
}

fn show(admin: &AdminArguments, name: &str) -> anyhow::Result<bool> {
    let webhook: Webhook = admin.client()?.ask(Method::GET, &path(name))?;
    if admin.json {
        print_json(&webhook)?;
        return Ok(true);
    }
    let settings = toml::Table::try_from(&webhook.settings).context("the settings are not TOML")?;
    let problems: String = webhook
        .problems
        .iter()
        .map(|problem| format!("# error: {problem}\n"))
        .collect();
    let text = format!("# {}\n{problems}{settings}", webhook.source);
    print(&escaped(&text))?;
    Ok(true)
}

fn create(admin: &AdminArguments, options: &WebhookOptions, name: Option<&str>) -> anyhow::Result<bool> {
    let body = match (options.read()?, name) {
        (WebhookInput::One(mut settings), Some(name)) => {
            settings.insert("name".to_owned(), name.into());
            Value::Object(settings)
        }
        (WebhookInput::One(settings), None) if settings.contains_key("name") => Value::Object(settings),
        (WebhookInput::One(_), None) => bail!("name the webhook: hookhost webhooks create NAME --url URL"),
        (WebhookInput::Several(_), Some(_)) => bail!("the file has several webhooks, which have their own names"),
        (WebhookInput::Several(list), None) => Value::Array(list),
    };
    let answer = admin
        .client()?
        .ask_with(Method::POST, "/webhooks", body.to_string().into())?;
    print_changed(admin, &answer, "created")?;
    Ok(true)
}

fn change(admin: &AdminArguments, options: &WebhookOptions, name: &str, unset: &[String]) -> anyhow::Result<bool> {
    let WebhookInput::One(more) = options.read()? else {
        bail!("the file has several webhooks");
    };
    let client = admin.client()?;
    let webhook: Webhook = client.ask(Method::GET, &path(name))?;
    let Value::Object(mut settings) = webhook.settings else {
        bail!("the host did not answer with settings");
    };
    for key in unset {
        if settings.remove(key).is_none() {
            bail!("{key} is not set");
        }
    }
    settings.extend(more);
    let body = Value::Object(settings).to_string();
    let answer = client.ask_if(Method::PUT, &path(name), body.into(), &webhook.etag)?;
    print_changed(admin, &answer, "changed")?;
    Ok(true)
}

/// Sends a request for each webhook. `done` says what it does.
fn change_each(
    admin: &AdminArguments,
    names: &[String],
    method: &Method,
    action: &str,
    done: &str,
) -> anyhow::Result<bool> {
    let client = admin.client()?;
    each(names, |name| {
        let answer = client.ask(method.clone(), &format!("{}{action}", path(name)))?;
        print_changed(admin, &answer, done)
    })
}

fn print_changed(admin: &AdminArguments, answer: &ChangedWebhooks, done: &str) -> anyhow::Result<()> {
    if admin.json {
        return print_json(answer);
    }
    let names = answer
        .webhooks
        .iter()
        .map(|webhook| &webhook.name)
        .chain(&answer.removed);
    let mut text: String = names.map(|name| format!("{}: {done}\n", escaped(name))).collect();
    if answer.file.is_none() {
        text.push_str(
            "the webhooks are in memory and are lost when the host stops; start it with --data DIR to keep them\n",
        );
    }
    print(&text)
}

/// Path of a webhook in the API. In a path a blank is `%20`, not `+`.
fn path(name: &str) -> String {
    format!("/webhooks/{}", encoded(name).replace('+', "%20"))
}
