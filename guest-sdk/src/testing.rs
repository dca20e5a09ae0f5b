//! Events and a host for unit tests of a module, which run natively and without WebAssembly.
//!
//! The functions return records with plausible values. A test changes the values that it is about:
//!
//! ```
//! use hookhost_guest::{Detail, testing};
//!
//! let mut message = testing::message("a/b", b"1");
//! message.retain = true;
//! let event = testing::event(Detail::MessagePublish(message));
//! assert_eq!(event.local_time().to_string(), "2026-09-21 14:13:21.002");
//! ```

#[cfg(not(target_arch = "wasm32"))]
use std::time::Duration;

use serde_json::Value;

use crate::bindings::hookhost::hook::types::HostInfo;
use crate::event::{
    Acknowledgement, Address, Client, Connack, Connection, Delivery, DeliveryDrop, Detail, Disconnection, DropReason,
    End, EndReason, Event, Message, MessageDrop, Node, Origin, Session, Subscription, Termination, Transport,
    Unsubscription,
};
use crate::module::{self, Host, Module};
use crate::problems::Problems;

/// The time of all events of this module: 2026-09-21T14:13:21.002Z, in milliseconds since 1970.
pub const AT: u64 = 1_790_000_001_002;

/// Configures a module as a host does. `config` may be written with [`serde_json::json!`].
///
/// # Errors
///
/// The problems with which the module refuses the settings.
///
/// ```
/// # use hookhost_guest::{Host, Interest, Module, Problems};
/// #[derive(serde::Deserialize)]
/// struct Config {
///     limit: f64,
/// }
///
/// struct Alert(f64);
///
/// impl Module for Alert {
///     type Config = Config;
///
///     fn new(config: Config, _: &Host) -> Result<Self, Problems> {
///         Ok(Alert(config.limit))
///     }
///
///     fn interests(&self) -> Vec<Interest> {
///         Vec::new()
///     }
/// }
///
/// use hookhost_guest::testing;
/// use serde_json::json;
///
/// let alert: Alert = testing::configure(json!({"limit": 21.5})).unwrap();
/// assert_eq!(alert.0, 21.5);
/// let refused = testing::configure::<Alert>(json!({"limit": "hot"})).err().unwrap();
/// assert_eq!(refused.to_string(), "limit: invalid type: string \"hot\", expected f64");
/// ```
pub fn configure<M: Module>(config: Value) -> Result<M, Problems> {
    module::configure(&host(), &config.to_string())
}

/// Moves the clock of [`kv`](crate::kv) forward in this thread, so that entries with a time to live expire.
///
/// ```
/// use hookhost_guest::{kv, testing};
/// use std::time::Duration;
///
/// kv::set("seen/k7", "", Some(Duration::from_secs(60)))?;
/// testing::pass(Duration::from_secs(59));
/// assert!(kv::get("seen/k7").is_some());
/// testing::pass(Duration::from_secs(1));
/// assert!(kv::get("seen/k7").is_none());
/// # Ok::<(), kv::Full>(())
/// ```
#[cfg(not(target_arch = "wasm32"))]
pub fn pass(time: Duration) {
    crate::kv::native::pass(time);
}

/// A host on node 1.
pub fn host() -> Host {
    HostInfo {
        node: node(),
        version: "0.1.0".into(),
        module: "test".into(),
        generation: 1,
    }
}

fn node() -> Node {
    Node {
        name: "hookhost@127.0.0.1".into(),
        id: 1,
    }
}

/// An MQTT 3.1.1 client without user name at 127.0.0.1:50716.
pub fn client(id: &str) -> Client {
    Client {
        id: id.into(),
        username: None,
        peer: Some(Address {
            ip: "127.0.0.1".into(),
            port: 50_716,
        }),
        protocol_version: 4,
        node: None,
        attributes: None,
    }
}

/// A connection of [`client`] over TCP with clean start and a keep alive of 60 s.
pub fn connection(client_id: &str) -> Connection {
    Connection {
        client: client(client_id),
        listener: "tcp".into(),
        transport: Transport::Tcp,
        local: Some(Address {
            ip: "127.0.0.1".into(),
            port: 1_883,
        }),
        protocol_name: "MQTT".into(),
        bridge: false,
        keep_alive: 60,
        clean_start: true,
        session_expiry: 0,
        receive_maximum: 65_535,
        mountpoint: None,
        certificate: None,
        properties: None,
    }
}

/// The CONNACK that accepts [`connection`] with a new session.
pub fn connack(client_id: &str) -> Connack {
    Connack {
        connection: connection(client_id),
        code: 0,
        session_present: false,
        connected_at: Some(AT - 2),
        properties: None,
    }
}

/// The end of [`connection`] for a reason.
pub fn disconnection(client_id: &str, reason: EndReason) -> Disconnection {
    Disconnection {
        connection: connection(client_id),
        end: end(reason),
        connected_at: Some(AT - 60_000),
        disconnected_at: AT,
    }
}

/// A reason without code, text and properties.
pub fn end(reason: EndReason) -> End {
    End {
        reason,
        code: None,
        text: None,
        properties: None,
    }
}

/// A session of [`client`].
pub fn session(client_id: &str) -> Session {
    Session {
        client: client(client_id),
        created_at: Some(AT - 1),
    }
}

/// The end of [`session`] for a reason.
pub fn termination(client_id: &str, reason: EndReason) -> Termination {
    Termination {
        session: session(client_id),
        end: end(reason),
    }
}

/// A granted subscription of the client `receiver` with QoS 1.
pub fn subscription(filter: &str) -> Subscription {
    Subscription {
        client: client("receiver"),
        filter: filter.into(),
        group: None,
        qos: 1,
        no_local: false,
        retain_as_published: false,
        retain_handling: 0,
        id: None,
        limit: None,
        code: 1,
        is_new: true,
        properties: None,
    }
}

/// The end of [`subscription`].
pub fn unsubscription(filter: &str) -> Unsubscription {
    Unsubscription {
        client: client("receiver"),
        filter: filter.into(),
        group: None,
        qos: 1,
        code: 0,
        properties: None,
    }
}

/// A QoS 1 publish of the client `publisher` with packet identifier 1, received 2 ms before [`AT`].
pub fn message(topic: &str, payload: &[u8]) -> Message {
    Message {
        id: "00000000000000000000000000000001".into(),
        publisher: client("publisher"),
        origin: Origin::Client,
        topic: topic.into(),
        payload: payload.into(),
        qos: 1,
        retain: false,
        dup: false,
        packet_id: Some(1),
        received_at: AT - 2,
        properties: None,
    }
}

/// The delivery of [`message`] to the client `receiver` at QoS 1 with packet identifier 7.
pub fn delivery(topic: &str, payload: &[u8]) -> Delivery {
    Delivery {
        receiver: client("receiver"),
        message: message(topic, payload),
        qos: 1,
        retain: false,
        dup: false,
        packet_id: Some(7),
        retained: false,
        group: None,
        subscription_ids: None,
    }
}

/// An event at [`AT`] on a host whose local time is UTC.
pub fn event(detail: Detail) -> Event {
    Event {
        id: "000000000000000000000000000000E1".into(),
        at: AT,
        utc_offset: 0,
        detail,
        extras: None,
    }
}

/// [`message`] was published.
pub fn publish(topic: &str, payload: &[u8]) -> Event {
    event(Detail::MessagePublish(message(topic, payload)))
}

/// [`delivery`] is being sent.
pub fn delivered(topic: &str, payload: &[u8]) -> Event {
    event(Detail::MessageDelivered(delivery(topic, payload)))
}

/// [`delivery`] was acknowledged.
pub fn acked(topic: &str, payload: &[u8]) -> Event {
    let delivery = delivery(topic, payload);
    event(Detail::MessageAcked(Acknowledgement {
        delivery,
        code: 0,
        properties: None,
    }))
}

/// No client subscribes to the topic of [`message`].
pub fn dropped(topic: &str, payload: &[u8]) -> Event {
    event(Detail::MessageDropped(MessageDrop {
        message: message(topic, payload),
        reason: DropReason::NoSubscribers,
        // What MQTT 5 calls "No matching subscribers".
        code: 16,
        text: None,
    }))
}

/// [`message`] was refused.
pub fn refused(topic: &str, payload: &[u8], reason: DropReason, code: u8) -> Event {
    event(Detail::MessageRefused(MessageDrop {
        message: message(topic, payload),
        reason,
        code,
        text: None,
    }))
}

/// [`delivery`] was dropped.
pub fn delivery_dropped(topic: &str, payload: &[u8], reason: DropReason) -> Event {
    event(Detail::DeliveryDropped(DeliveryDrop {
        delivery: delivery(topic, payload),
        reason,
        code: 0,
        text: None,
    }))
}

/// The connection was accepted with [`connack`].
pub fn connected(client_id: &str) -> Event {
    event(Detail::ClientConnected(connack(client_id)))
}

/// The connection ended with [`disconnection`].
pub fn disconnected(client_id: &str, reason: EndReason) -> Event {
    event(Detail::ClientDisconnected(disconnection(client_id, reason)))
}

/// [`subscription`] is active.
pub fn subscribed(filter: &str) -> Event {
    event(Detail::SessionSubscribed(subscription(filter)))
}

/// [`subscription`] was removed by UNSUBSCRIBE.
pub fn unsubscribed(filter: &str) -> Event {
    event(Detail::SessionUnsubscribed(unsubscription(filter)))
}
