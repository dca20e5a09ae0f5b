//! Which publishes of a module are acknowledged only when its requests are on disk.
//!
//! The operator decides: with `acknowledge = "durable"` in a rule, for all rules, or in `NAME.toml` for all publishes that
//! the module subscribes to. The broker has to know it before a module sees the event, so the host reads the setting
//! itself. It knows nothing else of rules.

use hookhost_contract::Interest;
use hookhost_event::Hook;
use serde_json::Value;

/// The rules that are about publishes.
const EVENT: &str = "message_publish";
const KEY: &str = "acknowledge";

/// A rule whose publishes are durable.
#[derive(Debug, PartialEq)]
pub(super) struct DurableRule {
    /// The key of the setting in the configuration, such as `rule.message_publish.0.acknowledge`.
    pub(super) key: String,
    /// The publishes.
    pub(super) interest: Interest,
}

/// The durable rules of a configuration of the default module.
pub(super) fn rules(config: &Value) -> Vec<DurableRule> {
    let shared = config.get(KEY);
    let list = config.get("rule").and_then(|rules| rules.get(EVENT));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let durable = list.enumerate().filter_map(|(index, rule)| {
        let (own, key) = (rule.get(KEY), format!("rule.{EVENT}.{index}.{KEY}"));
        let key = if own.is_some() { key } else { KEY.to_owned() };
        // A rule with `null` does not have the setting for all rules.
        (own.or(shared)?.as_str()? == "durable").then(|| DurableRule {
            key,
            interest: all(rule.get("topics")),
        })
    });
    durable.collect()
}

/// Every publish.
pub(super) fn every_publish() -> Interest {
    all(None)
}

/// The publishes to these topics, or all.
fn all(topics: Option<&Value>) -> Interest {
    let topics = topics.and_then(Value::as_array).into_iter().flatten();
    Interest {
        hook: Hook::MessagePublish,
        filters: topics.filter_map(|topic| Some(topic.as_str()?.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_has_its_own_setting_or_the_one_for_all() {
        let found = |config: Value| -> Vec<(String, Vec<String>)> {
            let rules = rules(&config).into_iter();
            rules.map(|rule| (rule.key, rule.interest.filters)).collect()
        };
        assert_eq!(found(json!({"rule": {EVENT: [{}]}})), []);
        assert_eq!(
            found(json!({
                "acknowledge": "durable",
                "rule": {EVENT: [{}, {"acknowledge": "immediately"}, {"topics": ["a/#", "b"]}], "client_connected": [{}]},
            })),
            [
                ("acknowledge".to_owned(), vec![]),
                ("acknowledge".to_owned(), vec!["a/#".to_owned(), "b".to_owned()])
            ]
        );
        assert_eq!(
            found(json!({"rule": {EVENT: [{}, {"acknowledge": "durable", "topics": ["a"]}]}})),
            [("rule.message_publish.1.acknowledge".to_owned(), vec!["a".to_owned()])]
        );
    }
}
