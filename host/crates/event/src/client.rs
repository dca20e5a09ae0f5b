//! Clients, their connections and their sessions.

use std::net::SocketAddr;

use super::{ByteString, Millis, Pairs, Properties};

/// A node of a cluster, by both kinds of name that brokers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, such as `hookhost@127.0.0.1`.
    pub name: ByteString,
    /// Its number.
    pub id: u32,
}

/// A client, as far as most events need it. A password is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Client id; empty until the broker has assigned one.
    pub id: ByteString,
    /// User name, if there is one.
    pub username: Option<ByteString>,
    /// Where the client connects from; none while it is away and for senders that are not clients.
    pub peer: Option<SocketAddr>,
    /// 3, 4 or 5 for MQTT 3.1, 3.1.1 and 5.0; 0 if unknown or no MQTT client.
    pub protocol_version: u8,
    /// The node that holds the client, if it is another than this one.
    pub node: Option<Box<Node>>,
    /// Names and values that authentication or the host attached to the client.
    pub attributes: Pairs,
}

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Websocket,
    /// WebSocket over TLS.
    WebsocketTls,
    /// QUIC.
    Quic,
    /// Anything else, such as a Unix socket.
    Other,
}

/// What a client's TLS certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Common name of its subject; empty if it has none.
    pub common_name: ByteString,
    /// The whole subject, as RFC 4514 writes it.
    pub subject: ByteString,
}

/// A connection and what its client asked for in CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Whose connection; once accepted with the final client id and user name.
    pub client: Client,
    /// Name of the listener.
    pub listener: ByteString,
    /// What carries it.
    pub transport: Transport,
    /// The broker's end of it.
    pub local: Option<SocketAddr>,
    /// Protocol name as sent: `MQTT` or `MQIsdp`.
    pub protocol_name: ByteString,
    /// Whether the client calls itself a bridge.
    pub bridge: bool,
    /// Keep alive in seconds, as asked for.
    pub keep_alive: u16,
    /// Clean start, or clean session before MQTT 5.
    pub clean_start: bool,
    /// Seconds that the session outlives the connection, as in force; `u32::MAX`: for ever.
    pub session_expiry: u32,
    /// How many unconfirmed messages the client takes, as in force.
    pub receive_maximum: u16,
    /// Prefix that the broker puts before the client's topics and filters.
    pub mountpoint: Option<ByteString>,
    /// The client's certificate, if it showed one.
    pub certificate: Option<Box<Certificate>>,
    /// Properties of CONNECT.
    pub properties: Option<Box<Properties>>,
}

/// The answer to CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct Connack {
    /// The connection that is answered.
    pub connection: Connection,
    /// Reason code of MQTT 5; 0 is success.
    pub code: u8,
    /// Whether a session was found.
    pub session_present: bool,
    /// When the connection was accepted; none if it was refused.
    pub connected_at: Option<Millis>,
    /// Properties of CONNACK.
    pub properties: Option<Box<Properties>>,
}

/// What authentication decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Authentication {
    /// The connection in question.
    pub connection: Connection,
    /// Reason code; 0 is success.
    pub code: u8,
    /// Whether the client got in without credentials.
    pub anonymous: bool,
    /// Whether the client is above authorisation.
    pub superuser: bool,
    /// What decided: `file`, `certificate`, `default`, a module's name.
    pub source: ByteString,
}

/// What a client needs permission for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To publish to a topic.
    Publish,
    /// To subscribe to a filter.
    Subscribe,
}

/// What authorisation decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorization {
    /// Who asked.
    pub client: Client,
    /// For what.
    pub access: Access,
    /// Topic or filter, without `$share/…/`.
    pub topic: ByteString,
    /// The decision.
    pub allowed: bool,
    /// What decided: `file`, `default`, `superuser`, `cache`, a module's name.
    pub source: ByteString,
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Whose session.
    pub client: Client,
    /// When it was created, if known.
    pub created_at: Option<Millis>,
}

/// Why a connection or a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The client sent DISCONNECT; code and properties are its own.
    Disconnect,
    /// The client closed without DISCONNECT; the text is the close code of a WebSocket.
    Closed,
    /// The socket failed; the text is the POSIX name of the error.
    SocketError,
    /// Reading or writing took too long.
    IoTimeout,
    /// Nothing was heard for one and a half times the keep alive.
    KeepAliveTimeout,
    /// An administrator ended it.
    Kicked,
    /// The client connected elsewhere and took its session along.
    TakenOver,
    /// The client connected elsewhere with clean start.
    Discarded,
    /// Permission was refused or has run out.
    NotAuthorized,
    /// The client broke the protocol; the code says how.
    ProtocolError,
    /// A SUBSCRIBE could not be carried out.
    SubscribeFailed,
    /// An UNSUBSCRIBE could not be carried out.
    UnsubscribeFailed,
    /// A rate or a quota was exceeded; the code says which.
    LimitExceeded,
    /// The client read too slowly.
    TooSlow,
    /// The session's time was up.
    Expired,
    /// A module decided so.
    Module,
    /// The node is stopping.
    Shutdown,
    /// The host failed.
    InternalError,
    /// Anything else; the text says what.
    Other,
}

/// Why and how a connection or a session has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The neutral reason.
    pub reason: EndReason,
    /// Reason code that the client sent, or that the broker sent or would have sent to an MQTT 5 client.
    pub code: Option<u8>,
    /// What the reason says that there is, or more detail in words.
    pub text: Option<ByteString>,
    /// Properties of DISCONNECT, whoever sent it.
    pub properties: Option<Box<Properties>>,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Disconnection {
    /// The connection as it was.
    pub connection: Connection,
    /// Why it ended.
    pub end: End,
    /// When it was accepted, if known.
    pub connected_at: Option<Millis>,
    /// When it ended.
    pub disconnected_at: Millis,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Termination {
    /// The session as it was.
    pub session: Session,
    /// Why it ended.
    pub end: End,
}
