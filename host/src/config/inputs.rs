//! The sources of a configuration: command line, environment and files.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::kept_webhooks::KeptWebhooks;
use super::{Environment, TextFile};

/// The flags of the command line, as typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// The file that is read without `--config` and `HOOKHOST_CONFIG`: [`default_file`](super::default_file), if it existed at the start.
    pub default_config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--webhook-url`, which can be repeated.
    pub webhook_urls: Vec<String>,
    /// `--webhook-config`
    pub webhook_config: Option<PathBuf>,
    /// `--webhook-format`
    pub webhook_format: Option<String>,
    /// `--modules`
    pub modules: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--admin`
    pub admin: Option<String>,
    /// `--strict`
    pub strict: bool,
    /// `--ignore-access-control`
    pub ignore_access_control: bool,
}

/// All sources of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// The command line. Its two files are not read from here.
    pub flags: Flags,
    /// The environment.
    pub environment: Environment,
    /// The configuration file.
    pub file: Option<TextFile>,
    /// The webhook file of another broker.
    pub webhook_file: Option<TextFile>,
    /// The named webhooks that the admin API keeps; `None`: `webhooks.toml` of the data folder is read.
    pub kept_webhooks: Option<KeptWebhooks>,
    /// The addresses on which the running host listens, each with the name of its listener; empty at the start. They do not
    /// change while it runs.
    pub listening: Vec<(String, SocketAddr)>,
}
