//! The value of the user property: who published a message, as JSON.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use hookhost_event::{Client, Id, Millis, Origin};

/// The longest value that a gateway inserts. A longer value, of a client with long names, is left out.
pub(super) const MAX_BYTES: usize = 1024;

/// Who published a message, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublisherProperty {
    pub(crate) id: Id,
    pub(crate) publisher: Client,
    /// A client's message or its will.
    pub(crate) origin: Origin,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) received_at: Millis,
}

/// The value: what `docs/events.md` calls a message, without what the packet says itself.
#[derive(Serialize, Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    publisher: Publisher<'a>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    qos: u8,
    retain: bool,
    received_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Publisher<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    username: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    protocol_version: u8,
}

impl PublisherProperty {
    /// Its value as a text; `None` if it would be too long, or if the origin has no name.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let value = serde_json::to_vec(&Value {
            id: self.id.to_string().into(),
            publisher: Publisher {
                id: (&*self.publisher.id).into(),
                username: self.publisher.username.as_ref().map(|name| (&**name).into()),
                peer: self.publisher.peer,
                protocol_version: self.publisher.protocol_version,
            },
            origin: name_of(self.origin)?.into(),
            qos: self.qos,
            retain: self.retain,
            received_at: self.received_at.0,
        });
        value.ok().filter(|value| value.len() <= MAX_BYTES)
    }

    /// Reads a value; `None` if no gateway has written it.
    pub(super) fn read(value: &[u8]) -> Option<PublisherProperty> {
        let value: Value<'_> = serde_json::from_slice(value).ok()?;
        Some(PublisherProperty {
            id: Id(u128::from_str_radix(&value.id, 16).ok()?),
            publisher: Client {
                id: (&*value.publisher.id).into(),
                username: value.publisher.username.map(|name| (&*name).into()),
                peer: value.publisher.peer,
                protocol_version: value.publisher.protocol_version,
                ..Client::default()
            },
            origin: origin_of(&value.origin)?,
            qos: Some(value.qos).filter(|qos| *qos <= 2)?,
            retain: value.retain,
            received_at: Millis(value.received_at),
        })
    }
}

fn name_of(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Client => Some("client"),
        Origin::Will => Some("will"),
        _ => None,
    }
}

fn origin_of(name: &str) -> Option<Origin> {
    match name {
        "client" => Some(Origin::Client),
        "will" => Some(Origin::Will),
        _ => None,
    }
}
