use super::*;
use crate::frame::Frame;

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn connect_body(name: &str, level: u8, flags: u8) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, name);
    body.extend([level, flags, 0, 60]);
    if level & 0x7f == 5 {
        body.push(0);
    }
    text(&mut body, "c");
    body
}

#[test]
fn connects_of_all_versions() {
    for (name, level, version, bridge) in [
        ("MQIsdp", 3, 3, false),
        ("MQIsdp", 0x83, 3, true),
        ("MQTT", 4, 4, false),
        ("MQTT", 0x84, 4, true),
        ("MQTT", 5, 5, false),
    ] {
        let packet = connect(&connect_body(name, level, 0)).unwrap();
        assert_eq!(
            (
                packet.version,
                packet.bridge,
                packet.client_id.as_ref(),
                packet.keep_alive
            ),
            (version, bridge, "c", 60)
        );
        let expiry = if version == 5 { 0 } else { u32::MAX };
        assert_eq!((packet.clean_start, packet.session_expiry), (false, expiry));
    }
    for body in [
        &b""[..],
        b"\0",
        b"\0\x04MQTT",
        b"\0\x04MQTT\x06\0\0\0\0\0",
        b"\xff\xffMQTT\x04",
    ] {
        assert!(connect(body).is_err(), "{body:?}");
    }
}

#[test]
fn a_client_of_mqtt_5_without_id_may_want_to_resume_a_session() {
    let body = b"\0\x04MQTT\x05\0\0\x3c\x05\x11\0\0\0\x09\0\0";
    let packet = connect(body).unwrap();
    assert_eq!((packet.clean_start, &*packet.client_id), (false, ""));
    assert_eq!(packet.session_expiry, 9);
    let changed = connect(&with_clean_start(body).unwrap()).unwrap();
    assert!(changed.clean_start);
    assert_eq!(with_clean_start(b"\0\x04MQTT\x05"), None);
    // MQTT 3.1.1 does not allow it.
    assert_eq!(connect(b"\0\x04MQTT\x04\0\0\x3c\0\0"), Err(InvalidPacket(133)));
}

#[test]
fn return_codes_of_3_become_reason_codes_and_back() {
    for (old, new) in [(0, 0), (1, 132), (2, 133), (3, 136), (4, 134), (5, 135)] {
        assert_eq!(connack(4, &[0, old]).unwrap().code, new);
        if old > 0 {
            assert_eq!(refusal(4, new), [0x20, 2, 0, old]);
            assert_eq!(connack(5, &refusal(5, new)[2..]).unwrap().code, new);
        }
    }
}

#[test]
fn topic_and_identifier_are_read_in_place() {
    let body = b"\0\x03a/b\0\x07payload";
    let frame = |first| Frame { first, body };
    assert_eq!(topic(body), Some("a/b"));
    assert_eq!(publish_id(frame(0x32)), Some(7));
    assert_eq!(publish_id(frame(0x30)), None);
    for body in [&b""[..], b"\0", b"\0\x03a", b"\0\x01\xff"] {
        assert_eq!(topic(body), None, "{body:?}");
    }
    assert_eq!(
        publish_id(Frame {
            first: 0x32,
            body: b"\0\x01a\0"
        }),
        None
    );
    assert_eq!(
        publish_id(Frame {
            first: 0x32,
            body: b"\0\x01a\0\0"
        }),
        None
    );
}

#[test]
fn short_and_long_confirmations() {
    let read = |version, body| decode(version, Frame { first: 0x40, body });
    let plain = Packet::Ack {
        id: 7,
        code: 0,
        properties: None,
    };
    assert_eq!(read(4, b"\0\x07"), Ok(plain.clone()));
    assert_eq!(read(5, b"\0\x07"), Ok(plain));
    assert_eq!(
        read(5, b"\0\x07\x10"),
        Ok(Packet::Ack {
            id: 7,
            code: 16,
            properties: None
        })
    );
    assert_eq!(read(5, b"\0\0"), Err(InvalidPacket(129)));
    assert_eq!(read(4, b"\0\x07\x10"), Err(InvalidPacket(129)));
}

#[test]
fn a_publish_with_qos_3_has_a_code_of_its_own() {
    for (version, body) in [(4, &b"\0\x01t\0\x07x"[..]), (5, b"\0\x01t\0\x07\0x")] {
        let frame = Frame { first: 0x36, body };
        assert_eq!(decode(version, frame), Err(InvalidPacket(155)));
    }
    assert_eq!(disconnect(155), [0xe0, 2, 129, 0]);
    assert_eq!(disconnect(141), [0xe0, 2, 141, 0]);
}
