//! What is inserted, what is removed, and what cannot be read.

use proptest::prelude::*;

use super::*;
use hookhost_event::{Client, Id, Millis, Origin};

const ANY: usize = usize::MAX;

fn whole(first: u8, body: &[u8]) -> Vec<u8> {
    Frame { first, body }.packet()
}

fn property() -> PublisherProperty {
    PublisherProperty {
        id: Id(0xabcd),
        publisher: Client {
            id: "c\"\u{1}ü".into(),
            username: Some("u".into()),
            peer: Some(([10, 0, 0, 5], 50_716).into()),
            protocol_version: 5,
            ..Client::default()
        },
        origin: Origin::Client,
        qos: 1,
        retain: true,
        received_at: Millis(1_790_000_000_998),
    }
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text].concat()
}

fn user(name: &str, value: &str) -> Vec<u8> {
    [vec![0x26], text(name.as_bytes()), text(value.as_bytes())].concat()
}

/// The body of a PUBLISH to `t` with the payload `x`; with a packet identifier above QoS 0.
fn publish(qos: u8, properties: &[u8]) -> (u8, Vec<u8>) {
    let mut body = text(b"t");
    if qos > 0 {
        body.extend([0, 9]);
    }
    variable_length(&mut body, properties.len());
    body.extend_from_slice(properties);
    body.push(b'x');
    (0x30 | qos << 1, body)
}

fn frame((first, body): &(u8, Vec<u8>)) -> Frame<'_> {
    Frame { first: *first, body }
}

/// One of each property that a PUBLISH may have.
fn all() -> Vec<u8> {
    let mut list = vec![0x01, 1, 0x02, 0, 0, 0, 9, 0x03];
    list.extend(text(b"text/plain"));
    list.push(0x08);
    list.extend(text(b"answer"));
    list.push(0x09);
    list.extend(text(&[0, 0xff]));
    list.extend([0x0b, 0x80, 0x01, 0x23, 0, 7]);
    list.extend(user("k", "v"));
    list
}

#[test]
fn what_is_put_in_is_what_docs_say() {
    let before = publish(1, &[]);
    let packet = insert(frame(&before), &property(), ANY).unwrap();
    let value = r#"{"id":"0000000000000000000000000000ABCD","publisher":{"id":"c\"\u0001ü","username":"u","peer":"10.0.0.5:50716","protocol_version":5},"origin":"client","qos":1,"retain":true,"received_at":1790000000998}"#;
    let (first, body) = publish(1, &user("hookhost-publisher", value));
    assert_eq!(packet, whole(first, &body));
    assert!(packet.len() - whole(before.0, &before.1).len() <= MAX_ADDED_BYTES);
}

#[test]
fn what_is_inserted_is_removed_again() {
    for qos in [0, 1, 2] {
        for list in [Vec::new(), all()] {
            let before = publish(qos, &list);
            assert_eq!(remove(frame(&before)), None, "there is nothing to take");
            let packet = insert(frame(&before), &property(), ANY).unwrap();
            let removed = remove(parse(&packet).unwrap()).unwrap();
            assert_eq!((removed.body, removed.property), (before.1, Some(property())));
        }
    }
}

#[test]
fn lists_that_no_publish_may_have_are_not_readable() {
    for qos in [0, 1] {
        for list in [Vec::new(), all(), user(NAME, "")] {
            assert!(is_readable(frame(&publish(qos, &list))));
        }
        for stray in [&[0x11, 0, 0, 0, 9][..], &[0x99, 0], &[0x01], &[0x26, 0, 9]] {
            for list in [
                stray.to_vec(),
                [&all(), stray].concat(),
                [stray, &user(NAME, "")].concat(),
            ] {
                assert!(!is_readable(frame(&publish(qos, &list))), "{list:02x?}");
            }
        }
    }
    for body in [
        &b""[..],
        b"\0",
        b"\0\x01t",
        b"\0\x01t\x09x",
        b"\0\x01t\xff\xff\xff\xff\x01",
    ] {
        assert!(!is_readable(Frame { first: 0x30, body }));
    }
}

#[test]
fn what_others_have_put_in_goes_in_any_case() {
    let value = "{\"id\":\"1\",\"publisher\":{\"id\":\"a\",\"protocol_version\":4},\"origin\":\"will\",\"qos\":2,\"retain\":false,\"received_at\":1,\"later\":[]}";
    for (first, read) in [
        (value, true),
        ("", false),
        ("{}", false),
        ("\u{1}", false),
        (&value.replace("\"qos\":2", "\"qos\":3"), false),
        (&value.replace("will", "admin"), false),
        (&value.replace("\"1\"", "\"x\""), false),
    ] {
        let list = [user(NAME, value), user("k", "v"), user(NAME, first)].concat();
        let removed = remove(frame(&publish(0, &list))).unwrap();
        assert_eq!(removed.body, publish(0, &user("k", "v")).1);
        assert_eq!(
            removed.property.map(|property| property.id),
            read.then_some(Id(1)),
            "{first}"
        );
    }
    // Nearly the name is another name.
    assert_eq!(remove(frame(&publish(0, &user("hookhost-publishers", value)))), None);
}

#[test]
fn sizes_are_respected() {
    let before = publish(1, &all());
    let packet = insert(frame(&before), &property(), ANY).unwrap();
    assert!(insert(frame(&before), &property(), packet.len()).is_some());
    assert_eq!(insert(frame(&before), &property(), packet.len() - 1), None);
    let long = PublisherProperty {
        publisher: Client {
            id: "x".repeat(value::MAX_BYTES).into(),
            ..Client::default()
        },
        ..property()
    };
    assert_eq!(insert(frame(&before), &long, ANY), None);
}

fn connect(level: u8, will: Option<&[u8]>) -> Vec<u8> {
    let mut body = [
        &text(b"MQTT")[..],
        &[level, if will.is_some() { 0x06 } else { 0x02 }, 0, 60],
    ]
    .concat();
    body.extend([5, 0x11, 0, 0, 0, 9]);
    body.extend(text(b"c"));
    if let Some(list) = will {
        variable_length(&mut body, list.len());
        body.extend_from_slice(list);
        body.extend([text(b"gone"), text(b"payload")].concat());
    }
    whole(0x10, &body)
}

#[test]
fn wills_are_with_property_and_cleaned() {
    let list = [vec![0x18, 0, 0, 0, 5], user("k", "v")].concat();
    for level in [5, 0x85] {
        let before = connect(level, Some(&list));
        let with_property = insert_into_will(&before, &property(), ANY).unwrap();
        let own = encoded(&property()).unwrap();
        assert_eq!(with_property, connect(level, Some(&[list.clone(), own].concat())));
        assert_eq!(remove_from_will(&with_property), Some(before.clone()));
        assert_eq!(remove_from_will(&before), None);
        assert_eq!(insert_into_will(&before, &property(), with_property.len() - 1), None);
    }
    assert_eq!(insert_into_will(&connect(5, None), &property(), ANY), None);
    assert_eq!(insert_into_will(&connect(4, Some(&list)), &property(), ANY), None);
}

proptest! {
    #[test]
    fn any_bytes_stay_or_are_cleaned(body in proptest::collection::vec(any::<u8>(), 0..200), qos in 0u8..3) {
        let frame = Frame { first: 0x30 | qos << 1, body: &body };
        prop_assert_eq!(remove(frame), None);
        prop_assert_eq!(remove_from_will(&whole(0x10, &body)), None);
        if let Some(packet) = insert(frame, &property(), ANY) {
            // A list that cannot be read is not read afterwards either.
            if let Some(removed) = remove(parse(&packet).unwrap()) {
                prop_assert_eq!(removed.property, Some(property()));
                prop_assert_eq!(remove(Frame { first: 0x30 | qos << 1, body: &removed.body }), None);
            }
        }
    }
}
