//! The module that `module-bench` measures, as a component and natively. It is a filter with its own body, like
//! `examples/temperature-alert`.

use hookhost_guest::pattern::TopicPattern;
use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    url: String,
    limit: f64,
    topic: TopicPattern,
}

#[derive(Deserialize)]
struct Reading {
    celsius: f64,
}

#[derive(Serialize)]
struct Alert<'a> {
    device: &'a str,
    celsius: f64,
    at: u64,
}

/// Drops other topics by their names, drops readings up to the limit after parsing them, and formats the rest.
#[derive(Debug)]
pub struct Filter(Config);

impl Module for Filter {
    type Config = Config;

    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        Ok(Filter(config))
    }

    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.0.topic.filter()])]
    }

    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Filter(Config { url, limit, topic }) = self;
        let Some(device) = topic.captures(&message.topic).and_then(|levels| levels.get("device")) else {
            return Outcome::Ignore;
        };
        match message.json() {
            Err(error) => Outcome::fail(error),
            Ok(Reading { celsius }) if celsius <= *limit => Outcome::Ignore,
            Ok(Reading { celsius }) => Request::post(url.as_str())
                .json(&Alert {
                    device,
                    celsius,
                    at: message.received_at,
                })
                .into(),
        }
    }
}

hookhost_guest::export!(Filter);
