//! Functions for objects.

use std::borrow::Cow;

use super::conversions::map;
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::json;
use crate::value::decimal::with_decimals;
use crate::value::{Entries, Value, insert};

pub(super) const THEME: Theme = Theme {
    title: "Objects",
    functions: &[
        Function {
            name: "map_new",
            arguments: 0..=0,
            signature: "map_new()",
            about: "An empty object.",
            call: |_, _| Ok(Value::Object(Entries::new())),
        },
        function!(
            "map_get",
            2..=3,
            "map_get(path, object[, default])",
            "The value at a path such as `'a.b'`. JSON in texts on the way is read. The default, or missing, if there is no \
             such value.",
            |arguments| match arguments {
                [Value::Text(path), object] => Some(get(path, object).unwrap_or(Value::Undefined)),
                [Value::Text(path), object, default] => {
                    Some(get(path, object).unwrap_or_else(|| default.clone().into_owned()))
                }
                _ => None,
            }
        ),
        function!(
            "map_put",
            3..=3,
            "map_put(path, value, object)",
            "The object with the value at a path such as `'a.b'`. What is not an object on the way becomes one.",
            |arguments| match arguments {
                [Value::Text(_), Value::Undefined, list @ Value::List(_)] => Some(list.clone().into_owned()),
                [Value::Text(path), value, object] => Some(put(path, value, object.clone().into_owned())),
                _ => None,
            }
        ),
        function!(
            "map_keys",
            1..=1,
            "map_keys(object)",
            "The names in the object, in ascending order.",
            |arguments| { list(arguments, |name, _| Value::Text(name)) }
        ),
        function!(
            "map_values",
            1..=1,
            "map_values(object)",
            "The values in the object, in the order of their names.",
            |arguments| { list(arguments, |_, value| value) }
        ),
        function!(
            "map_to_entries",
            1..=1,
            "map_to_entries(object)",
            "A list of `{\"key\": name, \"value\": value}` for each name in the object.",
            |arguments| list(arguments, |name, value| {
                Value::Object(vec![("value".into(), value), ("key".into(), Value::Text(name))])
            })
        ),
        function!(
            "map_size",
            1..=1,
            "map_size(object)",
            "The number of names in the object.",
            |arguments| match arguments {
                [object] => Some(Value::Integer(map(object)?.len() as i128)),
                _ => None,
            }
        ),
        function!(
            "mget",
            2..=3,
            "mget(name, object[, default])",
            "The value of a name, which may contain points. The default, or missing, if there is no such name.",
            |arguments| {
                let (name, object, default) = match arguments {
                    [name, object] => (name, object, Value::Undefined),
                    [name, object, default] => (name, object, default.clone().into_owned()),
                    _ => return None,
                };
                let entries = map(object)?;
                let found = entries.into_iter().find(|(known, _)| Some(&**known) == name.as_text());
                Some(found.map_or(default, |(_, value)| value))
            }
        ),
        function!(
            "mput",
            3..=3,
            "mput(name, value, object)",
            "The object with the value for a name, which may contain points.",
            |arguments| match arguments {
                [Value::Text(name), value, object] => {
                    let mut entries = map(object)?;
                    insert(
                        &mut entries,
                        Cow::Owned(name.clone().into_owned()),
                        value.clone().into_owned(),
                    );
                    Some(Value::Object(entries))
                }
                _ => None,
            }
        ),
        function!(
            "map_to_redis_hset_args",
            1..=1,
            "map_to_redis_hset_args(object)",
            "A list of the word `map_to_redis_hset_args`, names and values, for the Redis command HSET.",
            |arguments| match arguments {
                [object] => Some(hset_arguments(object)),
                _ => None,
            }
        ),
    ],
};

/// The value at a path; `None` if there is none.
pub(super) fn get(path: &str, value: &Value<'_>) -> Option<Value<'static>> {
    let mut found = Cow::Borrowed(value);
    for name in path.split('.') {
        let json = match &*found {
            Value::Text(text) => Some(json::read(text)?.into_owned()),
            _ => None,
        };
        let object = json.as_ref().unwrap_or(&*found);
        let next = object.get(name)?.clone().into_owned();
        found = Cow::Owned(next);
    }
    Some(found.into_owned().into_owned()).filter(|value| !matches!(value, Value::Undefined))
}

/// The object with a value at a path. A missing value changes nothing.
fn put(path: &str, value: &Value<'_>, object: Value<'static>) -> Value<'static> {
    let mut entries = match object {
        Value::Object(entries) => entries,
        _ => Entries::new(),
    };
    if matches!(value, Value::Undefined) {
        return Value::Object(entries);
    }
    let (name, value) = match path.split_once('.') {
        None => (path, value.clone().into_owned()),
        Some((name, rest)) => {
            let inner = entries.iter().find(|(known, _)| known == name);
            let inner = inner.map_or(Value::Undefined, |(_, inner)| inner.clone());
            (name, put(rest, value, inner))
        }
    };
    insert(&mut entries, Cow::Owned(name.to_owned()), value);
    Value::Object(entries)
}

/// What `item` makes of each name and value, in ascending order of the names.
fn list(
    arguments: &[Value<'_>],
    item: fn(Cow<'static, str>, Value<'static>) -> Value<'static>,
) -> Option<Value<'static>> {
    let [object] = arguments else { return None };
    let entries = map(object)?;
    Some(Value::List(
        entries
            .into_iter()
            .rev()
            .map(|(name, value)| item(name, value))
            .collect(),
    ))
}

/// Names and values in descending order. Values that Redis has no text for are left out.
fn hset_arguments(object: &Value<'_>) -> Value<'static> {
    let entries = map(object).unwrap_or_default();
    let pairs = entries.into_iter().filter_map(|(name, value)| {
        let text = match value {
            Value::Text(_) | Value::Bytes(_) => value,
            Value::Integer(_) | Value::Big(_) | Value::Bool(_) => Value::from(value.to_json()),
            Value::Float(number) => Value::from(with_decimals(number, 6, true)?),
            _ => return None,
        };
        Some([Value::Text(name), text])
    });
    let command = Value::atom("map_to_redis_hset_args");
    Value::List(std::iter::once(command).chain(pairs.flatten()).collect())
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("map_new()", "{}"),
            ("map_get('x', map('{\"x\":1}'))", "1"),
            ("map_get('nope', map('{\"x\":1}'))", "\"undefined\""),
            ("map_get('nope', map('{\"x\":1}'), 'd')", "\"d\""),
            ("map_get('a.b', '{\"a\":{\"b\":[1,2]},\"c\":null}')", "[1,2]"),
            ("map_get('a', '{\"a\":5}')", "5"),
            ("map_get('x', 5)", "\"undefined\""),
            ("map_get('x', [1])", "\"undefined\""),
            ("map_get('', map('{\"x\":1}'))", "\"undefined\""),
            ("map_get('a b', map('{\"a b\":3}'))", "3"),
            ("map_get(1, map('{\"a b\":3}'))", "fails"),
            ("map_put('k', 1, map('{\"x\":1}'))", r#"{"x":1,"k":1}"#),
            ("map_put('a', 1, '{\"b\":2}')", r#"{"a":1}"#),
            ("map_put('k', 1, [1])", r#"{"k":1}"#),
            ("map_put('k', 1, 5)", r#"{"k":1}"#),
            ("map_put('l', [5, 3], map_new())", r#"{"l":[5,3]}"#),
            ("map_put('a.c', 1, map('{\"a\":{\"b\":1}}'))", r#"{"a":{"c":1,"b":1}}"#),
            ("map_put('a.b', 1, map_new())", r#"{"a":{"b":1}}"#),
            ("map_put('a', null(), [1])", "[1]"),
            ("map_keys('{\"b\":1,\"a\":2}')", r#"["a","b"]"#),
            ("map_keys(5)", "fails"),
            ("map_values('{\"b\":1,\"a\":2}')", "[2,1]"),
            ("map_values('x')", "fails"),
            (
                "map_to_entries('{\"x\":1,\"a b\":3}')",
                r#"[{"value":3,"key":"a b"},{"value":1,"key":"x"}]"#,
            ),
            ("map_to_entries(null)", "fails"),
            ("map_size('{\"a\":1}')", "1"),
            ("map_size(map_new())", "0"),
            ("map_size(null())", "fails"),
            ("mget('x', map('{\"x\":1}'))", "1"),
            ("mget('nope', map('{\"x\":1}'))", "\"undefined\""),
            ("mget('nope', map('{\"x\":1}'), 'd')", "\"d\""),
            ("mget('a.b', '{\"a.b\":1}')", "1"),
            ("mget('x', 5)", "fails"),
            ("mput('k', 1, map('{\"x\":1}'))", r#"{"x":1,"k":1}"#),
            ("mput('k', 1, 'x')", "fails"),
            (
                "map_to_redis_hset_args(map('{\"x\":1,\"y\":{\"z\":2},\"a-b\":2,\"f\":1.10,\"t\":true}'))",
                r#"["map_to_redis_hset_args","x","1","t","true","f","1.1","a-b","2"]"#,
            ),
            ("map_to_redis_hset_args('nope')", r#"["map_to_redis_hset_args"]"#),
        ]);
    }
}
