//! Tests of the texts and bodies of batches.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn texts_of_a_batching() {
    let of = |text: &str| text.parse::<Batching>();
    assert_eq!(of(""), Ok(Batching::default()));
    let all = Batching {
        format: BatchFormat::CloudEvents,
        max_events: 10_000,
        max_bytes: 64 << 20,
        max_delay: Duration::from_secs(60),
    };
    assert_eq!(
        of("format=cloudevents max_events=10000 max_bytes=64MiB max_delay=1m"),
        Ok(all)
    );
    assert_eq!(of("max_delay=0s").map(|found| found.max_delay), Ok(Duration::ZERO));
    for (text, error) in [
        ("ndjson", BatchingError::Key),
        ("events=1", BatchingError::Key),
        ("format=json", BatchingError::Format),
        ("max_events=0", BatchingError::Events),
        ("max_events=10001", BatchingError::Events),
        ("max_events=-1", BatchingError::Events),
        ("max_bytes=1", BatchingError::Bytes),
        ("max_bytes=1KB max_bytes=65MiB", BatchingError::Bytes),
        ("max_delay=61s", BatchingError::Delay),
        ("max_delay=20", BatchingError::Delay),
    ] {
        assert_eq!(of(text), Err(error), "{text}");
    }
}

#[test]
fn bodies_of_a_batch() {
    let bodies = [
        Bytes::from_static(b"{\"a\":\r\n1}"),
        Bytes::from_static(b"\"two\""),
        Bytes::from_static(b" 3\n"),
    ];
    for (format, count, expected) in [
        (BatchFormat::JsonArray, 3, "[{\"a\":\r\n1},\"two\", 3\n]"),
        (BatchFormat::CloudEvents, 1, "[{\"a\":\r\n1}]"),
        (BatchFormat::Ndjson, 3, "{\"a\":  1}\n\"two\"\n 3 \n"),
    ] {
        let joined = format.join(bodies.iter().take(count));
        assert_eq!(joined, expected);
        let most: usize = bodies.iter().take(count).map(|body| format.bytes_of(body.len())).sum();
        assert!(joined.len() <= most + 1, "{format:?}");
    }
}

#[test]
fn what_is_not_one_json_value_stays_out() {
    for (body, json, event) in [
        ("{\"a\":[1,null,\"\\u00e9\"]} ", true, true),
        (" \n{}", true, true),
        ("[{}]", true, false),
        ("1", true, false),
        ("", false, false),
        ("{", false, false),
        ("1},{\"forged\":2", false, false),
        ("1,2", false, false),
        ("{}{}", false, false),
        ("on", false, false),
        ("{\"a\":\"\n\"}", false, false),
    ] {
        assert_eq!(BatchFormat::JsonArray.check(body.as_bytes()).is_ok(), json, "{body}");
        assert_eq!(BatchFormat::Ndjson.check(body.as_bytes()).is_ok(), json, "{body}");
        assert_eq!(BatchFormat::CloudEvents.check(body.as_bytes()).is_ok(), event, "{body}");
    }
    assert!(BatchFormat::Ndjson.check(b"\"\xff\"").is_err(), "not UTF-8");
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    drop(BatchFormat::JsonArray.check(&deep));
}

proptest! {
    #[test]
    fn a_batching_survives_its_text(
        format in prop::sample::select(BatchFormat::NAMES.map(|(_, format)| format).to_vec()),
        max_events in 1..=10_000_usize,
        max_bytes in 1024..=(64_usize << 20),
        delay in 0..=60_000_u64,
    ) {
        let max_delay = Duration::from_millis(delay);
        let batching = Batching { format, max_events, max_bytes, max_delay };
        prop_assert_eq!(batching.to_string().parse(), Ok(batching));
    }

    /// A receiver reads what was sent, whatever the values contain.
    #[test]
    fn a_batch_has_one_element_per_body(texts in prop::collection::vec(any::<String>(), 0..9), pretty: bool) {
        let values: Vec<Value> = texts.iter().map(|text| serde_json::json!({ "text": text })).collect();
        let bodies: Vec<Bytes> = values
            .iter()
            .map(|value| match pretty {
                true => serde_json::to_string_pretty(value).unwrap().into(),
                false => value.to_string().into(),
            })
            .collect();
        prop_assert!(bodies.iter().all(|body| BatchFormat::CloudEvents.check(body).is_ok()));
        let array: Vec<Value> = serde_json::from_slice(&BatchFormat::JsonArray.join(bodies.iter())).unwrap();
        prop_assert_eq!(&array, &values);
        let lines = BatchFormat::Ndjson.join(bodies.iter());
        let lines = std::str::from_utf8(&lines).unwrap().lines();
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&lines, &values);
    }
}
