//! The admin API, for operators and for the commands that act on a running host. `docs/admin.md` describes it.
//!
//! HTTP/1.1 with JSON, over TLS if there is a certificate, on a separate address, by default on loopback. It has its own thread and runtime, so it answers
//! while the broker is busy or stuck, and takes no time from MQTT clients. Slow operations run on separate threads.
//!
//! ```text
//! server.rs      connections, bounded in number and in time
//! token.rs       tokens and their roles
//! guard.rs       access: token, session of a browser, Host and Origin
//! layer.rs       access, audit log and headers of every request
//! session.rs     sessions of browsers: log in, log out
//! api.rs         all routes; handlers of modules and the broker
//! error.rs       error answers
//! clients.rs     handlers for MQTT clients
//! configuration.rs  the settings that were given
//! quarantine.rs  handlers of the quarantine
//! webhooks.rs    handlers of webhooks
//! webhook_body.rs  the bodies of requests about webhooks
//! trials.rs      what webhooks would send for an event
//! monitoring.rs  metrics, health, readiness, the overview and its live stream, the log filter
//! metrics.rs     the metrics as text: pure
//! delivery.rs    handlers for destinations and dead letters
//! hosts.rs       the hosts that share the outbox
//! events.rs      what happened to one event
//! module_files.rs  uploads, disables and enables modules
//! activity.rs    the last deliveries, and the live stream of `hookhost tap`
//! dashboard.rs   the files of the dashboard
//! openapi.rs     the document of all routes: pure
//! shape.rs       the JSON of the answers, for server and client
//! client.rs      the client, for the command line
//! ```
//!
//! **Access.** With a token, every request needs it, or the token of a viewer, which allows reading only. Without a token,
//! any program that reaches the address may send requests, so the address must be a loopback address. The API then also refuses requests that a web page made a
//! browser send. A page can point its own domain to this machine (DNS rebinding), or submit a form to it. Answers and
//! logs never show tokens.

mod activity;
mod api;
pub mod client;
mod clients;
mod configuration;
mod dashboard;
mod delivery;
mod error;
mod events;
mod guard;
mod hosts;
mod layer;
mod metrics;
mod module_files;
mod monitoring;
mod openapi;
mod quarantine;
mod server;
mod session;
pub mod shape;
mod token;
mod trials;
mod webhook_body;
mod webhooks;

use std::net::{Ipv4Addr, SocketAddr};

pub use server::{Server, StartError};
pub(crate) use token::read_text;
pub use token::{BadToken, Role, Token, TokenError, TokenFrom, Tokens};

use crate::logging::LogControl;
use crate::module_files::ModuleFiles;
use crate::reload;
use crate::status::StatusReader;
use hookhost_activity::ActivityLog;
use hookhost_delivery::{DeadLetters, Monitor};
use hookhost_jetstream::SharedOutbox;
use hookhost_listener::{TlsFiles, TlsSettings};
use {hookhost_broker as broker, hookhost_modules as modules};

/// The parts of the running host that the API reports on and changes.
#[derive(Clone)]
pub struct Running {
    /// The modules.
    pub modules: modules::Handle,
    /// The counters of delivery.
    pub monitor: Monitor,
    /// The requests that the host has given up.
    pub letters: DeadLetters,
    /// Reloads the configuration and the modules folder.
    pub reload: reload::Handle,
    /// The broker engine.
    pub clients: broker::EngineHandle,
    /// The state of all parts.
    pub status: StatusReader,
    /// What became of events.
    pub activity: ActivityLog,
    /// The files of the modules folder.
    pub(crate) module_files: ModuleFiles,
    /// The outbox that several hosts share, if there is one.
    pub shared: Option<SharedOutbox>,
    /// The log.
    pub log: LogControl,
}

/// Settings of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Address of the API; port 0 picks a free port; `None`: off.
    pub listen: Option<SocketAddr>,
    /// Whether the address was configured. Then the host does not start if it is in use.
    pub chosen: bool,
    /// The token that requests must carry. An address that other machines can reach needs one.
    pub token: Option<TokenFrom>,
    /// A token that allows reading only. Without effect unless there is a token that allows everything.
    pub viewer_token: Option<TokenFrom>,
    /// TLS; without it the API speaks plain HTTP.
    pub tls: Option<TlsSettings>,
}

impl Settings {
    /// The tokens, read from their files if they are in files.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if a file cannot be read or does not hold a token.
    pub fn tokens(&self) -> Result<Option<Tokens>, TokenError> {
        let viewer = self.viewer_token.as_ref().map(TokenFrom::read).transpose()?;
        let admin = self.token.as_ref().map(TokenFrom::read).transpose()?;
        Ok(admin.map(|admin| Tokens { admin, viewer }))
    }
}

/// The default address of the API, for the host and the command line.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 18083);

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: Some(DEFAULT_ADDRESS),
            chosen: false,
            token: None,
            viewer_token: None,
            tls: None,
        }
    }
}

/// Serves the API until the server is dropped.
///
/// Returns `None` if the API is off. Also returns `None`, with a warning, if the default address is in use, so that a
/// second host can start on the same machine.
///
/// # Errors
///
/// [`StartError`] if a configured address, the token or a TLS file cannot be used.
pub fn start(settings: &Settings, running: Running) -> Result<Option<Server>, StartError> {
    let Some(address) = settings.listen else {
        return Ok(None);
    };
    let guard = guard::Guard::new(address, settings.tokens().map_err(StartError::Token)?);
    let tls = settings
        .tls
        .as_ref()
        .map(|tls| TlsFiles::open(&"admin".into(), tls, b"http/1.1"))
        .transpose()?;
    let router = api::router(running, guard, tls.is_some());
    match Server::start(address, tls, router) {
        Ok(server) => Ok(Some(server)),
        Err(error) if !settings.chosen && error.is_in_use() => {
            tracing::warn!(
                %address,
                "the admin API is off: its default address is in use; choose another with --admin ADDR or [admin] listen, \
                 or set \"off\""
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
