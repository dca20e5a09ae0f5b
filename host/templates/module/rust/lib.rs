//! {{name}}: temperatures above a limit, with a body of our own.
//!
//! Devices publish a number on topics such as `devices/k7/temp`. What is above the limit goes to a URL as
//! `{"device":"k7","celsius":21.5,"at":1790000001000}`; all else goes nowhere.

use hookhost_guest::pattern::TopicPattern;
use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

/// `[config]` of `{{name}}.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where requests go.
    url: String,
    /// Where devices publish; `{device}` is the level that names the device.
    topic: TopicPattern,
    /// Degrees Celsius.
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

    /// Settings that are wrong are refused here, all mistakes at once: whatever was in force stays in force then.
    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if !config.topic.has("device") {
            problems.add("topic", "one level must be '{device}'");
        }
        problems.check()?;
        Ok({{type}} { config })
    }

    /// What the module wants to be told. Events that it does not ask for cost nothing.
    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.config.topic.filter()])]
    }

    /// There is such a method for each hook; those that are not here ignore their events.
    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Config { url, topic, above } = &self.config;
        let Some(device) = topic.captures(&message.topic).and_then(|levels| levels.get("device")) else {
            return Outcome::Ignore;
        };
        // The host sets an event aside that a module cannot handle, with the text.
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

/// These run natively: `cargo test`.
#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::json;

    fn module() -> {{type}} {
        testing::configure(json!({"url": "http://sink/", "topic": "devices/{device}/temp", "above": 20.0})).unwrap()
    }

    #[test]
    fn what_is_above_the_limit_is_sent() {
        let outcome = module().on_event(&testing::publish("devices/k7/temp", b"21.5"));
        let request = &outcome.requests()[0];
        assert_eq!(request.url, "http://sink/");
        assert_eq!(
            request.body_str(),
            Some(r#"{"device":"k7","celsius":21.5,"at":1790000001000}"#)
        );
    }

    #[test]
    fn what_is_not_above_goes_nowhere() {
        for payload in ["20", "-3.5"] {
            let outcome = module().on_event(&testing::publish("devices/k7/temp", payload.as_bytes()));
            assert_eq!(outcome, Outcome::Ignore, "{payload}");
        }
    }

    #[test]
    fn what_is_no_number_is_set_aside() {
        let outcome = module().on_event(&testing::publish("devices/k7/temp", b"hot"));
        assert!(matches!(outcome, Outcome::Fail(text) if text.starts_with("devices/k7/temp is no temperature: ")));
    }

    #[test]
    fn settings_are_checked() {
        let refused = testing::configure::<{{type}}>(json!({"url": "http://sink/", "topic": "a/+", "above": 1.0}));
        assert_eq!(refused.err().unwrap().to_string(), "topic: one level must be '{device}'");
    }
}
