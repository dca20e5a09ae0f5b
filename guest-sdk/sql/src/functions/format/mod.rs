//! `sprintf`: texts made with the directives of Erlang's `io_lib:format`.
//!
//! A directive is `~F.P.PadC`: a field width, a precision, a character to pad with and a control character; `*` takes a
//! number from the arguments. Source: the documentation of `io:fwrite/3`. Texts here have one character for each byte, as
//! Erlang's Latin-1; a result with others is refused.

mod float;
mod notation;

use num_bigint::BigInt;

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;
use float::float;
pub(super) use notation::latin1;
use notation::{plain, pretty};

/// Longest field, in characters.
const MAX_FIELD: usize = 64 * 1024;

pub(super) const THEME: Theme = Theme {
    title: "Formatted texts",
    functions: &[
        function!(
            "sprintf",
            1..=32,
            "sprintf(format, …)",
            "The format with its directives replaced by the arguments, as Erlang's `io_lib:format` does: `~s` a text, `~b` \
             an integer, `~.2f` a float with two decimals, `~p` any value in Erlang's notation. `~P`, `~W`, `~x` and `~X` are refused.",
            |arguments| {
                let (format, arguments) = arguments.split_first()?;
                formatted(format, arguments)
            }
        ),
        function!(
            "sprintf_s",
            2..=2,
            "sprintf_s(format, list)",
            "As `sprintf`, with the arguments in a list.",
            |arguments| match arguments {
                [format, Value::List(arguments)] => formatted(format, arguments),
                _ => None,
            }
        ),
    ],
};

/// `None` if arguments are missing or left over, or one does not fit its directive.
fn formatted(format: &Value<'_>, arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let format = latin1(format.as_bytes()?);
    let mut formatter = Formatter {
        rest: &format,
        arguments: arguments.iter(),
        out: String::new(),
    };
    while let Some((text, directive)) = formatter.rest.split_once('~') {
        formatter.out.push_str(text);
        formatter.rest = directive;
        formatter.directive()?;
    }
    formatter.out.push_str(formatter.rest);
    let bytes: Option<Vec<u8>> = formatter.out.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    formatter.arguments.next().is_none().then_some(Value::bytes(bytes?))
}

struct Formatter<'f, 'v> {
    rest: &'f str,
    arguments: std::slice::Iter<'f, Value<'v>>,
    out: String,
}

/// The numbers and modifiers of a directive.
struct Directive {
    /// Width of the field; `None` for as wide as the text.
    width: Option<usize>,
    is_left: bool,
    precision: Option<usize>,
    pad: char,
    /// The modifier `t`: texts are UTF-8.
    in_utf8: bool,
}

impl Formatter<'_, '_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next()?;
        self.rest = characters.as_str();
        Some(next)
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Digits, or `*` for an argument.
    fn number(&mut self) -> Option<Option<i128>> {
        if self.take('*') {
            let Value::Integer(number) = self.arguments.next()? else {
                return None;
            };
            return Some(Some(*number));
        }
        let digits = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() {
            Some(None)
        } else {
            number.parse().ok().map(Some)
        }
    }

    /// Writes what the directive behind `~` stands for.
    fn directive(&mut self) -> Option<()> {
        let is_negative = self.take('-');
        let width = self.number()?;
        let width = if is_negative { Some(-width?) } else { width };
        let size = |number: i128| usize::try_from(number).ok().filter(|number| *number <= MAX_FIELD);
        let mut precision = None;
        let mut pad = ' ';
        if self.take('.') {
            precision = match self.number()? {
                Some(number) => Some(size(number)?),
                None => None,
            };
            if self.take('.') {
                pad = if self.take('*') {
                    let Value::Integer(code) = self.arguments.next()? else {
                        return None;
                    };
                    char::from_u32(u32::try_from(*code).ok()?)?
                } else {
                    self.next()?
                };
            }
        }
        let mut in_utf8 = false;
        while let Some(modifier) = self.rest.chars().next().filter(|c| matches!(c, 't' | 'l' | 'k' | 'K')) {
            self.next();
            in_utf8 |= modifier == 't';
        }
        let directive = Directive {
            width: match width {
                Some(width) => Some(size(width.abs())?),
                None => None,
            },
            is_left: width.is_some_and(i128::is_negative),
            precision,
            pad,
            in_utf8,
        };
        let text = match self.next()? {
            '~' => "~".repeat(directive.width.unwrap_or(1)),
            'n' => "\n".repeat(directive.width.unwrap_or(1)),
            'i' => {
                self.arguments.next()?;
                String::new()
            }
            control => {
                let column = self.column();
                directive.write(control, self.arguments.next()?, column)?
            }
        };
        self.out.push_str(&text);
        Some(())
    }

    /// The column of the next character; 1 is the first. Tabs go to the next multiple of 8.
    fn column(&self) -> usize {
        let line = self.out.rsplit('\n').next().unwrap_or_default();
        line.chars()
            .fold(0, |column, c| if c == '\t' { (column + 8) / 8 * 8 } else { column + 1 })
            + 1
    }
}

impl Directive {
    fn write(&self, control: char, value: &Value<'_>, column: usize) -> Option<String> {
        match control {
            's' => self.text(characters(value, self.in_utf8)?),
            'p' => Some(pretty(
                value,
                self.precision.unwrap_or(column).max(1),
                self.width.unwrap_or(80),
                self.in_utf8,
            )),
            'w' => self.term(plain(value), self.precision),
            'c' => self.character(value),
            'b' => self.term(self.digits(value)?.to_lowercase(), None),
            'B' => self.term(self.digits(value)?, None),
            '#' | '+' => {
                let digits = self.digits(value)?;
                let digits = if control == '+' { digits.to_lowercase() } else { digits };
                let (sign, digits) = digits
                    .strip_prefix('-')
                    .map_or(("", digits.as_str()), |digits| ("-", digits));
                self.term(format!("{sign}{}#{digits}", self.precision.unwrap_or(10)), None)
            }
            'f' | 'e' | 'g' => {
                let Value::Float(number) = value else { return None };
                self.term(float(control, *number, self.precision)?, self.width.and(self.width))
            }
            _ => None,
        }
    }

    /// A text in its field. Without a width, the precision is the width, to the left.
    fn text(&self, text: String) -> Option<String> {
        let length = text.chars().count();
        let (width, shown) = match (self.width, self.precision) {
            (None, None) => return Some(text),
            (Some(width), None) => (width, width),
            (None, Some(precision)) => return Some(self.padded(cut(&text, precision), precision, true)),
            (Some(width), Some(precision)) if precision <= width => (width, precision),
            _ => return None,
        };
        // A text that is shorter than the precision is filled at its right.
        let shown_text = if length < shown && self.precision.is_some() && shown < width {
            self.padded(text, shown, true)
        } else {
            cut(&text, shown)
        };
        Some(self.padded(shown_text, width, self.is_left))
    }

    /// Any other value in its field; asterisks if it is longer than the precision or the field.
    fn term(&self, text: String, precision: Option<usize>) -> Option<String> {
        let Some(width) = self.width.or(precision) else {
            return Some(text);
        };
        let length = text.chars().count();
        let room = length.min(precision.map_or(width, |precision| precision.min(width)));
        let text = if length > room { "*".repeat(room) } else { text };
        Some(self.padded(text, width, self.is_left))
    }

    fn padded(&self, text: String, width: usize, is_left: bool) -> String {
        let missing = width.saturating_sub(text.chars().count());
        let pad = String::from(self.pad).repeat(missing);
        if is_left { text + &pad } else { pad + &text }
    }

    /// A character, as often as the precision or the width says.
    fn character(&self, value: &Value<'_>) -> Option<String> {
        let Value::Integer(code) = value else { return None };
        let code = if self.in_utf8 {
            u32::try_from(*code).ok()?
        } else {
            (*code & 0xff) as u32
        };
        let c = char::from_u32(code)?;
        let count = self.precision.or(self.width).unwrap_or(1);
        let text = String::from(c).repeat(count);
        Some(match self.width {
            Some(width) => self.padded(cut(&text, width), width, self.is_left),
            None => text,
        })
    }

    /// An integer in upper-case digits; the precision is the base.
    fn digits(&self, value: &Value<'_>) -> Option<String> {
        let number: BigInt = value.as_integer()?;
        let base = u32::try_from(self.precision.unwrap_or(10))
            .ok()
            .filter(|base| (2..=36).contains(base))?;
        Some(number.to_str_radix(base).to_uppercase())
    }
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// The characters of a text, a word, or a list of texts and code points.
fn characters(value: &Value<'_>, in_utf8: bool) -> Option<String> {
    match value {
        Value::Text(text) if in_utf8 => Some(text.clone().into_owned()),
        Value::Bytes(_) if in_utf8 => None,
        Value::Text(_) | Value::Bytes(_) => value.as_bytes().map(latin1),
        Value::Atom(_) | Value::Undefined | Value::Null | Value::Bool(_) => String::from_utf8(value.to_bytes()).ok(),
        Value::List(list) => {
            let item = |item: &Value<'_>| match item {
                Value::Integer(code) => {
                    let c = char::from_u32(u32::try_from(*code).ok()?)?;
                    (in_utf8 || u32::from(c) <= 0xff).then(|| c.to_string())
                }
                Value::Text(_) | Value::Bytes(_) | Value::List(_) => characters(item, in_utf8),
                _ => None,
            };
            list.iter().map(item).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
