mod arbitrary;

use proptest::prelude::*;

use super::*;
use crate::Bytes;

use arbitrary::arbitrary;

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
            if let Err(problem) = read(&line.into_iter().collect::<String>(), Id(0)) {
                prop_assert!(!problem.text.is_empty());
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
        let written = write(&read(line, Id(1)).unwrap_or_else(|problem| panic!("{line}: {problem:?}")));
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
fn an_error_has_a_path_and_a_remedy() {
    for (line, expected) in [
        ("{", "is not JSON at column 1: EOF while parsing an object"),
        (r#"{"hook":"x",}"#, "is not JSON at column 13: trailing comma"),
        ("[]", "invalid type: sequence, expected an object"),
        ("{}", "missing field `hook`"),
        (r#"{"hook":5}"#, "hook: invalid type: integer `5`, expected a string"),
        (
            r#"{"hook":"message.publish"}"#,
            "hook: unknown name `message.publish`; did you mean `message-publish`?",
        ),
        (
            r#"{"hook":"nonsense"}"#,
            "hook: unknown name `nonsense`, expected one of `client-connect`, `client-connack`, `client-connected`, `client-disconnected`, `client-authenticated`, `client-authorized`, `client-subscribe`, `client-unsubscribe`, `session-created`, `session-resumed`, `session-subscribed`, `session-unsubscribed`, `session-discarded`, `session-taken-over`, `session-terminated`, `message-publish`, `message-delivered`, `message-acked`, `message-dropped`, `message-refused`, `delivery-dropped`, `message-queued`, `delivery-lost`, `other`",
        ),
        (r#"{"hook":"message-publish"}"#, "message: missing field `topic`"),
        (
            r#"{"hook":"message-publish","mesage":{"topic":"t"}}"#,
            "mesage: unknown key `mesage`; did you mean `message`?",
        ),
        (
            r#"{"hook":"message-publish","delivery":{},"message":{"topic":"t"}}"#,
            "delivery: unknown key `delivery`, expected one of `id`, `at`, `utc_offset`, `hook`, `message`, `extras`",
        ),
        (
            r#"{"id":"xyz","hook":"client-connected"}"#,
            "id: must be 1 to 32 hex digits",
        ),
        (
            r#"{"at":-1,"hook":"client-connected"}"#,
            "at: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615",
        ),
        (
            r#"{"utc_offset":1.5,"hook":"client-connected"}"#,
            "utc_offset: invalid type: floating point `1.5`, expected a whole number from -32768 to 32767",
        ),
        (
            r#"{"hook":"client-connected","extras":{}}"#,
            "extras: invalid type: map, expected a sequence",
        ),
        (
            r#"{"hook":"client-connected","connack":{"connection":{"client":{"id":"c","peer":"nowhere"}}}}"#,
            r#"connack.connection.client.peer: must be an address such as "127.0.0.1:50716""#,
        ),
        (
            r#"{"hook":"client-connected","connack":{"connection":{"client":5}}}"#,
            "connack.connection.client: invalid type: integer `5`, expected a client, as an object or its id alone",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","origin":"clint"}}"#,
            "message.origin: unknown name `clint`; did you mean `client`?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload":5}}"#,
            "message.payload: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","qos":"1"}}"#,
            r#"message.qos: invalid type: string "1", expected a whole number from 0 to 255"#,
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","qos":300}}"#,
            "message.qos: invalid value: integer `300`, expected a whole number from 0 to 255",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","retain":0}}"#,
            "message.retain: invalid type: integer `0`, expected a boolean",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","topik":"t"}}"#,
            "message.topik: unknown key `topik`; did you mean `topic`?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload":"a","payload_base64":"YQ=="}}"#,
            "message: has both payload and payload_base64; one of them is enough",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload_base64":"?"}}"#,
            "message.payload_base64: is not base64: Invalid symbol 63, offset 0.",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","payload_b64":"YQ=="}}"#,
            "message.payload_b64: unknown key `payload_b64`; did you mean `payload_base64`?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"standard":[{"content-typ":"x"}]}}}"#,
            "message.properties.standard.0: unknown key `content-typ`; did you mean `content-type`?",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"standard":[{"topic-alias":1},{}]}}}"#,
            "message.properties.standard.1: invalid length 0, expected an object with one key, the name of a property",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"standard":[{"topic-alias":70000}]}}}"#,
            "message.properties.standard.0.topic-alias: invalid value: integer `70000`, expected a whole number from 0 to 65535",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"user":[["a","b"],["a"]]}}}"#,
            "message.properties.user.1: invalid length 1, expected a tuple of size 2",
        ),
        (
            r#"{"hook":"message-publish","message":{"topic":"t","properties":{"user":[["a",1]]}}}"#,
            "message.properties.user.0.1: invalid type: integer `1`, expected a string",
        ),
        (
            r#"{"hook":"message-dropped","message_drop":{"message":{"topic":"t"}}}"#,
            "message_drop: missing field `reason`",
        ),
        (
            r#"{"hook":"session-created","session":[]}"#,
            "session: must not be a list",
        ),
        (
            r#"{"hook":"session-created","session":5}"#,
            "session: invalid type: integer `5`, expected an object",
        ),
        (
            r#"{"hook":{"session-created":null}}"#,
            "hook: invalid type: map, expected a string",
        ),
        (
            r#"{"hook":"session-created","session":{"client":{"username":"u"}}}"#,
            "session.client: missing field `id`",
        ),
    ] {
        let Problem { key, text } = read(line, Id(1)).unwrap_err();
        let separator = if key.is_empty() { "" } else { ": " };
        assert_eq!(format!("{key}{separator}{text}"), expected, "{line}");
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
        "line 4: hook: invalid type: integer `1`, expected a string"
    );
}

#[test]
fn names_are_those_of_the_contract() {
    let contract = include_str!("../../../../../../wit/hook.wit");
    for hook in Hook::ALL {
        assert_eq!(hook_name(hook), hook.name().replace('.', "-"));
        let record = record_key(hook).replace('_', "-");
        let case = format!("\n    {}({record}),\n", hook_name(hook));
        assert!(contract.contains(&case), "{case}");
    }
}

/// Every example of the page is read, and every key of the form is on it.
#[test]
fn the_page_is_right() {
    let page = include_str!("../../../../../../docs/events.md");
    let mut examples = 0;
    for block in page.split("```ndjson\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for event in lines(block) {
            event.unwrap_or_else(|error| panic!("{error}\nin\n{block}"));
            examples += 1;
        }
    }
    assert!(examples > 5);
    for hook in Hook::ALL {
        for word in [format!("`{}`", hook_name(hook)), format!("`{}`", record_key(hook))] {
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

macro_rules! word_tables {
    ($(#[doc = $about:literal] $enum:ident {
        $(#[doc = $meaning:literal] $variant:ident = $name:literal,)+
    })+) => {
        /// For each enum what it says, and its names with their meanings.
        const WORDS: &[(&str, &[(&str, &str)])] = &[$(($about, &[$(($name, $meaning)),+])),+];
    };
}
crate::with_enums!(word_tables);

macro_rules! property_table {
    ($(#[doc = $meaning:literal] $variant:ident($type:ident) = $name:literal,)+) => {
        const PROPERTIES: &[(&str, &str, &str)] = &[$(($name, stringify!($type), $meaning)),+];
    };
}
crate::with_properties!(property_table);

/// The page has the tables of words as the code has them.
#[test]
fn the_page_has_all_words_and_their_meanings() {
    let page = include_str!("../../../../../../docs/events.md");
    let mut tables: Vec<_> = WORDS
        .iter()
        .map(|(about, words)| {
            let rows = words.iter().map(|(name, meaning)| format!("| `{name}` |{meaning} |"));
            let rows = rows.collect::<Vec<_>>().join("\n");
            format!("|{} | meaning |\n| --- | --- |\n{rows}\n", about.trim_end_matches('.'))
        })
        .collect();
    let rows = PROPERTIES.iter().map(|(name, form, meaning)| {
        let form = match *form {
            "bool" => "true or false",
            "ByteString" => "text",
            "Bytes" => "bytes",
            _ => "number",
        };
        format!("| `{name}` | {form} |{meaning} |\n")
    });
    tables.push(format!(
        "| property | value | meaning |\n| --- | --- | --- |\n{}",
        rows.collect::<String>()
    ));
    for table in tables {
        assert!(page.contains(&table), "docs/events.md must contain\n{table}");
    }
}
