//! Tests of `mqtt:` URLs.

use std::sync::Mutex;

use super::*;

/// Records the messages that it gets, and publishes none of them.
#[derive(Default)]
struct Kept(Mutex<Vec<Publication>>);

impl Publisher for Kept {
    fn publish(&self, message: Publication) -> Publishing {
        let result = match message.topic.as_str() {
            "bad" => Err(PublishFailure::Invalid("bad".to_owned())),
            "down" => Err(PublishFailure::Failed("down".to_owned())),
            _ => Ok(()),
        };
        self.0.lock().unwrap().push(message);
        Box::pin(std::future::ready(result))
    }
}

fn attempt(rest: &str, headers: &[(&str, &str)], republishes: u8) -> Result<(Outcome, Option<Publication>), String> {
    let kept = Arc::new(Kept::default());
    let publisher: Arc<dyn Publisher> = Arc::clone(&kept) as Arc<dyn Publisher>;
    let target = MessageTarget::parse(rest, &publisher)?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(target.attempt("webhook", &headers, Bytes::from_static(b"x"), republishes));
    let published = kept.0.lock().unwrap().pop();
    Ok((outcome, published))
}

#[test]
fn urls_say_how_a_message_is_published() {
    let pairs = |list: &[(&str, &str)]| -> Pairs {
        list.iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    };
    for (rest, topic, qos, retain, sender, properties) in [
        ("a/b", "a/b", 0, false, "webhook", &[("x", "y")][..]),
        (
            "%2Fa%20b%3F?qos=1&retain=true&sender=r%201",
            "/a b?",
            1,
            true,
            "r 1",
            &[("x", "y")],
        ),
        (
            "a?qos=undefined&retain=&sender=",
            "a",
            0,
            false,
            "webhook",
            &[("x", "y")],
        ),
        (
            "a?qos=2&retain=0&user_properties=undefined",
            "a",
            2,
            false,
            "webhook",
            &[("x", "y")],
        ),
        (
            "a?user_properties=%7B%22k%22%3A%5B%22v%22%2C2%5D%7D",
            "a",
            0,
            false,
            "webhook",
            &[("k", "v"), ("k", "2"), ("x", "y")],
        ),
        (
            "a?user_properties=[{\"key\":\"k\",\"value\":\"v\"}]",
            "a",
            0,
            false,
            "webhook",
            &[("k", "v"), ("x", "y")],
        ),
    ] {
        let expected = Publication {
            sender: sender.to_owned(),
            topic: topic.to_owned(),
            payload: Bytes::from_static(b"x"),
            qos,
            retain,
            properties: Properties {
                standard: Vec::new(),
                user: pairs(properties),
            },
            republishes: 1,
        };
        assert_eq!(
            attempt(rest, &[("x", "y")], 1),
            Ok((Outcome::Accepted(None), Some(expected))),
            "{rest}"
        );
    }
}

#[test]
fn urls_have_properties() {
    let rest = "a?content_type=text%2Fplain&response_topic=re/1&correlation_data=%C3%A9&message_expiry_interval=60\
                &payload_format_indicator=1";
    let expected = [
        Property::ContentType("text/plain".into()),
        Property::ResponseTopic("re/1".into()),
        Property::CorrelationData(Bytes::from_static("é".as_bytes())),
        Property::MessageExpiryInterval(60),
        Property::PayloadFormatIndicator(1),
    ];
    assert_eq!(attempt(rest, &[], 1).unwrap().1.unwrap().properties.standard, expected);
    let missing = "a?content_type=undefined&message_expiry_interval=";
    assert_eq!(
        attempt(missing, &[], 1).unwrap().1.unwrap().properties,
        Properties::default()
    );
}

#[test]
fn invalid_urls_say_why() {
    for (rest, error) in [
        (
            "a?message_expiry_interval=1m",
            "`message_expiry_interval` of an mqtt: URL should be a number of seconds",
        ),
        (
            "a?payload_format_indicator=2",
            "`payload_format_indicator` of an mqtt: URL should be 0 or 1",
        ),
        ("a%2", "`%` in an mqtt: URL needs two hex digits after it"),
        ("a%ff", "the topic of an mqtt: URL is not UTF-8"),
        ("a?qos=3", "`qos` of an mqtt: URL should be 0, 1 or 2"),
        ("a?retain=yes", "`retain` of an mqtt: URL should be true or false"),
        (
            "a?user_properties=1",
            "`user_properties` of an mqtt: URL should be a JSON object",
        ),
        (
            "a?qs=1",
            "an mqtt: URL has the parameters qos, retain, sender, user_properties, content_type, response_topic, \
             correlation_data, message_expiry_interval, payload_format_indicator only",
        ),
    ] {
        assert_eq!(attempt(rest, &[], 1), Err(error.to_owned()), "{rest}");
    }
}

#[test]
fn failures_are_retried_and_mistakes_and_loops_are_not() {
    let outcome = |rest, republishes| attempt(rest, &[], republishes).unwrap();
    assert_eq!(outcome("down", 1).0, Outcome::Failed("down".to_owned()));
    assert_eq!(outcome("bad", 1).0, Outcome::Invalid("bad".to_owned()));
    assert_eq!(outcome("a", MAX_REPUBLISHES).0, Outcome::Accepted(None));
    let (looped, published) = outcome("a", MAX_REPUBLISHES + 1);
    assert!(matches!(looped, Outcome::Invalid(_)) && published.is_none());
}
