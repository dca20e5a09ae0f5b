//! Sends values when they change, and repeats an unchanged value after some time.
//!
//! Devices publish the same value again and again. The module sends a value to a URL, with the body
//! `{"topic":"plant/7/level","value":"12"}`, if it differs from the last one that was sent for the topic, or if that was
//! sent too long ago. The host stores the last values, so they survive a restart and a new version of the module.

use std::time::Duration;

use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request, kv, warn};
use serde::{Deserialize, Serialize};

/// `[config]` of `report-on-change.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// URL that receives the values.
    url: String,
    /// Topic filters.
    topics: Vec<String>,
    /// Seconds after which an unchanged value is sent again.
    repeat_after: u32,
}

#[derive(Serialize)]
struct Change<'a> {
    topic: &'a str,
    value: &'a str,
}

struct ReportOnChange(Config);

impl Module for ReportOnChange {
    type Config = Config;

    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        if config.repeat_after == 0 {
            return Err(Problems::one("repeat_after", "seconds above 0 were expected"));
        }
        Ok(ReportOnChange(config))
    }

    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, &self.0.topics)]
    }

    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Message { topic, payload, .. } = message;
        if kv::get(topic).is_some_and(|sent| sent == *payload) {
            return Outcome::Ignore;
        }
        let value = match message.payload_str() {
            Ok(value) => value,
            Err(error) => return Outcome::fail(format!("the value of {topic} is no text: {error}")),
        };
        let time = Duration::from_secs(self.0.repeat_after.into());
        // If the store is full, the value is sent too often, but it is not lost.
        if let Err(full) = kv::set(topic, payload, Some(time)) {
            warn!("the value of {topic} cannot be stored: {full}");
        }
        Request::post(&self.0.url).json(&Change { topic, value }).into()
    }
}

hookhost_guest::export!(ReportOnChange);

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::json;

    fn module() -> ReportOnChange {
        testing::configure(json!({"url": "http://sink/", "topics": ["plant/#"], "repeat_after": 60})).unwrap()
    }

    /// Publishes a value and returns the bodies of the requests.
    fn bodies(module: &mut ReportOnChange, topic: &str, value: &str) -> Vec<String> {
        let outcome = module.on_event(&testing::publish(topic, value.as_bytes()));
        let requests = outcome.requests().iter();
        requests.map(|request| request.body_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_value_is_sent_when_it_changes() {
        let mut module = module();
        for (topic, value, sent) in [
            ("plant/7/level", "12", Some(r#"{"topic":"plant/7/level","value":"12"}"#)),
            ("plant/7/level", "12", None),
            ("plant/8/level", "12", Some(r#"{"topic":"plant/8/level","value":"12"}"#)),
            ("plant/7/level", "13", Some(r#"{"topic":"plant/7/level","value":"13"}"#)),
            ("plant/7/level", "12", Some(r#"{"topic":"plant/7/level","value":"12"}"#)),
        ] {
            assert_eq!(
                bodies(&mut module, topic, value),
                Vec::from_iter(sent),
                "{topic} {value}"
            );
        }
    }

    #[test]
    fn the_same_value_is_sent_again_after_a_while() {
        let mut module = module();
        assert_eq!(bodies(&mut module, "plant/7/level", "12").len(), 1);
        testing::pass(Duration::from_secs(59));
        assert_eq!(bodies(&mut module, "plant/7/level", "12").len(), 0);
        testing::pass(Duration::from_secs(1));
        assert_eq!(bodies(&mut module, "plant/7/level", "12").len(), 1);
    }

    #[test]
    fn a_new_instance_finds_the_last_value() {
        assert_eq!(bodies(&mut module(), "plant/7/level", "12").len(), 1);
        assert_eq!(bodies(&mut module(), "plant/7/level", "12").len(), 0);
    }

    #[test]
    fn a_payload_that_is_not_text_fails() {
        let outcome = module().on_event(&testing::publish("plant/7/level", b"\xff"));
        assert!(matches!(outcome, Outcome::Fail(text) if text.starts_with("the value of plant/7/level is no text: ")));
    }
}
