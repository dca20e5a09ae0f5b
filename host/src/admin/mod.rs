//! The admin API: what an operator, or the command line for him, asks of a running host. `docs/admin.md` describes it.
//!
//! HTTP/1.1 with JSON, on an address of its own that is a loopback one by default. It has a thread with a runtime of its
//! own: a broker that is busy, or stuck, can still be asked how it is, and nothing that is asked here takes time from
//! MQTT clients. Whatever may take long goes to a thread of its own.
//!
//! ```text
//! server.rs  connections, bounded in number and in time
//! guard.rs   who may ask: token, Host and Origin
//! api.rs     what can be asked
//! shape.rs   what the answers look like, for both sides
//! client.rs  the other side, for the command line
//! ```
//!
//! **Who may ask.** Without a token, whoever reaches the address; so it must be a loopback one, and requests that a
//! browser was talked into are refused: a page on the web can name this machine in its own domain (DNS rebinding), or
//! send a form to it. With a token, whoever has it. No answer repeats the token, and none is logged.

mod api;
pub mod client;
mod guard;
mod server;
pub mod shape;
mod token;

use std::net::{Ipv4Addr, SocketAddr};

pub use server::{Server, StartError};
pub(crate) use token::read_text;
pub use token::{BadToken, Token, TokenError, TokenFrom};

use crate::reload;
use {hookhost_broker as broker, hookhost_modules as modules};

/// How the host is administered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the API is served; port 0 takes a free one; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether somebody has chosen the address: then the host does not start without it.
    pub chosen: bool,
    /// What requests must bear, if anything. An address that others can reach needs one.
    pub token: Option<TokenFrom>,
}

impl Settings {
    /// What requests must bear, read from its file if it is in one.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if the file cannot be read or holds no token.
    pub fn token(&self) -> Result<Option<Token>, TokenError> {
        self.token.as_ref().map(TokenFrom::read).transpose()
    }
}

/// The address where the command line looks for a host.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 18083);

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: Some(DEFAULT_ADDRESS),
            chosen: false,
            token: None,
        }
    }
}

/// Serves the API until the server is dropped; none if it is off, or if the default address is in use: a second host
/// on a machine is no reason not to start, but is told.
///
/// # Errors
///
/// [`StartError`] if an address that was chosen cannot be used.
pub fn start(
    settings: &Settings,
    modules: modules::Handle,
    reload: reload::Handle,
    clients: broker::EngineHandle,
) -> Result<Option<Server>, StartError> {
    let Some(address) = settings.listen else {
        return Ok(None);
    };
    let guard = guard::Guard::new(address, settings.token().map_err(StartError::Token)?);
    match Server::start(address, api::router(modules, reload, clients, guard)) {
        Ok(server) => Ok(Some(server)),
        Err(error) if !settings.chosen && error.is_in_use() => {
            tracing::warn!(
                %address,
                "the admin API is off: its default address is in use; choose another with --admin ADDR or [admin] listen, \
                 or say \"off\""
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
