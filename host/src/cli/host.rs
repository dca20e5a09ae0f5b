//! `run` and `check`: the host, and what would keep it from starting.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hookhost_shared::nearest::nearest;

use super::{finish, refuse};
use crate::config::{self, Config, Flags, Loaded, Problem};
use crate::logging::Filter;
use crate::reload::Origin;
use crate::{app, record, reload};
use hookhost_event::json::hook_name;
use hookhost_event::{Hook, TopicFilter};

#[derive(Debug, Default, Args)]
pub(super) struct HostArguments {
    /// Configuration file (TOML) [env: HOOKHOST_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address for MQTT clients; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where webhooks go: http://…, https://…, file:///path or stdout:; may be repeated [default: stdout:]
    #[arg(long = "webhook-url", value_name = "URL")]
    webhook_urls: Vec<String>,
    /// Webhook configuration of EMQX 4, EMQX 5, NanoMQ or RMQTT as it is [env: HOOKHOST_WEBHOOK_CONFIG]
    #[arg(long, value_name = "FILE")]
    webhook_config: Option<PathBuf>,
    /// Whose it is, if that cannot be told: emqx4, emqx5, nanomq or rmqtt
    #[arg(long, value_name = "BROKER")]
    webhook_format: Option<String>,
    /// Folder of modules: NAME.wasm, and NAME.toml with its settings
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Folder for what outlives the host: the state of modules [default: none, it is kept in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the admin API; port 0 takes a free one, "off" is nowhere [default: 127.0.0.1:18083]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

#[derive(Debug, Default, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) host: HostArguments,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, Default, Args)]
struct RecordArguments {
    /// Append what happens to a file, one JSON object for each event, for `hookhost module test`
    #[arg(long = "record", value_name = "FILE.ndjson")]
    file: Option<PathBuf>,
    /// Only events of this hook, such as message-publish; may be repeated
    #[arg(long = "record-hook", value_name = "HOOK", requires = "file", value_parser = hook)]
    hooks: Vec<Hook>,
    /// Only events whose topic or filter matches; may be repeated
    #[arg(long = "record-topic", value_name = "FILTER", requires = "file", value_parser = topic)]
    topics: Vec<String>,
    /// Stop recording when the file is as large
    #[arg(long = "record-size", value_name = "SIZE", requires = "file", default_value = "256MiB", value_parser = config::parse_size)]
    size: usize,
}

fn hook(text: &str) -> Result<Hook, String> {
    Hook::ALL
        .into_iter()
        .find(|hook| hook_name(*hook) == text)
        .ok_or_else(|| {
            let names = Hook::ALL.map(hook_name);
            match nearest(text, names) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("known are {}", names.join(", ")),
            }
        })
}

fn topic(text: &str) -> Result<String, String> {
    let filter = text.parse::<TopicFilter>();
    filter
        .map(|_| text.to_owned())
        .map_err(|error| format!("is no topic filter: {error}"))
}

impl RecordArguments {
    fn settings(self) -> Option<record::Settings> {
        let RecordArguments {
            file,
            hooks,
            topics,
            size,
        } = self;
        Some(record::Settings {
            file: file?,
            hooks,
            topics,
            size,
        })
    }
}

impl From<HostArguments> for Flags {
    fn from(arguments: HostArguments) -> Flags {
        let HostArguments {
            config,
            listen,
            webhook_urls,
            webhook_config,
            webhook_format,
            modules,
            data,
            admin,
        } = arguments;
        Flags {
            config,
            listen,
            webhook_urls,
            webhook_config,
            webhook_format,
            modules,
            data,
            admin,
        }
    }
}

pub(super) fn run(arguments: RunArguments) -> ExitCode {
    let RunArguments { host, record } = arguments;
    let (filter, origin, loaded) = match load(host) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    filter.install();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let config = loaded.config.clone();
    let ended = app::run(loaded, origin, record.settings());
    if ended.as_ref().is_err_and(|error| error.is::<reload::StartError>()) {
        // The default module is not alone in what may be wrong.
        let problems = app::check(&config);
        if !problems.is_empty() {
            return refuse(&problems);
        }
    }
    finish(ended)
}

pub(super) fn check(arguments: HostArguments) -> ExitCode {
    let (_, _, Loaded { config, warnings, .. }) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let summary = summary(&config);
    let problems = app::check(&config);
    if !problems.is_empty() {
        return refuse(&problems);
    }
    println!("{summary}");
    ExitCode::SUCCESS
}

/// What a configuration without mistakes amounts to.
fn summary(config: &Config) -> String {
    let modules = config
        .modules
        .dir
        .as_ref()
        .map_or_else(String::new, |dir| format!(", modules in {}", dir.display()));
    format!("configuration is fine: MQTT at {}{modules}", config.mqtt.listen)
}

/// Filter and configuration and where that comes from, or everything that is wrong with both and with what modules are
/// given.
fn load(arguments: HostArguments) -> Result<(Filter, Origin, Loaded), Vec<Problem>> {
    let environment = config::environment();
    let filter = Filter::read(&environment);
    let origin = Origin::new(arguments.into(), environment);
    let (filter, mut problems) = match filter {
        Ok(filter) => (Some(filter), Vec::new()),
        Err(problem) => (None, vec![problem]),
    };
    match (filter, origin.load()) {
        (Some(filter), Ok(loaded)) => return Ok((filter, origin, loaded)),
        (None, Ok(loaded)) => problems.extend(app::check(&loaded.config)),
        (_, Err(refused)) => problems.extend(app::complete(refused)),
    }
    Err(problems)
}
