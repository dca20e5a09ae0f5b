//! Clients, their connections and their sessions.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::json::{self, defaults};
use super::{Access, ByteString, EndReason, Millis, Pairs, Properties, Transport};

/// A node of a cluster, by both kinds of name that brokers use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, such as `hookhost@127.0.0.1`.
    pub name: ByteString,
    /// Its number.
    #[serde(default)]
    pub id: u32,
}

/// A client, as far as most events need it. A password is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Client {
    /// Client id; empty until the broker has assigned one.
    pub id: ByteString,
    /// User name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<ByteString>,
    /// The client's address; none while it is disconnected, and for senders that are not clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// 3, 4 or 5 for MQTT 3.1, 3.1.1 and 5.0; 0 if unknown or no MQTT client.
    #[serde(default = "defaults::protocol_version")]
    pub protocol_version: u8,
    /// The node of the client, if it is another than this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<Node>>,
    /// Names and values that authentication or the host attached to the client.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub attributes: Pairs,
}

/// What a client's TLS certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// Common name of its subject; empty if it has none.
    pub common_name: ByteString,
    /// The whole subject, as RFC 4514 writes it.
    pub subject: ByteString,
}

/// A connection and what its client asked for in CONNECT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Whose connection; once accepted with the final client id and user name.
    pub client: Client,
    /// Name of the listener.
    pub listener: ByteString,
    /// What carries it.
    pub transport: Transport,
    /// The broker's end of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// Protocol name as sent: `MQTT` or `MQIsdp`.
    pub protocol_name: ByteString,
    /// Whether the client calls itself a bridge.
    pub bridge: bool,
    /// Keep alive in seconds, as asked for.
    pub keep_alive: u16,
    /// Clean start, or clean session before MQTT 5.
    pub clean_start: bool,
    /// Seconds for which the session outlives the connection, as granted; `u32::MAX`: it does not expire.
    pub session_expiry: u32,
    /// Maximum number of unacknowledged messages to the client, as granted.
    pub receive_maximum: u16,
    /// Prefix that the broker adds to the client's topics and filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<ByteString>,
    /// The client's certificate, if it showed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Box<Certificate>>,
    /// Properties of CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// The answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connack {
    /// The connection that is answered.
    #[serde(default)]
    pub connection: Connection,
    /// Reason code of MQTT 5; 0 is success.
    #[serde(default)]
    pub code: u8,
    /// Whether a session was found.
    #[serde(default)]
    pub session_present: bool,
    /// When the connection was accepted; none if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Millis>,
    /// Properties of CONNACK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// What authentication decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// The connection in question.
    #[serde(default)]
    pub connection: Connection,
    /// Reason code; 0 is success.
    #[serde(default)]
    pub code: u8,
    /// Whether the client was accepted without credentials.
    #[serde(default)]
    pub anonymous: bool,
    /// Whether the client is a superuser, who needs no authorisation.
    #[serde(default)]
    pub superuser: bool,
    /// What decided: `file`, `certificate`, `default`, a module's name.
    #[serde(default = "defaults::source")]
    pub source: ByteString,
}

/// What authorisation decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Who asked.
    #[serde(default = "defaults::client")]
    pub client: Client,
    /// For what.
    #[serde(default = "defaults::access")]
    pub access: Access,
    /// Topic or filter, without `$share/…/`.
    pub topic: ByteString,
    /// The decision.
    #[serde(default = "defaults::yes")]
    pub allowed: bool,
    /// What decided: `file`, `default`, `superuser`, `cache`, a module's name.
    #[serde(default = "defaults::source")]
    pub source: ByteString,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// Whose session.
    pub client: Client,
    /// When it was created, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Millis>,
}

/// Why and how a connection or a session has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// The neutral reason.
    pub reason: EndReason,
    /// Reason code that the client sent, or that the broker sent or would have sent to an MQTT 5 client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// The detail that the reason names, or more detail in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<ByteString>,
    /// Properties of DISCONNECT, of the client or the broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnection {
    /// The connection as it was.
    #[serde(default)]
    pub connection: Connection,
    /// Why it ended.
    #[serde(default)]
    pub end: End,
    /// When it was accepted, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Millis>,
    /// When it ended.
    pub disconnected_at: Millis,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Termination {
    /// The session as it was.
    #[serde(default)]
    pub session: Session,
    /// Why it ended.
    #[serde(default)]
    pub end: End,
}
