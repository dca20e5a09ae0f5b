//! Functions that read the columns of the event, and functions for topics.
//!
//! EMQX passes the columns to functions in WHERE only. In SELECT these functions have no value there, and here too.

use super::{Function, Theme, function};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::functions::maps::get;
use crate::value::{Entries, Value};

/// A function without arguments for a column.
macro_rules! column {
    ($name:literal, $column:literal) => {
        Function {
            name: $name,
            arguments: 0..=0,
            signature: concat!($name, "()"),
            about: concat!("The column `", $column, "`; in WHERE only."),
            call: |_, environment| Ok(column(environment, $column)),
        }
    };
}

pub(super) const THEME: Theme = Theme {
    title: "Columns and topics",
    functions: &[
        column!("msgid", "id"),
        column!("qos", "qos"),
        column!("clientid", "clientid"),
        column!("clientip", "peerhost"),
        column!("peerhost", "peerhost"),
        column!("username", "username"),
        Function {
            name: "topic",
            arguments: 0..=1,
            signature: "topic([n])",
            about: "The column `topic`, or its n-th level; 1 is the first. In WHERE only.",
            call: |arguments, environment| {
                topic(arguments, environment).ok_or_else(|| Failure::argument("topic", arguments))
            },
        },
        Function {
            name: "payload",
            arguments: 0..=1,
            signature: "payload([path])",
            about: "The column `payload`; with a path, the value there if SELECT made an object of the payload. In WHERE only.",
            call: |arguments, environment| match arguments {
                [] => Ok(column(environment, "payload")),
                [path] => {
                    let path = path.as_text().ok_or_else(|| Failure::argument("payload", arguments))?;
                    let payload = column(environment, "payload");
                    let found = matches!(payload, Value::Object(_))
                        .then(|| get(path, &payload))
                        .flatten();
                    Ok(found.unwrap_or(Value::Undefined))
                }
                _ => Err(Failure::argument("payload", arguments)),
            },
        },
        Function {
            name: "flags",
            arguments: 0..=0,
            signature: "flags()",
            about: "The column `flags`; in SELECT an empty object.",
            call: |_, environment| match column(environment, "flags") {
                Value::Undefined => Ok(Value::Object(Entries::new())),
                flags => Ok(flags),
            },
        },
        Function {
            name: "flag",
            arguments: 1..=1,
            signature: "flag(name)",
            about: "A flag of the message: `'retain'` or `'dup'`. In WHERE only.",
            call: |arguments, environment| {
                let name = arguments.first().and_then(Value::as_text).unwrap_or_default();
                let flags = column(environment, "flags");
                Ok(flags
                    .get(name)
                    .map_or(Value::Undefined, |flag| flag.clone().into_owned()))
            },
        },
        function!(
            "contains_topic",
            2..=3,
            "contains_topic(list, topic[, qos])",
            "`false`: EMQX looks for entries that no event and no JSON has.",
            no_topic
        ),
        function!(
            "contains_topic_match",
            2..=3,
            "contains_topic_match(list, topic[, qos])",
            "`false`, as `contains_topic`.",
            no_topic
        ),
    ],
};

/// The value of a column; missing where functions do not see columns.
fn column(environment: &Environment<'_>, name: &str) -> Value<'static> {
    let columns = environment.columns;
    columns.map_or(Value::Undefined, |columns| columns.get(name).into_owned())
}

/// The topic or one of its levels; `None` if there is no such level.
fn topic(arguments: &[Value<'_>], environment: &Environment<'_>) -> Option<Value<'static>> {
    let topic = column(environment, "topic");
    match arguments {
        [] => Some(topic),
        [Value::Integer(n)] => match &topic {
            Value::Text(text) => {
                let at = usize::try_from(*n).ok()?.checked_sub(1)?;
                text.split('/').nth(at).map(|level| Value::from(level.to_owned()))
            }
            _ => Some(Value::Undefined),
        },
        _ => None,
    }
}

/// EMQX compares with the key `topic` as an atom, which decoded JSON never has.
fn no_topic(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    matches!(arguments, [Value::List(_), ..]).then_some(Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::environment::Columns;
    use crate::functions::find;
    use crate::functions::testing::{StillSystem, check};

    #[test]
    fn as_recorded() {
        check(&[
            ("msgid()", "\"undefined\""),
            ("topic()", "\"undefined\""),
            ("topic(1)", "\"undefined\""),
            ("topic('1')", "fails"),
            ("payload()", "\"undefined\""),
            ("flags()", "{}"),
            ("flag('retain')", "\"undefined\""),
            ("contains_topic([1], 'a/b')", "false"),
            ("contains_topic('x', 'a/b')", "fails"),
            (
                "contains_topic_match(json_decode('[{\"topic\":\"a/+\",\"qos\":1}]'), 'a/b')",
                "false",
            ),
            ("contains_topic_match(null(), 'a/b')", "fails"),
        ]);
    }

    struct Event;

    impl Columns for Event {
        fn get(&self, name: &str) -> Value<'_> {
            match name {
                "topic" => Value::text("q/deep/er"),
                "peerhost" => Value::text("127.0.0.1"),
                "flags" => Value::Object(vec![("retain".into(), Value::Bool(true))]),
                _ => Value::Undefined,
            }
        }

        fn all(&self) -> Vec<(Cow<'_, str>, Value<'_>)> {
            Vec::new()
        }
    }

    #[test]
    fn columns_in_where() {
        let system = StillSystem::default();
        let environment = Environment {
            columns: Some(&Event),
            system: &system,
        };
        for (name, arguments, expected) in [
            ("topic", vec![], Some("\"q/deep/er\"")),
            ("topic", vec![Value::Integer(2)], Some("\"deep\"")),
            ("topic", vec![Value::Integer(4)], None),
            ("topic", vec![Value::Integer(0)], None),
            ("clientip", vec![], Some("\"127.0.0.1\"")),
            ("flag", vec![Value::text("retain")], Some("true")),
            ("flags", vec![], Some("{\"retain\":true}")),
            ("username", vec![], Some("\"undefined\"")),
        ] {
            let value = (find(name).unwrap().call)(&arguments, &environment).ok();
            assert_eq!(
                value.map(|value| value.to_json()).as_deref(),
                expected,
                "{name} {arguments:?}"
            );
        }
    }
}
