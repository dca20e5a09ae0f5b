//! `mqtt:` destinations: each request is published as a message on this host.
//!
//! The URL is `mqtt:TOPIC?qos=1&retain=true`, percent-encoded; see [`MessageTarget::parse`]. The body is the payload, and
//! headers are user properties. Delivery publishes nothing itself: the host gives it a [`Publisher`].

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hookhost_event::{ByteString, Pairs, Properties, Property};
use serde_json::Value;

use super::file::decode;
use super::retry::Outcome;

/// How often a message may have been published by modules before: a message that a module publishes because of a message
/// that a module published, and so on. Above it the request is dropped, because modules answer each other without end.
pub const MAX_REPUBLISHES: u8 = 8;

/// The parameters of an `mqtt:` URL.
const PARAMETERS: [&str; 9] = [
    "qos",
    "retain",
    "sender",
    "user_properties",
    "content_type",
    "response_topic",
    "correlation_data",
    "message_expiry_interval",
    "payload_format_indicator",
];

/// A message to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The client id of the publisher in events.
    pub sender: String,
    /// Topic, as the request gives it; the publisher checks it.
    pub topic: String,
    /// The bytes.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// Properties; repeated names of user properties are sent repeatedly.
    pub properties: Properties,
    /// How many messages of modules led to it, itself included.
    pub republishes: u8,
}

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishFailure {
    /// The message is invalid; another attempt would fail, too.
    Invalid(String),
    /// Another attempt may succeed.
    Failed(String),
}

/// The result of a publish, which is there later.
pub type Publishing = Pin<Box<dyn Future<Output = Result<(), PublishFailure>> + Send>>;

/// Publishes messages on the host.
pub trait Publisher: Send + Sync {
    /// Publishes a message. The future may be dropped at a timeout.
    fn publish(&self, message: Publication) -> Publishing;
}

/// Where and how the requests of one URL are published.
pub(super) struct MessageTarget {
    publisher: Arc<dyn Publisher>,
    topic: String,
    qos: u8,
    retain: bool,
    /// `None`: the name of the module.
    sender: Option<String>,
    properties: Properties,
}

impl MessageTarget {
    /// Parses the part after `mqtt:` of a URL: a topic, and these parameters, all of which are optional.
    ///
    /// | parameter | value | default |
    /// | --- | --- | --- |
    /// | `qos` | 0, 1 or 2 | 0 |
    /// | `retain` | `true` or `false` | `false` |
    /// | `sender` | client id of the publisher in events | name of the module |
    /// | `user_properties` | a JSON object, or a list of `{"key": …, "value": …}` | none |
    /// | `content_type`, `response_topic`, `correlation_data` | text | none |
    /// | `message_expiry_interval` | seconds | none |
    /// | `payload_format_indicator` | 0 or 1 | none |
    ///
    /// An empty value and `undefined`, which EMQX writes for a missing value, mean the default.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, without the URL itself.
    pub(super) fn parse(rest: &str, publisher: &Arc<dyn Publisher>) -> Result<MessageTarget, String> {
        let (topic, query) = rest.split_once('?').unwrap_or((rest, ""));
        let topic = decode(topic).ok_or("`%` in an mqtt: URL needs two hex digits after it")?;
        let topic = String::from_utf8(topic).map_err(|_| "the topic of an mqtt: URL is not UTF-8")?;
        let mut target = MessageTarget {
            publisher: Arc::clone(publisher),
            topic,
            qos: 0,
            retain: false,
            sender: None,
            properties: Properties::default(),
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            target.parameter(&name, &value)?;
        }
        Ok(target)
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        let is_missing = matches!(value, "" | "undefined" | "null");
        let text = || ByteString::from(value);
        match (name, value) {
            (name, _) if is_missing && PARAMETERS.contains(&name) => {}
            ("qos", "0" | "1" | "2") => self.qos = value.parse().unwrap_or_default(),
            ("qos", _) => return Err("`qos` of an mqtt: URL should be 0, 1 or 2".into()),
            ("retain", "true" | "1") => self.retain = true,
            ("retain", "false" | "0") => self.retain = false,
            ("retain", _) => return Err("`retain` of an mqtt: URL should be true or false".into()),
            ("sender", _) => self.sender = Some(value.to_owned()),
            ("user_properties", _) => {
                let properties = serde_json::from_str(value).ok().and_then(|value| pairs(&value));
                self.properties.user = properties.ok_or("`user_properties` of an mqtt: URL should be a JSON object")?;
            }
            ("content_type", _) => self.standard(Property::ContentType(text())),
            ("response_topic", _) => self.standard(Property::ResponseTopic(text())),
            ("correlation_data", _) => self.standard(Property::CorrelationData(text().into_bytes())),
            ("payload_format_indicator", "0") => self.standard(Property::PayloadFormatIndicator(0)),
            ("payload_format_indicator", "1") => self.standard(Property::PayloadFormatIndicator(1)),
            ("payload_format_indicator", _) => {
                return Err("`payload_format_indicator` of an mqtt: URL should be 0 or 1".into());
            }
            ("message_expiry_interval", _) => {
                let seconds = value.parse();
                let wrong = |_| "`message_expiry_interval` of an mqtt: URL should be a number of seconds";
                self.standard(Property::MessageExpiryInterval(seconds.map_err(wrong)?));
            }
            _ => {
                return Err(format!(
                    "an mqtt: URL has the parameters {} only",
                    PARAMETERS.join(", ")
                ));
            }
        }
        Ok(())
    }

    fn standard(&mut self, property: Property) {
        self.properties.standard.push(property);
    }

    /// Publishes a request of a module.
    pub(super) async fn attempt(
        &self,
        module: &str,
        headers: &[(String, String)],
        payload: Bytes,
        republishes: u8,
    ) -> Outcome {
        if republishes > MAX_REPUBLISHES {
            let text =
                format!("modules have answered each other {MAX_REPUBLISHES} times; a rule matches what it publishes");
            return Outcome::Invalid(text);
        }
        let mut properties = self.properties.clone();
        let headers = headers.iter();
        properties
            .user
            .extend(headers.map(|(name, value)| (name.as_str().into(), value.as_str().into())));
        let message = Publication {
            sender: self.sender.clone().unwrap_or_else(|| module.to_owned()),
            topic: self.topic.clone(),
            payload,
            qos: self.qos,
            retain: self.retain,
            properties,
            republishes,
        };
        match self.publisher.publish(message).await {
            Ok(()) => Outcome::Accepted(None),
            Err(PublishFailure::Invalid(text)) => Outcome::Invalid(text),
            Err(PublishFailure::Failed(text)) => Outcome::Failed(text),
        }
    }
}

/// User properties as EMQX writes them: an object, whose lists repeat a name, or a list of keys and values.
fn pairs(value: &Value) -> Option<Pairs> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(ByteString::from(text.as_str())),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string().into()),
        _ => None,
    };
    let mut pairs = Vec::new();
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for value in values {
                    pairs.push((name.as_str().into(), text(value)?));
                }
            }
        }
        Value::Array(list) => {
            for pair in list {
                pairs.push((text(pair.get("key")?)?, text(pair.get("value")?)?));
            }
        }
        _ => return None,
    }
    Some(pairs)
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
