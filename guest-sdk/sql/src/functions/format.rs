//! `sprintf`: texts made with the directives of Erlang's `io_lib:format`.
//!
//! A directive is `~F.P.PadC`: a field width, a precision, a character to pad with and a control character; `*` takes a
//! number from the arguments. Source: the documentation of `io:fwrite/3`. Texts here have one character for each byte, as
//! Erlang's Latin-1; a result with others is refused.

use num_bigint::BigInt;

use super::notation::{latin1, plain, pretty};
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

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

/// A float with `f`, `e` or `g`. Digits are rounded half up, from the 21 that Erlang uses.
fn float(control: char, number: f64, precision: Option<usize>) -> Option<String> {
    let precision = precision.unwrap_or(6);
    let sign = if number < 0.0 { "-" } else { "" };
    let exact = format!("{:.20e}", number.abs());
    let (mantissa, exponent) = exact.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let digits: Vec<u8> = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| digit - b'0')
        .collect();
    match control {
        'f' if precision >= 1 => {
            // As many digits as are in front of the point, and the precision.
            let kept = exponent + 1 + i64::try_from(precision).ok()?;
            let (digits, exponent) = rounded(&digits, exponent, kept);
            let digit = |place: i64| {
                char::from(
                    b'0' + usize::try_from(exponent - place)
                        .ok()
                        .and_then(|at| digits.get(at))
                        .unwrap_or(&0),
                )
            };
            let whole: String = (0..=exponent.max(0)).rev().map(digit).collect();
            let fraction: String = (1..=i64::try_from(precision).ok()?)
                .map(|place| digit(-place))
                .collect();
            Some(format!("{sign}{whole}.{fraction}"))
        }
        'e' if precision >= 2 => {
            let (digits, exponent) = rounded(&digits, exponent, i64::try_from(precision).ok()?);
            let exponent = if number == 0.0 { 0 } else { exponent };
            let text: String = (0..precision)
                .map(|at| char::from(b'0' + digits.get(at).unwrap_or(&0)))
                .collect();
            let (first, rest) = text.split_at(1);
            let plus = if exponent < 0 { "" } else { "+" };
            Some(format!("{sign}{first}.{rest}e{plus}{exponent}"))
        }
        'g' => {
            let magnitude = number.abs();
            if !(0.1..10_000.0).contains(&magnitude) {
                return float('e', number, Some(precision));
            }
            // So many significant digits.
            let whole = exponent.max(-1) + 1;
            let decimals = i64::try_from(precision).ok()? - whole.max(0);
            let decimals = usize::try_from(decimals).ok().filter(|decimals| *decimals >= 1);
            match decimals {
                Some(decimals) => float('f', number, Some(decimals)),
                None => float('e', number, Some(precision)),
            }
        }
        _ => None,
    }
}

/// The first digits, rounded half up, and the exponent, which is one higher if the rounding adds a digit.
fn rounded(digits: &[u8], exponent: i64, kept: i64) -> (Vec<u8>, i64) {
    let Ok(kept) = usize::try_from(kept) else {
        return (vec![0], exponent);
    };
    let Some(next) = digits.get(kept) else {
        return (digits.to_vec(), exponent);
    };
    let mut rounded: Vec<u8> = digits.iter().copied().take(kept).collect();
    let mut carry = *next >= 5;
    for digit in rounded.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == 9;
        *digit = if carry { 0 } else { *digit + 1 };
    }
    if carry {
        rounded.insert(0, 1);
        return (rounded, exponent + 1);
    }
    (rounded, exponent)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("sprintf_s('~s-~p', ['a', 1])", "\"a-1\""),
            ("sprintf_s('~.2f ~5.. B', [1.234, 7])", "\"1.23     7\""),
            (
                "sprintf_s('~p ~p', [true, 'äÖ€😀'])",
                "\"true <<195,164,195,150,226,130,172,240,159,152,128>>\"",
            ),
            ("sprintf('~s-~p', 'a', 1)", "\"a-1\""),
            ("sprintf('~s', 7)", "fails"),
            (
                "sprintf('~p', map('{\"x\":1,\"y\":{\"z\":\"deep\"},\"a-b\":2,\"a b\":3}'))",
                r##""#{<<\"a b\">> => 3,<<\"a-b\">> => 2,<<\"x\">> => 1,\n  <<\"y\">> => #{<<\"z\">> => <<\"deep\">>}}""##,
            ),
            ("sprintf('~2..0B:~2..0B', 7, 5)", "\"07:05\""),
            ("sprintf('~.16B', 255)", "\"FF\""),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            ("bin2hexstr(sprintf('~ts', 'ä'))", "\"E4\""),
            ("sprintf('~ts', '€')", "fails"),
            ("sprintf('~s', 'ä€')", "\"ä€\""),
            ("sprintf('~5s|', 'ab')", "\"   ab|\""),
            ("sprintf('~-5s|', 'ab')", "\"ab   |\""),
            ("sprintf('~.1s|', 'ab')", "\"a|\""),
            ("sprintf('~5.1s|', 'ab')", "\"    a|\""),
            ("sprintf('~5.1.xs|', 'ab')", "\"xxxxa|\""),
            ("sprintf('~1.5s|', 'ab')", "fails"),
            ("sprintf('~s', ['ab', 99, [100]])", "\"abcd\""),
            ("sprintf('~s', true)", "\"true\""),
            ("sprintf('~s', [8364])", "fails"),
            ("sprintf('~5p|', 1)", "\"1|\""),
            ("sprintf('~5w|', 1)", "\"    1|\""),
            ("sprintf('~2w|', 1234)", "\"**|\""),
            ("sprintf('~5.3w|', 1234)", "\"  ***|\""),
            ("sprintf('~5.2.0f|', 1.234)", "\"01.23|\""),
            ("sprintf('~f', 1.234)", "\"1.234000\""),
            ("sprintf('~f', 1)", "fails"),
            ("sprintf('~.0f', 1.234)", "fails"),
            ("sprintf('~.2f', 0.125)", "\"0.13\""),
            ("sprintf('~.2f', -0.125)", "\"-0.13\""),
            ("sprintf('~.2f', 1.005)", "\"1.00\""),
            ("sprintf('~.20f', 0.1)", "\"0.10000000000000000555\""),
            ("sprintf('~.3f', 1e-10)", "\"0.000\""),
            ("sprintf('~.2f', 9.999)", "\"10.00\""),
            ("sprintf('~.2f', 0.999)", "\"1.00\""),
            ("sprintf('~e', 1.234)", "\"1.23400e+0\""),
            ("sprintf('~.3e', 12345.678)", "\"1.23e+4\""),
            ("sprintf('~.3e', 0.00012345678)", "\"1.23e-4\""),
            ("sprintf('~.1e', 1.0)", "fails"),
            ("sprintf('~.2e', 9.99)", "\"1.0e+1\""),
            ("sprintf('~e', 0.0)", "\"0.00000e+0\""),
            ("sprintf('~e', -1.5e300)", "\"-1.50000e+300\""),
            ("sprintf('~g', 1.234)", "\"1.23400\""),
            ("sprintf('~g', 0.01)", "\"1.00000e-2\""),
            ("sprintf('~g', 0.1)", "\"0.100000\""),
            ("sprintf('~g', 12345.678)", "\"1.23457e+4\""),
            ("sprintf('~g', 9999.9)", "\"9999.90\""),
            ("sprintf('~.3g', 123.456)", "\"1.23e+2\""),
            (
                "sprintf('~b ~B ~.16b ~.16B ~.2b', 10, 10, 255, 255, 5)",
                "\"10 10 ff FF 101\"",
            ),
            ("sprintf('~5.16.0b|~-5b|~5.. b', 255, 7, -7)", "\"000ff|7    |   -7\""),
            ("sprintf('~.16# ~.16+', 31, 31)", "\"16#1F 16#1f\""),
            ("sprintf('~c~3c~5.2c|', 65, 66, 67)", "\"ABBB   CC|\""),
            ("sprintf('~c', 300)", "\",\""),
            ("sprintf('~tc', 300)", "fails"),
            ("sprintf('~i~n~2n~~~3~', 300)", r#""\n\n\n~~~~""#),
            ("sprintf('~*b|~*.*.*b', 5, 7, 5, 16, 48, 255)", "\"    7|000ff\""),
            ("sprintf('~p ~w', 'ä', 'ab')", "\"<<\\\"ä\\\">> <<97,98>>\""),
            ("sprintf('~p', 'a\"b\\\n\t\u{1b}')", r#""<<\"a\\\"b\\\\\\n\\t\\e\">>""#),
            (
                "sprintf('~p ~p ~w', [97, 98, 99], [1, 2], [97, 98, 99])",
                r#""\"abc\" [1,2] [97,98,99]""#,
            ),
            (
                "sprintf('~p ~w', [1.0, 1e3, 100.0], 1e22)",
                "\"[1.0,1.0e3,100.0] 1.0e22\"",
            ),
            (
                "sprintf('~w', map('{\"a\":1,\"b\":[\"\"]}'))",
                "\"#{<<97>> => 1,<<98>> => [<<>>]}\"",
            ),
            ("sprintf('~p~p', '', [])", "\"<<>>[]\""),
            ("sprintf('~q', [])", "fails"),
            ("sprintf('~')", "fails"),
            ("sprintf('~s')", "fails"),
            ("sprintf('x', 1)", "fails"),
            ("bin2hexstr(sprintf('~tp', 'ä'))", "\"3C3C22E4222F757466383E3E\""),
        ]);
    }

    /// Compared with Erlang 25.2.3: values that do not fit into a line.
    #[test]
    fn lines() {
        let map = r#"map('{"x":1,"y":{"z":"deep"},"a-b":2,"a b":3}')"#;
        for (format, argument, expected) in [
            (
                "~p",
                format!("[{map}, [{map}]]"),
                "[#{<<\"a b\">> => 3,<<\"a-b\">> => 2,<<\"x\">> => 1,\n   <<\"y\">> => #{<<\"z\">> => <<\"deep\">>}},\n \
                 [#{<<\"a b\">> => 3,<<\"a-b\">> => 2,<<\"x\">> => 1,\n    <<\"y\">> => #{<<\"z\">> => <<\"deep\">>}}]]",
            ),
            (
                "xxxx ~p",
                map.to_owned(),
                "xxxx #{<<\"a b\">> => 3,<<\"a-b\">> => 2,<<\"x\">> => 1,\n       <<\"y\">> => #{<<\"z\">> => <<\"deep\">>}}",
            ),
            (
                "~40p",
                map.to_owned(),
                "#{<<\"a b\">> => 3,<<\"a-b\">> => 2,\n  <<\"x\">> => 1,\n  <<\"y\">> => #{<<\"z\">> => <<\"deep\">>}}",
            ),
            (
                "~20p",
                map.to_owned(),
                "#{<<\"a b\">> => 3,\n  <<\"a-b\">> => 2,\n  <<\"x\">> => 1,\n  <<\"y\">> =>\n      #{<<\"z\">> =>\n            \
                 <<\"deep\">>}}",
            ),
            (
                "~10p",
                map.to_owned(),
                "#{<<\"a b\">> =>\n      3,\n  <<\"a-b\">> =>\n      2,\n  <<\"x\">> =>\n      1,\n  <<\"y\">> =>\n      \
                 #{<<\"z\">> =>\n            <<\"deep\">>}}",
            ),
            (
                "~30p",
                "[1, [2, [3, [1000, 1001, 1002, 1003, 1004, 1005, 1006]]], 4]".to_owned(),
                "[1,\n [2,\n  [3,\n   [1000,1001,1002,1003,\n    1004,1005,1006]]],\n 4]",
            ),
            (
                "~20p",
                "hexstr2bin('000102030405060708090A0B0C0D0E')".to_owned(),
                "<<0,1,2,3,4,5,6,7,\n  8,9,10,11,12,13,\n  14>>",
            ),
        ] {
            let expected = serde_json::to_string(expected).unwrap();
            check(&[(&format!("sprintf('{format}', {argument})"), &expected)]);
        }
    }
}
