//! Which requests of a rule keep their order.

use crate::fields::Fields;
use crate::template::Template;
use hookhost_guest::event::Event;

/// Which requests of a rule go out one after the other. All others go out at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// Those of one client.
    #[default]
    Client,
    /// Those about one topic; for events without a topic those of one client.
    Topic,
    /// None of them.
    None,
    /// Those with the same text.
    Key(Template),
}

impl Order {
    /// Reads `client`, `topic`, `none` or a template with a placeholder.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is expected.
    pub(crate) fn parse(text: &str) -> Result<Order, String> {
        match text {
            "client" => Ok(Order::Client),
            "topic" => Ok(Order::Topic),
            "none" => Ok(Order::None),
            text if text.contains("${") => Template::parse(text).map(Order::Key).map_err(|error| error.to_string()),
            _ => {
                Err("should be client, topic, none, or a text with a placeholder such as ${payload.device}".to_owned())
            }
        }
    }

    /// The ordering key of a request; `None` stands for the client of the event.
    pub(crate) fn key(&self, event: &Event, fields: &dyn Fields) -> Option<String> {
        match self {
            Order::Client => None,
            Order::Topic => event.subject().map(str::to_owned),
            Order::None => Some(String::new()),
            Order::Key(template) => Some(template.render(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;

    #[test]
    fn keys() {
        let fields = serde_json::json!({"clientid": "c", "payload": "{\"device\": 7}"});
        let fields = fields.as_object().unwrap();
        let (publish, connected) = (testing::publish("t/1", b""), testing::connected("c"));
        for (text, event, key) in [
            ("client", &publish, None),
            ("topic", &publish, Some("t/1")),
            ("topic", &connected, None),
            ("none", &publish, Some("")),
            ("${clientid}/${payload.device}", &publish, Some("c/7")),
        ] {
            let got = Order::parse(text).unwrap().key(event, fields);
            assert_eq!(got.as_deref(), key, "{text}");
        }
        for text in ["", "clients", "Topic", "key", "${", "${clientid"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }
}
