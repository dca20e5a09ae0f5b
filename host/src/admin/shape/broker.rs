//! The broker engine and its clients: `GET /broker` and `/clients`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Upstream, time};
use hookhost_broker::{ClientState, EngineState};
use hookhost_listener::ListenerState;

/// `GET /broker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broker {
    /// The engine: `rmqtt` or `gateway`.
    pub engine: String,
    /// Address of the first listener.
    pub listen: String,
    /// All listeners.
    pub listeners: Vec<Listener>,
    /// Sessions known to the engine, including those of disconnected clients.
    pub sessions: usize,
    /// Connected clients.
    pub connected: usize,
    /// Counters of the engine since its start.
    pub counters: BTreeMap<String, u64>,
    /// The brokers behind a gateway; not there for other engines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Upstream>,
}

/// A listener for MQTT clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// `tcp`, `tls`, `ws`, `wss` or `unix`.
    pub kind: String,
    /// Its address or the path of its socket.
    pub address: String,
}

/// `GET /clients`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clients {
    /// The clients, sorted by id.
    pub clients: Vec<Client>,
    /// How many clients match, with those beyond the limit.
    pub total: usize,
}

/// A session of an MQTT client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// User name.
    pub username: Option<String>,
    /// Address of the connection, or of the last one.
    pub address: Option<String>,
    /// 3, 4 or 5 for MQTT 3.1, 3.1.1 and 5.0.
    pub protocol_version: u8,
    /// Whether the client is connected.
    pub connected: bool,
    /// When the connection, or the last one, was accepted, in UTC.
    pub connected_at: Option<String>,
    /// Keep alive in seconds.
    pub keep_alive: u16,
    /// Whether the client asked for a clean start.
    pub clean_start: bool,
    /// Number of subscriptions.
    pub subscriptions: usize,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// Messages that were sent and not acknowledged.
    pub unconfirmed: usize,
}

impl From<&ListenerState> for Listener {
    fn from(state: &ListenerState) -> Listener {
        Listener {
            name: state.name.to_string(),
            kind: state.kind.name().to_owned(),
            address: state.address.to_string(),
        }
    }
}

impl From<EngineState> for Broker {
    fn from(state: EngineState) -> Broker {
        let counters = state.counters.into_iter();
        let listeners: Vec<Listener> = state.listeners.iter().map(Listener::from).collect();
        Broker {
            engine: state.engine.to_owned(),
            listen: listeners
                .first()
                .map(|listener| listener.address.clone())
                .unwrap_or_default(),
            listeners,
            sessions: state.sessions,
            connected: state.connected,
            counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
            upstreams: state.upstreams.into_iter().map(Upstream::from).collect(),
        }
    }
}

impl From<ClientState> for Client {
    fn from(state: ClientState) -> Client {
        Client {
            id: state.client.id.to_string(),
            username: state.client.username.as_ref().map(ToString::to_string),
            address: state.client.peer.map(|peer| peer.to_string()),
            protocol_version: state.client.protocol_version,
            connected: state.connected,
            connected_at: state.connected_at.map(time),
            keep_alive: state.keep_alive,
            clean_start: state.clean_start,
            subscriptions: state.subscriptions,
            queued: state.queued,
            unconfirmed: state.unconfirmed,
        }
    }
}

/// `DELETE /clients/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kicked {
    /// Id of the disconnected client.
    pub kicked: String,
}
