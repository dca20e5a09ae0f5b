//! How EMQX compares values.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use super::Value;
use super::text::number;

impl Value<'_> {
    /// Compares two values as EMQX's `=` and `<` do. Returns `None` if EMQX cannot compare them; the rule then fails.
    ///
    /// A text is converted to a number if it is compared with a number. Words (booleans and null among them) are converted
    /// to text if they are compared with a text. Otherwise the order is: numbers, words, objects, lists, texts.
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self.word(), other.word()) {
            (Some(word), None) => {
                if let Some(bytes) = other.as_bytes() {
                    return Some(word.as_bytes().cmp(bytes));
                }
            }
            (None, Some(word)) => {
                if let Some(bytes) = self.as_bytes() {
                    return Some(bytes.cmp(word.as_bytes()));
                }
            }
            _ => {}
        }
        if self.is_number() && other.as_bytes().is_some() {
            return Some(self.order(&number(other.as_text()?)?));
        }
        if self.as_bytes().is_some() && other.is_number() {
            return Some(number(self.as_text()?)?.order(other));
        }
        Some(self.order(other))
    }

    /// The word of a value that is a word in EMQX.
    fn word(&self) -> Option<&str> {
        match self {
            Value::Undefined => Some("undefined"),
            Value::Null => Some("null"),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Atom(word) => Some(word),
            _ => None,
        }
    }

    /// The order of all values, without conversions.
    pub fn order(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::List(left), Value::List(right)) => in_order(left, right),
            (Value::Object(left), Value::Object(right)) => left.len().cmp(&right.len()).then_with(|| {
                // Erlang compares the names first, from the lowest.
                let names = left.iter().rev().map(|(name, _)| name);
                names.cmp(right.iter().rev().map(|(name, _)| name)).then_with(|| {
                    let pairs = left.iter().zip(right).rev();
                    let mut orders = pairs.map(|((_, left), (_, right))| left.order(right));
                    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                })
            }),
            _ if self.is_number() && other.is_number() => self.order_of_numbers(other),
            _ => self
                .rank()
                .cmp(&other.rank())
                .then_with(|| self.word().cmp(&other.word()))
                .then_with(|| self.as_bytes().cmp(&other.as_bytes())),
        }
    }

    fn order_of_numbers(&self, other: &Value<'_>) -> Ordering {
        /// Up to here every integer has a float of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let exact = |float: f64| float.abs() < EXACT;
        match (self, other) {
            // -0.0 is 0.0 here.
            (Value::Float(left), Value::Float(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
            (Value::Float(left), right) if exact(*left) => match right.as_float() {
                Some(right) => (left + 0.0).total_cmp(&right),
                None => right.sign().reverse(),
            },
            (left, Value::Float(right)) if exact(*right) => match left.as_float() {
                Some(left) => left.total_cmp(&(right + 0.0)),
                None => left.sign(),
            },
            (left, right) => left.whole().cmp(&right.whole()),
        }
    }

    /// A number as an integer, without its fraction.
    fn whole(&self) -> Option<BigInt> {
        match self {
            Value::Float(number) => BigInt::from_f64(number.trunc()),
            number => number.as_integer(),
        }
    }

    fn sign(&self) -> Ordering {
        self.whole().cmp(&Some(BigInt::from(0)))
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Integer(_) | Value::Big(_) | Value::Float(_) => 0,
            Value::Undefined | Value::Null | Value::Bool(_) | Value::Atom(_) => 1,
            Value::Object(_) => 2,
            Value::List(_) => 3,
            Value::Text(_) | Value::Bytes(_) => 4,
        }
    }
}

fn in_order(left: &[Value<'_>], right: &[Value<'_>]) -> Ordering {
    let mut orders = left.iter().zip(right).map(|(left, right)| left.order(right));
    orders
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}
