//! The settings of webhooks on the command line and in files.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};

use crate::config::WEBHOOKS;

/// Settings of a webhook on the command line.
#[derive(Debug, Args)]
pub(super) struct WebhookOptions {
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

/// The settings of one webhook, or webhooks with their names.
pub(super) enum WebhookInput {
    One(Map<String, Value>),
    Several(Vec<Value>),
}

impl WebhookOptions {
    /// Reads the options and the file.
    pub(super) fn read(&self) -> anyhow::Result<WebhookInput> {
        let mut settings = match &self.file {
            None => Map::new(),
            Some(file) => match of_text(&read_file(file)?).with_context(|| file.display().to_string())? {
                WebhookInput::One(settings) => settings,
                several if self.is_empty() => return Ok(several),
                WebhookInput::Several(_) => bail!("the file has several webhooks; other options are for one"),
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
        Ok(WebhookInput::One(settings))
    }

    fn is_empty(&self) -> bool {
        self.url.is_none() && self.events.is_empty() && self.topics.is_empty() && self.settings.is_empty()
    }
}

/// The text of a file; `-` is standard input.
pub(super) fn read_file(file: &Path) -> anyhow::Result<String> {
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
fn of_text(text: &str) -> anyhow::Result<WebhookInput> {
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) if text.trim_start().starts_with('{') => return Err(error.into()),
        // A table of TOML may begin like a list of JSON.
        Err(_) => serde_json::to_value(text.parse::<toml::Table>()?)?,
    };
    match value {
        Value::Array(list) => Ok(WebhookInput::Several(list)),
        Value::Object(mut settings) => match settings.remove(WEBHOOKS) {
            None => Ok(WebhookInput::One(settings)),
            Some(Value::Object(webhooks)) => {
                let named = webhooks.into_iter().map(|(name, mut webhook)| {
                    if let Value::Object(webhook) = &mut webhook {
                        webhook.insert("name".to_owned(), name.into());
                    }
                    webhook
                });
                Ok(WebhookInput::Several(named.collect()))
            }
            Some(_) => bail!("{WEBHOOKS} should be a table"),
        },
        _ => bail!("settings of a webhook are expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_json_or_toml() {
        let input = |text: &str| match of_text(text) {
            Ok(WebhookInput::One(settings)) => Ok(Value::Object(settings)),
            Ok(WebhookInput::Several(list)) => Ok(Value::Array(list)),
            Err(error) => Err(error.to_string()),
        };
        let (one, named) = (json!({"url": "u"}), json!({"name": "w", "url": "u"}));
        for (text, expected) in [
            ("url = \"u\"\n", &one),
            ("{\"url\": \"u\"}", &one),
            ("[webhooks.w]\nurl = \"u\"\n", &json!([named])),
            (" [{\"name\": \"w\", \"url\": \"u\"}]", &json!([named])),
            ("{\"webhooks\": {\"w\": {\"url\": \"u\"}}}", &json!([named])),
        ] {
            assert_eq!(input(text).as_ref(), Ok(expected), "{text}");
        }
        for (text, words) in [
            ("{\"url\": }", "expected value at line 1"),
            ("[webhooks.w\n", "TOML"),
            ("5", "settings of a webhook are expected"),
            ("webhooks = 5", "should be a table"),
        ] {
            let error = input(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
