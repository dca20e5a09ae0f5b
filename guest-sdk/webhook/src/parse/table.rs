//! The settings of one rule.

use serde_json::{Map, Value};

/// The settings of one rule, and those for all rules as defaults.
pub(crate) struct RuleTable<'a> {
    /// The place of the rule and its own settings; `None` for the settings of all rules alone.
    pub(super) rule: Option<(String, &'a Map<String, Value>)>,
    pub(super) shared: &'a Map<String, Value>,
}

/// A value and its place.
pub(crate) struct Found<'a> {
    pub(crate) at: String,
    pub(crate) value: &'a Value,
    /// Whether the rule itself has the value; false if it is the one for all rules.
    pub(crate) is_own: bool,
}

impl<'a> RuleTable<'a> {
    /// The value of a setting: the rule's own, or else the one for all rules. A rule with `null` has no value.
    pub(crate) fn find(&self, name: &str) -> Option<Found<'a>> {
        let own = self.rule.as_ref().and_then(|(_, table)| table.get(name));
        if own.is_some_and(Value::is_null) {
            return None;
        }
        self.own(name).or_else(|| {
            Some(Found {
                at: name.to_owned(),
                value: self.shared.get(name)?,
                is_own: false,
            })
        })
    }

    /// The value in the rule itself.
    pub(crate) fn own(&self, name: &str) -> Option<Found<'a>> {
        let (at, table) = self.rule.as_ref()?;
        Some(Found {
            at: format!("{at}.{name}"),
            value: table.get(name).filter(|value| !value.is_null())?,
            is_own: true,
        })
    }

    /// The place of a setting of the rule, whether it is set or not.
    pub(crate) fn place(&self, name: &str) -> String {
        match &self.rule {
            Some((at, _)) => format!("{at}.{name}"),
            None => name.to_owned(),
        }
    }
}
