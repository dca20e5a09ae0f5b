//! Splits SQL into tokens: words, texts, numbers and signs.

use std::ops::Range;

use super::error::SqlError;

/// The kind of a token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A keyword or a name, as written.
    Word(String),
    /// `'…'`: a text, or one name of a path.
    Text(String),
    /// `"…"`: a name, or an entry of FROM.
    Quoted(String),
    /// A number: digits with an optional fraction or exponent.
    Number(String),
    /// Anything else.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and its place, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: Range<usize>,
}

impl Token {
    /// Whether the token is this keyword, in upper or lower case.
    pub(super) fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Sign(known) if known == sign)
    }
}

/// Longer signs come first.
const SIGNS: [&str; 20] = [
    "=~", "!=", "<>", "<=", ">=", "..", "=", "<", ">", "(", ")", "[", "]", ",", ".", "*", "+", "-", "/", ";",
];

/// The tokens of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        let after_dot = tokens.last().is_some_and(|token| token.is_sign("."));
        let (kind, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if first == '\'' || first == '"' {
            let (inside, length) = quoted(rest, first)
                .ok_or_else(|| SqlError::new(text, at..text.len(), format!("{first} is not closed")))?;
            let kind = if first == '"' { Kind::Quoted } else { Kind::Text };
            (kind(inside), length)
        } else if first.is_ascii_digit() && after_dot {
            // A name in a path may be a number without a fraction.
            let length = leading(rest, |c| c.is_ascii_digit());
            (Kind::Number(rest.chars().take(length).collect()), length)
        } else if first.is_ascii_digit() {
            let length = number(rest);
            (Kind::Number(rest.chars().take(length).collect()), length)
        } else if is_name(first) {
            let word: String = rest.chars().take_while(|c| is_name(*c)).collect();
            let length = word.len();
            (Kind::Word(word), length)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Kind::Sign(sign), sign.len())
        } else {
            let place = at..at + first.len_utf8();
            return Err(SqlError::new(text, place, "this character has no meaning here"));
        };
        tokens.push(Token {
            kind,
            place: at..at + length,
        });
        at += length;
    }
    tokens.push(Token {
        kind: Kind::End,
        place: text.trim_end().len()..text.trim_end().len(),
    });
    Ok(tokens)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The number of ASCII characters at the start for which a condition is true.
fn leading(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

/// The length of the number at the start of a text.
fn number(text: &str) -> usize {
    let digits = |from: usize| leading(text.get(from..).unwrap_or_default(), |c| c.is_ascii_digit());
    let mut length = digits(0);
    let byte = |at: usize| text.as_bytes().get(at).copied();
    if byte(length) == Some(b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(byte(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

/// The quoted text at the start of a text, and its length with quotes. A doubled quote stands for one quote.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            inside.push(c);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            inside.push(quote);
        } else {
            return Some((inside, at + quote.len_utf8()));
        }
    }
    None
}
