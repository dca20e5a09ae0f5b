//! The operators on numbers.

use num_bigint::BigInt;

use super::Value;
use crate::failure::Failure;

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// Division of integers, towards zero.
    Div,
    /// The remainder of [`Operator::Div`].
    Mod,
}

impl Operator {
    /// The operator as it is written.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Div => "div",
            Operator::Mod => "mod",
        }
    }

    /// The result for two values.
    ///
    /// `+` joins texts: if one side is a text, the other one is converted by [`Value::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`Failure::Argument`] for values that are not numbers, [`Failure::Arithmetic`] for a division by zero and for
    /// results that are too large for a float.
    pub(crate) fn apply(self, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, Failure> {
        if self == Operator::Add && (left.as_bytes().is_some() || right.as_bytes().is_some()) {
            let mut bytes = left.to_bytes();
            bytes.extend(right.to_bytes());
            // EMQX joins texts in UTF-8 only.
            let text = String::from_utf8(bytes);
            return text
                .map(Value::from)
                .map_err(|_| Failure::argument(self.sign(), &[left.clone(), right.clone()]));
        }
        let is_whole = matches!(self, Operator::Div | Operator::Mod);
        let is_valid = |value: &Value<'_>| value.is_number() && !(is_whole && matches!(value, Value::Float(_)));
        if !is_valid(left) || !is_valid(right) {
            return Err(Failure::argument(self.sign(), &[left.clone(), right.clone()]));
        }
        if let (Value::Integer(left), Value::Integer(right)) = (left, right)
            && let Some(number) = self.small(*left, *right)
        {
            return Ok(Value::Integer(number));
        }
        if self != Operator::Divide
            && let (Some(left), Some(right)) = (left.as_integer(), right.as_integer())
        {
            return self.large(&left, &right).map(Value::big).ok_or(Failure::Arithmetic);
        }
        let (Some(left), Some(right)) = (left.as_float(), right.as_float()) else {
            return Err(Failure::Arithmetic);
        };
        let number = match self {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            _ => left / right,
        };
        float(number)
    }

    /// The result for integers; `None` if it does not fit, for a division by zero, and for `/`.
    fn small(self, left: i128, right: i128) -> Option<i128> {
        match self {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Divide => None,
            Operator::Div => left.checked_div(right),
            Operator::Mod => left.checked_rem(right),
        }
    }

    fn large(self, left: &BigInt, right: &BigInt) -> Option<BigInt> {
        match self {
            Operator::Add => Some(left + right),
            Operator::Subtract => Some(left - right),
            Operator::Multiply => Some(left * right),
            Operator::Divide => None,
            Operator::Div => left.checked_div(right),
            Operator::Mod => (*right != BigInt::from(0)).then(|| left % right),
        }
    }
}

/// The value with the opposite sign.
///
/// # Errors
///
/// [`Failure::Arithmetic`] if the value is not a number.
pub(crate) fn negate(value: &Value<'_>) -> Result<Value<'static>, Failure> {
    match value {
        Value::Integer(number) => match number.checked_neg() {
            Some(number) => Ok(Value::Integer(number)),
            None => Ok(Value::big(-BigInt::from(*number))),
        },
        Value::Big(number) => Ok(Value::big(-(**number).clone())),
        Value::Float(number) => Ok(Value::Float(-number)),
        _ => Err(Failure::Arithmetic),
    }
}

/// A float.
///
/// # Errors
///
/// [`Failure::Arithmetic`] if it is not finite, as in EMQX.
pub(crate) fn float(number: f64) -> Result<Value<'static>, Failure> {
    match number.is_finite() {
        true => Ok(Value::Float(number)),
        false => Err(Failure::Arithmetic),
    }
}
