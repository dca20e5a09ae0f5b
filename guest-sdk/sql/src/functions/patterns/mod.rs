//! Functions with regular expressions.
//!
//! Erlang matches bytes with PCRE. Here the crate `regex-lite` does it, on texts with one character for each byte; `pcre`
//! translates expressions. The time of a match grows with the length of the text, not more.

mod byte_set;
mod pcre;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex_lite::{Captures, Regex};

use super::format::latin1;
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

/// Most compiled expressions that are kept for further events.
const MAX_COMPILED: usize = 64;

pub(super) const THEME: Theme = Theme {
    title: "Regular expressions",
    functions: &[
        function!(
            "regex_match",
            2..=2,
            "regex_match(text, expression)",
            "Whether the text contains a match of the regular expression. Expressions are those of PCRE without look-around, \
             references to groups and atomic groups, which are refused.",
            |arguments| match arguments {
                [text, expression] => {
                    let text = latin1(text.as_bytes()?);
                    Some(Value::Bool(
                        compiled(expression.as_bytes()?)?.captures(&text, 0).is_some(),
                    ))
                }
                _ => None,
            }
        ),
        function!(
            "regex_replace",
            3..=3,
            "regex_replace(text, expression, replacement)",
            "The text with all matches replaced. In the replacement `&` is the match and `\\1` to `\\9` are groups.",
            |arguments| match arguments {
                [text, expression, replacement] => {
                    let replacement = Replacement::parse(replacement.as_bytes()?)?;
                    let text = latin1(text.as_bytes()?);
                    Some(Value::bytes(
                        compiled(expression.as_bytes()?)?.replace_all(&text, &replacement),
                    ))
                }
                _ => None,
            }
        ),
        function!(
            "regex_extract",
            2..=2,
            "regex_extract(text, expression)",
            "A list of what the groups of the first match contain, up to the last group that has a match; empty without a \
             match and without groups.",
            |arguments| match arguments {
                [text, expression] => {
                    let text = latin1(text.as_bytes()?);
                    let captures = compiled(expression.as_bytes()?)?.captures(&text, 0);
                    Some(Value::List(
                        captures.map(|captures| groups(&captures)).unwrap_or_default(),
                    ))
                }
                _ => None,
            }
        ),
    ],
};

/// A compiled regular expression.
struct Compiled {
    regex: Regex,
    /// As [`pcre::Translated::has_end`].
    has_end: bool,
}

thread_local! {
    static COMPILED: RefCell<HashMap<Vec<u8>, Option<Rc<Compiled>>>> = RefCell::default();
}

/// The compiled expression; `None` if it is not a regular expression. The last ones are kept.
fn compiled(expression: &[u8]) -> Option<Rc<Compiled>> {
    COMPILED.with_borrow_mut(|known| {
        if let Some(compiled) = known.get(expression) {
            return compiled.clone();
        }
        if known.len() >= MAX_COMPILED {
            known.clear();
        }
        let compiled = Compiled::new(expression).map(Rc::new);
        known.insert(expression.to_vec(), compiled.clone());
        compiled
    })
}

impl Compiled {
    fn new(expression: &[u8]) -> Option<Compiled> {
        let translated = pcre::translate(expression)?;
        let regex = Regex::new(&translated.expression).ok()?;
        Some(Compiled {
            regex,
            has_end: translated.has_end,
        })
    }

    /// The first match from a place on. The end of the text is also in front of a line break there: of a match with that end
    /// and one with the real end the one that begins first counts, then the longer one.
    fn captures<'t>(&self, text: &'t str, from: usize) -> Option<Captures<'t>> {
        let whole = self.regex.captures_at(text, from);
        let shorter = text
            .strip_suffix('\n')
            .filter(|shorter| self.has_end && from <= shorter.len());
        let shorter = shorter.and_then(|shorter| self.regex.captures_at(shorter, from));
        let rank = |captures: &Captures<'_>| captures.get(0).map(|found| (found.start(), usize::MAX - found.end()));
        match (whole, shorter) {
            (Some(whole), Some(shorter)) => Some(if rank(&shorter) < rank(&whole) { shorter } else { whole }),
            (whole, shorter) => whole.or(shorter),
        }
    }

    /// The text with all matches replaced. An empty match may follow another match, as in Erlang.
    fn replace_all(&self, text: &str, replacement: &Replacement) -> Vec<u8> {
        let mut out = Vec::new();
        let (mut copied, mut from) = (0, 0);
        while let Some(captures) = self.captures(text, from) {
            let Some(found) = captures.get(0) else { break };
            out.extend(bytes(text.get(copied..found.start()).unwrap_or_default()));
            for part in &replacement.0 {
                match part {
                    Part::Bytes(bytes) => out.extend_from_slice(bytes),
                    Part::Group(at) => {
                        out.extend(captures.get(*at).map(|group| bytes(group.as_str())).unwrap_or_default())
                    }
                }
            }
            copied = found.end();
            from = found.end();
            if found.is_empty() {
                let Some(next) = text.get(from..).and_then(|rest| rest.chars().next()) else {
                    break;
                };
                from += next.len_utf8();
            }
        }
        out.extend(bytes(text.get(copied..).unwrap_or_default()));
        out
    }
}

/// The bytes of a text that has one character for each.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// What the groups contain, up to the last one that has a match.
fn groups(captures: &Captures<'_>) -> Vec<Value<'static>> {
    let groups: Vec<_> = captures.iter().skip(1).collect();
    let count = groups.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let groups = groups.into_iter().take(count);
    groups
        .map(|group| Value::bytes(group.map(|group| bytes(group.as_str())).unwrap_or_default()))
        .collect()
}

/// A replacement, in parts.
struct Replacement(Vec<Part>);

enum Part {
    Bytes(Vec<u8>),
    /// A group; 0 is the whole match.
    Group(usize),
}

impl Replacement {
    /// `&` is the match, `\1`, `\g1` and `\g{1}` are groups, and a backslash in front of any other character stands for it.
    /// `None` if `\g` has no number.
    fn parse(text: &[u8]) -> Option<Replacement> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, behind) = match rest {
                [] => return Some(Replacement(parts)),
                [b'\\', b'g', b'{', behind @ ..] if !behind.is_empty() => {
                    let (group, behind) = number(behind);
                    (Part::Group(group?), behind.strip_prefix(b"}")?)
                }
                [b'\\', b'g', behind @ ..] if !behind.is_empty() => {
                    let (group, behind) = number(behind);
                    (Part::Group(group?), behind)
                }
                [b'\\', behind @ ..] if matches!(behind, [b'1'..=b'9', ..]) => {
                    let (group, behind) = number(behind);
                    (Part::Group(group?), behind)
                }
                [b'\\', byte, behind @ ..] => (Part::Bytes(vec![*byte]), behind),
                [b'&', behind @ ..] => (Part::Group(0), behind),
                [byte, behind @ ..] => (Part::Bytes(vec![*byte]), behind),
            };
            parts.push(part);
            rest = behind;
        }
    }
}

/// The number at the beginning, and what follows it.
fn number(text: &[u8]) -> (Option<usize>, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    (str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()), rest)
}

#[cfg(test)]
mod tests;
