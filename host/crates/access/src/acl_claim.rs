//! The access rules of one client, as JSON in a token or in the answer of a web service.
//!
//! | form | meaning |
//! | --- | --- |
//! | `{"pub": […], "sub": […], "all": […]}` | the topics that the client may use; all others are denied |
//! | `[{"permission": …, "action": …, "topic": …}, …]` | rules in order; what no rule matches is decided by the other rules |
//!
//! Both are those of EMQX 5. A topic `eq FILTER` is compared as a text. `topics` is a list, `qos` a number or a list, and
//! `retain` `true`, `false` or `"all"`.

use serde_json::Value;

use crate::rules::{Actions, Permission, QosSet, Rule, TopicPattern, Who};

/// Rules in one claim. More are refused, because they are compiled for each connection.
const MAX_RULES: usize = 1_000;

/// The rules are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidRules;

/// Reads rules; returns whether everything else is denied.
///
/// # Errors
///
/// The value has another form. No rule is left out, because a rule that is left out may be one that denies.
pub(crate) fn read(value: &Value) -> Result<(Vec<Rule>, bool), InvalidRules> {
    let mut rules = Vec::new();
    let is_complete = match value {
        Value::Object(lists) => {
            for (name, topics) in lists {
                let actions = match name.as_str() {
                    "pub" => Actions::Publish,
                    "sub" => Actions::Subscribe,
                    "all" => Actions::All,
                    _ => return Err(InvalidRules),
                };
                let topics: Vec<TopicPattern> = list(topics)?.map(topic).collect::<Result<_, _>>()?;
                rules.push(rule(Permission::Allow, actions, topics));
            }
            true
        }
        Value::Array(list) => {
            for value in list {
                rules.push(one(value)?);
            }
            false
        }
        _ => return Err(InvalidRules),
    };
    if rules.len() > MAX_RULES {
        Err(InvalidRules)
    } else {
        Ok((rules, is_complete))
    }
}

/// Reads rules as RMQTT does: only from a list, and `None` without one. Each rule needs `action` and one `topic`; `qos` is a
/// number or a list of numbers, and `retain` a boolean.
///
/// # Errors
///
/// RMQTT refuses the rules, or [`read`] does.
pub(crate) fn read_of_rmqtt(value: &Value) -> Result<Option<Vec<Rule>>, InvalidRules> {
    let Some(list) = value.as_array() else {
        return Ok(None);
    };
    match list.iter().all(is_rule_of_rmqtt) {
        true => read(value).map(|(rules, _)| Some(rules)),
        false => Err(InvalidRules),
    }
}

fn is_rule_of_rmqtt(rule: &Value) -> bool {
    let Some(rule) = rule.as_object() else { return false };
    let is_qos = |qos: &Value| qos.is_u64() || qos.as_array().is_some_and(|list| list.iter().all(Value::is_u64));
    let action = rule.get("action").and_then(Value::as_str);
    matches!(action, Some("publish" | "subscribe" | "all"))
        && !rule.contains_key("topics")
        && rule.get("qos").is_none_or(is_qos)
        && rule.get("retain").is_none_or(Value::is_boolean)
}

fn rule(permission: Permission, actions: Actions, topics: Vec<TopicPattern>) -> Rule {
    Rule {
        permission,
        who: Who::Everybody,
        actions,
        qos: QosSet::ALL,
        retain: None,
        topics: Some(topics),
    }
}

fn one(value: &Value) -> Result<Rule, InvalidRules> {
    let object = value.as_object().ok_or(InvalidRules)?;
    let mut rule = rule(Permission::Deny, Actions::All, Vec::new());
    let mut has_permission = false;
    for (name, value) in object {
        match name.as_str() {
            "permission" => {
                has_permission = true;
                rule.permission = match value.as_str() {
                    Some("allow") => Permission::Allow,
                    Some("deny") => Permission::Deny,
                    _ => return Err(InvalidRules),
                };
            }
            "action" => {
                rule.actions = match value.as_str() {
                    Some("publish" | "pub") => Actions::Publish,
                    Some("subscribe" | "sub") => Actions::Subscribe,
                    Some("all" | "pubsub") => Actions::All,
                    _ => return Err(InvalidRules),
                };
            }
            "topic" => rule.topics.get_or_insert_default().push(topic(value)?),
            "topics" => {
                for value in list(value)? {
                    rule.topics.get_or_insert_default().push(topic(value)?);
                }
            }
            "qos" => {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                rule.qos = values
                    .iter()
                    .try_fold(QosSet::NONE, |set, value| qos(value).map(|qos| set.with(qos)))?;
            }
            "retain" => {
                rule.retain = match value {
                    Value::Bool(retain) => Some(*retain),
                    Value::String(text) if text == "true" => Some(true),
                    Value::String(text) if text == "false" => Some(false),
                    Value::String(text) if text == "all" => None,
                    _ => return Err(InvalidRules),
                };
            }
            _ => return Err(InvalidRules),
        }
    }
    let has_topics = rule.topics.as_ref().is_some_and(|topics| !topics.is_empty());
    if has_permission && has_topics {
        Ok(rule)
    } else {
        Err(InvalidRules)
    }
}

fn qos(value: &Value) -> Result<u8, InvalidRules> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|qos| *qos <= 2)
        .ok_or(InvalidRules)
}

fn list(value: &Value) -> Result<impl Iterator<Item = &Value>, InvalidRules> {
    value.as_array().map(|list| list.iter()).ok_or(InvalidRules)
}

fn topic(value: &Value) -> Result<TopicPattern, InvalidRules> {
    let text = value.as_str().ok_or(InvalidRules)?;
    match text.strip_prefix("eq ") {
        Some(text) => Ok(TopicPattern::literal(text)),
        None => TopicPattern::filter(text).map_err(|_| InvalidRules),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms() {
        let (rules, is_complete) = read(&json!({"pub": ["a/${clientid}"], "all": ["eq b/#"]})).unwrap();
        assert!(is_complete);
        let topics: Vec<_> = rules
            .iter()
            .map(|rule| (rule.permission, rule.actions, rule.topics.clone().unwrap()))
            .collect();
        let filter = |text: &str| vec![TopicPattern::filter(text).unwrap()];
        assert_eq!(
            topics,
            [
                (Permission::Allow, Actions::All, vec![TopicPattern::literal("b/#")]),
                (Permission::Allow, Actions::Publish, filter("a/${clientid}")),
            ]
        );
        let (rules, is_complete) = read(&json!([
            {"permission": "deny", "action": "publish", "topic": "a", "qos": [0, "1"], "retain": "true"},
            {"permission": "allow", "topics": ["a", "b"]},
        ]))
        .unwrap();
        assert_eq!((rules.len(), is_complete), (2, false));
        assert_eq!(
            (rules[0].qos, rules[0].retain),
            (QosSet::NONE.with(0).with(1), Some(true))
        );
    }

    #[test]
    fn a_rule_that_cannot_be_carried_out_is_not_left_out() {
        for value in [
            json!("all"),
            json!({"publish": ["a"]}),
            json!({"pub": "a"}),
            json!({"pub": ["a/#/b"]}),
            json!([{"permission": "deny"}]),
            json!([{"topic": "a"}]),
            json!([{"permission": "deny", "topic": "a", "clientid": "c"}]),
            json!([{"permission": "deny", "topic": "a", "qos": 3}]),
            json!([1]),
            json!(
                (0..1_001)
                    .map(|_| json!({"permission": "deny", "topic": "a"}))
                    .collect::<Vec<_>>()
            ),
        ] {
            assert_eq!(read(&value), Err(InvalidRules), "{value}");
        }
    }

    #[test]
    fn rules_of_rmqtt() {
        let count = |value: Value| read_of_rmqtt(&value).map(|rules| rules.map(|rules| rules.len()));
        let rule = |more: Value| {
            let mut rule = json!({"permission": "deny", "action": "all", "topic": "a"});
            rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([rule])
        };
        for (value, expected) in [
            (json!({"all": ["#"]}), Ok(None)),
            (json!("all"), Ok(None)),
            (json!([]), Ok(Some(0))),
            (rule(json!({})), Ok(Some(1))),
            (rule(json!({"qos": 1, "retain": true})), Ok(Some(1))),
            (rule(json!({"qos": [0, 1]})), Ok(Some(1))),
            (json!([{"permission": "allow", "topic": "a"}]), Err(InvalidRules)),
            (rule(json!({"action": "pub"})), Err(InvalidRules)),
            (rule(json!({"topics": ["b"]})), Err(InvalidRules)),
            (rule(json!({"qos": "1"})), Err(InvalidRules)),
            (rule(json!({"qos": [0, "1"]})), Err(InvalidRules)),
            (rule(json!({"retain": "true"})), Err(InvalidRules)),
            (json!(["all"]), Err(InvalidRules)),
        ] {
            assert_eq!(count(value.clone()), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a-z0-9 #+/$]{0,120}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                drop(read(&value));
            }
        }
    }
}
