//! Records and helper functions for the tests of bodies: two clients, their events, and rules.

use serde_json::{Value, json};

use crate::{RuleKey, Rules};
use hookhost_guest::event::{
    Acknowledgement, Address, Client, Connack, Connection, Delivery, Detail, Disconnection, End, EndReason, Message,
    Session, Subscription, Termination, Unsubscription,
};
use hookhost_guest::request::{Body, Request};
use hookhost_guest::testing;

/// `c1`, MQTT 3.1.1, with the name `u1`.
pub(super) fn c1() -> Client {
    Client {
        username: Some("u1".into()),
        peer: Some(Address {
            ip: "127.0.0.1".into(),
            port: 61_003,
        }),
        ..testing::client("c1")
    }
}

/// `c2`, MQTT 5, without a name, on IPv6.
pub(super) fn c2() -> Client {
    Client {
        peer: Some(Address {
            ip: "::1".into(),
            port: 61_004,
        }),
        protocol_version: 5,
        ..testing::client("c2")
    }
}

pub(super) fn connection(client: Client) -> Connection {
    Connection {
        client,
        ..testing::connection("")
    }
}

/// Accepted at 1790000001000.
pub(super) fn connack(client: Client) -> Connack {
    Connack {
        connection: connection(client),
        ..testing::connack("")
    }
}

/// Refused.
pub(super) fn refusal(client: Client, code: u8) -> Connack {
    Connack {
        code,
        connected_at: None,
        ..connack(client)
    }
}

/// Accepted a minute before it ended, at 1790000001002.
pub(super) fn disconnection(client: Client, reason: EndReason) -> Disconnection {
    Disconnection {
        connection: connection(client),
        ..testing::disconnection("", reason)
    }
}

pub(super) fn termination(client: Client, end: End) -> Termination {
    Termination {
        session: session(client),
        end,
    }
}

pub(super) fn session(client: Client) -> Session {
    Session {
        client,
        ..testing::session("")
    }
}

pub(super) fn subscription(client: Client) -> Subscription {
    Subscription {
        client,
        ..testing::subscription("t/1")
    }
}

pub(super) fn unsubscription(client: Client) -> Unsubscription {
    Unsubscription {
        client,
        ..testing::unsubscription("t/1")
    }
}

/// Of `c1`, received at 1790000001000.
pub(super) fn message(payload: &[u8]) -> Message {
    Message {
        id: "0006054DC3E940F8F445000038A60002".into(),
        publisher: c1(),
        ..testing::message("t/1", payload)
    }
}

/// From `c1` to `c2`.
pub(super) fn delivery(payload: &[u8]) -> Delivery {
    Delivery {
        receiver: c2(),
        message: message(payload),
        ..testing::delivery("", b"")
    }
}

pub(super) fn acknowledgement() -> Acknowledgement {
    Acknowledgement {
        delivery: delivery(b"hello"),
        code: 0,
        properties: None,
    }
}

/// The requests for an event at 1790000001002 by one rule of a key, with these settings for all rules.
pub(super) fn requests(settings: &Value, key: RuleKey, rule: Value, detail: Detail) -> Vec<Request> {
    let mut config = json!({"urls": ["http://h/"], "rule": {key.name(): [rule]}});
    for (name, value) in settings.as_object().unwrap() {
        config[name] = value.clone();
    }
    let rules = Rules::parse(&config, &testing::host()).unwrap();
    rules.webhooks(&testing::event(detail)).requests().to_vec()
}

/// The body of the only request for an event.
pub(super) fn body(settings: &Value, key: RuleKey, rule: Value, detail: Detail) -> Body {
    let mut requests = requests(settings, key, rule, detail);
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.pop().unwrap().body
}

/// The body of the only request is this text, and JSON.
#[track_caller]
pub(super) fn check(settings: &Value, key: RuleKey, detail: Detail, expected: &str) {
    let body = body(settings, key, json!({}), detail);
    assert_eq!(body, Body::Text(expected.to_owned()));
    serde_json::from_str::<Value>(expected).unwrap();
}
