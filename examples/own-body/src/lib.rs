//! The rules of the built-in module with another request body.
//!
//! The settings have the rule format of the built-in module. The body of each request is
//! `{"event":"temperature","client":"k7","topic":"devices/k7/temp","text":"21.5","at":"2026-09-21 14:13:21.002"}`.

use hookhost_guest::{Event, Host, Interest, Module, Outcome, Problems};
use hookhost_webhook::Rules;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Body<'a> {
    event: &'a str,
    client: Option<&'a str>,
    topic: Option<&'a str>,
    text: Option<&'a str>,
    at: String,
}

struct OwnBody(Rules);

impl Module for OwnBody {
    type Config = Value;

    fn new(config: Value, host: &Host) -> Result<Self, Problems> {
        Ok(OwnBody(Rules::parse(&config, host)?))
    }

    fn interests(&self) -> Vec<Interest> {
        self.0.interests()
    }

    fn on_event(&mut self, event: &Event) -> Outcome {
        self.0.outcome(event, |_, rule| {
            let body = Body {
                event: &rule.action,
                client: event.client().map(|client| client.id.as_str()),
                topic: event.subject(),
                text: event.message().and_then(|message| message.payload_str().ok()),
                at: event.local_time().to_string(),
            };
            serde_json::to_string(&body).ok()
        })
    }
}

hookhost_guest::export!(OwnBody);

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::json;

    fn bodies(event: &Event) -> Vec<String> {
        let rules = json!({"urls": ["http://sink/"], "rule": {
            "message_publish": [{"action": "temperature", "topics": ["devices/+/temp"]}],
            "client_connected": [{"action": "online"}],
        }});
        let mut module: OwnBody = testing::configure(rules).unwrap();
        let outcome = module.on_event(event);
        let requests = outcome.requests().iter();
        requests.map(|request| request.body_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_rule_sends_the_own_body() {
        assert_eq!(
            bodies(&testing::publish("devices/k7/temp", b"21.5")),
            [concat!(
                r#"{"event":"temperature","client":"publisher","topic":"devices/k7/temp","text":"21.5","#,
                r#""at":"2026-09-21 14:13:21.002"}"#
            )]
        );
        assert_eq!(
            bodies(&testing::connected("k7")),
            [r#"{"event":"online","client":"k7","topic":null,"text":null,"at":"2026-09-21 14:13:21.002"}"#]
        );
    }

    #[test]
    fn an_event_that_no_rule_matches_is_ignored() {
        assert_eq!(bodies(&testing::publish("devices/k7/humidity", b"21.5")), [""; 0]);
    }
}
