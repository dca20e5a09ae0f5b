//! Functions for texts.

use super::{Function, Theme};
use crate::failure::Failure;
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Texts",
    functions: &[
        Function {
            name: "upper",
            arguments: 1..=1,
            signature: "upper(text)",
            about: "The text in upper case.",
            call: |arguments, _| match arguments {
                [Value::Text(text)] => Ok(Value::from(text.to_uppercase())),
                _ => Err(Failure::argument("upper", arguments)),
            },
        },
        Function {
            name: "lower",
            arguments: 1..=1,
            signature: "lower(text)",
            about: "The text in lower case.",
            call: |arguments, _| match arguments {
                [Value::Text(text)] => Ok(Value::from(text.to_lowercase())),
                _ => Err(Failure::argument("lower", arguments)),
            },
        },
    ],
};
