//! Bodies of events about messages.

use super::*;

#[test]
fn message_publish() {
    check(
        RuleKey::MessagePublish,
        Detail::MessagePublish(message()),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}"#,
    );
    let from_v5 = Message {
        publisher: c2(),
        topic: "küche/\"1\"".into(),
        payload: vec![0, 0xff, 0xfe, 0xfd],
        qos: 0,
        retain: true,
        dup: true,
        packet_id: None,
        ..message()
    };
    check(
        RuleKey::MessagePublish,
        Detail::MessagePublish(from_v5),
        r#"{"dup":true,"retain":true,"qos":0,"topic":"küche/\"1\"","packet_id":null,"payload":"AP/+/Q==","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_publish"}"#,
    );
}

#[test]
fn messages_say_what_they_come_from() {
    let published = |origin, publisher| {
        let event = testing::event(Detail::MessagePublish(Message {
            origin,
            publisher,
            payload: Vec::new(),
            ..message()
        }));
        body(RuleKey::MessagePublish, &event, 1, "p", false).unwrap()
    };
    for (origin, from_type) in [
        (Origin::Client, "custom"),
        (Origin::Module, "custom"),
        (Origin::Will, "lastwill"),
        (Origin::Admin, "admin"),
        (Origin::System, "system"),
        (Origin::Bridge, "bridge"),
    ] {
        let sender = Client {
            peer: None,
            node: Some(Node {
                name: "n2".into(),
                id: 2,
            }),
            ..c1()
        };
        let expected = format!(
            r#"{{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":2,"from_ipaddress":null,"from_clientid":"c1","from_username":"undefined","from_type":"{from_type}","action":"p"}}"#,
        );
        assert_eq!(published(origin, sender), expected);
    }
}

#[test]
fn message_delivered() {
    check(
        RuleKey::MessageDelivered,
        Detail::MessageDelivered(delivery(c2())),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}"#,
    );
    // What counts is the packet that the receiver gets, not the one that was published.
    check(
        RuleKey::MessageDelivered,
        Detail::MessageDelivered(Delivery {
            qos: 0,
            packet_id: None,
            retain: true,
            dup: true,
            ..delivery(c1())
        }),
        r#"{"dup":true,"retain":true,"qos":0,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}"#,
    );
}

#[test]
fn message_acked() {
    check(
        RuleKey::MessageAcked,
        Detail::MessageAcked(Acknowledgement {
            delivery: delivery(c1()),
            code: 0,
            properties: None,
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}"#,
    );
    check(
        RuleKey::MessageAcked,
        Detail::MessageAcked(Acknowledgement {
            delivery: delivery(c2()),
            code: 0,
            properties: None,
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}"#,
    );
}

#[test]
fn message_dropped_for_a_receiver() {
    check(
        RuleKey::MessageDropped,
        dropped(c1(), DropReason::QueueFull),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","reason":"MessageQueueFull","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","action":"message_dropped"}"#,
    );
    check(
        RuleKey::MessageDropped,
        dropped(c2(), DropReason::Expired),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","reason":"MessageExpiration","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","action":"message_dropped"}"#,
    );
}

#[test]
fn a_refused_publish_is_announced_and_dropped() {
    let refused = || {
        let message = Message {
            publisher: c2(),
            ..message()
        };
        Detail::MessageRefused(MessageDrop {
            message,
            reason: DropReason::NotAuthorized,
            code: 135,
            text: None,
        })
    };
    check(
        RuleKey::MessagePublish,
        refused(),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_publish"}"#,
    );
    check(
        RuleKey::MessageDropped,
        refused(),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","reason":"NotAuthorized","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_dropped"}"#,
    );
}

/// Which of RMQTT's events there are for a drop: of a publish, and for a receiver.
#[test]
fn what_rmqtt_reports_of_drops() {
    let refused = |reason| {
        testing::event(Detail::MessageRefused(MessageDrop {
            message: message(),
            reason,
            code: 0,
            text: None,
        }))
    };
    for (reason, is_published) in [
        (DropReason::NotAuthorized, true),
        (DropReason::Invalid, true),
        (DropReason::PacketIdInUse, false),
    ] {
        let event = refused(reason);
        assert_eq!(
            Rmqtt.reports(RuleKey::MessagePublish, &event, false),
            is_published,
            "{reason:?}"
        );
        assert!(Rmqtt.reports(RuleKey::MessageDropped, &event, false), "{reason:?}");
    }
    let mut event = refused(DropReason::Invalid);
    if let Detail::MessageRefused(drop) = &mut event.detail {
        drop.message.topic = "a/#".to_owned();
    }
    assert!(Rmqtt.reports(RuleKey::MessagePublish, &event, false));
    assert!(!Rmqtt.reports(RuleKey::MessageDropped, &event, false));
    for (reason, is_dropped) in [(DropReason::QueueFull, true), (DropReason::NoLocal, false)] {
        let event = testing::event(dropped(c1(), reason));
        assert_eq!(
            Rmqtt.reports(RuleKey::MessageDropped, &event, false),
            is_dropped,
            "{reason:?}"
        );
    }
}

#[test]
fn offline_message() {
    check(
        RuleKey::OfflineMessage,
        Detail::MessageQueued(Delivery {
            packet_id: None,
            receiver: Client { peer: None, ..c1() },
            ..delivery(c1())
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":null,"clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"offline_message"}"#,
    );
    check(
        RuleKey::OfflineMessage,
        Detail::MessageQueued(Delivery {
            packet_id: None,
            ..delivery(c2())
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"offline_message"}"#,
    );
}
