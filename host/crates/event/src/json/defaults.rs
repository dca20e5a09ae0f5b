//! What a record is when a line of JSON does not say it; `docs/events.md` lists these values for users.

use crate::{Access, ByteString, Client, Connection, End, EndReason, Origin, Session, Transport};

/// A client of which only the id is known: MQTT 3.1.1.
pub(super) fn client_named(id: ByteString) -> Client {
    Client {
        id,
        protocol_version: protocol_version(),
        ..Client::default()
    }
}

pub(crate) fn client() -> Client {
    client_named(ByteString::from_static("client"))
}

pub(super) fn publisher() -> Client {
    client_named(ByteString::from_static("publisher"))
}

pub(crate) fn receiver() -> Client {
    client_named(ByteString::from_static("receiver"))
}

pub(crate) fn protocol_version() -> u8 {
    4
}

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn one() -> u32 {
    1
}

pub(crate) fn source() -> ByteString {
    ByteString::from_static("default")
}

pub(crate) fn access() -> Access {
    Access::Publish
}

pub(super) fn origin() -> Origin {
    Origin::Client
}

pub(crate) fn data() -> ByteString {
    ByteString::from_static("{}")
}

/// A plain MQTT 3.1.1 client on TCP.
impl Default for Connection {
    fn default() -> Connection {
        Connection {
            client: client(),
            listener: ByteString::from_static("tcp"),
            transport: Transport::Tcp,
            local: None,
            protocol_name: ByteString::from_static("MQTT"),
            bridge: false,
            keep_alive: 60,
            clean_start: true,
            session_expiry: 0,
            receive_maximum: u16::MAX,
            mountpoint: None,
            certificate: None,
            properties: None,
        }
    }
}

/// The session of a client named `client`.
impl Default for Session {
    fn default() -> Session {
        Session {
            client: client(),
            created_at: None,
        }
    }
}

/// A DISCONNECT of the client.
impl Default for End {
    fn default() -> End {
        End {
            reason: EndReason::Disconnect,
            code: None,
            text: None,
            properties: None,
        }
    }
}
