//! Reading rules: all mistakes at once, each with the key where it is.

use serde_json::{Map, Value};

use super::key::RuleKey;
use super::rules::{Rule, Rules};
use crate::nearest::nearest;
use crate::problems::Problems;
use crate::topic::TopicFilter;

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
    /// place of those for all rules. They begin with `http://`, `https://`, `file://` or `stdout:`. `format` may be
    /// left out.
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
                self.add(key, at, rule);
            }
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
    use crate::event::{Hook, Interest};
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
        assert_eq!(rules.interests(), [Interest::every(Hook::ClientConnect)]);
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
}
