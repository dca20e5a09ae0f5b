//! `run` and `check`: the host, and what would keep it from starting.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{finish, refuse};
use crate::app;
use crate::config::{self, Config, Flags, Loaded, Problem};
use crate::logging::Filter;

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
        } = arguments;
        Flags {
            config,
            listen,
            webhook_urls,
            webhook_config,
            webhook_format,
            modules,
        }
    }
}

pub(super) fn run(arguments: HostArguments) -> ExitCode {
    let (filter, Loaded { config, warnings }) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    filter.install();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    finish(app::run(config))
}

pub(super) fn check(arguments: HostArguments) -> ExitCode {
    let (_, Loaded { config, warnings }) = match load(arguments) {
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

/// Filter and configuration, or everything that is wrong with both.
fn load(arguments: HostArguments) -> Result<(Filter, Loaded), Vec<Problem>> {
    let environment = config::environment();
    let filter = Filter::read(&environment);
    match (filter, config::load(arguments.into(), environment)) {
        (Ok(filter), Ok(loaded)) => Ok((filter, loaded)),
        (Ok(_), Err(problems)) => Err(problems),
        (Err(problem), Ok(_)) => Err(vec![problem]),
        (Err(problem), Err(mut problems)) => {
            problems.insert(0, problem);
            Err(problems)
        }
    }
}
