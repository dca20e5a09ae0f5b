//! Functions that tell the kind of a value.

use super::{Function, Theme};
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Kinds of values",
    functions: &[Function {
        name: "is_num",
        arguments: 1..=1,
        signature: "is_num(value)",
        about: "Whether the value is a number.",
        call: |arguments, _| Ok(Value::Bool(arguments.first().is_some_and(Value::is_number))),
    }],
};
