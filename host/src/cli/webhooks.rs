//! `webhooks`: the webhooks of a running host.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::admin::{AdminArguments, encoded, ended, escaped, print, print_json, table};
use crate::admin::shape::{ChangedWebhooks, TestedRequest, Webhook, WebhookTest, Webhooks};
use crate::config::WEBHOOKS;

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
        given: Given,
        /// The name; not needed for a file with several webhooks
        name: Option<String>,
    },
    /// Change settings of a webhook; other settings do not change
    Change {
        #[command(flatten)]
        given: Given,
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
    /// Send a request for a sample event now, and show the answer; exits with 1 if the receiver does not accept it
    Test {
        /// The name
        name: String,
    },
}

/// Settings of a webhook on the command line.
#[derive(Debug, Args)]
struct Given {
    /// Where the requests go
    #[arg(long)]
    url: Option<String>,
    /// An event, such as message_publish; can be repeated. Without it: all events
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// A topic filter; can be repeated. Without it: all topics
    #[arg(long = "topic", value_name = "FILTER")]
    topics: Vec<String>,
    /// Any other setting, as in a configuration file: `--set 'headers = { x-token = "a" }'`; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A file with settings: TOML as in a configuration file, or JSON; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn webhooks(arguments: &WebhooksArguments) -> ExitCode {
    let WebhooksArguments { command, admin } = arguments;
    ended(match command {
        WebhooksCommand::List { search, limit, after } => list(admin, search, *limit, after.as_deref()),
        WebhooksCommand::Show { name } => show(admin, name),
        WebhooksCommand::Create { given, name } => create(admin, given, name.as_deref()),
        WebhooksCommand::Change { given, name, unset } => change(admin, given, name, unset),
        WebhooksCommand::Remove { names } => each(admin, names, &Method::DELETE, ""),
        WebhooksCommand::Enable { names } => each(admin, names, &Method::POST, "/enable"),
        WebhooksCommand::Disable { names } => each(admin, names, &Method::POST, "/disable"),
        WebhooksCommand::Test { name } => test(admin, name),
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
                if webhook.enabled { "enabled" } else { "disabled" }.to_owned(),
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
        shown.push_str(&format!("there are more: --after {last}\n"));
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
    print(&format!("# {}\n{}", webhook.source, escaped(&settings.to_string())))?;
    Ok(true)
}

fn create(admin: &AdminArguments, given: &Given, name: Option<&str>) -> anyhow::Result<bool> {
    let body = match (given.read()?, name) {
        (Read::One(mut settings), Some(name)) => {
            settings.insert("name".to_owned(), name.into());
            Value::Object(settings)
        }
        (Read::One(settings), None) if settings.contains_key("name") => Value::Object(settings),
        (Read::One(_), None) => bail!("name the webhook: hookhost webhooks create NAME --url URL"),
        (Read::Several(_), Some(_)) => bail!("the file has several webhooks, which have their own names"),
        (Read::Several(list), None) => Value::Array(list),
    };
    let answer = admin
        .client()?
        .ask_with(Method::POST, "/webhooks", body.to_string().into())?;
    told(admin, &answer, "created")
}

fn change(admin: &AdminArguments, given: &Given, name: &str, unset: &[String]) -> anyhow::Result<bool> {
    let Read::One(more) = given.read()? else {
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
    told(admin, &answer, "changed")
}

fn each(admin: &AdminArguments, names: &[String], method: &Method, action: &str) -> anyhow::Result<bool> {
    let client = admin.client()?;
    let mut all_well = true;
    for name in names {
        let what = match action {
            "" => "removed",
            "/enable" => "enabled",
            _ => "disabled",
        };
        let answer = client.ask(method.clone(), &format!("{}{action}", path(name)));
        match answer {
            Ok(answer) => all_well &= told(admin, &answer, what)?,
            Err(error) => {
                eprintln!("error: {error:#}");
                all_well = false;
            }
        }
    }
    Ok(all_well)
}

fn told(admin: &AdminArguments, answer: &ChangedWebhooks, what: &str) -> anyhow::Result<bool> {
    if admin.json {
        print_json(answer)?;
        return Ok(true);
    }
    let names = answer
        .webhooks
        .iter()
        .map(|webhook| &webhook.name)
        .chain(&answer.removed);
    let mut text: String = names.map(|name| format!("{}: {what}\n", escaped(name))).collect();
    if answer.file.is_none() {
        text.push_str(
            "the webhooks are in memory and are lost when the host stops; start it with --data DIR to keep them\n",
        );
    }
    print(&text)?;
    Ok(true)
}

fn test(admin: &AdminArguments, name: &str) -> anyhow::Result<bool> {
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

/// The settings of one webhook, or webhooks with their names.
enum Read {
    One(Map<String, Value>),
    Several(Vec<Value>),
}

impl Given {
    fn read(&self) -> anyhow::Result<Read> {
        let mut settings = match &self.file {
            None => Map::new(),
            Some(file) => match of_text(&read_file(file)?).with_context(|| file.display().to_string())? {
                Read::One(settings) => settings,
                several if self.is_empty() => return Ok(several),
                Read::Several(_) => bail!("the file has several webhooks; other options are for one"),
            },
        };
        for setting in &self.settings {
            let table: toml::Table = setting.parse().with_context(|| format!("--set {setting}"))?;
            let Value::Object(table) = serde_json::to_value(table)? else {
                continue;
            };
            settings.extend(table);
        }
        settings.extend(self.url.iter().map(|url| ("url".to_owned(), url.as_str().into())));
        for (key, list) in [("events", &self.events), ("topics", &self.topics)] {
            if !list.is_empty() {
                settings.insert(key.to_owned(), list.clone().into());
            }
        }
        Ok(Read::One(settings))
    }

    fn is_empty(&self) -> bool {
        self.url.is_none() && self.events.is_empty() && self.topics.is_empty() && self.settings.is_empty()
    }
}

fn read_file(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// JSON: an object or a list of objects with `name`. TOML: settings, or tables `[webhooks.NAME]`.
fn of_text(text: &str) -> anyhow::Result<Read> {
    let value = match text.trim_start().chars().next() {
        Some('{' | '[') if serde_json::from_str::<Value>(text).is_ok() => serde_json::from_str(text)?,
        _ => serde_json::to_value(text.parse::<toml::Table>()?)?,
    };
    match value {
        Value::Array(list) => Ok(Read::Several(list)),
        Value::Object(mut settings) => match settings.remove(WEBHOOKS) {
            None => Ok(Read::One(settings)),
            Some(Value::Object(webhooks)) => {
                let named = webhooks.into_iter().map(|(name, mut webhook)| {
                    if let Value::Object(webhook) = &mut webhook {
                        webhook.insert("name".to_owned(), name.into());
                    }
                    webhook
                });
                Ok(Read::Several(named.collect()))
            }
            Some(_) => bail!("{WEBHOOKS} should be a table"),
        },
        _ => bail!("settings of a webhook are expected"),
    }
}

/// Path of a webhook in the API. In a path a blank is `%20`, not `+`.
fn path(name: &str) -> String {
    format!("/webhooks/{}", encoded(name).replace('+', "%20"))
}
