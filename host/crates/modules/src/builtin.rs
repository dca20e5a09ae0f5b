//! The built-in module, which is part of the binary. It supports the webhook rules of other brokers.
//!
//! There are two builds of it: one without the large functions of the rule SQL, such as regular expressions and `jq`, and one
//! with all functions, which is several times as large. The larger one is loaded if the rules call a large function.

use hookhost_sql::{Condition, Select};
use serde_json::Value;

/// The module `webhook` without the large functions: a component like any other, built together with the host.
pub(super) const WEBHOOK: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_WASM"));
/// The same with all functions.
const WEBHOOK_FULL: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_FULL_WASM"));

/// A build of the built-in module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltIn {
    /// Without the large functions.
    Small,
    /// With all functions.
    Full,
}

impl BuiltIn {
    /// The smallest build that can carry out a configuration of the module.
    pub(super) fn for_config(config: &Value) -> BuiltIn {
        let rules = config.get("rule").and_then(Value::as_object);
        let mut rules = rules
            .into_iter()
            .flatten()
            .filter_map(|(_, rules)| rules.as_array())
            .flatten();
        match rules.any(needs_all_functions) {
            true => BuiltIn::Full,
            false => BuiltIn::Small,
        }
    }

    /// The component.
    pub(super) fn code(self) -> &'static [u8] {
        match self {
            BuiltIn::Small => WEBHOOK,
            BuiltIn::Full => WEBHOOK_FULL,
        }
    }
}

/// Whether a clause of a rule calls a large function. Both builds report the same errors in clauses.
fn needs_all_functions(rule: &Value) -> bool {
    let clause = |name: &str| rule.get(name).and_then(Value::as_str);
    let select = clause("select").and_then(|text| Select::parse(text).ok());
    let condition = clause("where").and_then(|text| Condition::parse(text).ok());
    select.is_some_and(|select| select.needs_all_functions())
        || condition.is_some_and(|condition| condition.needs_all_functions())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_full_build_is_for_calls_of_large_functions() {
        for (rule, expected) in [
            (json!({}), BuiltIn::Small),
            (
                json!({"select": "jq, upper(clientid) as c, 'jq(1)'", "where": "qos = 1"}),
                BuiltIn::Small,
            ),
            (json!({"body": "sprintf('~p', 1)"}), BuiltIn::Small),
            (json!({"select": "first(jq('.a', payload)) as a"}), BuiltIn::Full),
            (json!({"where": "length(jq ('.a', payload)) > 1"}), BuiltIn::Full),
            (
                json!({"where": "upper(regex_replace -- a comment\n (topic, 'a', 'b')) = 'X'"}),
                BuiltIn::Full,
            ),
            (
                json!({"select": "FOREACH payload.list as s INCASE emqx_rule_funcs.md5(s) = 'x'"}),
                BuiltIn::Full,
            ),
            (json!({"select": "jq('.a', payload"}), BuiltIn::Small),
        ] {
            let config = json!({"rule": {"client_connected": [{}], "message_publish": [{}, rule]}});
            assert_eq!(BuiltIn::for_config(&config), expected, "{config}");
        }
        for config in [
            json!(null),
            json!({"rule": 1}),
            json!({"rule": {"message_publish": "jq()"}}),
        ] {
            assert_eq!(BuiltIn::for_config(&config), BuiltIn::Small, "{config}");
        }
    }
}
