//! The events of the bench: many copies of one event, in the form of the host and in the form of a module.

use std::sync::Arc;

use hookhost_event::{
    Bytes, Client, Connection, Detail, Disconnection, End, EndReason, Event, Id, Message, Millis, Origin, Transport,
};
use hookhost_guest::testing;

/// The time of all events.
const AT: Millis = Millis(1_790_000_001_002);

/// One event.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sample {
    /// The event: message-publish or client-disconnected (without DISCONNECT)
    #[arg(long, default_value = "message-publish", value_parser = ["message-publish", "client-disconnected"])]
    hook: String,
    /// Topic of the message
    #[arg(long, default_value = "a/b")]
    topic: String,
    /// Payload of the message
    #[arg(long, default_value = "")]
    payload: String,
}

impl Sample {
    /// A publish.
    pub(crate) fn publish(topic: &str, payload: &str) -> Sample {
        Sample {
            hook: "message-publish".to_owned(),
            topic: topic.to_owned(),
            payload: payload.to_owned(),
        }
    }

    /// This number of events of sixteen clients, in the form of the host.
    pub(crate) fn batch(&self, count: usize) -> Vec<Arc<Event>> {
        (0..count).map(|number| Arc::new(self.event(number))).collect()
    }

    fn event(&self, number: usize) -> Event {
        let client = Client {
            id: format!("sensor-{}", number % 16).into(),
            username: None,
            peer: Some(([127, 0, 0, 1], 50_716).into()),
            protocol_version: 4,
            ..Client::default()
        };
        let detail = match self.hook.as_str() {
            "client-disconnected" => Detail::ClientDisconnected(disconnection(client)),
            _ => Detail::MessagePublish(self.message(client)),
        };
        Event {
            id: Id(number as u128),
            at: AT,
            utc_offset: 0,
            detail,
            extras: Vec::new(),
        }
    }

    fn message(&self, publisher: Client) -> Message {
        Message {
            id: Id(1),
            publisher,
            origin: Origin::Client,
            topic: self.topic.as_str().into(),
            payload: Bytes::from(self.payload.clone()),
            qos: 1,
            retain: false,
            dup: false,
            packet_id: Some(1),
            received_at: AT,
            properties: None,
            republishes: 0,
        }
    }

    /// The same publish, in the form of a module.
    pub(crate) fn guest_batch(&self, count: usize) -> Vec<hookhost_guest::Event> {
        (0..count)
            .map(|_| testing::publish(&self.topic, self.payload.as_bytes()))
            .collect()
    }
}

fn disconnection(client: Client) -> Disconnection {
    Disconnection {
        connection: Connection {
            client,
            listener: "tcp".into(),
            transport: Transport::Tcp,
            local: None,
            protocol_name: "MQTT".into(),
            bridge: false,
            keep_alive: 60,
            clean_start: true,
            session_expiry: 0,
            receive_maximum: 65_535,
            mountpoint: None,
            certificate: None,
            properties: None,
        },
        end: End {
            reason: EndReason::Closed,
            code: None,
            text: None,
            properties: None,
        },
        connected_at: None,
        disconnected_at: AT,
    }
}
