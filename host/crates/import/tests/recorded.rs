//! The configuration files of EMQX 4 and 5, and the requests that the brokers sent for them: the rules that hookhost makes of
//! a file send the same requests for the same events.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use hookhost_guest::event::{
    Acknowledgement, Address, Client, Connack, Delivery, Detail, Event, Message, Properties, Property, Subscription,
    Unsubscription,
};
use hookhost_guest::request::{Body, Method, Request};
use hookhost_guest::testing;
use hookhost_guest::topic::TopicFilter;
use hookhost_import::{Input, TextFile, read};
use hookhost_settings::{JsonDates, Report};
use hookhost_webhook::Rules;
use serde_json::{Map, Value as Json};

/// What takes the place of each masked value of a recording.
const MASKS: [(&str, &str); 4] = [
    ("\"<ms>\"", "1790000001002"),
    ("<port>", "1883"),
    ("<node>", "emqx@127.0.0.1"),
    ("<id>", ID),
];

const ID: &str = "0006616D852C8299F44300000EB00004";

/// The first line of a recording and its steps.
///
/// A recording has a lone surrogate `\udcXX` for a byte that is not UTF-8, which JSON in Rust cannot have: U+F7XX is in its
/// place.
fn recording(text: &str) -> (Json, Vec<Json>) {
    let text = text.replace("\\udc", "\\uf7");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    (lines.next().unwrap(), lines.collect())
}

/// A broker's file as hookhost reads it.
struct Converted {
    rules: Rules,
    /// The first URL and the headers of each destination, by its name.
    destinations: BTreeMap<String, (String, BTreeMap<String, String>)>,
}

impl Converted {
    fn new(file: &str, about: &Json) -> Converted {
        let text = about["config"].as_str().unwrap().replace("@SINK@", "43001");
        let file = TextFile {
            path: file.into(),
            text,
        };
        let environment = BTreeMap::new();
        let input = Input {
            file: Some(&file),
            environment: &environment,
            broker: None,
            urls: None,
            files: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let import = read(&input).unwrap();
        assert_eq!((import.findings.problems, import.findings.left_out), (vec![], vec![]));
        let report = Report::default();
        let settings: Map<String, Json> = import
            .settings
            .into_iter()
            .map(|(name, setting)| (name, setting.to_json(&report, JsonDates::Invalid)))
            .collect();
        let mut host = testing::host();
        host.node.name = "emqx@127.0.0.1".into();
        let destinations = settings.get("destinations").and_then(Json::as_object);
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        Converted {
            rules: Rules::parse(&settings["webhook"], &host).unwrap(),
            destinations: destinations
                .into_iter()
                .flatten()
                .map(|(name, destination)| {
                    let headers = destination
                        .get("headers")
                        .and_then(Json::as_object)
                        .into_iter()
                        .flatten();
                    let headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
                    (name.clone(), (text(&destination["urls"][0]), headers))
                })
                .collect(),
        }
    }

    /// The requests for an event, as lines in the form of the recorded ones.
    fn requests(&self, event: &Event) -> Vec<String> {
        let outcome = self.rules.webhooks(event);
        outcome.requests().iter().map(|request| self.line(request)).collect()
    }

    fn line(&self, request: &Request) -> String {
        let mut headers: BTreeMap<String, String> = request.headers.iter().cloned().collect();
        let of_url = || {
            let matching = self.destinations.values();
            let matching = matching.filter(|(prefix, _)| request.url.starts_with(prefix));
            matching.max_by_key(|(prefix, _)| prefix.len())
        };
        let destination = match &request.destination {
            Some(name) => self.destinations.get(name),
            None => of_url(),
        };
        if let Some((_, own)) = destination {
            headers.extend(own.clone());
        }
        // Recordings leave out the headers of the connection.
        headers.retain(|name, _| name != "connection" && name != "keep-alive");
        let method = match request.method {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Get => "GET",
            Method::Delete => "DELETE",
        };
        let path = request.url.trim_start_matches("http://127.0.0.1:43001");
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let body = match &request.body {
            Body::Text(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        };
        format!("{method} {path} {headers:?} {}", body.escape_ascii())
    }
}

/// The recorded requests of a step.
fn recorded(step: &Json, is_compared: impl Fn(&str) -> bool) -> Vec<String> {
    let requests = step["requests"].as_array().unwrap().iter();
    let requests = requests.filter(|request| is_compared(request["path"].as_str().unwrap()));
    let line = |request: &Json| {
        let headers = request["headers"].as_array().unwrap().iter();
        let headers: BTreeMap<&str, &str> = headers
            .map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap()))
            .collect();
        let [method, path] = ["method", "path"].map(|key| request[key].as_str().unwrap());
        let body = unmasked(request["body"].as_str().unwrap_or_default());
        format!("{method} {path} {headers:?} {}", body.escape_ascii())
    };
    requests.map(line).collect()
}

/// The bytes of a recorded body with this test's values for the masked ones.
fn unmasked(body: &str) -> Vec<u8> {
    let mut body = MASKS
        .iter()
        .fold(body.to_owned(), |body, (mask, value)| body.replace(mask, value));
    // Templates have times and ids that are not masked: runs of 13 digits, and of 32 hexadecimal digits.
    for (length, value) in [(13, "1790000001002"), (32, ID)] {
        let runs: Vec<String> = body
            .split(|c: char| !c.is_ascii_digit() && !('A'..='F').contains(&c))
            .filter(|run| run.len() == length && run.bytes().any(|byte| byte.is_ascii_digit()))
            .map(str::to_owned)
            .collect();
        for run in runs {
            body = body.replace(&run, value);
        }
    }
    bytes(&body)
}

/// The bytes of a recorded text, see [`recording`].
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        match u32::from(c) {
            code @ 0xf780..=0xf7ff => bytes.push((code - 0xf700) as u8),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// A client of the recordings, without user name.
fn client(id: &str, protocol_version: u8) -> Client {
    Client {
        peer: Some(Address {
            ip: "127.0.0.1".into(),
            port: 1883,
        }),
        protocol_version,
        ..testing::client(id)
    }
}

/// A publish with QoS 1 of a recorded message.
fn message(of: &Json, publisher: &Client) -> Message {
    let payload = match &of["payload_hex"] {
        Json::String(hex) => (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect(),
        _ => of["payload"].as_str().unwrap().as_bytes().to_vec(),
    };
    let pairs = of["user_properties"].as_array().into_iter().flatten();
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let properties = Properties {
        standard: of["content_type"]
            .as_str()
            .map(|value| Property::ContentType(value.into()))
            .into_iter()
            .collect(),
        user: pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
    };
    Message {
        id: ID.into(),
        publisher: publisher.clone(),
        received_at: testing::AT,
        properties: Some(properties)
            .filter(|properties| !properties.standard.is_empty() || !properties.user.is_empty()),
        ..testing::message(of["topic"].as_str().unwrap(), &payload)
    }
}

/// Compares sets, because EMQX 5 has no order between requests.
#[track_caller]
fn same(mut sent: Vec<String>, mut recorded: Vec<String>, step: &str) {
    sent.sort();
    recorded.sort();
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    let (here, there) = (only(&sent, &recorded), only(&recorded, &sent));
    assert_eq!(
        (&here[..], &there[..]),
        (&[][..], &[][..]),
        "sent by hookhost only, and by EMQX only, in step {step}"
    );
    assert_eq!(sent.len(), recorded.len(), "{step}");
}

#[test]
fn templates_of_emqx_5() {
    let text = include_str!("../../../../guest-sdk/webhook/tests/recorded/emqx5-templates.jsonl");
    let (about, steps) = recording(text);
    let converted = Converted::new("cluster.hocon", &about);
    let publisher = client("pub", 5);
    let mut connection = testing::connection("pub");
    connection.client = publisher.clone();
    let connected = testing::event(Detail::ClientConnected(Connack {
        connection,
        connected_at: Some(testing::AT),
        ..testing::connack("pub")
    }));
    let mut compared = 0;
    for (message_of, step) in about["messages"].as_array().unwrap().iter().zip(&steps) {
        let name = step["step"].as_str().unwrap();
        assert_eq!(message_of["step"], name);
        // EMQX 5 writes the topic into the request line as it is, with its blank, so that the request is not valid HTTP.
        if name == "pt" {
            continue;
        }
        // In step `float` EMQX 5 cannot write a number of this action, and then never sends another of its requests.
        let is_stuck = !["hdr", "json", "json2"].contains(&name);
        let is_compared = |path: &str| !(is_stuck && path == "/b_num");
        let mut sent = Vec::new();
        if name == "hdr" {
            sent.extend(converted.requests(&connected));
        }
        let published = testing::event(Detail::MessagePublish(message(message_of, &publisher)));
        sent.extend(converted.requests(&published));
        sent.retain(|line| is_compared(line.split(' ').nth(1).unwrap()));
        let recorded = recorded(step, is_compared);
        compared += recorded.len();
        same(sent, recorded, name);
    }
    assert_eq!(compared, 264);
}

#[test]
fn local_topics_of_emqx_5() {
    let text = include_str!("../../../../guest-sdk/webhook/tests/recorded/emqx5-local-topic.jsonl");
    let (about, steps) = recording(text);
    let converted = Converted::new("emqx.conf", &about);
    // EMQX 5.8 sends nothing for a bridge of 5.0 whose URL has placeholders. Versions up to 5.3, and hookhost, do.
    // The action `console` prints to EMQX's log, and here to the terminal. The action `republish` is a publish.
    let is_compared = |path: &str| !path.starts_with("/o/") && path != "/stdout:" && !path.starts_with("/mqtt:");
    for (message_of, step) in about["messages"].as_array().unwrap().iter().zip(&steps) {
        let published = testing::event(Detail::MessagePublish(message(message_of, &client("pub", 5))));
        let mut sent = converted.requests(&published);
        sent.retain(|line| is_compared(line.split(' ').nth(1).unwrap()));
        same(sent, recorded(step, is_compared), step["step"].as_str().unwrap());
    }
}

/// The events of a client `c` that subscribes, publishes and unsubscribes, in the order in which EMQX 4 has them.
struct Subscriber {
    filters: Vec<String>,
}

impl Subscriber {
    fn events(&mut self, step: &str) -> Vec<Detail> {
        let client = client("c", 4);
        let (what, rest) = step.split_once(' ').unwrap();
        let (group, filter) = match rest.strip_prefix("$share/") {
            Some(shared) => shared
                .split_once('/')
                .map(|(group, filter)| (Some(group), filter))
                .unwrap(),
            None => (None, rest),
        };
        match what {
            "sub" => {
                self.filters.push(filter.to_owned());
                let subscription = Subscription {
                    client,
                    group: group.map(str::to_owned),
                    ..testing::subscription(filter)
                };
                vec![
                    Detail::ClientSubscribe(subscription.clone()),
                    Detail::SessionSubscribed(subscription),
                ]
            }
            "unsub" => {
                let unsubscription = Unsubscription {
                    client,
                    ..testing::unsubscription(filter)
                };
                vec![
                    Detail::ClientUnsubscribe(unsubscription.clone()),
                    Detail::SessionUnsubscribed(unsubscription),
                ]
            }
            _ => self.published(rest, client),
        }
    }

    /// One delivery, and then its acknowledgement, for each subscription.
    fn published(&self, topic_and_payload: &str, client: Client) -> Vec<Detail> {
        let (topic, payload) = match topic_and_payload.split_once(" b'") {
            Some((topic, python)) => (topic, python_bytes(python.trim_end_matches('\''))),
            None => (topic_and_payload, b"x".to_vec()),
        };
        let message = Message {
            publisher: client.clone(),
            received_at: testing::AT,
            ..testing::message(topic, &payload)
        };
        let matches = |filter: &&String| filter.parse::<TopicFilter>().unwrap().matches(topic);
        let count = self.filters.iter().filter(matches).count();
        let delivery = Delivery {
            receiver: client,
            message: message.clone(),
            ..testing::delivery(topic, &payload)
        };
        let delivered = std::iter::repeat_n(Detail::MessageDelivered(delivery.clone()), count);
        let acknowledgement = Acknowledgement {
            delivery,
            code: 0,
            properties: None,
        };
        let acked = std::iter::repeat_n(Detail::MessageAcked(acknowledgement), count);
        std::iter::once(Detail::MessagePublish(message))
            .chain(delivered)
            .chain(acked)
            .collect()
    }
}

/// The bytes of a text as Python writes them, with `\xNN` for those that are not ASCII.
fn python_bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[test]
fn filters_and_encodings_of_emqx_4() {
    let text = include_str!("../../../../guest-sdk/webhook/tests/recorded/emqx4-filters.jsonl");
    let (mut about, steps) = recording(text);
    // EMQX 4 accepts a filter that matches nothing; hookhost reports it.
    let invalid = "web.hook.rule.message.publish.5 = {\"topic\": \"#x/y\", \"action\": \"on_message_publish\"}\n";
    let config = about["config"].as_str().unwrap();
    assert!(config.contains(invalid));
    about["config"] = config.replace(invalid, "").into();
    let converted = Converted::new("emqx_web_hook.conf", &about);
    let mut subscriber = Subscriber { filters: Vec::new() };
    for step in &steps {
        let name = step["step"].as_str().unwrap();
        let events = subscriber.events(name).into_iter().map(testing::event);
        let sent: Vec<String> = events.flat_map(|event| converted.requests(&event)).collect();
        assert_eq!(sent, recorded(step, |_| true), "{name}");
    }
    assert_eq!(steps.len(), 29);
}
