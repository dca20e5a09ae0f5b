//! Rules: which events go where, under which name.
//!
//! The form is that of RMQTT's web-hook plugin, which those of EMQX and NanoMQ are turned into. Rules are read once, with
//! all mistakes at once, and then only looked up; a rule that could send nothing is not kept.

use serde_json::{Map, Value};

use crate::event::{Detail, DropReason, Event, Hook, Interest, Origin};
use crate::nearest::nearest;
use crate::problems::Problems;
use crate::request::{Outcome, Request};
use crate::topic::TopicFilter;

/// What a rule is about: the `KEY` of `rule.KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKey {
    /// CONNECT was read.
    ClientConnect,
    /// CONNACK is about to be sent.
    ClientConnack,
    /// A connection was accepted.
    ClientConnected,
    /// A connection has ended.
    ClientDisconnected,
    /// A filter was asked for.
    ClientSubscribe,
    /// A filter was given back.
    ClientUnsubscribe,
    /// A session is new.
    SessionCreated,
    /// A session has ended.
    SessionTerminated,
    /// A subscription is in force.
    SessionSubscribed,
    /// A subscription was given up.
    SessionUnsubscribed,
    /// A message was published, also one that is then refused.
    MessagePublish,
    /// A message is being written to a receiver.
    MessageDelivered,
    /// A receiver has confirmed a message.
    MessageAcked,
    /// A message was refused, or dropped for one receiver.
    MessageDropped,
    /// A message was stored for a receiver that is away.
    OfflineMessage,
}

impl RuleKey {
    /// All of them.
    pub const ALL: [RuleKey; 15] = [
        RuleKey::ClientConnect,
        RuleKey::ClientConnack,
        RuleKey::ClientConnected,
        RuleKey::ClientDisconnected,
        RuleKey::ClientSubscribe,
        RuleKey::ClientUnsubscribe,
        RuleKey::SessionCreated,
        RuleKey::SessionTerminated,
        RuleKey::SessionSubscribed,
        RuleKey::SessionUnsubscribed,
        RuleKey::MessagePublish,
        RuleKey::MessageDelivered,
        RuleKey::MessageAcked,
        RuleKey::MessageDropped,
        RuleKey::OfflineMessage,
    ];

    /// The key as it is written.
    pub fn name(self) -> &'static str {
        match self {
            RuleKey::ClientConnect => "client_connect",
            RuleKey::ClientConnack => "client_connack",
            RuleKey::ClientConnected => "client_connected",
            RuleKey::ClientDisconnected => "client_disconnected",
            RuleKey::ClientSubscribe => "client_subscribe",
            RuleKey::ClientUnsubscribe => "client_unsubscribe",
            RuleKey::SessionCreated => "session_created",
            RuleKey::SessionTerminated => "session_terminated",
            RuleKey::SessionSubscribed => "session_subscribed",
            RuleKey::SessionUnsubscribed => "session_unsubscribed",
            RuleKey::MessagePublish => "message_publish",
            RuleKey::MessageDelivered => "message_delivered",
            RuleKey::MessageAcked => "message_acked",
            RuleKey::MessageDropped => "message_dropped",
            RuleKey::OfflineMessage => "offline_message",
        }
    }

    /// The key that is written so.
    pub fn from_name(name: &str) -> Option<RuleKey> {
        RuleKey::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The keys whose rules an event is for, in the order of their requests.
    ///
    /// RMQTT announces a publish before it asks for permission, so one that is refused is for two. It says nothing of
    /// publishes that nobody subscribes to, and nothing of what becomes of the broker's own messages.
    pub fn of(event: &Event) -> &'static [RuleKey] {
        let system = event.message().is_some_and(|message| message.origin == Origin::System);
        match &event.detail {
            Detail::ClientConnect(_) => &[RuleKey::ClientConnect],
            Detail::ClientConnack(_) => &[RuleKey::ClientConnack],
            Detail::ClientConnected(_) => &[RuleKey::ClientConnected],
            Detail::ClientDisconnected(_) => &[RuleKey::ClientDisconnected],
            Detail::ClientSubscribe(_) => &[RuleKey::ClientSubscribe],
            Detail::ClientUnsubscribe(_) => &[RuleKey::ClientUnsubscribe],
            Detail::SessionCreated(_) => &[RuleKey::SessionCreated],
            Detail::SessionTerminated(_) => &[RuleKey::SessionTerminated],
            Detail::SessionSubscribed(_) => &[RuleKey::SessionSubscribed],
            Detail::SessionUnsubscribed(_) => &[RuleKey::SessionUnsubscribed],
            Detail::MessagePublish(_) => &[RuleKey::MessagePublish],
            Detail::MessageDelivered(_) if !system => &[RuleKey::MessageDelivered],
            Detail::MessageAcked(_) if !system => &[RuleKey::MessageAcked],
            Detail::MessageQueued(_) if !system => &[RuleKey::OfflineMessage],
            Detail::DeliveryDropped(_) if !system => &[RuleKey::MessageDropped],
            Detail::MessageDropped(drop) => match drop.reason {
                DropReason::NoSubscribers => &[],
                DropReason::NotAuthorized if system => &[RuleKey::MessagePublish],
                DropReason::NotAuthorized => &[RuleKey::MessagePublish, RuleKey::MessageDropped],
                _ if system => &[],
                _ => &[RuleKey::MessageDropped],
            },
            _ => &[],
        }
    }

    /// The hooks whose events are for this key.
    fn hooks(self) -> &'static [Hook] {
        match self {
            RuleKey::ClientConnect => &[Hook::ClientConnect],
            RuleKey::ClientConnack => &[Hook::ClientConnack],
            RuleKey::ClientConnected => &[Hook::ClientConnected],
            RuleKey::ClientDisconnected => &[Hook::ClientDisconnected],
            RuleKey::ClientSubscribe => &[Hook::ClientSubscribe],
            RuleKey::ClientUnsubscribe => &[Hook::ClientUnsubscribe],
            RuleKey::SessionCreated => &[Hook::SessionCreated],
            RuleKey::SessionTerminated => &[Hook::SessionTerminated],
            RuleKey::SessionSubscribed => &[Hook::SessionSubscribed],
            RuleKey::SessionUnsubscribed => &[Hook::SessionUnsubscribed],
            RuleKey::MessagePublish => &[Hook::MessagePublish, Hook::MessageDropped],
            RuleKey::MessageDelivered => &[Hook::MessageDelivered],
            RuleKey::MessageAcked => &[Hook::MessageAcked],
            RuleKey::MessageDropped => &[Hook::DeliveryDropped, Hook::MessageDropped],
            RuleKey::OfflineMessage => &[Hook::MessageQueued],
        }
    }

    /// Whether `topics` of its rules say anything. RMQTT gives them to rules of other keys without looking at them.
    fn heeds_topics(self) -> bool {
        matches!(
            self,
            RuleKey::ClientSubscribe
                | RuleKey::ClientUnsubscribe
                | RuleKey::SessionSubscribed
                | RuleKey::SessionUnsubscribed
                | RuleKey::MessagePublish
                | RuleKey::MessageDelivered
                | RuleKey::MessageAcked
                | RuleKey::OfflineMessage
        )
    }
}

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
    /// Reads rules; all mistakes at once, each with its key.
    ///
    /// ```text
    /// {
    ///   "urls": ["http://127.0.0.1:5656/hook"],
    ///   "rule": {"message_publish": [{"action": "message_publish", "topics": ["#", "$SYS/#"], "urls": []}]},
    ///   "format": "rmqtt"
    /// }
    /// ```
    ///
    /// `action` is required. `topics` are topic filters, of which one must match; none: all events, `$…` too; rules of
    /// keys without topic pass over them, and so does `message_dropped`. A rule's `urls`, if there are any, stand in
    /// place of those for all rules. They begin with `http://`, `https://`, `file://` or `stdout:`. `format` may be left
    /// out.
    pub fn parse(config: &Value) -> Result<Rules, Problems> {
        let mut problems = Problems::new();
        let Some(table) = object("", config, &mut problems) else {
            return Err(problems);
        };
        let mut rules = Rules::default();
        let urls = table
            .get("urls")
            .map(|value| urls("urls", value, &mut problems))
            .unwrap_or_default();
        for (key, value) in table {
            match key.as_str() {
                "urls" => {}
                "rule" => rules.read(value, &urls, &mut problems),
                "format" if value == "rmqtt" => {}
                "format" => problems.add("format", format_args!("{value} is no format; known is \"rmqtt\"")),
                _ => unknown(key, key, &["urls", "rule", "format"], &mut problems),
            }
        }
        problems.check().map(|()| rules)
    }

    fn read(&mut self, value: &Value, default_urls: &[String], problems: &mut Problems) {
        let Some(table) = object("rule", value, problems) else {
            return;
        };
        for (name, value) in table {
            let at = format!("rule.{name}");
            let Some(key) = RuleKey::from_name(name) else {
                unknown(&at, name, &RuleKey::ALL.map(RuleKey::name), problems);
                continue;
            };
            let Some(list) = value.as_array() else {
                problems.add(at, "a list of rules was expected, such as [{ action = \"…\" }]");
                continue;
            };
            for (index, value) in list.iter().enumerate() {
                let at = format!("{at}.{index}");
                let Some(mut rule) = rule(&at, value, problems) else {
                    continue;
                };
                if rule.urls.is_empty() {
                    rule.urls = default_urls.to_vec();
                }
                if rule.urls.is_empty() {
                    self.without_url.push(at);
                } else if let Some(rules) = self.by_key.get_mut(key as usize) {
                    rules.push(rule);
                }
            }
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

fn rule(at: &str, value: &Value, problems: &mut Problems) -> Option<Rule> {
    let table = object(at, value, problems)?;
    let mut rule = Rule {
        action: String::new(),
        topics: Vec::new(),
        urls: Vec::new(),
    };
    for (key, value) in table {
        let at = format!("{at}.{key}");
        match key.as_str() {
            "action" => rule.action.push_str(text(&at, value, problems).unwrap_or_default()),
            "urls" => rule.urls = urls(&at, value, problems),
            "topics" => rule.topics = topics(&at, value, problems),
            _ => unknown(&at, key, &["action", "topics", "urls"], problems),
        }
    }
    if !table.contains_key("action") {
        problems.add(
            format!("{at}.action"),
            "is missing: the name that the event gets in the body",
        );
    }
    Some(rule)
}

fn topics(at: &str, value: &Value, problems: &mut Problems) -> Vec<TopicFilter> {
    let mut topics = Vec::new();
    for (at, topic) in texts(at, value, problems) {
        match topic.parse() {
            Ok(filter) => topics.push(filter),
            Err(error) => problems.add(at, format_args!("'{topic}': {error}")),
        }
    }
    topics
}

fn urls(at: &str, value: &Value, problems: &mut Problems) -> Vec<String> {
    let mut urls = Vec::new();
    for (at, url) in texts(at, value, problems) {
        let url = url.trim();
        if ["http://", "https://", "file://", "stdout:"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            urls.push(url.to_owned());
        } else {
            // The URL itself may hold a password.
            problems.add(at, "a URL begins with 'http://', 'https://', 'file://' or 'stdout:'");
        }
    }
    urls
}

/// The texts of a list, each with its key.
fn texts<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Vec<(String, &'a str)> {
    let Some(list) = value.as_array() else {
        problems.add(at, "a list of strings was expected");
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = format!("{at}.{index}");
        texts.extend(text(&at, value, problems).map(|text| (at, text)));
    }
    texts
}

fn text<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a str> {
    let text = value.as_str();
    if text.is_none() {
        problems.add(at, "a string was expected");
    }
    text
}

fn object<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a Map<String, Value>> {
    let object = value.as_object();
    if object.is_none() {
        problems.add(at, "a table was expected");
    }
    object
}

fn unknown(at: &str, name: &str, known: &[&str], problems: &mut Problems) {
    match nearest(name, known.iter().copied()) {
        Some(near) => problems.add(at, format_args!("is not known; is '{near}' meant?")),
        None => problems.add(at, format_args!("is not known; known are {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use serde_json::json;

    fn rules(config: Value) -> Rules {
        Rules::parse(&config).unwrap()
    }

    /// The mistakes are these, in whatever order serde_json keeps the keys of a table.
    fn refused(config: Value, expected: &[&str]) {
        let problems = Rules::parse(&config).unwrap_err();
        let mut lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.key, problem.text))
            .collect();
        let mut expected = expected.to_vec();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
    }

    fn interest(hook: Hook, filters: &[&str]) -> Interest {
        Interest::matching(hook, filters)
    }

    #[test]
    fn all_keys_are_in_order() {
        for (index, key) in RuleKey::ALL.into_iter().enumerate() {
            assert_eq!(key as usize, index);
            assert_eq!(RuleKey::from_name(key.name()), Some(key));
        }
    }

    #[test]
    fn urls_of_a_rule_stand_in_place_of_those_for_all() {
        let rules = rules(json!({
            "format": "rmqtt",
            "urls": [" http://a/ ", "file:///b"],
            "rule": {"client_connect": [
                {"action": "x"},
                {"action": "", "urls": []},
                {"action": "y", "urls": ["https://c", "stdout:"]},
            ]},
        }));
        let urls: Vec<_> = rules
            .of(RuleKey::ClientConnect)
            .iter()
            .map(|rule| rule.urls.join(" "))
            .collect();
        assert_eq!(
            urls,
            ["http://a/ file:///b", "http://a/ file:///b", "https://c stdout:"]
        );
    }

    #[test]
    fn a_rule_without_url_is_left_out_and_told() {
        let rules = rules(json!({"rule": {"client_connect": [{"action": "x"}, {"action": "y", "urls": ["stdout:"]}]}}));
        assert_eq!(rules.of(RuleKey::ClientConnect).len(), 1);
        assert_eq!(rules.without_url(), ["rule.client_connect.0"]);
        assert_eq!(rules.interests(), [interest(Hook::ClientConnect, &[])]);
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        refused(json!([]), &[": a table was expected"]);
        refused(
            json!({"rule": 1, "urls": "x"}),
            &["urls: a list of strings was expected", "rule: a table was expected"],
        );
        refused(
            json!({"url": [], "format": "emqx", "colour": 1}),
            &[
                "colour: is not known; known are urls, rule, format",
                "format: \"emqx\" is no format; known is \"rmqtt\"",
                "url: is not known; is 'urls' meant?",
            ],
        );
        refused(
            json!({
                "urls": ["ftp://a", 1],
                "rule": {
                    "client_connected": {"action": "x"},
                    "message_publish": [
                        {"action": "x", "topics": ["a", "a#", 2, ""]},
                        {"topics": "a", "url": "x"},
                        {"action": 1},
                        "x",
                    ],
                    "message_publsh": [],
                },
            }),
            &[
                "urls.0: a URL begins with 'http://', 'https://', 'file://' or 'stdout:'",
                "urls.1: a string was expected",
                "rule.client_connected: a list of rules was expected, such as [{ action = \"…\" }]",
                "rule.message_publish.0.topics.1: 'a#': '#' must be the whole last level of a topic filter",
                "rule.message_publish.0.topics.2: a string was expected",
                "rule.message_publish.0.topics.3: '': a topic filter must not be empty",
                "rule.message_publish.1.topics: a list of strings was expected",
                "rule.message_publish.1.url: is not known; is 'urls' meant?",
                "rule.message_publish.1.action: is missing: the name that the event gets in the body",
                "rule.message_publish.2.action: a string was expected",
                "rule.message_publish.3: a table was expected",
                "rule.message_publsh: is not known; is 'message_publish' meant?",
            ],
        );
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
            ("message_publish", &[Hook::MessagePublish, Hook::MessageDropped]),
            ("message_delivered", &[Hook::MessageDelivered]),
            ("message_acked", &[Hook::MessageAcked]),
            ("message_dropped", &[Hook::DeliveryDropped, Hook::MessageDropped]),
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
                interest(Hook::MessageDropped, &[]),
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
            "message_publish": [{"action": "1"}, {"action": "2", "topics": ["x"]}, {"action": "3", "urls": ["file:///c"]}],
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
            sent(&testing::dropped("x", b"", DropReason::NotAuthorized, 135)),
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

    #[test]
    fn the_brokers_own_messages_are_only_announced() {
        use crate::event::Detail;
        let of = |detail: Detail| RuleKey::of(&testing::event(detail)).to_vec();
        let mut message = testing::message("$SYS/x", b"");
        let mut delivery = testing::delivery("$SYS/x", b"");
        let drop = |delivery, reason| crate::DeliveryDrop {
            delivery,
            reason,
            code: 0,
            text: None,
        };
        assert_eq!(of(Detail::MessageQueued(delivery.clone())), [RuleKey::OfflineMessage]);
        assert_eq!(
            of(Detail::DeliveryDropped(drop(delivery.clone(), DropReason::QueueFull))),
            [RuleKey::MessageDropped]
        );
        message.origin = Origin::System;
        delivery.message.origin = Origin::System;
        assert_eq!(of(Detail::MessagePublish(message.clone())), [RuleKey::MessagePublish]);
        assert_eq!(of(Detail::MessageDelivered(delivery.clone())), []);
        assert_eq!(of(Detail::MessageQueued(delivery.clone())), []);
        assert_eq!(of(Detail::DeliveryDropped(drop(delivery, DropReason::QueueFull))), []);
        for (reason, expected) in [
            (DropReason::NoSubscribers, &[][..]),
            (DropReason::NotAuthorized, &[RuleKey::MessagePublish]),
            (DropReason::PacketIdInUse, &[]),
        ] {
            let drop = crate::MessageDrop {
                message: message.clone(),
                reason,
                code: 0,
                text: None,
            };
            assert_eq!(of(Detail::MessageDropped(drop)), expected);
        }
    }

    #[test]
    fn a_publish_that_nobody_subscribes_to_is_not_told_twice() {
        let of = |reason| RuleKey::of(&testing::dropped("a", b"", reason, 0)).to_vec();
        assert_eq!(of(DropReason::NoSubscribers), []);
        assert_eq!(of(DropReason::PacketIdInUse), [RuleKey::MessageDropped]);
        assert_eq!(
            of(DropReason::NotAuthorized),
            [RuleKey::MessagePublish, RuleKey::MessageDropped]
        );
    }
}
