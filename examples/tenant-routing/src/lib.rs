//! Sends the messages of each tenant to the URL of that tenant.
//!
//! Devices publish on topics such as `tenants/acme/meters/7`. The settings have one URL per tenant. The module sends the
//! rest of the topic and the payload to that URL, as `{"path":"meters/7","payload":"12"}`. It ignores tenants without a URL.

use std::collections::BTreeMap;

use hookhost_guest::pattern::TopicPattern;
use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

/// `[config]` of `tenant-routing.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Topics of the tenants, with the names `tenant` and `path`.
    topic: TopicPattern,
    /// The URL of each tenant.
    tenants: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Body<'a> {
    path: &'a str,
    payload: &'a str,
}

struct TenantRouting(Config);

impl Module for TenantRouting {
    type Config = Config;

    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        for name in ["tenant", "path"] {
            if !config.topic.has(name) {
                problems.add("topic", format!("the name '{name}' was expected in it"));
            }
        }
        problems.check()?;
        Ok(TenantRouting(config))
    }

    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.0.topic.filter()])]
    }

    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Some(captures) = self.0.topic.captures(&message.topic) else {
            return Outcome::Ignore;
        };
        let Some(url) = captures.get("tenant").and_then(|tenant| self.0.tenants.get(tenant)) else {
            return Outcome::Ignore;
        };
        let path = captures.get("path").unwrap_or_default();
        match message.payload_str() {
            Ok(payload) => Request::post(url).json(&Body { path, payload }).into(),
            Err(error) => Outcome::fail(format!("the payload is no text: {error}")),
        }
    }
}

hookhost_guest::export!(TenantRouting);

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;
    use serde_json::{Value, json};

    fn configure(topic: &str) -> Result<TenantRouting, Problems> {
        let tenants: Value = json!({"acme": "http://acme/hook", "umbrella": "http://umbrella/hook"});
        testing::configure(json!({"topic": topic, "tenants": tenants}))
    }

    #[test]
    fn each_tenant_has_its_url() {
        let mut module = configure("tenants/{tenant}/{*path}").unwrap();
        for (topic, expected) in [
            (
                "tenants/acme/meters/7",
                Some(("http://acme/hook", r#"{"path":"meters/7","payload":"12"}"#)),
            ),
            (
                "tenants/umbrella/doors",
                Some(("http://umbrella/hook", r#"{"path":"doors","payload":"12"}"#)),
            ),
            ("tenants/wayne/cars", None),
            (
                "tenants/acme",
                Some(("http://acme/hook", r#"{"path":"","payload":"12"}"#)),
            ),
        ] {
            let outcome = module.on_event(&testing::publish(topic, b"12"));
            let requests = outcome.requests().iter();
            let sent: Vec<_> = requests
                .map(|request| (request.url.as_str(), request.body_str().unwrap()))
                .collect();
            assert_eq!(sent, Vec::from_iter(expected), "{topic}");
        }
    }

    #[test]
    fn the_topic_must_name_the_tenant() {
        assert_eq!(
            configure("tenants/{customer}/#").err().unwrap().to_string(),
            "topic: the name 'tenant' was expected in it\ntopic: the name 'path' was expected in it"
        );
    }

    #[test]
    fn only_topics_of_tenants_are_wanted() {
        assert_eq!(
            configure("tenants/{tenant}/{*path}").unwrap().interests(),
            [Interest::matching(Hook::MessagePublish, ["tenants/+/#"])]
        );
    }
}
