//! Errors in SQL, with their place.

use std::fmt;
use std::ops::Range;

/// A syntax error in SQL, or something that is not supported. The message quotes the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    quote: String,
    what: String,
}

/// Number of bytes to quote on each side of the place.
const AROUND: usize = 40;

impl SqlError {
    /// An error at a place of a text, in bytes.
    pub(crate) fn new(text: &str, place: Range<usize>, what: impl Into<String>) -> SqlError {
        let floor = |at: usize| {
            (0..=at.min(text.len()))
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0)
        };
        let (start, end) = (floor(place.start), floor(place.end.max(place.start)));
        let (from, to) = (floor(start.saturating_sub(AROUND)), floor(end + AROUND));
        let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let quote = format!(
            "{}{}>>>{}<<<{}{}",
            if from > 0 { "…" } else { "" },
            slice(from, start),
            slice(start, end),
            slice(end, to),
            if to < text.len() { "…" } else { "" },
        );
        SqlError {
            // Line breaks of the statement become blanks.
            quote: quote.split_whitespace().collect::<Vec<_>>().join(" "),
            what: what.into(),
        }
    }

    /// What is wrong, without the place.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// One line: the text around the place, with the place between `>>>` and `<<<`, and what is wrong.
impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.quote, self.what)
    }
}

impl std::error::Error for SqlError {}
