//! Events for tests.

use hookhost_event::{ByteString, Bytes, Client, Detail, Event, Id, Message, Millis, Origin};

/// A publish at QoS 0.
pub fn publish(client: &str, topic: &str, payload: &[u8]) -> Event {
    let message = Message {
        id: Id(1),
        publisher: Client {
            id: ByteString::from(client),
            ..Client::default()
        },
        origin: Origin::Client,
        topic: ByteString::from(topic),
        payload: Bytes::copy_from_slice(payload),
        qos: 0,
        retain: false,
        dup: false,
        packet_id: None,
        received_at: Millis(0),
        properties: None,
        republishes: 0,
    };
    Event {
        id: Id(0),
        at: Millis(0),
        utc_offset: 0,
        detail: Detail::MessagePublish(message),
        extras: Vec::new(),
    }
}

/// A publish with a number, which is also its id.
pub fn numbered(client: &str, number: u32) -> Event {
    Event {
        id: Id(u128::from(number)),
        ..publish(client, "t", &number.to_be_bytes())
    }
}

/// The number of a numbered publish.
pub fn number(event: &Event) -> u32 {
    u32::try_from(event.id.0).unwrap()
}
