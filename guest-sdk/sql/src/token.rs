//! Splits SQL into tokens, as EMQX does.
//!
//! A minus sign before a digit is part of the number, so `a -1` is a name and a number, and `a - 1` is a difference. Texts
//! and names in quotes lose all quotes at both ends; a doubled quote inside stays doubled.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::SqlError;
use crate::syntax::Comparison;
use crate::value::Value;
use crate::value::text::number;

/// The kind of a token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A name, as written.
    Word(String),
    /// A keyword, in upper case.
    Keyword(&'static str),
    /// `'…'`: a text, or one name of a path.
    Text(String),
    /// `"…"`: a name, or an entry of FROM.
    Quoted(String),
    /// A number.
    Number(Value<'static>),
    /// `[1..3]`
    Range(i64, i64),
    /// A comparison.
    Comparison(Comparison),
    /// Anything else.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and its place, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) place: Range<usize>,
}

impl Token {
    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.kind, Kind::Keyword(known) if known == keyword)
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Sign(known) if known == sign)
    }
}

const KEYWORDS: [&str; 18] = [
    "SELECT", "FROM", "WHERE", "AS", "AND", "OR", "NOT", "IN", "FOREACH", "DO", "INCASE", "CASE", "WHEN", "THEN",
    "ELSE", "END", "IF", "ELSIF",
];

/// Longer signs come first.
const COMPARISONS: [(&str, Comparison); 9] = [
    ("=~", Comparison::Matches),
    ("~=", Comparison::Undefined),
    ("!=", Comparison::Unequal),
    ("<>", Comparison::Unequal),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

const SIGNS: [&str; 10] = ["(", ")", "[", "]", ",", ".", "*", "+", "-", "/"];

/// The text that is parsed: EMQX removes each line break with a `/` behind it, in texts too.
pub(crate) fn joined(text: &str) -> Cow<'_, str> {
    match text.contains("\n/") {
        true => text.replace("\n/", "").into(),
        false => text.into(),
    }
}

/// The tokens of a text; the last one is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokens: Vec<Token> = Vec::new();
    let end = text.trim_end_matches([' ', '\r', '\n']).len();
    let mut at = 0;
    while let Some(rest) = text.get(at..end).filter(|rest| !rest.is_empty()) {
        let space = leading(rest, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if space > 0 {
            at += space;
            continue;
        }
        if rest.starts_with("--") {
            at += 1 + rest
                .find('\n')
                .ok_or_else(|| SqlError::new(text, at..at + 2, "a comment must end with a line break"))?;
            continue;
        }
        let after_dot = tokens.last().is_some_and(|token| token.is_sign("."));
        let (kind, length) =
            token(rest, after_dot).map_err(|(length, what)| SqlError::new(text, at..at + length, what))?;
        tokens.push(Token {
            kind,
            place: at..at + length,
        });
        at += length;
    }
    tokens.push(Token {
        kind: Kind::End,
        place: end..end,
    });
    Ok(tokens)
}

/// The token at the start of a text that is not empty, and its length; or the length of what is wrong, and what is wrong.
fn token(rest: &str, after_dot: bool) -> Result<(Kind, usize), (usize, &'static str)> {
    let first = rest.chars().next().unwrap_or_default();
    let bytes = rest.as_bytes();
    if first == '\'' || first == '"' {
        let length = quoted(rest, first).ok_or((rest.len(), "the quote is not closed"))?;
        let inside = rest.get(..length).unwrap_or_default();
        let inside = inside.trim_matches(first).to_owned();
        let kind = if first == '"' { Kind::Quoted } else { Kind::Text };
        return Ok((kind(inside), length));
    }
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if after_dot && is_digit(0) {
        // A name in a path may be a number without a fraction.
        let length = leading(rest, |byte| byte.is_ascii_digit());
        return Ok((Kind::Word(rest.get(..length).unwrap_or_default().to_owned()), length));
    }
    if is_digit(0) || (first == '-' && is_digit(1)) {
        return numeral(rest);
    }
    if first.is_ascii_alphabetic() {
        let length = leading(rest, |byte| byte.is_ascii_alphanumeric() || b"_$@~".contains(&byte));
        return Ok((word(rest.get(..length).unwrap_or_default()), length));
    }
    if let Some((begin, end, length)) = range(rest) {
        return Ok((Kind::Range(begin, end), length));
    }
    if let Some((sign, comparison)) = COMPARISONS.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((Kind::Comparison(comparison), sign.len()));
    }
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let what = match first.is_alphanumeric() || first == '_' || first == '$' {
        true => "names begin with a letter and have only letters, digits and _$@~; a name with others is written \"…\"",
        false => "this character has no meaning here",
    };
    Err((first.len_utf8(), what))
}

fn word(word: &str) -> Kind {
    let keyword = KEYWORDS.into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword));
    match (keyword, word) {
        (Some(keyword), _) => Kind::Keyword(keyword),
        (None, "div") => Kind::Sign("div"),
        (None, "mod") => Kind::Sign("mod"),
        (None, word) if word.eq_ignore_ascii_case("true") => Kind::Keyword("TRUE"),
        (None, word) if word.eq_ignore_ascii_case("false") => Kind::Keyword("FALSE"),
        (None, word) => Kind::Word(word.to_owned()),
    }
}

/// The number of ASCII characters at the start for which a condition is true.
fn leading(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

/// A number at the start of a text. EMQX takes everything that may be part of a number, and then refuses what is no number.
fn numeral(text: &str) -> Result<(Kind, usize), (usize, &'static str)> {
    let byte = |at: usize| text.as_bytes().get(at).copied().unwrap_or_default();
    // Digits, each group with an optional minus sign.
    let groups = |mut at: usize| {
        loop {
            let begin = at + usize::from(byte(at) == b'-');
            let digits = leading(text.get(begin..).unwrap_or_default(), |byte| byte.is_ascii_digit());
            if digits == 0 {
                return at;
            }
            at = begin + digits;
        }
    };
    let whole = groups(0);
    let mut end = whole;
    if byte(end) == b'.' {
        end = groups(end + 1);
    }
    if matches!(byte(end), b'e' | b'E') {
        let begin = end + 1 + usize::from(byte(end + 1) == b'+');
        let exponent = groups(begin);
        end = if exponent > begin { exponent } else { end };
    }
    end += usize::from(matches!(byte(end), b'f' | b'F' | b'd' | b'D'));
    match text.get(..end).and_then(number) {
        Some(value) => Ok((Kind::Number(value), end)),
        None => Err((
            end,
            "this is not a number: numbers are written 1, -1, 1.5 or 1.0e3, up to 1.0e308",
        )),
    }
}

/// `[1..3]`, without blanks: begin, end, and length.
fn range(text: &str) -> Option<(i64, i64, usize)> {
    let inside = text.strip_prefix('[')?;
    let (inside, _) = inside.split_once(']')?;
    let (begin, end) = inside.split_once("..")?;
    let index = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_index = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_index.then(|| text.parse().ok()).flatten()
    };
    Some((index(begin)?, index(end)?, inside.len() + 2))
}

/// The length of the text in quotes at the start of a text. A doubled quote does not end it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}
