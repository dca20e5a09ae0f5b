use proptest::prelude::*;

use super::*;
use crate::{ByteString, Bytes, Detail, Millis};

/// Values chosen by a list of numbers; what is beyond its end is zero.
pub(super) struct Choices(std::vec::IntoIter<u64>);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0.next().unwrap_or(0)
    }

    pub(super) fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.next() as usize % values.len()].clone()
    }
}

/// Any value whatever. For records, enums and properties the tables of the form say what there is; the compiler sees
/// to it that they are complete.
pub(super) trait Arbitrary {
    fn arbitrary(choices: &mut Choices) -> Self;
}

macro_rules! numbers {
    ($($type:ident),*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(choices: &mut Choices) -> $type {
                let any = choices.next() as $type;
                choices.one_of(&[any, $type::MIN, $type::MAX])
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i16);

impl Arbitrary for bool {
    fn arbitrary(choices: &mut Choices) -> bool {
        choices.one_of(&[false, true])
    }
}

impl Arbitrary for ByteString {
    fn arbitrary(choices: &mut Choices) -> ByteString {
        choices
            .one_of(&["", "a/b", "\"\\\n\0\u{1b}", "温度 😀", "null", "{}"])
            .into()
    }
}

impl Arbitrary for Bytes {
    fn arbitrary(choices: &mut Choices) -> Bytes {
        let any = choices.next().to_be_bytes();
        choices
            .one_of(&[&any[..], b"", b"21.5", b"\xff", b"\0", "é".as_bytes()])
            .to_vec()
            .into()
    }
}

impl Arbitrary for Millis {
    fn arbitrary(choices: &mut Choices) -> Millis {
        Millis(u64::arbitrary(choices))
    }
}

impl Arbitrary for Id {
    fn arbitrary(choices: &mut Choices) -> Id {
        Id(u128::from(choices.next()) << 64 | u128::from(choices.next()))
    }
}

impl Arbitrary for std::net::SocketAddr {
    fn arbitrary(choices: &mut Choices) -> std::net::SocketAddr {
        let address = ["10.0.0.5:50716", "[::1]:1883", "[::ffff:10.0.0.5]:0", "[fe80::1%3]:1"];
        choices.one_of(&address).parse().unwrap()
    }
}

impl<T: Arbitrary> Arbitrary for Box<T> {
    fn arbitrary(choices: &mut Choices) -> Box<T> {
        Box::new(T::arbitrary(choices))
    }
}

impl<T: Arbitrary> Arbitrary for Option<T> {
    fn arbitrary(choices: &mut Choices) -> Option<T> {
        bool::arbitrary(choices).then(|| T::arbitrary(choices))
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    fn arbitrary(choices: &mut Choices) -> Vec<T> {
        (0..choices.next() % 4).map(|_| T::arbitrary(choices)).collect()
    }
}

impl<A: Arbitrary, B: Arbitrary> Arbitrary for (A, B) {
    fn arbitrary(choices: &mut Choices) -> (A, B) {
        (A::arbitrary(choices), B::arbitrary(choices))
    }
}

fn arbitrary(hook: Hook, numbers: Vec<u64>) -> Event {
    let mut choices = Choices(numbers.into_iter());
    Event {
        id: Arbitrary::arbitrary(&mut choices),
        at: Arbitrary::arbitrary(&mut choices),
        utc_offset: Arbitrary::arbitrary(&mut choices),
        detail: event::arbitrary_detail(hook, &mut choices),
        extras: Arbitrary::arbitrary(&mut choices),
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_on_the_way(numbers in proptest::collection::vec(any::<u64>(), 0..200)) {
        for hook in Hook::ALL {
            let event = arbitrary(hook, numbers.clone());
            let line = write(&event);
            prop_assert!(!line.contains('\n'), "{}", line);
            prop_assert_eq!(read(&line, Id(0)).unwrap(), event, "{}", line);
        }
    }

    /// Whatever is cut out of a line, the reader says something about it and does not fall over.
    #[test]
    fn damaged_lines_are_errors_or_events(numbers in proptest::collection::vec(any::<u64>(), 0..60), at in 0usize..2000, length in 1usize..20) {
        for hook in Hook::ALL {
            let mut line: Vec<char> = write(&arbitrary(hook, numbers.clone())).chars().collect();
            let at = at % line.len();
            line.drain(at..(at + length).min(line.len()));
            if let Err(problems) = read(&line.into_iter().collect::<String>(), Id(0)) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}

#[test]
fn a_publish_in_full() {
    let line = concat!(
        r#"{"id":"0000000000000000000000000000ABCD","at":1790000001000,"utc_offset":120,"hook":"message-publish","#,
        r#""message":{"id":"00000000000000000000000000000001","publisher":{"id":"k7","username":"u","#,
        r#""peer":"10.0.0.5:50716","protocol_version":5,"node":{"name":"n@h","id":2},"attributes":[["tenant","t"]]},"#,
        r#""origin":"client","topic":"devices/k7/temp","payload":"21.5","qos":1,"retain":false,"dup":false,"#,
        r#""packet_id":7,"received_at":1790000000998,"properties":{"standard":[{"content-type":"text/plain"},"#,
        r#"{"correlation-data-base64":"/w=="}],"user":[["a","1"],["a","2"]]}},"extras":[["k","v"]]}"#,
    );
    let event = read(line, Id(0)).unwrap();
    let Detail::MessagePublish(message) = &event.detail else {
        panic!("{event:?}");
    };
    assert_eq!(
        (event.id, event.at, event.utc_offset),
        (Id(0xABCD), Millis(1_790_000_001_000), 120)
    );
    assert_eq!(
        (&*message.topic, &message.payload[..], message.packet_id),
        ("devices/k7/temp", &b"21.5"[..], Some(7))
    );
    assert_eq!(message.publisher.peer, Some("10.0.0.5:50716".parse().unwrap()));
    assert_eq!(message.publisher.node.as_deref().unwrap().id, 2);
    let properties = message.properties.as_deref().unwrap();
    assert_eq!(
        properties.standard,
        [
            crate::Property::ContentType("text/plain".into()),
            crate::Property::CorrelationData(Bytes::from_static(b"\xff")),
        ]
    );
    assert_eq!(properties.user.len(), 2);
    assert_eq!(write(&event), line);
}

#[test]
fn little_has_to_be_said() {
    let line = r#"{"hook":"message-publish","message":{"topic":"a/b","payload":"x"}}"#;
    let expected = concat!(
        r#"{"id":"00000000000000000000000000000003","at":1790000001000,"utc_offset":0,"hook":"message-publish","#,
        r#""message":{"id":"00000000000000000000000000000003","publisher":{"id":"publisher","protocol_version":4},"#,
        r#""origin":"client","topic":"a/b","payload":"x","qos":0,"retain":false,"dup":false,"#,
        r#""received_at":1790000001000}}"#,
    );
    assert_eq!(write(&read(line, Id(3)).unwrap()), expected);
    for (line, part) in [
        (
            r#"{"hook":"client-connected"}"#,
            r#""hook":"client-connected","connack":{"connection":{"client":{"id":"client","protocol_version":4},"listener":"tcp","transport":"tcp","protocol_name":"MQTT","bridge":false,"keep_alive":60,"clean_start":true,"session_expiry":0,"receive_maximum":65535},"code":0,"session_present":false}}"#,
        ),
        (
            r#"{"at":5,"hook":"client-disconnected","disconnection":{"end":{"reason":"kicked"}}}"#,
            r#""end":{"reason":"kicked"},"disconnected_at":5}}"#,
        ),
        (
            r#"{"id":"ab","hook":"message-delivered","delivery":{"receiver":"r1","message":{"topic":"t","publisher":"p1"}}}"#,
            r#""delivery":{"receiver":{"id":"r1","protocol_version":4},"message":{"id":"000000000000000000000000000000AB","publisher":{"id":"p1","protocol_version":4}"#,
        ),
        (
            r#"{"hook":"session-subscribed","subscription":{"filter":"a/#","properties":null}}"#,
            r#""subscription":{"client":{"id":"client","protocol_version":4},"filter":"a/#","qos":0,"no_local":false,"retain_as_published":false,"retain_handling":0,"code":0,"is_new":true}}"#,
        ),
        (
            r#"{"hook":"other","other_event":{"name":"client.ping"}}"#,
            r#""other_event":{"name":"client.ping","data":"{}"}}"#,
        ),
    ] {
        let written = write(&read(line, Id(1)).unwrap_or_else(|problems| panic!("{line}: {problems}")));
        assert!(written.contains(part), "{written}\nlacks {part}");
    }
}

#[test]
fn what_is_no_text_is_base64() {
    let line = r#"{"hook":"message-publish","message":{"topic":"t","payload_base64":"AP8="}}"#;
    let event = read(line, Id(1)).unwrap();
    assert!(matches!(&event.detail, Detail::MessagePublish(message) if message.payload[..] == [0, 255]));
    assert!(write(&event).contains(r#""payload_base64":"AP8=""#));
}

#[test]
fn mistakes_are_told_all_at_once_with_their_path() {
    for (line, expected) in [
        ("{", "is not JSON at column 1: EOF while parsing an object"),
        (r#"{"hook":"x",}"#, "is not JSON at column 13: trailing comma"),
        ("[]", "is a list, but must be an object"),
        (
            "{}",
            r#"hook: is missing; it says what happened, such as "message-publish""#,
        ),
        (r#"{"hook":5}"#, "hook: is a number, but must be a text"),
        (
            r#"{"hook":"message.publish"}"#,
            "hook: 'message.publish' is not a hook; did you mean message-publish?",
        ),
        (r#"{"hook":"message-publish"}"#, "message.topic: is missing"),
        (
            r#"{"hook":"message-publish","mesage":{"topic":"t"}}"#,
            "message.topic: is missing\nmesage: is not a key of a message-publish event; did you mean message?",
        ),
        (
            r#"{"hook":"message-publish","delivery":{},"message":{"topic":"t"}}"#,
            "delivery: is not a key of a message-publish event; known are id, at, utc_offset, hook, message, extras",
        ),
        (
            r#"{"id":"xyz","at":-1,"utc_offset":1.5,"hook":"message-publish","message":{"topik":"t","qos":"1","retain":0,"payload":5,"origin":"clint","publisher":{"id":"c","peer":"nowhere"}},"extras":{}}"#,
            "id: must be 1 to 32 hex digits\n\
             at: must be a whole number from 0 to 18446744073709551615\n\
             utc_offset: must be a whole number from -32768 to 32767\n\
             extras: is an object, but must be a list\n\
             message.publisher.peer: must be an address such as \"127.0.0.1:50716\"\n\
             message.origin: 'clint' is not an origin; did you mean client?\n\
             message.topic: is missing\n\
             message.payload: is a number, but must be a text\n\
             message.qos: must be a whole number from 0 to 255\n\
             message.retain: is a number, but must be true or false\n\
             message.topik: is not a key of a message; did you mean topic?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload":"a","payload_base64":"YQ=="}}"#,
            "message.payload_base64: stands beside payload; one of them is enough",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload_base64":"?"}}"#,
            "message.payload_base64: is not base64: Invalid symbol 63, offset 0.",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload_b64":"YQ=="}}"#,
            "message.payload_b64: is not a key of a message; did you mean payload_base64?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"standard":[{"content-typ":"x"},{},{"topic-alias":70000}],"user":[["a"],["a",1]]}}}"#,
            "message.properties.standard.0: 'content-typ' is not a property; did you mean content-type?\n\
             message.properties.standard.1: must be an object with one key, the name of a property\n\
             message.properties.standard.2.topic-alias: must be a whole number from 0 to 65535\n\
             message.properties.user.0: must be a name and a value\n\
             message.properties.user.1.1: is a number, but must be a text",
        ),
        (
            r#"{"hook":"message-dropped","message_drop":{"message":{"topic":"t"}}}"#,
            "message_drop.reason: is missing",
        ),
        (
            r#"{"hook":"session-created","session":{"client":{"username":"u"}}}"#,
            "session.client.id: is missing",
        ),
    ] {
        assert_eq!(read(line, Id(1)).unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn a_file_has_one_event_on_each_line() {
    let text = "\n{\"hook\":\"client-connected\"}\r\n  \n{\"hook\":1}\n{\"id\":\"7\",\"hook\":\"client-connected\"}";
    let read: Vec<_> = lines(text).collect();
    let ids: Vec<_> = read
        .iter()
        .map(|line| line.as_ref().map(|event| event.id.0).ok())
        .collect();
    assert_eq!(ids, [Some(2), None, Some(7)]);
    assert_eq!(
        read[1].as_ref().unwrap_err().to_string(),
        "line 4: hook: is a number, but must be a text"
    );
}

#[test]
fn names_are_those_of_the_contract() {
    let contract = include_str!("../../../../../wit/hook.wit");
    for hook in Hook::ALL {
        assert_eq!(hook_name(hook), hook.name().replace('.', "-"));
        let record = event::record(hook).replace('_', "-");
        let case = format!("\n    {}({record}),\n", hook_name(hook));
        assert!(contract.contains(&case), "{case}");
    }
}

/// Every example of the page is read, and every key of the form is on it.
#[test]
fn the_page_is_right() {
    let page = include_str!("../../../../../docs/events.md");
    let mut examples = 0;
    for block in page.split("```ndjson\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for event in lines(block) {
            event.unwrap_or_else(|error| panic!("{error}\nin\n{block}"));
            examples += 1;
        }
    }
    assert!(examples > 5);
    for name in property::NAMES {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
    for hook in Hook::ALL {
        for word in [format!("`{}`", hook_name(hook)), format!("`{}`", event::record(hook))] {
            assert!(page.contains(&word), "{word} is not on the page");
        }
        // Everything that can be said is said by some event.
        let full = write(&arbitrary(hook, vec![3; 4000]));
        let value: Value = serde_json::from_str(&full).unwrap();
        keys(&value, &mut |key| {
            assert!(page.contains(&format!("`{key}`")), "{key} is not on the page")
        });
    }
}

fn keys(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            each(key);
            keys(value, each);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, each)),
        _ => {}
    }
}
