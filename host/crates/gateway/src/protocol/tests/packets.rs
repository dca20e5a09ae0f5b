//! Packets after CONNACK: what each causes, and what is kept of it.

use super::*;

#[test]
fn answers_nobody_asked_for_are_counted_and_tell_nothing() {
    for version in [4, 5] {
        let recorder = Recorder::new();
        let mut client = open(version, &recorder);
        for (from, first, body) in [
            (U, 0x40, &[0, 9][..]),
            (U, 0x50, &[0, 9]),
            (U, 0x70, &[0, 9]),
            (U, 0x90, &[0, 9, 0, 0]),
            (U, 0xb0, &[0, 9, 0]),
            (C, 0x40, &[0, 9]),
            (C, 0x70, &[0, 9]),
            (C, 0x62, &[0, 9]),
            (U, 0x20, &[0, 0]),
            (C, 0x20, &[0, 0]),
            (C, 0x90, &[0, 9, 0]),
            (U, 0x82, &[0, 9, 0, 1, b't', 0]),
            (U, 0xc0, &[]),
            (C, 0xd0, &[]),
            (C, 0x00, &[]),
        ] {
            pass(&mut client, from, first, body, &recorder);
        }
        assert_eq!(recorder.hooks(), []);
        assert!(recorder.counted.borrow().len() >= 7);
    }
}

#[test]
fn what_mqtt_5_says_about_a_publish() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    for (answer, code, hooks) in [
        (0x40, 0, &[][..]),
        (0x40, 16, &[Hook::MessageDropped]),
        (0x40, 151, &[Hook::MessageRefused]),
        (0x40, 135, &[Hook::ClientAuthorized, Hook::MessageRefused]),
        (0x50, 16, &[Hook::MessageDropped]),
        (0x50, 144, &[Hook::MessageRefused]),
    ] {
        let first = if answer == 0x40 { 0x32 } else { 0x34 };
        pass(&mut client, C, first, b"\0\x01t\0\x07\0x", &recorder);
        assert_eq!(recorder.hooks(), [Hook::MessagePublish]);
        pass(&mut client, U, answer, &[0, 7, code], &recorder);
        assert_eq!(recorder.hooks(), hooks, "{code}");
        pass(&mut client, U, 0x70, &[0, 7], &recorder);
        assert_eq!(recorder.hooks(), []);
    }
    assert_eq!(client.kept(), 0);
}

#[test]
fn a_receiver_may_refuse() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    pass(&mut client, U, 0x32, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x40, &[0, 7, 131], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut client, U, 0x34, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x50, &[0, 7, 131], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut client, U, 0x34, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x50, &[0, 7], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered]);
    pass(&mut client, C, 0x70, &[0, 7], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageAcked]);
    assert_eq!(client.kept(), 0);
}

#[test]
fn aliases_beyond_what_was_agreed_are_faults() {
    for (from, alias) in [(C, 0), (C, 11), (C, 5), (U, 11), (U, 5)] {
        let recorder = Recorder::new();
        let mut client = open(5, &recorder);
        let body = [b"\0\0\x03\x23\0", &[alias][..], b"x"].concat();
        pass(&mut client, from, 0x30, &body, &recorder);
        assert_eq!(recorder.hooks(), []);
        assert_eq!(*recorder.counted.borrow(), [Counter::InvalidPacket]);
        client.end(EndCause::UpstreamClosed, &recorder);
        let (reason, _) = recorder.ends()[0];
        assert_eq!(reason == EndReason::ProtocolError, from == C);
    }
}

#[test]
fn all_identifiers_may_be_under_way_at_once() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut client, U, 0x34, &[0, 1, b't', high, low, 0], &recorder);
        pass(&mut client, C, 0x34, &[0, 1, b't', high, low, 0], &recorder);
        pass(&mut client, C, 0x82, &[high, low, 0, 0, 1, b't', 0], &recorder);
        recorder.hooks();
        assert!(client.kept() <= 2 * MAX_PENDING_BYTES);
    }
    assert!(recorder.counted.borrow().contains(&Counter::Forgotten));
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut client, C, 0x50, &[high, low], &recorder);
        pass(&mut client, C, 0x70, &[high, low], &recorder);
        pass(&mut client, U, 0x50, &[high, low], &recorder);
        pass(&mut client, U, 0x70, &[high, low], &recorder);
        pass(&mut client, U, 0x90, &[high, low, 0, 128], &recorder);
        recorder.hooks();
    }
    assert_eq!(client.kept(), 0);
}

#[test]
fn a_publish_asks_for_interest_once() {
    let needs_no_event = Recorder::interested(&[Hook::ClientConnected]);
    let events: Recorder = Recorder::new();
    for recorder in [&needs_no_event, &events] {
        for version in [4, 5] {
            let mut client = open(version, recorder);
            let aliased: &[u8] = b"\0\x01t\x03\x23\0\x01x";
            let plain: &[u8] = if version == 5 { b"\0\x01t\0x" } else { b"\0\x01tx" };
            for (from, first, body) in [(C, 0x30, plain), (U, 0x30, plain), (C, 0x30, aliased)] {
                recorder.look_ups.set(0);
                pass(&mut client, from, first, body, recorder);
                assert_eq!(recorder.look_ups.get(), 1, "{from:?} {body:?}");
            }
        }
    }
}
