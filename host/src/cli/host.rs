//! `run` starts the host. `check` reports everything that prevents a start.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hookhost_shared::nearest::nearest;

use super::summary::Summary;
use super::{finish, refuse};
use crate::config::{self, Flags, Loaded, Problem};
use crate::logging::Filter;
use crate::reload::Origin;
use crate::{app, record, reload};
use hookhost_event::json::hook_name;
use hookhost_event::{Hook, TopicFilter};

/// What `--help` says about the environment.
pub(super) const ENVIRONMENT: &str = "Environment:
  HOOKHOST_SECTION__KEY  Any setting, such as HOOKHOST_MQTT__LISTEN
  HOOKHOST_LOG           Log level and filters, such as debug or info,rmqtt=debug [default: info]";

#[derive(Debug, Default, Args)]
pub(super) struct HostArguments {
    /// Configuration file (TOML) [env: HOOKHOST_CONFIG] [default: hookhost.toml in the current folder, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address for MQTT clients; port 0 picks a free port [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// URL of webhooks: http://…, https://…, file:///path, stdout: or mqtt:TOPIC; may be repeated [default: stdout:]
    #[arg(long = "webhook-url", value_name = "URL")]
    webhook_urls: Vec<String>,
    /// Configuration file of EMQX 4, EMQX 5, NanoMQ or RMQTT, used without changes [env: HOOKHOST_WEBHOOK_CONFIG]
    #[arg(long, value_name = "FILE")]
    webhook_config: Option<PathBuf>,
    /// Broker of that file, if hookhost cannot recognise it: emqx4, emqx5, nanomq or rmqtt
    #[arg(long, value_name = "BROKER")]
    webhook_format: Option<String>,
    /// Folder of modules: NAME.wasm, and NAME.toml with the settings of the module
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Folder for sessions, retained messages, requests and the state of modules, which then survive a restart [default:
    /// none; all of this is in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the admin API; port 0 picks a free port, "off" disables it [default: 127.0.0.1:18083]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Refuse another broker's file with an unknown key, or with a rule that cannot be carried out
    #[arg(long)]
    strict: bool,
    /// Ignore the users and access rules of another broker's configuration
    #[arg(long, alias = "accept-open")]
    ignore_access_control: bool,
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
    /// Append events to a file, one JSON object on each line, for `hookhost module test`
    #[arg(long = "record", value_name = "FILE.ndjson")]
    file: Option<PathBuf>,
    /// Only events of this hook, such as message-publish; may be repeated
    #[arg(long = "record-hook", value_name = "HOOK", requires = "file", value_parser = hook)]
    hooks: Vec<Hook>,
    /// Only events whose topic or filter matches; may be repeated
    #[arg(long = "record-topic", value_name = "FILTER", requires = "file", value_parser = topic)]
    topics: Vec<String>,
    /// Stop recording when the file has this size
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
        .map_err(|error| format!("is not a topic filter: {error}"))
}

impl RecordArguments {
    fn settings(self) -> Option<record::RecordSettings> {
        let RecordArguments {
            file,
            hooks,
            topics,
            size,
        } = self;
        Some(record::RecordSettings {
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
            strict,
            ignore_access_control,
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
            strict,
            ignore_access_control,
            default_config: None,
        }
    }
}

pub(super) fn run(arguments: RunArguments) -> ExitCode {
    let RunArguments { host, record } = arguments;
    let (filter, origin, loaded) = match load(host) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    let log = filter.install(loaded.config.log.format);
    if let Some(file) = origin.default_config() {
        tracing::info!(file = %file.display(), "reading the configuration file of the current folder");
    }
    for problem in &loaded.left_out {
        tracing::error!("left out: {problem}");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Summary::of(&loaded).log();
    let config = loaded.config.clone();
    let ended = app::run(loaded, origin, record.settings(), log);
    if ended.as_ref().is_err_and(|error| error.is::<reload::StartError>()) {
        // The built-in module may not be the only one with errors.
        let problems = app::check(&config);
        if !problems.is_empty() {
            return refuse(&problems);
        }
    }
    finish(ended)
}

pub(super) fn check(arguments: HostArguments) -> ExitCode {
    let (_, _, loaded) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    // `run` starts in spite of these, but a check passes only if nothing is wrong.
    let mut problems: Vec<Problem> = loaded.left_out.clone();
    problems.extend(app::check(&loaded.config));
    if !problems.is_empty() {
        return refuse(&problems);
    }
    println!("the configuration is valid");
    print!("{}", Summary::of(&loaded));
    ExitCode::SUCCESS
}

/// The log filter and the configuration with its origin, or all errors in both. The errors include those that modules
/// find in their settings.
fn load(arguments: HostArguments) -> Result<(Filter, Origin, Loaded), Vec<Problem>> {
    let environment = config::environment();
    let filter = Filter::read(&environment);
    let mut flags = Flags::from(arguments);
    flags.default_config = config::default_file(&flags, &environment);
    let origin = Origin::new(flags, environment);
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
