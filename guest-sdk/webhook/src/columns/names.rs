//! The columns of each kind of event in EMQX 5, in descending order.

use hookhost_guest::event::Detail;

use crate::key::RuleKey;

/// The columns of every event.
const COMMON: &[&str] = &["timestamp", "node", "metadata", "event"];

#[rustfmt::skip]
const CONNECT: &[&str] = &[
    "username", "timestamp", "sockname", "receive_maximum", "proto_ver", "proto_name", "peername", "node",
    "mountpoint", "metadata", "keepalive", "is_bridge", "expiry_interval", "event", "conn_props", "clientid",
    "client_attrs", "clean_start",
];

#[rustfmt::skip]
const CONNECTED: &[&str] = &[
    "username", "timestamp", "sockname", "receive_maximum", "proto_ver", "proto_name", "peername", "node",
    "mountpoint", "metadata", "keepalive", "is_bridge", "expiry_interval", "event", "connected_at", "conn_props",
    "clientid", "client_attrs", "clean_start",
];

#[rustfmt::skip]
const CONNACK: &[&str] = &[
    "username", "timestamp", "sockname", "reason_code", "proto_ver", "proto_name", "peername", "node", "metadata",
    "keepalive", "expiry_interval", "event", "connected_at", "conn_props", "clientid", "clean_start",
];

#[rustfmt::skip]
const DISCONNECTED: &[&str] = &[
    "username", "timestamp", "sockname", "reason", "proto_ver", "proto_name", "peername", "node", "metadata",
    "event", "disconnected_at", "disconn_props", "connected_at", "clientid", "client_attrs",
];

#[rustfmt::skip]
const AUTHENTICATED: &[&str] = &[
    "username", "timestamp", "reason_code", "peername", "node", "metadata", "is_superuser", "is_anonymous", "event",
    "clientid", "client_attrs",
];

#[rustfmt::skip]
const AUTHORIZED: &[&str] = &[
    "username", "topic", "timestamp", "result", "peername", "peerhost", "node", "metadata", "event", "clientid",
    "client_attrs", "authz_source", "action",
];

#[rustfmt::skip]
const SUBSCRIPTION: &[&str] = &[
    "username", "topic", "timestamp", "sub_props", "qos", "peername", "peerhost", "node", "metadata", "event",
    "clientid", "client_attrs",
];

#[rustfmt::skip]
const UNSUBSCRIPTION: &[&str] = &[
    "username", "unsub_props", "topic", "timestamp", "qos", "peername", "peerhost", "node", "metadata", "event",
    "clientid", "client_attrs",
];

#[rustfmt::skip]
const SESSION: &[&str] = &[
    "username", "timestamp", "peername", "peerhost", "node", "metadata", "event", "created_at", "clientid",
    "client_attrs",
];

#[rustfmt::skip]
const TERMINATED: &[&str] = &[
    "username", "timestamp", "reason", "peername", "peerhost", "node", "metadata", "event", "created_at",
    "clientid", "client_attrs",
];

#[rustfmt::skip]
const PUBLISH: &[&str] = &[
    "username", "topic", "timestamp", "qos", "publish_received_at", "pub_props", "peername", "peerhost", "payload",
    "node", "metadata", "id", "flags", "event", "clientid", "client_attrs",
];

#[rustfmt::skip]
const DROPPED: &[&str] = &[
    "username", "topic", "timestamp", "reason", "qos", "publish_received_at", "pub_props", "peername", "peerhost",
    "payload", "node", "metadata", "id", "flags", "event", "clientid",
];

#[rustfmt::skip]
const DELIVERED: &[&str] = &[
    "username", "topic", "timestamp", "qos", "publish_received_at", "pub_props", "peername", "peerhost", "payload",
    "node", "metadata", "id", "from_username", "from_clientid", "flags", "event", "clientid",
];

#[rustfmt::skip]
const ACKED: &[&str] = &[
    "username", "topic", "timestamp", "qos", "publish_received_at", "puback_props", "pub_props", "peername",
    "peerhost", "payload", "node", "metadata", "id", "from_username", "from_clientid", "flags", "event", "clientid",
];

#[rustfmt::skip]
const DELIVERY_DROPPED: &[&str] = &[
    "username", "topic", "timestamp", "reason", "qos", "publish_received_at", "pub_props", "peername", "peerhost",
    "payload", "node", "metadata", "id", "from_username", "from_clientid", "flags", "event", "clientid",
];

#[rustfmt::skip]
const LOST: &[&str] = &[
    "username", "topic", "timestamp", "peername", "peerhost", "node", "metadata", "event", "count", "clientid",
];

#[rustfmt::skip]
const OTHER: &[&str] = &[
    "username", "timestamp", "peername", "peerhost", "node", "metadata", "event", "clientid", "client_attrs",
];

/// All kinds of events.
const KINDS: [&[&str]; 18] = [
    CONNECT,
    CONNECTED,
    CONNACK,
    DISCONNECTED,
    AUTHENTICATED,
    AUTHORIZED,
    SUBSCRIPTION,
    UNSUBSCRIPTION,
    SESSION,
    TERMINATED,
    PUBLISH,
    DROPPED,
    DELIVERED,
    ACKED,
    DELIVERY_DROPPED,
    LOST,
    OTHER,
    PINGED,
];

/// Whether any kind of event has a column with this name.
pub(crate) fn is_column(name: &str) -> bool {
    KINDS.iter().any(|names| names.contains(&name))
}

/// The name of the event of a PINGREQ packet.
pub(super) const PING: &str = "client.ping";

#[rustfmt::skip]
const PINGED: &[&str] = &[
    "username", "timestamp", "proto_ver", "peername", "node", "metadata", "event", "clientid",
];

/// The names of the columns of an event in all versions of EMQX, without those in the data of [`Detail::Other`]. `key` is
/// the key of the rule.
pub(super) fn of(key: RuleKey, detail: &Detail) -> &'static [&'static str] {
    match detail {
        _ if key == RuleKey::ClientConnack => CONNACK,
        Detail::ClientConnect(_) => CONNECT,
        Detail::ClientConnack(_) => CONNACK,
        Detail::ClientConnected(_) => CONNECTED,
        Detail::ClientDisconnected(_) => DISCONNECTED,
        Detail::ClientAuthenticated(_) => AUTHENTICATED,
        Detail::ClientAuthorized(_) => AUTHORIZED,
        Detail::ClientSubscribe(_) | Detail::SessionSubscribed(_) => SUBSCRIPTION,
        Detail::ClientUnsubscribe(_) | Detail::SessionUnsubscribed(_) => UNSUBSCRIPTION,
        Detail::SessionCreated(_)
        | Detail::SessionResumed(_)
        | Detail::SessionDiscarded(_)
        | Detail::SessionTakenOver(_) => SESSION,
        Detail::SessionTerminated(_) => TERMINATED,
        Detail::MessagePublish(_) => PUBLISH,
        Detail::MessageDropped(_) | Detail::MessageRefused(_) => DROPPED,
        Detail::MessageDelivered(_) | Detail::MessageQueued(_) => DELIVERED,
        Detail::MessageAcked(_) => ACKED,
        Detail::DeliveryDropped(_) => DELIVERY_DROPPED,
        Detail::DeliveryLost(_) => LOST,
        Detail::Other(other) if other.name == PING => PINGED,
        Detail::Other(other) if other.client.is_some() => OTHER,
        Detail::Other(_) => COMMON,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::columns::Row;
    use crate::{RuleKey, Rules};
    use hookhost_guest::testing;

    #[test]
    fn names_are_those_of_columns_in_descending_order() {
        let rule = json!({"urls": ["http://h/"], "rule": {"message_publish": [{"action": "a"}]}});
        let (host, event) = (testing::host(), testing::publish("t", b""));
        let rules = Rules::parse(&rule, &host).unwrap();
        let rule = rules.of(RuleKey::MessagePublish).first().unwrap();
        let row = Row::new(RuleKey::MessagePublish, rule, &event, &host.node);
        for names in KINDS.into_iter().chain([COMMON]) {
            assert!(names.is_sorted_by(|one, next| one > next), "{names:?}");
            assert!(COMMON.iter().all(|name| names.contains(name)));
            assert!(names.iter().all(|name| row.column(name).is_some()), "{names:?}");
        }
    }
}
