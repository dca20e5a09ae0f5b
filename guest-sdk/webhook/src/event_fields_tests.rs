//! The fields of every kind of event, and that the documentation has them all.

use serde_json::{Map, Value, json};

use crate::EventFields;
use crate::fields::Fields;
use hookhost_guest::event::{
    Access, Authentication, Authorization, Certificate, DeliveryLoss, Detail, DropReason, EndReason, Event, Node,
    OtherEvent, Properties, Property,
};
use hookhost_guest::testing;

fn node() -> Node {
    Node {
        name: "hookhost@127.0.0.1".into(),
        id: 1,
    }
}

fn all(event: &Event) -> Value {
    Value::Object(EventFields::new(event, &node(), "act").all())
}

#[test]
fn the_table_is_sorted_and_says_each_name_once() {
    let names = EventFields::names();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert!(names.iter().all(|name| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }));
}

#[test]
fn the_documentation_has_every_field_and_no_other() {
    let page = include_str!("../../../docs/templates.md");
    let (_, fields) = page.split_once("| field | value | events |").unwrap();
    let (table, _) = fields.split_once("\n\n").unwrap();
    let cells = table.lines().skip(2).map(|line| line.split('|').nth(1).unwrap());
    let mut documented: Vec<&str> = cells
        .flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`')))
        .collect();
    documented.sort_unstable();
    assert_eq!(documented, EventFields::names());
}

#[test]
fn fields_of_a_publish() {
    let mut event = testing::publish("a/b", b"{\"t\": 1}\xff");
    let Detail::MessagePublish(message) = &mut event.detail else {
        panic!()
    };
    message.properties = Some(Properties {
        standard: vec![
            Property::ContentType("application/json".into()),
            Property::CorrelationData(vec![0, 255]),
            Property::MessageExpiryInterval(60),
        ],
        user: [("k", "1"), ("x", "y"), ("k", "2")]
            .map(|(k, v)| (k.into(), v.into()))
            .to_vec(),
    });
    message.publisher.node = Some(Node {
        name: "other@node".into(),
        id: 2,
    });
    assert_eq!(
        all(&event),
        json!({
            "action": "act",
            "clientid": "publisher",
            "content_type": "application/json",
            "correlation_data": "AP8=",
            "dup": false,
            "event": "message.publish",
            "event_id": "000000000000000000000000000000E1",
            "from_clientid": "publisher",
            "from_peername": "127.0.0.1:50716",
            "id": "00000000000000000000000000000001",
            "local_time": "2026-09-21 14:13:21.002",
            "node": "other@node",
            "node_id": 2,
            "origin": "client",
            "packet_id": 1,
            "payload": "{\"t\": 1}\u{fffd}",
            "peerhost": "127.0.0.1",
            "peername": "127.0.0.1:50716",
            "peerport": 50716,
            "properties": {
                "Content-Type": "application/json", "Correlation-Data": "AP8=", "Message-Expiry-Interval": 60
            },
            "proto_ver": 4,
            "publish_received_at": 1_790_000_001_000_u64,
            "qos": 1,
            "retain": false,
            "time": "2026-09-21T14:13:21.002Z",
            "timestamp": 1_790_000_001_002_u64,
            "topic": "a/b",
            "user_properties": {"k": ["1", "2"], "x": "y"},
        })
    );
    let node = node();
    let fields = EventFields::new(&event, &node, "act");
    assert_eq!(fields.get("payload_base64").unwrap().as_str(), Some("eyJ0IjogMX3/"));
    assert_eq!(fields.get("username").as_deref(), Some(&Value::Null));
    assert_eq!(fields.get("nobody"), None);
}

/// Those of the fields of an event that are asked for.
fn some(event: &Event, names: &[&str]) -> Value {
    let (node, all) = (node(), all(event));
    let fields = EventFields::new(event, &node, "act");
    for name in names {
        let value = fields.get(name).unwrap_or_else(|| panic!("{name} is no field"));
        assert_eq!(all.get(name).unwrap_or(&Value::Null), &*value, "{name}");
    }
    names
        .iter()
        .map(|name| ((*name).to_owned(), fields.get(name).unwrap().into_owned()))
        .collect::<Map<_, _>>()
        .into()
}

#[test]
fn each_kind_of_event_has_its_fields() {
    let mut connected = testing::connected("c");
    if let Detail::ClientConnected(connack) = &mut connected.detail {
        connack.connection.certificate = Some(Certificate {
            common_name: "cn".into(),
            subject: "CN=cn,O=o".into(),
        });
        connack.connection.client.username = Some("u".into());
    }
    assert_eq!(
        some(
            &connected,
            &[
                "event",
                "username",
                "clean_start",
                "keepalive",
                "expiry_interval",
                "receive_maximum",
                "is_bridge",
                "proto_name",
                "sockname",
                "listener",
                "transport",
                "connected_at",
                "session_present",
                "code",
                "cert_common_name",
                "cert_subject",
                "mountpoint",
                "topic",
                "payload",
            ]
        ),
        json!({
            "event": "client.connected", "username": "u", "clean_start": true, "keepalive": 60,
            "expiry_interval": 0, "receive_maximum": 65_535, "is_bridge": false, "proto_name": "MQTT",
            "sockname": "127.0.0.1:1883", "listener": "tcp", "transport": "tcp",
            "connected_at": 1_790_000_001_000_u64, "session_present": false, "code": 0, "cert_common_name": "cn",
            "cert_subject": "CN=cn,O=o", "mountpoint": null, "topic": null, "payload": null,
        })
    );
    assert_eq!(
        some(
            &testing::disconnected("c", EndReason::KeepAliveTimeout),
            &[
                "event",
                "reason",
                "reason_text",
                "code",
                "connected_at",
                "disconnected_at",
                "user_properties"
            ]
        ),
        json!({
            "event": "client.disconnected", "reason": "keep_alive_timeout", "reason_text": null, "code": null,
            "connected_at": 1_789_999_941_002_u64, "disconnected_at": 1_790_000_001_002_u64,
            "user_properties": null,
        })
    );
    let authenticated = testing::event(Detail::ClientAuthenticated(Authentication {
        connection: testing::connection("c"),
        code: 134,
        anonymous: false,
        superuser: true,
        source: "file".into(),
    }));
    assert_eq!(
        some(
            &authenticated,
            &["event", "clientid", "code", "anonymous", "superuser", "source"]
        ),
        json!({
            "event": "client.authenticated", "clientid": "c", "code": 134, "anonymous": false, "superuser": true,
            "source": "file",
        })
    );
    let authorized = testing::event(Detail::ClientAuthorized(Authorization {
        client: testing::client("c"),
        access: Access::Subscribe,
        topic: "t".into(),
        allowed: false,
        source: "default".into(),
    }));
    assert_eq!(
        some(&authorized, &["event", "topic", "access", "result", "source"]),
        json!({
            "event": "client.authorized", "topic": "t", "access": "subscribe", "result": "deny",
            "source": "default",
        })
    );
    let mut subscription = testing::subscription("a/#");
    subscription.group = Some("g".into());
    subscription.id = Some(9);
    assert_eq!(
        some(
            &testing::event(Detail::SessionSubscribed(subscription)),
            &[
                "event",
                "clientid",
                "topic",
                "group",
                "qos",
                "code",
                "no_local",
                "retain_as_published",
                "retain_handling",
                "subscription_id",
                "is_new",
            ]
        ),
        json!({
            "event": "session.subscribed", "clientid": "receiver", "topic": "a/#", "group": "g", "qos": 1, "code": 1,
            "no_local": false, "retain_as_published": false, "retain_handling": 0, "subscription_id": 9,
            "is_new": true,
        })
    );
    assert_eq!(
        some(&testing::unsubscribed("a"), &["event", "topic", "group", "qos", "code"]),
        json!({"event": "session.unsubscribed", "topic": "a", "group": null, "qos": 1, "code": 0})
    );
    assert_eq!(
        some(
            &testing::event(Detail::SessionTerminated(testing::termination("c", EndReason::Expired))),
            &["event", "clientid", "created_at", "reason"]
        ),
        json!({
            "event": "session.terminated", "clientid": "c", "created_at": 1_790_000_001_001_u64, "reason": "expired",
        })
    );
    let mut delivery = testing::delivery("a", b"x");
    delivery.qos = 0;
    delivery.dup = true;
    delivery.retained = true;
    delivery.subscription_ids = Some(vec![1, 2]);
    assert_eq!(
        some(
            &testing::event(Detail::MessageDelivered(delivery)),
            &[
                "event",
                "clientid",
                "from_clientid",
                "qos",
                "dup",
                "retained",
                "packet_id",
                "subscription_ids",
                "group",
                "payload",
            ]
        ),
        json!({
            "event": "message.delivered", "clientid": "receiver", "from_clientid": "publisher", "qos": 0,
            "dup": true, "retained": true, "packet_id": 7, "subscription_ids": [1, 2], "group": null, "payload": "x",
        })
    );
    assert_eq!(
        some(
            &testing::delivery_dropped("a", b"", DropReason::QueueFull),
            &["event", "clientid", "from_clientid", "reason", "code"]
        ),
        json!({
            "event": "delivery.dropped", "clientid": "receiver", "from_clientid": "publisher",
            "reason": "queue_full", "code": 0,
        })
    );
    assert_eq!(
        some(
            &testing::refused("a", b"", DropReason::NotAuthorized, 135),
            &["event", "reason", "code", "retained"]
        ),
        json!({"event": "message.refused", "reason": "not_authorized", "code": 135, "retained": null})
    );
    let lost = testing::event(Detail::DeliveryLost(DeliveryLoss {
        receiver: testing::client("c"),
        filter: "a/#".into(),
        group: Some("g".into()),
        count: 3,
    }));
    assert_eq!(
        some(&lost, &["event", "clientid", "topic", "group", "count"]),
        json!({"event": "delivery.lost", "clientid": "c", "topic": "a/#", "group": "g", "count": 3})
    );
    let mut other = testing::event(Detail::Other(OtherEvent {
        name: "alarm.activated".into(),
        client: None,
        data: r#"{"name": "high"}"#.into(),
    }));
    other.extras = Some(vec![("k".into(), "v".into())]);
    assert_eq!(
        some(&other, &["event", "clientid", "topic", "data", "extras", "node"]),
        json!({
            "event": "alarm.activated", "clientid": null, "topic": null, "data": {"name": "high"},
            "extras": {"k": "v"}, "node": "hookhost@127.0.0.1",
        })
    );
}
