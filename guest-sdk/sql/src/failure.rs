//! Why a clause has no value for an event.

use std::fmt;

use crate::value::Value;

/// Why a clause has no value for an event. In EMQX the rule then fails and sends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The clause uses a field of the payload, and the payload is not JSON.
    PayloadIsNotJson,
    /// A text that is not a number is compared with a number.
    NotANumber(String),
    /// An operand of `=~` is not a text.
    NotATopic,
    /// The value of a condition is not a boolean, or a value is used as a condition.
    NotACondition,
    /// A part of a list is taken from a value that is not a list.
    NotAList,
    /// A range such as `[3..1]` ends before it begins.
    EmptyRange,
    /// A result that is not a number: a division by zero, or too large for a float.
    Arithmetic,
    /// A function does not accept its arguments, which are written as JSON.
    Argument {
        /// The function or the operator.
        function: String,
        /// The arguments.
        arguments: Vec<String>,
    },
    /// There is no function of this name with this number of arguments.
    UnknownFunction(String),
}

impl Failure {
    /// A function does not accept its arguments.
    pub fn argument(function: &str, arguments: &[Value<'_>]) -> Failure {
        Failure::Argument {
            function: function.to_owned(),
            arguments: arguments.iter().map(Value::to_json).collect(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::PayloadIsNotJson => {
                f.write_str("the rule uses a field of the payload, and the payload is not JSON")
            }
            Failure::NotANumber(text) => write!(f, "'{text}' is compared with a number and is not a number"),
            Failure::NotATopic => f.write_str("=~ compares a topic with a topic filter, both texts"),
            Failure::NotACondition => f.write_str("a condition is neither true nor false"),
            Failure::NotAList => f.write_str("[a..b] is used with a value that is not a list"),
            Failure::EmptyRange => f.write_str("a range ends before it begins"),
            Failure::Arithmetic => f.write_str("the result of a calculation is not a number"),
            Failure::Argument { function, arguments } => {
                write!(f, "{function} does not accept ({})", arguments.join(", "))
            }
            Failure::UnknownFunction(name) => write!(f, "there is no function {name}"),
        }
    }
}

impl std::error::Error for Failure {}
