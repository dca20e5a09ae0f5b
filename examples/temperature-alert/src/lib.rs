//! Sends alerts for temperatures above a limit.
//!
//! Devices publish `{"celsius": 41.5}` on topics such as `devices/k7/temp`. The module sends readings above the limit to a
//! URL, with the body `{"device":"k7","celsius":41.5,"at":1790000001000}`. It ignores all other readings.

use hookhost_guest::pattern::TopicPattern;
use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

/// `[config]` of `temperature-alert.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// URL that receives the alerts.
    url: String,
    /// Limit in degrees Celsius; higher readings are alerts.
    limit: f64,
    /// Topics of the devices; `{device}` is the level with the name of the device.
    topic: TopicPattern,
}

/// Payload of a device; other keys are ignored.
#[derive(Deserialize)]
struct Reading {
    celsius: f64,
}

#[derive(Serialize)]
struct Alert<'a> {
    device: &'a str,
    celsius: f64,
    /// Milliseconds since 1970-01-01T00:00Z.
    at: u64,
}

struct TemperatureAlert {
    config: Config,
}

impl Module for TemperatureAlert {
    type Config = Config;

    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if !config.limit.is_finite() {
            problems.add("limit", "a number of degrees was expected");
        }
        if !config.topic.has("device") {
            problems.add("topic", "one level must be '{device}'");
        }
        problems.check()?;
        Ok(TemperatureAlert { config })
    }

    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.config.topic.filter()])]
    }

    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Config { url, limit, topic } = &self.config;
        let Some(device) = topic.captures(&message.topic).and_then(|levels| levels.get("device")) else {
            return Outcome::Ignore;
        };
        let celsius = match message.json() {
            Ok(Reading { celsius }) => celsius,
            Err(error) => return Outcome::fail(format!("{} is no reading: {error}", message.topic)),
        };
        if celsius <= *limit {
            return Outcome::Ignore;
        }
        Request::post(url)
            .json(&Alert {
                device,
                celsius,
                at: message.received_at,
            })
            .into()
    }
}

hookhost_guest::export!(TemperatureAlert);

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::json;

    fn module() -> TemperatureAlert {
        testing::configure(json!({"url": "http://sink/", "limit": 40.0, "topic": "devices/{device}/temp"})).unwrap()
    }

    #[test]
    fn a_temperature_above_the_limit_is_an_alert() {
        let outcome = module().on_event(&testing::publish(
            "devices/k7/temp",
            br#"{"celsius": 41.5, "battery": 80}"#,
        ));
        let request = &outcome.requests()[0];
        assert_eq!(request.url, "http://sink/");
        assert_eq!(
            request.body_str(),
            Some(r#"{"device":"k7","celsius":41.5,"at":1790000001000}"#)
        );
    }

    #[test]
    fn other_readings_are_ignored() {
        for (topic, payload) in [
            ("devices/k7/temp", r#"{"celsius": 40}"#),
            ("devices/k7/temp", r#"{"celsius": -3.5}"#),
            ("devices/k7/humidity", r#"{"celsius": 50}"#),
        ] {
            assert_eq!(
                module().on_event(&testing::publish(topic, payload.as_bytes())),
                Outcome::Ignore,
                "{payload}"
            );
        }
    }

    #[test]
    fn a_payload_that_is_not_a_reading_fails() {
        let outcome = module().on_event(&testing::publish("devices/k7/temp", b"hot"));
        assert!(matches!(outcome, Outcome::Fail(text) if text.starts_with("devices/k7/temp is no reading: ")));
    }

    #[test]
    fn settings_are_checked() {
        let refused = |config| {
            testing::configure::<TemperatureAlert>(config)
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            refused(json!({"url": "http://sink/", "limit": 40, "topic": "devices/+/temp"})),
            "topic: one level must be '{device}'"
        );
        assert_eq!(
            refused(json!({"url": "http://sink/", "limit": "hot", "topic": "devices/{device}/temp"})),
            "limit: invalid type: string \"hot\", expected f64"
        );
    }

    #[test]
    fn only_temperatures_are_wanted() {
        assert_eq!(
            module().interests(),
            [Interest::matching(Hook::MessagePublish, ["devices/+/temp"])]
        );
    }
}
