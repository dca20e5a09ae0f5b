//! Rules: which events go where, under which name.
//!
//! The form is that of RMQTT's web-hook plugin, which those of EMQX and NanoMQ are turned into. Rules are read once and
//! then only looked up; a rule that could send nothing is not kept.

use super::key::RuleKey;
use crate::event::{Event, Interest};
use crate::request::{Outcome, Request};
use crate::topic::TopicFilter;

/// One rule, ready to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name that the event gets in the body.
    pub action: String,
    /// What the topic, or the filter of a subscription, must match one of; empty: everything, `$…` too.
    pub topics: Vec<TopicFilter>,
    /// Where the requests go, one to each; never empty.
    pub urls: Vec<String>,
}

impl Rule {
    fn matches(&self, subject: Option<&str>) -> bool {
        let Some(subject) = subject else { return true };
        self.topics.is_empty() || self.topics.iter().any(|topic| topic.matches(subject))
    }
}

/// The rules of all keys.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In the order of [`RuleKey`].
    by_key: [Vec<Rule>; RuleKey::ALL.len()],
    without_url: Vec<String>,
}

impl Rules {
    /// Adds a rule that was read at a key such as `rule.message_publish.0`.
    pub(super) fn add(&mut self, key: RuleKey, at: String, rule: Rule) {
        if rule.urls.is_empty() {
            self.without_url.push(at);
        } else if let Some(rules) = self.by_key.get_mut(key as usize) {
            rules.push(rule);
        }
    }

    /// Keys of rules that were left out because there is no URL for them, such as `rule.message_publish.0`.
    pub fn without_url(&self) -> &[String] {
        &self.without_url
    }

    /// The rules of a key, in the order given.
    pub fn of(&self, key: RuleKey) -> &[Rule] {
        self.by_key.get(key as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rules of a key that match a subject, see [`Event::subject`], in the order given.
    pub fn matching(&self, key: RuleKey, subject: Option<&str>) -> impl Iterator<Item = &Rule> {
        let subject = subject.filter(|_| key.heeds_topics());
        self.of(key).iter().filter(move |rule| rule.matches(subject))
    }

    /// What a module has to ask for, so that it gets every event that a rule matches and as few others as can be.
    pub fn interests(&self) -> Vec<Interest> {
        let mut interests: Vec<Interest> = Vec::new();
        for key in RuleKey::ALL {
            let rules = self.of(key);
            if rules.is_empty() {
                continue;
            }
            let all = !key.heeds_topics() || rules.iter().any(|rule| rule.topics.is_empty());
            let filters = rules.iter().flat_map(|rule| &rule.topics).map(TopicFilter::as_str);
            for hook in key.hooks() {
                match interests.iter_mut().find(|known| known.hook == *hook) {
                    _ if all => {
                        interests.retain(|known| known.hook != *hook);
                        interests.push(Interest::every(*hook));
                    }
                    Some(known) if known.filters.is_empty() => {}
                    Some(known) => extend(&mut known.filters, filters.clone()),
                    None => {
                        let mut interest = Interest::every(*hook);
                        extend(&mut interest.filters, filters.clone());
                        interests.push(interest);
                    }
                }
            }
        }
        interests
    }

    /// A POST of JSON for each rule that an event matches and each of its URLs, in the order given.
    ///
    /// The body is asked for once for each rule; none: that rule sends nothing.
    pub fn outcome(&self, event: &Event, mut body: impl FnMut(RuleKey, &Rule) -> Option<String>) -> Outcome {
        let subject = event.subject();
        let mut requests = Vec::new();
        for key in RuleKey::of(event) {
            for rule in self.matching(*key, subject) {
                let Some(body) = body(*key, rule) else { continue };
                let Some((last, others)) = rule.urls.split_last() else {
                    continue;
                };
                requests.extend(others.iter().map(|url| request(url, body.clone())));
                requests.push(request(last, body));
            }
        }
        requests.into()
    }
}

fn request(url: &str, body: String) -> Request {
    let mut request = Request::post(url).text(body);
    request.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    request
}

fn extend<'a>(filters: &mut Vec<String>, more: impl Iterator<Item = &'a str>) {
    for filter in more {
        if !filters.iter().any(|known| known == filter) {
            filters.push(filter.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DropReason, Hook};
    use crate::testing;
    use serde_json::{Value, json};

    fn rules(config: Value) -> Rules {
        Rules::parse(&config).unwrap()
    }

    fn interest(hook: Hook, filters: &[&str]) -> Interest {
        Interest::matching(hook, filters)
    }

    #[test]
    fn interests_are_what_the_rules_need() {
        let one = |key: &str, rules: Value| self::rules(json!({"urls": ["stdout:"], "rule": {key: rules}})).interests();
        for (key, hooks) in [
            ("client_connect", &[Hook::ClientConnect][..]),
            ("client_connack", &[Hook::ClientConnack]),
            ("client_connected", &[Hook::ClientConnected]),
            ("client_disconnected", &[Hook::ClientDisconnected]),
            ("client_subscribe", &[Hook::ClientSubscribe]),
            ("client_unsubscribe", &[Hook::ClientUnsubscribe]),
            ("session_created", &[Hook::SessionCreated]),
            ("session_terminated", &[Hook::SessionTerminated]),
            ("session_subscribed", &[Hook::SessionSubscribed]),
            ("session_unsubscribed", &[Hook::SessionUnsubscribed]),
            ("message_publish", &[Hook::MessagePublish, Hook::MessageRefused]),
            ("message_delivered", &[Hook::MessageDelivered]),
            ("message_acked", &[Hook::MessageAcked]),
            ("message_dropped", &[Hook::DeliveryDropped, Hook::MessageRefused]),
            ("offline_message", &[Hook::MessageQueued]),
        ] {
            let all: Vec<_> = hooks.iter().map(|hook| interest(*hook, &[])).collect();
            assert_eq!(one(key, json!([{"action": "x"}])), all, "{key}");

            let filtered = one(
                key,
                json!([{"action": "x", "topics": ["a", "b/#"]}, {"action": "y", "topics": ["a"]}]),
            );
            if RuleKey::from_name(key).unwrap().heeds_topics() {
                let some: Vec<_> = hooks.iter().map(|hook| interest(*hook, &["a", "b/#"])).collect();
                assert_eq!(filtered, some, "{key}");
            } else {
                assert_eq!(filtered, all, "{key}");
            }
            assert_eq!(
                one(key, json!([{"action": "x", "topics": ["a"]}, {"action": "y"}])),
                all,
                "{key}"
            );
        }
    }

    #[test]
    fn a_hook_that_two_keys_need_is_asked_for_once() {
        let both = rules(json!({"urls": ["stdout:"], "rule": {
            "message_publish": [{"action": "x", "topics": ["a"]}],
            "message_dropped": [{"action": "x"}],
        }}));
        assert_eq!(
            both.interests(),
            [
                interest(Hook::MessagePublish, &["a"]),
                interest(Hook::DeliveryDropped, &[]),
                interest(Hook::MessageRefused, &[]),
            ]
        );
        assert_eq!(rules(json!({})).interests(), []);
    }

    fn matched(key: RuleKey, topics: &[&[&str]], subject: Option<&str>) -> Vec<usize> {
        let list: Vec<_> = topics
            .iter()
            .enumerate()
            .map(|(at, topics)| json!({"action": at.to_string(), "topics": topics}))
            .collect();
        let rules = rules(json!({"urls": ["stdout:"], "rule": {key.name(): list}}));
        rules
            .matching(key, subject)
            .map(|rule| rule.action.parse().unwrap())
            .collect()
    }

    #[test]
    fn rules_match_topics_and_filters() {
        let topics: &[&[&str]] = &[&[], &["#"], &["$SYS/#", "a/+"], &["a/b", "a/#"]];
        for (key, subject, expected) in [
            (RuleKey::MessagePublish, "a/b", &[0, 1, 2, 3][..]),
            (RuleKey::MessagePublish, "a/b/c", &[0, 1, 3]),
            (RuleKey::MessagePublish, "$SYS/x", &[0, 2]),
            (RuleKey::MessageDelivered, "x", &[0, 1]),
            (RuleKey::MessageAcked, "a", &[0, 1, 3]),
            (RuleKey::OfflineMessage, "a/x", &[0, 1, 2, 3]),
            // The text of a filter is matched as if it were a topic.
            (RuleKey::ClientSubscribe, "a/+", &[0, 1, 2, 3]),
            (RuleKey::SessionSubscribed, "a/#", &[0, 1, 2, 3]),
            (RuleKey::ClientUnsubscribe, "+/b", &[0, 1]),
            (RuleKey::SessionUnsubscribed, "#", &[0, 1]),
            // No topic, or one that RMQTT does not look at.
            (RuleKey::MessageDropped, "x", &[0, 1, 2, 3]),
            (RuleKey::ClientConnected, "x", &[0, 1, 2, 3]),
        ] {
            assert_eq!(matched(key, topics, Some(subject)), expected, "{key:?} {subject}");
        }
        assert_eq!(matched(RuleKey::SessionCreated, topics, None), [0, 1, 2, 3]);
    }

    #[test]
    fn each_rule_and_url_is_one_request_in_order() {
        let rules = rules(json!({"urls": ["http://a", "http://b"], "rule": {
            "message_publish": [
                {"action": "1"},
                {"action": "2", "topics": ["x"]},
                {"action": "3", "urls": ["file:///c"]},
            ],
            "message_dropped": [{"action": "4", "urls": ["http://d"]}],
        }}));
        let sent = |event: &Event| -> Vec<String> {
            let outcome = rules.outcome(event, |key, rule| Some(format!("{} {}", key.name(), rule.action)));
            let requests = outcome.requests().iter();
            requests
                .map(|request| format!("{} {}", request.url, request.body_str().unwrap()))
                .collect()
        };
        assert_eq!(
            sent(&testing::publish("a", b"")),
            [
                "http://a message_publish 1",
                "http://b message_publish 1",
                "file:///c message_publish 3",
            ]
        );
        assert_eq!(
            sent(&testing::refused("x", b"", DropReason::NotAuthorized, 135)),
            [
                "http://a message_publish 1",
                "http://b message_publish 1",
                "http://a message_publish 2",
                "http://b message_publish 2",
                "file:///c message_publish 3",
                "http://d message_dropped 4",
            ]
        );
        assert_eq!(sent(&testing::delivered("a", b"")), [""; 0]);

        let outcome = rules.outcome(&testing::publish("a", b""), |_, _| None);
        assert_eq!(outcome, Outcome::Ignore);
        let outcome = rules.outcome(&testing::publish("a", b""), |_, _| Some("{}".into()));
        let request = &outcome.requests()[0];
        assert_eq!(
            request.headers,
            [("content-type".to_string(), "application/json".to_string())]
        );
        assert_eq!((request.method, &request.ordering_key), (crate::Method::Post, &None));
    }
}
