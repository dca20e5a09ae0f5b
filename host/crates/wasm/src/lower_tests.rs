//! Tests of the fields that a guest receives.

use super::*;
use hookhost_event::Bytes;

fn event(detail: Detail) -> Arc<Event> {
    Arc::new(Event {
        id: Id(0xA0),
        at: Millis(5),
        utc_offset: -90,
        detail,
        extras: vec![],
    })
}

fn session(peer: Option<&str>) -> Arc<Event> {
    let client = Client {
        id: "c".into(),
        peer: peer.map(|peer| peer.parse().unwrap()),
        ..Client::default()
    };
    event(Detail::SessionCreated(Session {
        client,
        created_at: Some(Millis(4)),
    }))
}

fn message(properties: Option<Box<Properties>>) -> Message {
    Message {
        id: Id(u128::MAX),
        publisher: Client {
            id: "sender".into(),
            protocol_version: 5,
            ..Client::default()
        },
        origin: Origin::Will,
        topic: "a/b".into(),
        payload: Bytes::from_static(b"\x00\xff"),
        qos: 2,
        retain: true,
        dup: false,
        packet_id: Some(9),
        received_at: Millis(3),
        properties,
        republishes: 0,
    }
}

#[test]
fn addresses_are_as_the_socket_has_them() {
    let arena = Bump::new();
    let batch = [
        Some("10.0.0.5:1883"),
        Some("10.0.0.5:1884"),
        None,
        Some("[::1]:1"),
        Some("[::ffff:10.0.0.5]:65535"),
        Some("10.0.0.5:1"),
    ];
    let batch = batch.map(session);
    let peers = events(&arena, &batch).iter().map(|event| match &event.detail {
        wit::Detail::SessionCreated(session) => session.client.peer.as_ref().map(|peer| (peer.ip, peer.port)),
        other => panic!("{other:?}"),
    });
    let expected = [
        Some(("10.0.0.5", 1883)),
        Some(("10.0.0.5", 1884)),
        None,
        Some(("::1", 1)),
        Some(("::ffff:10.0.0.5", 65535)),
        Some(("10.0.0.5", 1)),
    ];
    assert_eq!(peers.collect::<Vec<_>>(), expected);
}

#[test]
fn a_message_arrives_whole_and_is_lent() {
    let properties = Properties {
        standard: vec![Property::ContentType("text/plain".into()), Property::TopicAlias(3)],
        user: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
    };
    let source = message(Some(Box::new(properties)));
    let payload = source.payload.as_ptr();
    let batch = [event(Detail::MessagePublish(source))];
    let arena = Bump::new();
    let lent = &events(&arena, &batch)[0];
    assert_eq!(lent.id, "000000000000000000000000000000A0");
    assert_eq!((lent.at, lent.utc_offset, lent.extras), (5, -90, None));
    let wit::Detail::MessagePublish(message) = &lent.detail else {
        panic!("{lent:?}")
    };
    assert_eq!(message.id, "F".repeat(32));
    assert_eq!(
        (message.publisher.id, message.publisher.username, message.topic),
        ("sender", None, "a/b")
    );
    assert!(matches!(message.origin, wit::Origin::Will));
    assert_eq!(
        (message.qos, message.retain, message.dup, message.packet_id),
        (2, true, false, Some(9))
    );
    assert_eq!((message.payload, message.payload.as_ptr()), (&b"\x00\xff"[..], payload));
    let properties = message.properties.as_ref().unwrap();
    assert_eq!(properties.user, [("k", "1"), ("k", "2")]);
    assert!(
        matches!(
            properties.standard,
            [wit::Property::ContentType("text/plain"), wit::Property::TopicAlias(3)]
        ),
        "{properties:?}"
    );
}

#[test]
fn empty_lists_that_may_be_missing_are_missing() {
    let delivery = |subscription_ids| Delivery {
        receiver: Client {
            attributes: vec![("tenant".into(), "t".into())],
            ..Client::default()
        },
        message: message(None),
        qos: 1,
        retain: false,
        dup: true,
        packet_id: None,
        retained: true,
        group: Some("g".into()),
        subscription_ids,
    };
    let batch = [vec![], vec![7, 8]].map(|ids| event(Detail::MessageDelivered(delivery(ids))));
    let arena = Bump::new();
    let lent = events(&arena, &batch).iter().map(|event| match &event.detail {
        wit::Detail::MessageDelivered(delivery) => delivery,
        other => panic!("{other:?}"),
    });
    let lent: Vec<_> = lent.collect();
    assert_eq!(lent[0].subscription_ids, None);
    assert_eq!(lent[1].subscription_ids, Some(&[7, 8][..]));
    assert_eq!(lent[0].receiver.attributes, Some(&[("tenant", "t")][..]));
    assert_eq!(lent[0].message.publisher.attributes, None);
    assert_eq!(
        (lent[0].qos, lent[0].retain, lent[0].dup, lent[0].retained),
        (1, false, true, true)
    );
    assert_eq!(
        (lent[0].message.qos, lent[0].message.retain, lent[0].group),
        (2, true, Some("g"))
    );
}
