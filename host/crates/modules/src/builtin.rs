//! The built-in module, which is part of the binary. It supports the webhook rules of other brokers.
//!
//! There are two builds of it: one without the function `jq` of the rule SQL, and a much larger one with it, which is loaded
//! if the rules call the function.

use serde_json::Value;

/// The module `webhook` without `jq`: a component like any other, built together with the host.
pub(super) const WEBHOOK: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_WASM"));
/// The same with `jq`.
const WEBHOOK_WITH_JQ: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_JQ_WASM"));

/// A build of the built-in module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltIn {
    /// Without `jq`.
    Small,
    /// With `jq`.
    WithJq,
}

impl BuiltIn {
    /// The smallest build that can carry out a configuration of the module.
    pub(super) fn for_config(config: &Value) -> BuiltIn {
        if calls_jq(config) {
            BuiltIn::WithJq
        } else {
            BuiltIn::Small
        }
    }

    /// The component.
    pub(super) fn code(self) -> &'static [u8] {
        match self {
            BuiltIn::Small => WEBHOOK,
            BuiltIn::WithJq => WEBHOOK_WITH_JQ,
        }
    }
}

/// Whether a text of the configuration has what looks like a call of `jq`. A text that only mentions one loads the larger
/// build without need, and nothing else.
fn calls_jq(config: &Value) -> bool {
    match config {
        Value::String(text) => text.match_indices("jq").any(|(at, name)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let behind = text.get(at + name.len()..).unwrap_or_default();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && behind.trim_start().starts_with('(')
        }),
        Value::Array(values) => values.iter().any(calls_jq),
        Value::Object(entries) => entries.values().any(calls_jq),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_larger_build_is_for_calls_of_jq() {
        for (config, expected) in [
            (json!({}), BuiltIn::Small),
            (
                json!({"rule": {"message_publish": [{"select": "jq, myjq(1), 'jq'"}]}}),
                BuiltIn::Small,
            ),
            (
                json!({"rule": {"message_publish": [{"select": "first(jq('.a', payload)) as a"}]}}),
                BuiltIn::WithJq,
            ),
            (
                json!({"rule": {"message_publish": [{"where": "length(jq ('.a', payload)) > 1"}]}}),
                BuiltIn::WithJq,
            ),
        ] {
            assert_eq!(BuiltIn::for_config(&config), expected, "{config}");
        }
    }
}
