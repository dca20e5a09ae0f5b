//! What an engine tells about itself.

use hookhost_event::{Client, Millis};
use hookhost_listener::ListenerState;

/// A session in an engine, of a connected or disconnected client.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientState {
    /// Whose session; `peer` is where the last connection came from.
    pub client: Client,
    /// Whether the client is connected now.
    pub connected: bool,
    /// When the connection, or the last one, was accepted.
    pub connected_at: Option<Millis>,
    /// When the session was created.
    pub created_at: Option<Millis>,
    /// Keep alive in seconds that the client asked for.
    pub keep_alive: u16,
    /// Whether the client asked for a clean start.
    pub clean_start: bool,
    /// How many subscriptions the session holds.
    pub subscriptions: usize,
    /// How many messages wait to be sent.
    pub queued: usize,
    /// How many messages were sent and not acknowledged.
    pub unconfirmed: usize,
}

/// The state of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineState {
    /// `rmqtt` or `gateway`.
    pub engine: &'static str,
    /// The listeners, in the order of their settings.
    pub listeners: Vec<ListenerState>,
    /// Sessions that the engine knows, of connected and disconnected clients.
    pub sessions: usize,
    /// How many of them are connected.
    pub connected: usize,
    /// Counters of the engine since its start, by name.
    pub counters: Vec<(&'static str, u64)>,
    /// The brokers behind a gateway, in the order of the settings; then those that are being drained. Empty for other
    /// engines.
    pub upstreams: Vec<UpstreamState>,
}

/// Whether a gateway sends clients to a broker behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamStatus {
    /// It does.
    Up,
    /// It has failed; a client is sent there only if no other broker answers.
    Down,
    /// A reload has removed it; its connections are being closed.
    Draining,
}

impl UpstreamStatus {
    /// `up`, `down` or `draining`.
    pub fn name(self) -> &'static str {
        match self {
            UpstreamStatus::Up => "up",
            UpstreamStatus::Down => "down",
            UpstreamStatus::Draining => "draining",
        }
    }
}

/// The state of a broker behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamState {
    /// Its address as the settings write it.
    pub address: String,
    /// Whether clients are sent there.
    pub status: UpstreamStatus,
    /// Connections of this gateway to it, with those that are being opened.
    pub connections: usize,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Why it failed last; `None` if it has worked since.
    pub error: Option<String>,
}
