//! Functions for lists.

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Lists",
    functions: &[
        function!(
            "nth",
            2..=2,
            "nth(n, list)",
            "The n-th value of the list; 1 is the first.",
            |arguments| match arguments {
                [Value::Integer(n @ 1..), Value::List(list)] => item(list, *n),
                _ => None,
            }
        ),
        function!(
            "length",
            1..=1,
            "length(list)",
            "The number of values in the list.",
            |arguments| match arguments {
                [Value::List(list)] => Some(Value::Integer(list.len() as i128)),
                _ => None,
            }
        ),
        function!(
            "sublist",
            2..=3,
            "sublist([start, ]length, list)",
            "Up to `length` values of the list, beginning with the `start`-th.",
            |arguments| match arguments {
                [Value::Integer(length @ 0..), Value::List(list)] => Some(part(list, 1, *length)),
                [
                    Value::Integer(start @ 1..),
                    Value::Integer(length @ 0..),
                    Value::List(list),
                ] => {
                    Some(part(list, *start, *length))
                }
                _ => None,
            }
        ),
        function!(
            "first",
            1..=1,
            "first(list)",
            "The first value of the list.",
            |arguments| match arguments {
                [Value::List(list)] => item(list, 1),
                _ => None,
            }
        ),
        function!(
            "last",
            1..=1,
            "last(list)",
            "The last value of the list.",
            |arguments| match arguments {
                [Value::List(list)] => item(list, list.len() as i128),
                _ => None,
            }
        ),
        function!(
            "contains",
            2..=2,
            "contains(value, list)",
            "Whether the list contains exactly this value; 1 and 1.0 are different.",
            |arguments| match arguments {
                [value, Value::List(list)] => Some(Value::Bool(list.contains(value))),
                _ => None,
            }
        ),
    ],
};

/// The n-th value; 1 is the first.
fn item(list: &[Value<'_>], n: i128) -> Option<Value<'static>> {
    let at = usize::try_from(n).ok()?.checked_sub(1)?;
    list.get(at).map(|value| value.clone().into_owned())
}

fn part(list: &[Value<'_>], start: i128, length: i128) -> Value<'static> {
    let [start, length] = [start - 1, length].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    Value::List(
        list.iter()
            .skip(start)
            .take(length)
            .map(|value| value.clone().into_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("nth(1, [1, 2, 3])", "1"),
            ("nth(3, ['x', 'y', 'z'])", "\"z\""),
            ("nth(4, ['x', 'y', 'z'])", "fails"),
            ("nth('1', ['x', 'y', 'z'])", "fails"),
            ("nth(1, 'abc')", "fails"),
            ("nth(1, [])", "fails"),
            ("nth(0, [1])", "fails"),
            ("length([1, 2, 3])", "3"),
            ("length([])", "0"),
            ("length(map_new())", "fails"),
            ("sublist(2, [1, 2, 3])", "[1,2]"),
            ("sublist(9, ['x', 'y'])", r#"["x","y"]"#),
            ("sublist(0, ['x', 'y'])", "[]"),
            ("sublist(-1, [1, 2])", "fails"),
            ("sublist(0, 1, [1, 2])", "fails"),
            ("sublist('1', [1, 2])", "fails"),
            ("sublist(2, 2, [1, 2, 3, 4])", "[2,3]"),
            ("sublist(5, 1, [1, 2, 3])", "[]"),
            ("first([1, 2])", "1"),
            ("first('abc')", "fails"),
            ("first([])", "fails"),
            ("last([1, 2])", "2"),
            ("last(map_new())", "fails"),
            ("contains(2, [1, 2])", "true"),
            ("contains(8, [5, 3, 9, 1])", "false"),
            ("contains(1, [1.0])", "false"),
            ("contains('a', 'abc')", "fails"),
        ]);
    }
}
