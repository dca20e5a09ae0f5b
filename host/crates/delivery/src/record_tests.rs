//! Tests of the bytes of a request on disk.

use proptest::prelude::*;

use super::super::Batching;
use super::*;

/// A request with a value in each field.
pub(crate) fn request() -> OutboxRequest {
    OutboxRequest {
        id: "0A".into(),
        event: EventSummary {
            hook: "message-publish".into(),
            at: 1_790_000_000_000,
            client: "c".into(),
            topic: "t/1".into(),
        },
        source: "webhook".into(),
        generation: 7,
        method: Method::Patch,
        url: "http://u:p@h/é?x".into(),
        receivers: None,
        via: DestinationSelector::Named("crm".into()),
        reach: Reach::Public,
        headers: vec![("a".into(), "1".into()), ("a".into(), String::new())],
        body: Bytes::from_static(b"\0\xff body"),
        ordering_key: "client".into(),
        batching: Some(Batching {
            max_events: 7,
            ..Batching::default()
        }),
        expires: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123)),
        republishes: 0,
        span: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").map(Box::new),
        ticket: None,
    }
}

#[test]
fn a_record_gives_the_request_back() {
    let empty = OutboxRequest {
        event: EventSummary::default(),
        via: DestinationSelector::Nothing,
        reach: Reach::Anywhere,
        headers: vec![],
        body: Bytes::new(),
        ordering_key: String::new(),
        batching: None,
        expires: None,
        republishes: 3,
        span: None,
        ..request()
    };
    for (method, _) in METHODS {
        for request in [request(), empty.clone()] {
            let request = OutboxRequest { method, ..request };
            assert!(decode(encode(&request)) == Ok(request));
        }
    }
}

/// Byte by byte: a host must be able to read the records of earlier ones.
#[test]
fn the_versions_stay_as_they_are() {
    let request = OutboxRequest {
        id: "i".into(),
        event: EventSummary {
            hook: "e".into(),
            at: 259,
            client: "c".into(),
            topic: "t".into(),
        },
        source: "s".into(),
        url: "u".into(),
        via: DestinationSelector::Named("n".into()),
        headers: vec![("h".into(), "v".into())],
        body: Bytes::from_static(b"b"),
        ordering_key: "k".into(),
        batching: None,
        span: None,
        expires: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(258)),
        ..request()
    };
    let version_1 = b"\x01\x04\x01\x01\x07\0\0\0\x02\x01\0\0\0\0\0\0\x01\0\0\0i\x01\0\0\0s\x01\0\0\0u\x01\0\0\0n\
        \x01\0\0\0k\x01\0\0\0\x01\0\0\0h\x01\0\0\0v\x01\0\0\0b";
    let version_2 = b"\x02\x04\x01\x01\x07\0\0\0\x02\x01\0\0\0\0\0\0\x03\x01\0\0\0\0\0\0\x01\0\0\0e\x01\0\0\0c\
        \x01\0\0\0t\x01\0\0\0i\x01\0\0\0s\x01\0\0\0u\x01\0\0\0n\
        \x01\0\0\0k\x01\0\0\0\x01\0\0\0h\x01\0\0\0v\x01\0\0\0b";
    assert_eq!(encode(&request), &version_2[..]);
    let without_event = OutboxRequest {
        event: EventSummary::default(),
        ..request
    };
    assert!(decode(Bytes::from_static(version_1)) == Ok(without_event));
}

#[test]
fn a_damaged_record_is_an_error() {
    let record = encode(&request());
    for length in 0..record.len() {
        assert!(decode(record.slice(..length)).is_err(), "{length}");
    }
    let mut later = record.to_vec();
    later[0] = 3;
    assert_eq!(decode(later.into()).err(), Some(RecordError::Version(3)));
    let longer = [&record[..], b"x"].concat();
    assert_eq!(decode(longer.into()).err(), Some(RecordError::Damaged));
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode([&[VERSION, 2, 0, 0], &bytes[..]].concat().into()));
    }
}
