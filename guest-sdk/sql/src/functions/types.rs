//! Functions that tell the kind of a value, and functions for missing values.

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::functions::conversions::map;
use crate::value::Value;

/// A function that tells whether its argument matches a pattern.
macro_rules! is {
    ($name:literal, $about:literal, $pattern:pat) => {
        Function {
            name: $name,
            arguments: 1..=1,
            signature: concat!($name, "(value)"),
            about: $about,
            call: |arguments, _| Ok(Value::Bool(matches!(arguments, [$pattern]))),
        }
    };
}

pub(super) const THEME: Theme = Theme {
    title: "Kinds of values and missing values",
    functions: &[
        is!(
            "is_null",
            "Whether the value is missing. JSON's `null` is not missing.",
            Value::Undefined
        ),
        is!(
            "is_null_var",
            "Whether the value is missing or `null`.",
            Value::Undefined | Value::Null
        ),
        Function {
            name: "is_not_null",
            arguments: 1..=1,
            signature: "is_not_null(value)",
            about: "The opposite of `is_null`.",
            call: |arguments, _| Ok(Value::Bool(!matches!(arguments, [Value::Undefined]))),
        },
        Function {
            name: "is_not_null_var",
            arguments: 1..=1,
            signature: "is_not_null_var(value)",
            about: "The opposite of `is_null_var`.",
            call: |arguments, _| Ok(Value::Bool(!matches!(arguments, [Value::Undefined | Value::Null]))),
        },
        is!(
            "is_str",
            "Whether the value is a text.",
            Value::Text(_) | Value::Bytes(_)
        ),
        is!("is_bool", "Whether the value is `true` or `false`.", Value::Bool(_)),
        is!(
            "is_int",
            "Whether the value is an integer; `1.0` and `1e3` are not.",
            Value::Integer(_) | Value::Big(_)
        ),
        is!(
            "is_float",
            "Whether the value is a number with a fraction or an exponent.",
            Value::Float(_)
        ),
        is!(
            "is_num",
            "Whether the value is a number.",
            Value::Integer(_) | Value::Big(_) | Value::Float(_)
        ),
        is!("is_map", "Whether the value is an object.", Value::Object(_)),
        is!("is_array", "Whether the value is a list.", Value::List(_)),
        function!(
            "is_empty",
            1..=1,
            "is_empty(value)",
            "Whether a list, an object, a text or the JSON object in a text is empty.",
            is_empty
        ),
        Function {
            name: "null",
            arguments: 0..=0,
            signature: "null()",
            about: "A missing value.",
            call: |_, _| Ok(Value::Undefined),
        },
        function!(
            "coalesce",
            1..=2,
            "coalesce(list), coalesce(x, y)",
            "The first value that is not missing.",
            |arguments| { first(arguments, |value| !matches!(value, Value::Undefined)) }
        ),
        function!(
            "coalesce_ne",
            1..=2,
            "coalesce_ne(list), coalesce_ne(x, y)",
            "The first value that is neither missing nor an empty text or list.",
            |arguments| first(arguments, |value| match value {
                Value::Undefined => false,
                Value::Text(text) => !text.is_empty(),
                Value::List(list) => !list.is_empty(),
                _ => true,
            })
        ),
        function!(
            "eq",
            2..=2,
            "eq(x, y)",
            "Whether two values are equal: 1 equals 1.0, but, other than with `=`, not `'1'`.",
            |arguments| match arguments {
                [x, y] => Some(Value::Bool(x.order(y).is_eq())),
                _ => None,
            }
        ),
    ],
};

fn is_empty(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let [value] = arguments else { return None };
    let is_empty = match value {
        Value::List(list) => list.is_empty(),
        Value::Text(text) if text.is_empty() => true,
        value => map(value)?.is_empty(),
    };
    Some(Value::Bool(is_empty))
}

/// The first of a list or of two arguments that is `good`; missing if there is none.
fn first(arguments: &[Value<'_>], good: fn(&Value<'_>) -> bool) -> Option<Value<'static>> {
    let values = match arguments {
        [Value::List(list)] => list.as_slice(),
        [_, _] => arguments,
        _ => return None,
    };
    let found = values.iter().find(|value| good(value));
    Some(found.map_or(Value::Undefined, |value| value.clone().into_owned()))
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("is_null(null())", "true"),
            ("is_null('abc')", "false"),
            ("is_null(null)", "false"),
            ("is_null_var(null())", "true"),
            ("is_null_var(null)", "true"),
            ("is_null_var('null')", "false"),
            ("is_null_var('')", "false"),
            ("is_not_null(null())", "false"),
            ("is_not_null(null)", "true"),
            ("is_not_null('abc')", "true"),
            ("is_not_null_var(null())", "false"),
            ("is_not_null_var(null)", "false"),
            ("is_not_null_var('abc')", "true"),
            ("is_str('a')", "true"),
            ("is_str(1)", "false"),
            ("is_str(null)", "false"),
            ("is_str(null())", "false"),
            ("is_bool(true)", "true"),
            ("is_bool('true')", "false"),
            ("is_bool(1)", "false"),
            ("is_int(1)", "true"),
            ("is_int(1.0)", "false"),
            ("is_int('1')", "false"),
            ("is_int(1e3)", "false"),
            ("is_int(12345678901234567890)", "true"),
            ("is_float(1.0)", "true"),
            ("is_float(1)", "false"),
            ("is_float(1e3)", "true"),
            ("is_num(1)", "true"),
            ("is_num(1.5)", "true"),
            ("is_num('1')", "false"),
            ("is_map(json_decode('{}'))", "true"),
            ("is_map([1])", "false"),
            ("is_map('{}')", "false"),
            ("is_array([1])", "true"),
            ("is_array([])", "true"),
            ("is_array(json_decode('{}'))", "false"),
            ("is_empty([])", "true"),
            ("is_empty([1])", "false"),
            ("is_empty('')", "true"),
            ("is_empty('{}')", "true"),
            ("is_empty('{\"a\":1}')", "false"),
            ("is_empty(map_new())", "true"),
            ("is_empty(null())", "fails"),
            ("is_empty(5)", "fails"),
            ("null()", "\"undefined\""),
            ("coalesce(null(), 5)", "5"),
            ("coalesce([null(), 7, 3])", "7"),
            ("coalesce(null, 'd')", "null"),
            ("coalesce('x')", "fails"),
            ("coalesce_ne([null(), '', 7])", "7"),
            ("coalesce_ne(null, 'd')", "null"),
            ("coalesce_ne([], 'd')", "\"d\""),
            ("coalesce_ne('', 'nope')", "\"nope\""),
            ("coalesce_ne('', '')", "\"undefined\""),
            ("eq(1, 1.0)", "true"),
            ("eq('a', 'a')", "true"),
            ("eq(1, '1')", "false"),
            ("eq(['x', 'y'], ['x', 'y'])", "true"),
            ("eq(true, true)", "true"),
            ("eq(true, 'true')", "false"),
        ]);
    }
}
