//! {{name}}: sends temperatures above a limit, with its own request body.
//!
//! Devices publish a number on topics such as `devices/k7/temp`. The module sends values above the limit to a URL, with the
//! body `{"device":"k7","celsius":21.5,"at":1790000001000}`. It ignores all other events.

use hookhost_guest::pattern::TopicPattern;
use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

/// `[config]` of `{{name}}.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// URL that receives the requests.
    url: String,
    /// Topics of the devices; `{device}` is the level with the name of the device.
    topic: TopicPattern,
    /// Limit in degrees Celsius.
    above: f64,
}

/// The body of a request.
#[derive(Serialize)]
struct Reading<'a> {
    device: &'a str,
    celsius: f64,
    /// Milliseconds since 1970-01-01T00:00Z.
    at: u64,
}

struct {{type}} {
    config: Config,
}

impl Module for {{type}} {
    type Config = Config;

    /// Checks the settings and reports all errors at once. After an error the previous generation keeps running.
    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if !config.topic.has("device") {
            problems.add("topic", "one level must be '{device}'");
        }
        problems.check()?;
        Ok({{type}} { config })
    }

    /// The events that the module wants. Other events cost nothing.
    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.config.topic.filter()])]
    }

    /// There is one such method for each hook. The default ignores the event.
    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Config { url, topic, above } = &self.config;
        let Some(device) = topic.captures(&message.topic).and_then(|levels| levels.get("device")) else {
            return Outcome::Ignore;
        };
        // The host quarantines an event that fails, with this text.
        let celsius: f64 = match message.json() {
            Ok(celsius) => celsius,
            Err(error) => return Outcome::fail(format!("{} is no temperature: {error}", message.topic)),
        };
        if celsius <= *above {
            return Outcome::Ignore;
        }
        let at = message.received_at;
        Request::post(url).json(&Reading { device, celsius, at }).into()
    }
}

hookhost_guest::export!({{type}});

/// Native tests: `cargo test`.
#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::json;

    fn module() -> {{type}} {
        testing::configure(json!({"url": "http://sink/", "topic": "devices/{device}/temp", "above": 20.0})).unwrap()
    }

    #[test]
    fn a_value_above_the_limit_is_sent() {
        let outcome = module().on_event(&testing::publish("devices/k7/temp", b"21.5"));
        let request = &outcome.requests()[0];
        assert_eq!(request.url, "http://sink/");
        assert_eq!(
            request.body_str(),
            Some(r#"{"device":"k7","celsius":21.5,"at":1790000001000}"#)
        );
    }

    #[test]
    fn other_values_are_ignored() {
        for payload in ["20", "-3.5"] {
            let outcome = module().on_event(&testing::publish("devices/k7/temp", payload.as_bytes()));
            assert_eq!(outcome, Outcome::Ignore, "{payload}");
        }
    }

    #[test]
    fn a_payload_that_is_not_a_number_fails() {
        let outcome = module().on_event(&testing::publish("devices/k7/temp", b"hot"));
        assert!(matches!(outcome, Outcome::Fail(text) if text.starts_with("devices/k7/temp is no temperature: ")));
    }

    #[test]
    fn settings_are_checked() {
        let refused = testing::configure::<{{type}}>(json!({"url": "http://sink/", "topic": "a/+", "above": 1.0}));
        assert_eq!(refused.err().unwrap().to_string(), "topic: one level must be '{device}'");
    }
}
