//! Functions for what is outside of a rule: chance, environment variables and tables of values.

use super::{Function, Theme};
use crate::environment::{System, Table};
use crate::failure::Failure;
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Chance, variables and tables",
    functions: &[
        Function {
            name: "random",
            arguments: 0..=0,
            signature: "random()",
            about: "A random float from 0.0 to below 1.0.",
            call: |_, environment| {
                Ok(Value::Float(
                    (environment.system.random() >> 11) as f64 / (1_u64 << 53) as f64,
                ))
            },
        },
        Function {
            name: "uuid_v4",
            arguments: 0..=0,
            signature: "uuid_v4()",
            about: "A random UUID, such as `'f5bb7bea-a371-4df7-aa30-479add04632b'`.",
            call: |_, environment| Ok(Value::from(uuid(environment.system, "-"))),
        },
        Function {
            name: "uuid_v4_no_hyphen",
            arguments: 0..=0,
            signature: "uuid_v4_no_hyphen()",
            about: "A random UUID without hyphens.",
            call: |_, environment| Ok(Value::from(uuid(environment.system, ""))),
        },
        Function {
            name: "getenv",
            arguments: 1..=1,
            signature: "getenv(name)",
            about: "The text of `variables.NAME` in `[webhook]`, which replaces the variable `EMQXVAR_NAME` in the environment \
                    of EMQX. An empty text if it is not set. Letters of Latin-1 are one byte, as in EMQX; others are refused.",
            call: |arguments, environment| {
                let variable = |name: &str| {
                    let variable = environment.system.variable(name).unwrap_or_default();
                    variable
                        .chars()
                        .map(|c| u8::try_from(u32::from(c)).ok())
                        .collect::<Option<Vec<u8>>>()
                };
                let bytes = arguments.first().and_then(Value::as_text).and_then(variable);
                bytes
                    .map(Value::bytes)
                    .ok_or_else(|| Failure::argument("getenv", arguments))
            },
        },
        Function {
            name: "kv_store_put",
            arguments: 2..=2,
            signature: "kv_store_put(key, value)",
            about: "Puts a value into the table that all rules and clients share, and returns `true`.",
            call: |arguments, environment| {
                put(environment.system, Table::Node, arguments);
                Ok(Value::Bool(true))
            },
        },
        Function {
            name: "kv_store_get",
            arguments: 1..=2,
            signature: "kv_store_get(key[, default])",
            about: "The value of the key in the shared table. Without a value, the default; without a default, missing.",
            call: |arguments, environment| {
                let found = get(environment.system, Table::Node, arguments);
                let default = || {
                    arguments
                        .get(1)
                        .map_or(Value::Undefined, |default| default.clone().into_owned())
                };
                Ok(found.unwrap_or_else(default))
            },
        },
        Function {
            name: "kv_store_del",
            arguments: 1..=1,
            signature: "kv_store_del(key)",
            about: "Removes the value from the shared table, and returns `true`.",
            call: |arguments, environment| {
                put(environment.system, Table::Node, arguments);
                Ok(Value::Bool(true))
            },
        },
        Function {
            name: "proc_dict_put",
            arguments: 2..=2,
            signature: "proc_dict_put(key, value)",
            about: "Puts a value into the table of the client's connection, and returns the previous value.",
            call: |arguments, environment| {
                let previous = get(environment.system, Table::Connection, arguments);
                put(environment.system, Table::Connection, arguments);
                Ok(previous.unwrap_or(Value::Undefined))
            },
        },
        Function {
            name: "proc_dict_get",
            arguments: 1..=1,
            signature: "proc_dict_get(key)",
            about: "The value of the key in the table of the client's connection; missing without a value.",
            call: |arguments, environment| {
                Ok(get(environment.system, Table::Connection, arguments).unwrap_or(Value::Undefined))
            },
        },
        Function {
            name: "proc_dict_del",
            arguments: 1..=1,
            signature: "proc_dict_del(key)",
            about: "Removes the value from the table of the client's connection, and returns it.",
            call: |arguments, environment| {
                let previous = get(environment.system, Table::Connection, arguments);
                put(environment.system, Table::Connection, arguments);
                Ok(previous.unwrap_or(Value::Undefined))
            },
        },
    ],
};

/// The value for the key that is the first argument.
fn get(system: &dyn System, table: Table, arguments: &[Value<'_>]) -> Option<Value<'static>> {
    system.get(table, arguments.first()?)
}

/// Puts the second argument into a table, for the key that is the first one; without a second argument removes the value.
fn put(system: &dyn System, table: Table, arguments: &[Value<'_>]) {
    if let [key, rest @ ..] = arguments {
        system.put(table, key, rest.first().map(|value| value.clone().into_owned()));
    }
}

/// A random UUID of version 4, with a separator between its parts.
fn uuid(system: &dyn System, separator: &str) -> String {
    let bits = u128::from(system.random()) << 64 | u128::from(system.random());
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    parts.join(separator)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("getenv('SQLTEST')", "\"set \u{fffd}\""),
            ("getenv('NOPE')", "\"\""),
            ("getenv(5)", "fails"),
            ("random()", "0.004444444444444362"),
            ("uuid_v4()", "\"01234567-89ab-4def-8123-456789abcdef\""),
            ("uuid_v4_no_hyphen()", "\"0123456789ab4def8123456789abcdef\""),
            ("proc_dict_get('pd-nope')", "\"undefined\""),
            ("proc_dict_put('pd-3', 1)", "\"undefined\""),
            ("proc_dict_del('pd-3')", "1"),
            ("proc_dict_get('pd-3')", "\"undefined\""),
            ("proc_dict_put('pd-2', 'a')", "\"undefined\""),
            ("proc_dict_put('pd-2', 'b')", "\"a\""),
            ("proc_dict_get('pd-2')", "\"b\""),
            ("proc_dict_del('pd-nope')", "\"undefined\""),
            ("kv_store_get('kv-nope')", "\"undefined\""),
            ("kv_store_get('kv-nope', 'd')", "\"d\""),
            ("kv_store_put('kv-2', [1])", "true"),
            ("kv_store_get('kv-2')", "[1]"),
            ("kv_store_get('pd-2')", "\"undefined\""),
            ("kv_store_put('kv-3', 1)", "true"),
            ("kv_store_del('kv-3')", "true"),
            ("kv_store_get('kv-3', 'gone')", "\"gone\""),
        ]);
    }
}
